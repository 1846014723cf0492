"""Who may have a write executed before its review, and can anybody forget to look at it afterwards?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import Shop, ann, person

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import DigestMoved, GatebookError, InvalidInput, NotFound, PortalOnly, ReviewRefused
from gatebook_hub.model import Channel, PrincipalKind
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.stores.book import EventFilter

RULES = """
grants:
  - {id: team, to: [group:team, group:night], on: shop.customer, allow: [select, update]}
  - {id: reviewers, to: group:reviewers, on: shop.customer, allow: [select]}
approvals:
  - id: names
    on: shop.customer
    require: [{groups: [reviewers]}]
    execute: window
    window: {hours: "03:00-03:01", days: [mon]}
    break_glass: {groups: [night], review: [{groups: [reviewers, team], needed: 2}]}
"""
OTHER = "  - {id: many, on: shop.customer, when: rows > 2, require: [{groups: [owners]}]}\n"
SQL = "update customer set name = 'New' where id = 1"
NIGHT = ann("team", "night")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(RULES)
    return made


def name_of(shop: Shop) -> str:
    with closing(sqlite3.connect(shop.database)) as connection:
        return str(connection.execute("select name from customer where id = 1").fetchone()[0])


def asked(cases: UseCases, call: Call = NIGHT, sql: str = SQL) -> ChangeRequest:
    request = cases.queries.ask(call, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def broken(cases: UseCases, request: ChangeRequest, call: Call = NIGHT, **given: Any) -> ChangeRequest:
    told = {"reason": "the shop is down", "digest": request.digest, **given}
    return cases.changes.break_glass(call, request.id, **told)


def looked(cases: UseCases, request: ChangeRequest, call: Call, verdict: Verdict = Verdict.APPROVE) -> ChangeRequest:
    return cases.changes.review(call, request.id, verdict=verdict, reason="seen", digest=request.digest)


def test_it_is_executed_at_once_and_stays_before_everybody_until_two_have_looked(shop: Shop) -> None:
    with shop.open() as cases:
        done = broken(cases, asked(cases))
        assert (done.state, name_of(shop)) == (State.EXECUTED, "New")
        kinds = [event.content["kind"] for event in cases.gate.book.find(EventFilter(change=done.id))]
        assert {EventKind.CHANGE_BROKEN, EventKind.ALARM, EventKind.CHANGE_OUTCOME} <= set(kinds)
        later = asked(cases, sql="update customer set name = 'Other' where id = 2")
        rea, tim = person("rea", "reviewers"), person("tim", "team")
        assert [request.id for request in cases.changes.inbox(rea.principal)] == [done.id, later.id]
        assert cases.changes.inbox(NIGHT.principal) == ()
        with pytest.raises(ReviewRefused, match="own"):
            looked(cases, done, NIGHT)
        assert looked(cases, done, rea, Verdict.REJECT).state is State.EXECUTED, "what is done is not undone by a word"
        with pytest.raises(ReviewRefused, match="already"):
            looked(cases, done, rea)
        assert [request.id for request in cases.changes.inbox(tim.principal)] == [done.id]
        looked(cases, done, tim)
        assert cases.changes.inbox(tim.principal) == ()
        with pytest.raises(ReviewRefused, match="executed"):
            looked(cases, done, person("tom", "team"))
        undo = cases.changes.undo(NIGHT, done.id)
        assert undo.state is State.AWAITING_REVIEW


REFUSED: dict[str, tuple[Call, dict[str, Any], type[GatebookError]]] = {
    "somebody else of the group": (person("bo", "team", "night"), {}, NotFound),
    "the requester, who has left the group": (ann("team"), {}, ReviewRefused),
    "a reviewer": (person("rea", "reviewers"), {}, ReviewRefused),
    "the requester by a token": (
        Call(principal=replace(NIGHT.principal, channel=Channel.ISSUED_TOKEN)), {}, PortalOnly,
    ),
    "a job of the requester's": (
        Call(principal=replace(NIGHT.principal, kind=PrincipalKind.JOB)), {}, NotFound,
    ),
    "without a reason": (NIGHT, {"reason": " "}, InvalidInput),
    "of another digest": (NIGHT, {"digest": "0" * 64}, DigestMoved),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_nobody_else_and_nothing_else_breaks_it(shop: Shop, name: str) -> None:
    call, given, error = REFUSED[name]
    with shop.open() as cases:
        request = asked(cases)
        with pytest.raises(error):
            broken(cases, request, call, **given)
        assert (cases.gate.changes.get(request.id).state, name_of(shop)) == (State.AWAITING_REVIEW, "Ann")


def test_every_rule_that_asks_for_people_must_let_the_glass_be_broken(shop: Shop) -> None:
    shop.write(RULES + OTHER)
    with shop.open() as cases:
        request = asked(cases, sql="update customer set name = 'New'")
        with pytest.raises(ReviewRefused, match="no rule"):
            broken(cases, request)
        assert broken(cases, asked(cases)).state is State.EXECUTED


def test_a_rule_that_allows_it_no_more_is_drift(shop: Shop) -> None:
    with shop.open() as cases:
        request = asked(cases)
    shop.write(RULES.replace("groups: [night]", "groups: [day]"))
    with shop.open() as cases:
        assert broken(cases, request).state is State.DRIFTED
    assert name_of(shop) == "Ann"


def test_a_glass_is_broken_once(shop: Shop) -> None:
    with shop.open() as cases:
        request = asked(cases)
        broken(cases, request)
        with pytest.raises(ReviewRefused, match="executed"):
            broken(cases, request)


def test_who_sees_a_request_may_comment_on_it_and_nobody_else(shop: Shop) -> None:
    with shop.open() as cases:
        request = asked(cases)
        cases.changes.comment(person("rea", "reviewers"), request.id, " why? \n")
        kept = cases.changes.comment(NIGHT, request.id, "because")
        assert [(item.author, item.text) for item in kept.comments] == [("user:rea", "why?"), ("user:ann", "because")]
        assert kept.digest == request.digest
        looked(cases, request, person("rea", "reviewers"))
        with pytest.raises(NotFound):
            cases.changes.comment(person("eve", "desk"), request.id, "x")
        for text in (" ", "x" * 2_001):
            with pytest.raises(InvalidInput):
                cases.changes.comment(NIGHT, request.id, text)
        told = [event.content for event in cases.gate.book.find(EventFilter(kind=EventKind.CHANGE_COMMENTED))]
        assert len(told) == 2
        assert "because" not in str(told)
