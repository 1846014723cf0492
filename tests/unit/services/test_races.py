"""What does the book say of steps that another step overtook, and who stands behind a job's request?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import REVIEWER, SOURCE, Shop, ann, person

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import BookUnavailable, GatebookError, ReviewRefused, StateConflict
from gatebook_hub.model import PrincipalKind
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.stores.book import Book, EventFilter
from gatebook_hub.stores.changes import ChangeStore
from gatebook_hub.stores.runs import Run, RunState

RULES = """
grants:
  - {id: team, to: ['group:team', 'job:nightly'], on: shop.customer, allow: [select, update]}
  - {id: reviewers, to: 'group:reviewers', on: shop.customer, allow: [select]}
"""
TEAM = ann("team")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(RULES)
    return made


def asked(cases: UseCases, call: Call = TEAM, source: str = "shop") -> ChangeRequest:
    sql = "update customer set name = 'New' where id = 1"
    request = cases.queries.ask(call, Question(source=source, sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def reviewed(cases: UseCases, request: ChangeRequest, call: Call = REVIEWER) -> ChangeRequest:
    given: dict[str, Any] = {"verdict": Verdict.APPROVE, "reason": "", "digest": request.digest}
    return cases.changes.review(call, request.id, **given)


STEPS: dict[str, Callable[[UseCases, ChangeRequest], object]] = {
    "review": reviewed,
    "withdraw": lambda cases, request: cases.changes.withdraw(TEAM, request.id),
    "comment": lambda cases, request: cases.changes.comment(TEAM, request.id, "x"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_was_overtaken_did_not_come_to_pass(shop: Shop, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.open() as cases:
        request = asked(cases)
        move = ChangeStore.move

        def overtaken(store: ChangeStore, moved: ChangeRequest) -> ChangeRequest:
            monkeypatch.setattr(ChangeStore, "move", move)
            move(store, request)
            return move(store, moved)

        monkeypatch.setattr(ChangeStore, "move", overtaken)
        with pytest.raises(StateConflict) as refused:
            STEPS[step](cases, request)
        newest, before = cases.gate.book.find(EventFilter(change=request.id))[:2]
        assert newest.content["kind"] == EventKind.CHANGE_REFUSED
        assert newest.content["refers_to"] == before.index
        assert newest.content["extra"] == {"step": step}
        assert refused.value.reference == newest.index


@pytest.mark.parametrize("step", ["withdraw", "execute"])
def test_what_was_refused_is_in_the_book(shop: Shop, step: str) -> None:
    with shop.open() as cases:
        request = asked(cases)
        with pytest.raises(GatebookError) as refused:
            getattr(cases.changes, step)(REVIEWER, request.id)
        newest = cases.gate.book.find(EventFilter(change=request.id))[0]
        assert (newest.index, newest.content["kind"]) == (refused.value.reference, EventKind.CHANGE_REFUSED)


def test_what_has_expired_is_told_once_the_book_is_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.open() as cases:
        request = asked(cases)
        cases.gate.now = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=30)

        def refuse(_book: Book, _event: object) -> int:
            raise BookUnavailable("the book cannot be written")

        with monkeypatch.context() as away:
            away.setattr(Book, "append", refuse)
            assert cases.changes.get(TEAM.principal, request.id).state is State.EXPIRED
        assert cases.changes.get(TEAM.principal, request.id).state is State.EXPIRED
        kinds = [event.content["kind"] for event in cases.gate.book.find(EventFilter(change=request.id))]
        assert kinds.count(EventKind.CHANGE_EXPIRED) == 1


@pytest.mark.parametrize("trigger", ["user:rea", "retry of user:rea", "job:other for user:rea"])
def test_nobody_approves_what_they_had_a_job_ask_for(shop: Shop, trigger: str) -> None:
    with shop.open() as cases:
        now = dt.datetime.now(dt.UTC).isoformat()
        run = Run(
            id="r1", job="nightly", state=RunState.RUNNING, trigger=trigger, scheduled_for=now, started_at=now,
            finished_at=None, attempt=1, cells_done=0, cells_total=0, parameters={}, error=None,
        )  # fmt: skip
        cases.gate.runs.add(run)
        job = replace(TEAM.principal, kind=PrincipalKind.JOB, name="nightly", groups=frozenset(), run_id="r1")
        request = asked(cases, Call(principal=job))
        with pytest.raises(ReviewRefused, match="own"):
            reviewed(cases, request)
        assert request.id not in [one.id for one in cases.changes.inbox(REVIEWER.principal)]
        assert reviewed(cases, request, person("bo", "reviewers")).state is State.EXECUTED


def test_an_inbox_stands_without_a_source_that_has_left_the_policy(shop: Shop) -> None:
    path = shop.policies / "sources" / "other.yaml"
    path.write_text(SOURCE.format(path=shop.database).replace("source: shop", "source: other"))
    shop.write(RULES + RULES.replace("grants:", "").replace("{id: ", "{id: other-").replace("shop.", "other."))
    with shop.open() as cases:
        gone, kept = asked(cases, source="other"), asked(cases)
    path.unlink()
    shop.write(RULES)
    with shop.open() as cases:
        assert [request.id for request in cases.changes.inbox(REVIEWER.principal)] == [kept.id]
        with pytest.raises(ReviewRefused, match="cannot see"):
            reviewed(cases, gone)
