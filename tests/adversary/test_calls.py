"""Actions that call another service: what is sent, who has to agree, what happens without an answer, and what leaks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.stands import REVIEWER, Stand, stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import EffectMissed, InvalidInput, PolicyInvalid, StateConflict
from gatebook_hub.model import Engine
from gatebook_hub.policy import load
from gatebook_hub.services.actions import Press
from gatebook_hub.services.gate import Call
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.views import change_view

pytestmark = pytest.mark.adversary
SECRET = "s3cret-of-the-desk"
TABLES = [
    "create table customer (id integer primary key, name varchar(20), blocked integer)",
    "insert into customer values (1, 'Ada', 0), (2, 'Bob', 1)",
]
CONNECTION = """
connection: desk
title: Help desk
url: {url}/api
headers: {{Authorization: "Bearer ${{env:GBTEST_DESK_TOKEN}}"}}
{more}
timeout_s: 2
default_quorum: [{{groups: [reviewers], needed: 1}}]
"""
TICKET = """
action: file_ticket
title: File a ticket
source: shop
params:
  customer: {type: integer, minimum: 1}
  queue: {type: string}
  subject: {type: string, maxLength: 200}
  urgent: {type: boolean, default: false}
checks: [{sql: "select 1 from customer where id = :customer and blocked = 0", otherwise: this customer is blocked}]
http:
  connection: desk
  path: /queues/{queue}/tickets
  query: {for: "{customer}"}
  body: {customer: "{customer}", subject: "About: {subject}", urgent: "{urgent}", tags: [shop]}
  expect: [201]
  result: {ticket: ticket.id, link: ticket.link}
"""
RULES = """
grants:
  - {id: a, to: "group:people", actions: file_ticket}
approvals:
  - {id: calm, actions: file_ticket, when: [urgent == False], require: []}
  - {id: loud, actions: file_ticket, when: [urgent == True], require: [{groups: [reviewers], needed: 1}]}
