"""A service that actions call, and that means ill: slow, endless, packed and crooked answers, and what is told of them."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.stands import Stand, stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import EffectMissed, PolicyInvalid, TooManyRequests
from gatebook_hub.model import Engine
from gatebook_hub.policy import load
from gatebook_hub.services.actions import Press
from gatebook_hub.services.gate import Call
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.views import change_view

pytestmark = pytest.mark.adversary
TABLES = ["create table customer (id integer primary key, blocked integer)", "insert into customer values (1, 0)"]
CONNECTION = """
connection: desk
title: Help desk
url: {url}
{more}
timeout_s: 1
retries: 0
default_quorum: [{{groups: [reviewers], needed: 1}}]
"""
KEYED = "idempotency_header: Idempotency-Key"
TICKET = """
action: file_ticket
title: File a ticket
source: shop
params:
  customer: {type: integer}
  queue: {type: string, default: first}
checks: [{sql: "select 1 from customer where id = :customer and blocked = 0", otherwise: this customer is blocked}]
http: {connection: desk, path: "/queues/{queue}", body: {customer: "{customer}"}, result: {ticket: ticket.id}}
"""
RULES = """
grants: [{id: a, to: "group:people", actions: [file_ticket]}]
approvals:
  - {id: calm, actions: [file_ticket], when: [queue == first], require: []}
  - {id: loud, actions: [file_ticket], when: [queue != first], require: [{groups: [reviewers], needed: 1}]}
"""
Pieces = Sequence[tuple[bytes, float]]
Serve = Callable[[Pieces], str]
Open = Callable[..., Stand]


def whole(body: bytes, *headers: str) -> Pieces:
    """An answer that says that it was done."""
    head = "\r\n".join(["HTTP/1.1 201 Created", f"Content-Length: {len(body)}", *headers])
    return [(head.encode() + b"\r\n\r\n" + body, 0.0)]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a service that answers each call with the same pieces and a pause after each; gives its address."""
    stop = threading.Event()
    with ExitStack() as stack:
        stack.callback(stop.set)

        def answer(peer: socket.socket, pieces: Pieces) -> None:
            with closing(peer), suppress(OSError):  # whoever called has left
                asked = b""
                while not asked.endswith(b"}"):  # a connection that is closed before all is read is reset
                    asked += peer.recv(65_536) or b"}"
                for piece, pause_s in pieces:
                    peer.sendall(piece)
                    if stop.wait(pause_s):
                        return

        def begin(pieces: Pieces) -> str:
            listener = socket.create_server(("127.0.0.1", 0))
            stack.callback(listener.close)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)

            def run() -> None:
                with suppress(OSError):  # closed at the end
                    while True:
                        threading.Thread(target=answer, args=(listener.accept()[0], pieces), daemon=True).start()

            threading.Thread(target=run, daemon=True).start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield begin


@pytest.fixture
def shop_at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def begin(url: str, more: str = "", action: str = TICKET) -> Stand:
            files = {"connections/desk.yaml": CONNECTION.format(url=url, more=more)}
            made = stand(request, Engine.SQLITE, tmp_path, TABLES, RULES, sandbox=False, actions=[action], more=files)
            return stack.enter_context(made)

        yield begin


def press(shop: Stand, **given: Any) -> ChangeRequest:
    return shop.cases.actions.call(shop.call, Press(action="file_ticket", params={"customer": 1, **given}))


def told(shop: Stand, done: ChangeRequest) -> str:
    """What the action tells of the answer, as it leaves the gateway."""
    view = json.loads(json.dumps(change_view(shop.cases, shop.call.principal, done), ensure_ascii=False).encode())
    return str(view["outcome"]["returned"]["rows"][0][0])


