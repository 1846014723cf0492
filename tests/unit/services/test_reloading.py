"""Does a changed folder come into force whole, checked and recorded, and does nobody win by when it does?"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import RULES, SOURCE, Shop, ann, ask

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import AccessRefused, BookUnavailable, GatebookError, UnknownRelation
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.opening import OPERATOR
from gatebook_hub.services.queries import Answer, Question
from gatebook_hub.services.reloading import REQUEST, Reload, Reloading, Result, Watcher
from gatebook_hub.stores.book import EventFilter

EMAILS = "select email from customer order by id"
CLEAR = RULES.replace("    unless: group:privacy", "    unless: group:writers")
CLOSED = RULES.replace("group:readers", "group:nobody")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def cases(shop: Shop) -> Iterator[UseCases]:
    with shop.open() as found:
        yield found


@pytest.fixture
def watcher(cases: UseCases) -> Watcher:
    return Watcher(cases.gate, Reloading(cases.gate), OPERATOR)


def reload(cases: UseCases) -> Reload:
    return Reloading(cases.gate).reload(OPERATOR)


def told(cases: UseCases, kind: EventKind) -> list[dict[str, Any]]:
    return [event.content for event in cases.gate.book.find(EventFilter(kind=kind))]


# ── what comes into force ──


def test_a_changed_set_comes_into_force_and_is_in_the_book(shop: Shop, cases: UseCases) -> None:
    old = cases.gate.policy.revision
    assert ask(cases, ann("writers"), EMAILS)[0] == ("a***@example.com",)
    shop.write(CLEAR)
    found = reload(cases)
    assert (found.result, found.old) == (Result.LOADED, old)
    assert cases.gate.policy.revision == found.new != old
    assert ask(cases, ann("writers"), EMAILS)[0] == ("ann@example.com",)
    newest = told(cases, EventKind.POLICY_LOADED)[0]
    assert (newest["extra"]["old"], newest["extra"]["revision"], newest["revision"]) == (old, found.new, old)


def test_a_set_that_did_not_change_is_left_alone(cases: UseCases) -> None:
    events = cases.gate.book.size()
    assert reload(cases).result is Result.SAME
    assert cases.gate.book.size() == events


BROKEN = {
    "not YAML": "grants: [",
    "an unknown key": RULES.replace("allow: [select]", "alow: [select]"),
    "an unknown table": RULES.replace("on: shop.customer\n", "on: shop.custmer\n", 1),
    "an unknown column": RULES.replace("shop.customer.email", "shop.customer.mail"),
    "a bad condition": RULES.replace("country = 'DE'", "nothing = 'DE'"),
    "a bomb": "a: &a [x]\nb: [*a, *a]\n",
    "an empty file of rules but for a broken name": "grants:\n  - {id: A, to: 'group:x', audit: true}\n",
}


@pytest.mark.parametrize("rules", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_set_leaves_the_old_one_in_force_and_is_told(rules: str, shop: Shop, cases: UseCases) -> None:
    old = cases.gate.policy.revision
    shop.write(rules)
    found = reload(cases)
    assert found.result is Result.REFUSED
    assert cases.gate.policy.revision == old
    assert ask(cases, ann("writers"), EMAILS)[0] == ("a***@example.com",)
    (event,) = told(cases, EventKind.POLICY_REFUSED)
    assert "rules.yaml" in event["detail"]
    assert event["code"] == "GB-801"
    trouble = cases.gate.in_force.trouble
    assert trouble is not None
    assert (trouble.revision, trouble.sentence) == (old, event["detail"])
    shop.write(RULES)
    reload(cases)
    assert cases.gate.in_force.trouble is None


def test_a_set_that_cannot_be_written_in_the_book_does_not_come_into_force(
    shop: Shop, cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> int:
        raise BookUnavailable("no")

    old = cases.gate.policy.revision
    shop.write(CLEAR)
    monkeypatch.setattr(cases.gate.book, "append", refuse)
    assert reload(cases).result is Result.REFUSED
    assert cases.gate.policy.revision == old


# ── sources ──


class _Closing:
    """A source that remembers whether it was closed."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.is_closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def close(self) -> None:
        self.is_closed = True
        self._source.close()


def watched(cases: UseCases) -> _Closing:
    sources = cases.gate.in_force.sources
    made = _Closing(sources.get("shop"))
    sources._sources["shop"] = made
    return made


def test_a_source_whose_declaration_did_not_change_stays_open(shop: Shop, cases: UseCases) -> None:
    source = watched(cases)
    shop.write(CLEAR)
    reload(cases)
    assert cases.gate.in_force.sources.get("shop") is source
    assert not source.is_closed