"""
GOOD = {"customer": 1, "queue": "first", "subject": 'a "quoted" {customer} line', "urgent": False}
HEADER = "idempotency_header: Idempotency-Key"


@dataclass(slots=True)
class Desk:
    """A service that remembers what it was sent; `answer` says what it does."""

    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[int], tuple[int, dict[str, str], bytes]] = lambda _: (
        201,
        {},
        json.dumps({"ticket": {"id": 7, "link": "https://desk/7", "inner": {}}}).encode(),
    )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("GBTEST_DESK_TOKEN", SECRET)
    made = Desk()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.seen.append({"path": self.path, "headers": dict(self.headers), "body": json.loads(body)})
            status, headers, data = made.answer(len(made.seen))
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(params=[HEADER, ""], ids=["keyed", "unkeyed"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, desk: Desk) -> Iterator[Stand]:
    more = {"connections/desk.yaml": CONNECTION.format(url=desk.url, more=request.param)}
    with stand(request, Engine.SQLITE, tmp_path, TABLES, RULES, sandbox=False, actions=[TICKET], more=more) as made:
        yield made


def press(shop: Stand, **given: Any) -> ChangeRequest:
    return shop.cases.actions.call(shop.call, Press(action="file_ticket", params={**GOOD, **given}))


def is_keyed(shop: Stand) -> bool:
    return shop.cases.gate.policy.connections["desk"].idempotency_header is not None


def test_what_was_declared_is_sent_once_and_told(shop: Stand, desk: Desk) -> None:
    done = press(shop)
    assert (done.state, done.failure) == (State.EXECUTED, None)
    (sent,) = desk.seen
    assert sent["path"] == "/api/queues/first/tickets?for=1"
    assert sent["body"] == {
        "customer": 1, "subject": 'About: a "quoted" {customer} line', "urgent": False, "tags": ["shop"]
    }  # fmt: skip
    assert sent["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert sent["headers"].get("Idempotency-Key") == (done.id if is_keyed(shop) else None)
    returned = shop.cases.changes.returned_to(shop.call.principal, done)
    assert returned is not None
    assert dict(zip(returned.columns, returned.rows[0], strict=True)) == {"ticket": "7", "link": "https://desk/7"}
    view = change_view(shop.cases, shop.call.principal, done)
    assert view["summary"] == "desk was called by the action file_ticket"
    with pytest.raises(StateConflict, match="called another service"):
        shop.cases.changes.undo(shop.call, done.id)


def test_reviewers_approve_the_call_with_its_values(shop: Stand, desk: Desk) -> None:
    asked = press(shop, urgent=True)
    assert (asked.state, desk.seen) == (State.AWAITING_REVIEW, [])
    view = change_view(shop.cases, REVIEWER, asked)
    assert (view["may"]["review"], view["params"]["subject"]) == (True, GOOD["subject"])
    assert "POST" in view["statement"]
    assert SECRET not in json.dumps(view)
    shop.executed(asked)
    assert len(desk.seen) == 1


def test_a_dry_run_sends_nothing(shop: Stand, desk: Desk) -> None:
    previewed = shop.cases.actions.rehearse(shop.call, Press(action="file_ticket", params=GOOD))
    assert previewed.draft.is_call
    assert desk.seen == []


def test_a_check_is_asked_when_it_is_asked_for_and_when_it_is_done(shop: Stand, desk: Desk) -> None:
    with pytest.raises(EffectMissed, match="blocked"):
        press(shop, customer=2)
    asked = press(shop, urgent=True)
    shop.run("update customer set blocked = 1 where id = 1")
    assert shop.approved(asked).state is State.FAILED
    assert desk.seen == []


@pytest.mark.parametrize("queue", ["..", ".", "", "a/../../admin", "a?x=1", "a#b", "a%2f..", "ü\n"])
def test_a_value_is_one_part_of_the_path_and_no_other(shop: Stand, desk: Desk, queue: str) -> None:
    try:
        press(shop, queue=queue)
    except InvalidInput:
        assert desk.seen == []
        return
    (sent,) = desk.seen
    parts = sent["path"].partition("?")[0].split("/")
    assert (parts[:3], parts[4:], sent["path"].partition("?")[2]) == (["", "api", "queues"], ["tickets"], "for=1")


def test_what_was_refused_is_told_without_what_the_service_said(shop: Stand, desk: Desk) -> None:
    desk.answer = lambda _: (422, {}, b"the token is " + SECRET.encode())
    failed = press(shop)
    assert failed.state is State.FAILED
    assert failed.failure == "`Help desk` answered 422, so it was not done"
    assert len(desk.seen) == 1


def test_no_redirect_is_followed(shop: Stand, desk: Desk) -> None:
    desk.answer = lambda _: (302, {"Location": f"{desk.url}/elsewhere"}, b"")
    assert press(shop).state is State.FAILED
    assert [sent["path"].partition("?")[0] for sent in desk.seen] == ["/api/queues/first/tickets"]


@pytest.mark.parametrize("status", [0, 503])
def test_without_an_answer_only_what_knows_its_key_is_sent_again(shop: Stand, desk: Desk, status: int) -> None:
    right = desk.answer
    desk.answer = lambda turn: (status, {}, b"") if turn < 3 else right(turn)
    done = press(shop)
    if is_keyed(shop):
        assert (done.state, len(desk.seen)) == (State.EXECUTED, 3)
        assert len({sent["headers"]["Idempotency-Key"] for sent in desk.seen}) == 1
    else:
        assert (done.state, len(desk.seen)) == (State.FAILED, 1)
        assert "not known" in str(done.failure)


def test_a_call_whose_end_nobody_saw_is_completed_or_told(shop: Stand, desk: Desk) -> None:
    gate = shop.cases.gate
    asked = press(shop, urgent=True)
    died: list[int] = []

    def dies(*_: object) -> None:
        died.append(1)
        raise SystemExit

    real = gate.caller.call
    gate.caller.call = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(SystemExit):
        shop.approved(asked)
    gate.caller.call = real  # type: ignore[method-assign]
    assert (died, gate.changes.get(asked.id).state) == ([1], State.EXECUTING)
    shop.cases.changes.recover(Call(principal=shop.call.principal))
    after = gate.changes.get(asked.id)
    assert (after.state, len(desk.seen)) == ((State.EXECUTED, 1) if is_keyed(shop) else (State.FAILED, 0))


def test_secrets_and_values_are_in_no_event(shop: Stand, desk: Desk) -> None:
    press(shop, subject="very-private-words")
    told = json.dumps([event.content for event in shop.cases.gate.book.find(EventFilter(limit=1_000))])
    assert SECRET not in told
    assert "very-private-words" not in told
    assert "file_ticket" in told
    assert desk.seen


@pytest.mark.parametrize(
    "connection, action",
    [
        ({"url": "http://desk.example/api"}, {}),
        ({"url": "https://user:pw@desk.example/"}, {}),
        ({"url": "https://desk.example/?x=1"}, {}),
        ({"headers": '{"X: y": a}'}, {}),
        ({}, {"path": "/{nobody}"}),
        ({}, {"path": "/../admin/{queue}"}),
        ({}, {"path": "/a{queue}"}),
        ({}, {"path": "//elsewhere.example/{queue}"}),
        ({}, {"method": "GET"}),
        ({}, {"expect": "[500]"}),
        ({}, {"connection": "other"}),
    ],
)
def test_what_could_go_elsewhere_is_no_policy(connection: dict[str, str], action: dict[str, str]) -> None:
    given = {"url": "https://desk.example/api", "headers": "{}", **connection}
    call = {"connection": "desk", "method": "POST", "path": "/{queue}", "expect": "[201]", **action}
    texts = {
        "connections/desk.yaml": "connection: desk\ntitle: D\ndefault_quorum: [{groups: [r], needed: 1}]\n"
        + "".join(f"{name}: {value}\n" for name, value in given.items()),
        "actions/a.yaml": "action: a\ntitle: A\nparams: {queue: {type: string}}\nhttp:\n"
        + "".join(f"  {name}: {json.dumps(value) if name == 'path' else value}\n" for name, value in call.items()),
    }
    with pytest.raises(PolicyInvalid):
        load(texts)


def test_a_call_is_a_policy() -> None:
    """Guards the test above."""
    texts = {
        "connections/desk.yaml": "connection: desk\ntitle: D\nurl: https://desk.example/api\n"
        "default_quorum: [{groups: [r], needed: 1}]\n",
        "actions/a.yaml": "action: a\ntitle: A\nparams: {queue: {type: string}}\n"
        "http: {connection: desk, path: '/{queue}'}\n",
    }
    assert load(texts).actions["a"].place == "desk"