HEAD = b"HTTP/1.1 201 Created\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [(HEAD + b"Content-Length: 100\r\n\r\n", 0.0), *[(b"x", 0.3)] * 100],
        [(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 0.0), *[(b"1\r\nx\r\n", 0.3)] * 100],
        [(HEAD, 0.0), *[(b"X-More: 1\r\n", 0.3)] * 100],
        [(b"HTTP/1.1 100 Continue\r\n\r\n", 0.3)] * 100,
        [(sign.encode(), 0.3) for sign in "HTTP/1.1 201 Created" + " " * 100],
    ],
    ids=["body", "chunks", "headers", "continue", "status"],
)
def test_an_answer_that_never_ends_is_cut_when_its_time_is_over(serve: Serve, shop_at: Open, pieces: Pieces) -> None:
    """The time of a connection is that of the whole try, not of each part of the answer."""
    shop = shop_at(serve(pieces))
    begin = time.monotonic()
    done = press(shop)
    assert time.monotonic() - begin < 5
    assert done.state in {State.EXECUTED, State.FAILED}
    assert done.state is State.EXECUTED or "whether it was done is not known" in str(done.failure)


@pytest.mark.parametrize("body", [b"[" * 300_000, b'{"ticket":' * 90_000, b"\xff\xfe\x00", b"[1]", b"9" * 900_000])
def test_what_cannot_be_read_was_done_all_the_same(serve: Serve, shop_at: Open, body: bytes) -> None:
    """A call that was done and is told as failed would be done twice."""
    shop = shop_at(serve(whole(body)))
    done = press(shop)
    assert (done.state, done.failure) == (State.EXECUTED, None)
    assert told(shop, done) == ""


@pytest.mark.parametrize("sign", ["\\ud800", "\\u0000", "\\u202e", "\\u001b", "\\n"])
def test_no_sign_of_an_answer_breaks_a_page(serve: Serve, shop_at: Open, sign: str) -> None:
    shop = shop_at(serve(whole(f'{{"ticket": {{"id": "a{sign}b"}}}}'.encode())))
    assert told(shop, press(shop)) == "a\ufffdb"


def test_a_packed_answer_is_not_unpacked(serve: Serve, shop_at: Open) -> None:
    packed = gzip.compress(b'{"ticket": {"id": "' + b"x" * 50_000_000)
    shop = shop_at(serve(whole(packed, "Content-Encoding: gzip")))
    done = press(shop)
    assert (done.state, told(shop, done)) == (State.EXECUTED, "")