def test_a_source_that_is_declared_anew_is_closed_when_its_last_call_ends(shop: Shop, cases: UseCases) -> None:
    source = watched(cases)
    with cases.gate.in_force.held():
        text = SOURCE.format(path=shop.database) + "limits: {rows: 2}\n"
        (shop.policies / "sources" / "shop.yaml").write_text(text.replace("sqlite:///", "sqlite:////"))
        assert reload(cases).result is Result.LOADED
        assert cases.gate.in_force.sources.get("shop") is source
        assert not source.is_closed
    assert source.is_closed
    assert cases.gate.in_force.sources.get("shop") is not source


def test_what_a_refused_set_opened_is_closed(shop: Shop, cases: UseCases, monkeypatch: pytest.MonkeyPatch) -> None:
    from gatebook_hub.sources.sqlite import SqliteSource

    closed = []
    monkeypatch.setattr(SqliteSource, "close", lambda self: closed.append(self.name))
    (shop.policies / "sources" / "more.yaml").write_text(
        SOURCE.format(path=shop.database).replace("source: shop", "source: more")
    )
    shop.write(RULES + "\n  - {id: bad, on: more.nothing, require: [{groups: [r]}]}\n")
    assert reload(cases).result is Result.REFUSED
    assert closed == ["more"]


# ── timing ──


def test_a_call_that_has_begun_ends_under_its_set(shop: Shop, cases: UseCases) -> None:
    old = cases.gate.policy.revision
    with cases.gate.in_force.held():
        shop.write(CLOSED)
        reload(cases)
        assert cases.gate.policy.revision == old
        assert len(ask(cases, ann("readers"), EMAILS)) == 2
    with pytest.raises(GatebookError):
        ask(cases, ann("readers"), EMAILS)


def test_a_statement_never_sees_two_sets(shop: Shop, cases: UseCases) -> None:
    """The set changes between the decision and the intent: what runs and what the book says are of one set."""
    old, new_id = cases.gate.policy.revision, cases.gate.new_id

    def reloading() -> str:
        shop.write(CLEAR)
        reload(cases)
        return new_id()

    cases.gate.new_id = reloading
    assert ask(cases, ann("writers"), EMAILS)[0] == ("a***@example.com",)
    cases.gate.new_id = new_id
    assert told(cases, EventKind.QUERY_INTENT)[0]["revision"] == old


def test_a_plan_of_one_set_is_never_kept_for_another(shop: Shop, cases: UseCases) -> None:
    """Back and forth: a plan that was made while the set changed would be the loose one under the strict revision."""
    strict, new_id = cases.gate.policy.revision, cases.gate.new_id

    def reloading() -> str:
        shop.write(CLEAR)
        reload(cases)
        return new_id()

    cases.gate.new_id = reloading
    ask(cases, ann("writers"), EMAILS)
    cases.gate.new_id = new_id
    assert ask(cases, ann("writers"), EMAILS)[0] == ("ann@example.com",)
    shop.write(RULES)
    assert reload(cases).new == strict
    assert ask(cases, ann("writers"), EMAILS)[0] == ("a***@example.com",)


def test_a_read_under_way_goes_on_and_the_next_is_refused(shop: Shop, cases: UseCases) -> None:
    answer = cases.queries.ask(ann("readers"), Question(source="shop", sql=EMAILS, parameters={}))
    assert isinstance(answer, Answer)
    shop.write(CLOSED)
    reload(cases)
    assert sum(batch.num_rows for batch in answer.batches()) == 2
    with pytest.raises(GatebookError):
        ask(cases, ann("readers"), EMAILS)


