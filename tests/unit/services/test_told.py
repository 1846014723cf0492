"""Is each step of a change request told, once, and what needs nobody to nobody?"""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.services.shop import REVIEWER, Shop, ann

from gatebook_hub.changes import ChangeRequest, Verdict
from gatebook_hub.model import NoticeKind
from gatebook_hub.services.actions import Press
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.keeping import Keeper
from gatebook_hub.services.notices import Notices
from gatebook_hub.services.opening import OPERATOR
from gatebook_hub.services.queries import Question

RULES = """
grants:
  - {id: team, to: 'group:team', on: shop.customer, allow: [select, update], actions: credit}
  - {id: reviewers, to: 'group:reviewers', on: shop.customer, allow: [select]}
approvals:
  - id: names
    on: shop.customer
    require: [{groups: [reviewers]}]
    break_glass: {groups: [team], review: [{groups: [reviewers]}]}
  - {id: credits, actions: credit, require: []}
"""
TEAM = ann("team")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[NoticeKind]:
    found: list[NoticeKind] = []
    monkeypatch.setattr(Notices, "tell", lambda _self, kind, _request: found.append(kind))
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(RULES)
    return made


def asked(cases: UseCases) -> ChangeRequest:
    sql = "update customer set name = 'New' where id = 1"
    request = cases.queries.ask(TEAM, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def reviewed(cases: UseCases, request: ChangeRequest, verdict: Verdict = Verdict.APPROVE) -> None:
    cases.changes.review(REVIEWER, request.id, verdict=verdict, reason="so", digest=request.digest)


def test_each_way_to_an_end_is_told(shop: Shop, told: list[NoticeKind]) -> None:
    with shop.open() as cases:
        done = asked(cases)
        reviewed(cases, done)
        reviewed(cases, cases.changes.undo(TEAM, done.id))
        reviewed(cases, asked(cases), Verdict.REJECT)
        cases.changes.withdraw(TEAM, asked(cases).id)
        request = asked(cases)
        cases.changes.break_glass(TEAM, request.id, reason="fire", digest=request.digest)
    kinds = NoticeKind
    assert told == [
        kinds.REQUESTED, kinds.EXECUTED, kinds.REQUESTED, kinds.UNDONE, kinds.EXECUTED, kinds.REQUESTED, kinds.REJECTED,
        kinds.REQUESTED, kinds.WITHDRAWN, kinds.REQUESTED, kinds.BREAK_GLASS, kinds.EXECUTED,
    ]  # fmt: skip


def test_what_does_not_come_to_pass_is_told(shop: Shop, told: list[NoticeKind]) -> None:
    with shop.open() as cases:
        request = asked(cases)
        with closing(sqlite3.connect(shop.database)) as connection:
            connection.execute("update customer set name = 'moved' where id = 1")
            connection.commit()
        reviewed(cases, request)
        asked(cases)
        cases.gate.now = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
        Keeper(cases.changes, OPERATOR).look()
    assert told == [NoticeKind.REQUESTED, NoticeKind.DRIFTED, NoticeKind.REQUESTED, NoticeKind.EXPIRED]


def test_an_approval_that_waits_for_its_requester_is_told_as_one(shop: Shop, told: list[NoticeKind]) -> None:
    shop.write(RULES.replace("    on: shop.customer\n", "    on: shop.customer\n    execute: by_requester\n"))
    with shop.open() as cases:
        request = asked(cases)
        reviewed(cases, request)
        cases.changes.execute(TEAM, request.id)
    assert told == [NoticeKind.REQUESTED, NoticeKind.APPROVED, NoticeKind.EXECUTED]


def test_what_needs_nobody_is_told_to_nobody(shop: Shop, told: list[NoticeKind]) -> None:
    with shop.open() as cases:
        cases.actions.call(TEAM, Press(action="credit", params={"customer": 1, "amount": 5}))
    assert told == []