@pytest.mark.parametrize(
    "pieces",
    [
        [(b"", 0.0)],
        [(b"SSH-2.0-OpenSSH\r\n", 0.0)],
        [(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 0.0)],
        [(HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n", 0.0)],
        [(HEAD + b"X: y\r\n" * 200 + b"\r\n", 0.0)],
    ],
)
def test_what_is_no_answer_is_told_as_not_known(serve: Serve, shop_at: Open, pieces: Pieces) -> None:
    shop = shop_at(serve(pieces))
    done = press(shop)
    assert (done.state, "whether it was done is not known" in str(done.failure)) == (State.FAILED, True)


def test_a_secret_that_is_no_header_sends_nothing(serve: Serve, shop_at: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBTEST_DESK_TOKEN", "a\r\nX-Forged: b")
    shop = shop_at(serve(whole(b"")), 'headers: {Authorization: "${env:GBTEST_DESK_TOKEN}"}')
    done = press(shop)
    assert done.state is State.FAILED
    assert "Forged" not in str(done.failure)


def stopped_while_it_called(shop: Stand, asked: ChangeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(shop.cases.gate.caller, "call", dies)
        with pytest.raises(SystemExit):
            shop.approved(asked)
    assert shop.cases.gate.changes.get(asked.id).state is State.EXECUTING


def test_a_check_that_fails_after_a_stop_does_not_say_that_nothing_was_done(
    serve: Serve, shop_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may fail just because the call was done."""
    shop = shop_at(serve(whole(b"")), KEYED)
    asked = press(shop, queue="second")
    stopped_while_it_called(shop, asked, monkeypatch)
    shop.run("update customer set blocked = 1")
    shop.cases.changes.recover(Call(principal=shop.call.principal))
    after = shop.cases.gate.changes.get(asked.id)
    assert after.state is State.FAILED
    assert "whether it was done is not known" in str(after.failure)


def test_whatever_a_call_breaks_off_with_the_gateway_starts_and_tells_it(
    serve: Serve, shop_at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shop_at(serve(whole(b"")), KEYED)
    first, second = press(shop, queue="second"), press(shop, queue="third")
    stopped_while_it_called(shop, first, monkeypatch)

    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(shop.cases.gate.caller, "call", breaks)
    shop.cases.changes.recover(Call(principal=shop.call.principal))
    with pytest.raises(ZeroDivisionError):
        shop.approved(second)
    for asked in (first, second):
        after = shop.cases.gate.changes.get(asked.id)
        assert (after.state, "whether it was done is not known" in str(after.failure)) == (State.FAILED, True)


@pytest.mark.parametrize("rates", ["", "rates: [{times: 100, per: hour}]"])
def test_a_slow_service_does_not_hold_every_thread(serve: Serve, shop_at: Open, rates: str) -> None:
    """Whoever presses again and again waits for a few answers at once, and is refused beyond."""
    shop = shop_at(serve([(HEAD, 60.0)]), action=TICKET + rates)
    told: list[str] = []

    def one() -> None:
        try:
            told.append(str(press(shop).state))
        except TooManyRequests:
            told.append("too many")

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(told), told.count("too many")) == (10, 6)
    assert press(shop).state is not None, "places are given back"


@pytest.mark.parametrize("old, new", [("/queues/{queue}", "/refunds/{queue}"), ("timeout_s: 1", "timeout_s: 2")])
def test_another_text_of_the_call_or_its_connection_drifts_what_waits(
    serve: Serve, shop_at: Open, tmp_path: Path, old: str, new: str
) -> None:
    shop = shop_at(serve(whole(b"")))
    asked = press(shop, queue="second")
    folder = tmp_path / "policies"
    texts = {str(path.relative_to(folder)): path.read_text().replace(old, new) for path in folder.rglob("*.yaml")}
    in_force = shop.cases.gate.in_force
    in_force.replace(load(texts), in_force.sources, kept=tuple(in_force.sources))
    assert shop.approved(asked).state is State.DRIFTED


def test_nobody_calls_in_place_of_another_and_the_moment_is_known(serve: Serve, shop_at: Open) -> None:
    """Checks of a call may ask who calls, and when."""
    mine = TICKET.replace("blocked = 0", "blocked = 0 and :gb_principal = 'pat' and :gb_now > '2000-01-01'")
    shop = shop_at(serve(whole(b"")), action=mine)
    assert press(shop).state is State.EXECUTED
    other = replace(shop, call=Call(principal=replace(shop.call.principal, name="olga")))
    with pytest.raises(EffectMissed, match="blocked"):
        press(other)


def test_a_parameter_has_no_name_of_the_gates_own() -> None:
    texts = {
        "connections/desk.yaml": "connection: desk\ntitle: D\nurl: https://desk.example\n"
        "default_quorum: [{groups: [r], needed: 1}]\n",
        "actions/a.yaml": "action: a\ntitle: A\nparams: {gb_principal: {type: string}}\nhttp: {connection: desk, path: /}\n",
    }
    with pytest.raises(PolicyInvalid, match="gb_"):
        load(texts)


def test_no_value_of_a_call_is_in_the_book(serve: Serve, shop_at: Open) -> None:
    shop = shop_at(serve(whole(b'{"ticket": {"id": "very-private-answer"}}')))
    done = press(shop)
    assert told(shop, done) == "very-private-answer"
    events = json.dumps([event.content for event in shop.cases.gate.book.find(EventFilter(limit=1_000))])
    assert "very-private" not in events