def test_an_approval_under_the_old_set_does_not_pass_a_stricter_one(shop: Shop, cases: UseCases) -> None:
    from dataclasses import replace

    from gatebook_hub.changes import ChangeRequest, State, Verdict

    sql = "update customer set name = 'X' where id = 1"
    request = cases.queries.ask(ann("writers"), Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    shop.write(RULES.replace("rows > 2", "rows > 0"))
    assert reload(cases).result is Result.LOADED
    call = ann("reviewers", "writers")
    rita = replace(call, principal=replace(call.principal, name="rita"))
    done = cases.changes.review(rita, request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest)
    assert done.state is State.DRIFTED


def test_many_threads_see_one_set_each(shop: Shop, cases: UseCases) -> None:
    """Reloads back and forth under load: every answer is wholly of the one or of the other."""
    wrong: list[object] = []
    end = threading.Event()

    def reader() -> None:
        while not end.is_set():
            try:
                rows = ask(cases, ann("writers"), EMAILS)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong.append(error)
                return
            if {str(row[0])[1:4] == "***" for row in rows} not in ({True}, {False}):
                wrong.append(rows)

    threads = [threading.Thread(target=reader) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20):
        shop.write((CLEAR if number % 2 else RULES) + f"# {number}\n")
        assert reload(cases).result is Result.LOADED
    end.set()
    for thread in threads:
        thread.join(timeout=30)
    assert wrong == []


# ── the watcher ──


def test_the_watcher_waits_until_a_change_has_settled(shop: Shop, cases: UseCases, watcher: Watcher) -> None:
    assert watcher.look() is None
    shop.write(CLEAR)
    assert watcher.look() is None
    found = watcher.look()
    assert found is not None
    assert found.result is Result.LOADED
    assert watcher.look() is None
    assert cases.gate.policy.revision == found.new


def test_a_file_that_is_still_being_written_never_comes_into_force(
    shop: Shop, cases: UseCases, watcher: Watcher
) -> None:
    """Half of the rules are valid YAML here, and the half without the mask."""
    old, half = cases.gate.policy.revision, RULES[: RULES.index("protections:")]
    with closing((shop.policies / "rules.yaml").open("w")) as file:
        for part in (half, RULES[len(half) : -40], RULES[-40:]):
            file.write(part)
            file.flush()
            assert watcher.look() is None
    results = [watcher.look() for _ in range(3)]
    assert {found.result for found in results if found} == {Result.SAME}
    assert cases.gate.policy.revision == old


def test_a_broken_folder_is_told_once_and_mended_by_the_next_change(
    shop: Shop, cases: UseCases, watcher: Watcher
) -> None:
    shop.write("grants: [")
    for _ in range(5):
        watcher.look()
    assert len(told(cases, EventKind.POLICY_REFUSED)) == 1
    shop.write(CLEAR)
    results = [watcher.look() for _ in range(3)]
    assert [found.result for found in results if found] == [Result.LOADED]


def test_a_folder_that_goes_away_leaves_the_set_in_force(shop: Shop, cases: UseCases, watcher: Watcher) -> None:
    shop.policies.rename(shop.policies.with_name("gone"))
    for _ in range(3):
        watcher.look()
    assert len(told(cases, EventKind.POLICY_REFUSED)) == 1
    assert len(ask(cases, ann("readers"), EMAILS)) == 2


def test_a_link_out_of_the_folder_is_no_way_in(shop: Shop, cases: UseCases, watcher: Watcher, tmp_path: Path) -> None:
    evil = tmp_path / "evil.yaml"
    evil.write_text("grants:\n  - {id: evil, to: 'user:ann', on: 'shop.*', allow: [select]}\n")
    (shop.policies / "evil.yaml").symlink_to(evil)
    for _ in range(3):
        watcher.look()
    assert "leads out" in told(cases, EventKind.POLICY_REFUSED)[0]["detail"]
    with pytest.raises((UnknownRelation, AccessRefused, GatebookError)):
        ask(cases, ann(), EMAILS)


def test_a_request_is_answered_in_the_book_even_if_nothing_changed(
    shop: Shop, cases: UseCases, watcher: Watcher
) -> None:
    path = shop.state / REQUEST
    path.touch(mode=0o600)
    found = watcher.look()
    assert found is not None
    assert found.result is Result.SAME
    extra = told(cases, EventKind.POLICY_LOADED)[0]["extra"]
    assert extra["request"] == str(path.stat().st_mtime_ns)
    assert extra["old"] == extra["revision"] == cases.gate.policy.revision
    assert watcher.look() is None
    os.utime(path, ns=(1, 1))
    assert watcher.look() is not None


def test_a_change_between_the_start_and_the_first_look_is_noticed(shop: Shop, cases: UseCases) -> None:
    shop.write(CLEAR)
    watcher = Watcher(cases.gate, Reloading(cases.gate), OPERATOR)
    results = [watcher.look() for _ in range(3)]
    assert [found.result for found in results if found] == [Result.LOADED]


def test_a_request_while_the_folder_is_written_is_answered_later(
    shop: Shop, cases: UseCases, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gatebook_hub.services import reloading as room
    from gatebook_hub.stores.policies import SetMoved

    def moving(_: Path) -> dict[str, str]:
        raise SetMoved("it moves")

    shop.write(CLEAR)
    (shop.state / REQUEST).touch(mode=0o600)
    with monkeypatch.context() as patched:
        patched.setattr(room, "read_policies", moving)
        found = watcher.look()
        assert found is not None
        assert found.result is Result.MOVING
    assert told(cases, EventKind.POLICY_REFUSED) == []
    found = watcher.look()
    assert found is not None
    assert found.result is Result.LOADED
    assert "request" in told(cases, EventKind.POLICY_LOADED)[0]["extra"]
