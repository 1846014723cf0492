"""Is an approved change carried out when its rules say, by whom they say, and not after its approval has run out?"""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.services.shop import REVIEWER, Shop, ann

from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import NotPermitted, StateConflict
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.keeping import Keeper
from gatebook_hub.services.opening import OPERATOR
from gatebook_hub.services.queries import Question

RULES = """
grants:
  - {{id: team, to: 'group:team', on: shop.customer, allow: [select, update]}}
  - {{id: reviewers, to: 'group:reviewers', on: shop.customer, allow: [select]}}
approvals:
  - {{id: names, on: shop.customer, require: [{{groups: [reviewers]}}], {more}}}
"""
NIGHT = "execute: window, window: {hours: '22:00-04:00', zone: Europe/Berlin}"
NOON = dt.datetime(2026, 3, 2, 11, tzinfo=dt.UTC)
TEAM = ann("team")


class Clock:
    """A gate's clock that is set by hand."""

    def __init__(self, cases: UseCases) -> None:
        self.now = NOON
        cases.gate.now = lambda: self.now


def name_of(shop: Shop) -> str:
    with closing(sqlite3.connect(shop.database)) as connection:
        return str(connection.execute("select name from customer where id = 1").fetchone()[0])


def approved(cases: UseCases) -> ChangeRequest:
    sql = "update customer set name = 'New' where id = 1"
    request = cases.queries.ask(TEAM, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return cases.changes.review(REVIEWER, request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest)


def shop_with(folder: Path, more: str) -> Shop:
    shop = Shop(folder)
    shop.write(RULES.format(more=more))
    return shop


def test_the_requester_alone_says_when(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, "execute: by_requester")
    with shop.open() as cases:
        request = approved(cases)
        assert (request.state, name_of(shop)) == (State.APPROVED, "Ann")
        Keeper(cases.changes, OPERATOR).look()
        assert name_of(shop) == "Ann"
        for other in (REVIEWER, Call(principal=replace(ann("team").principal, name="bo"))):
            with pytest.raises(NotPermitted, match="requester"):
                cases.changes.execute(other, request.id)
        assert cases.changes.execute(TEAM, request.id).state is State.EXECUTED
        assert name_of(shop) == "New"
        with pytest.raises(StateConflict, match="executed"):
            cases.changes.execute(TEAM, request.id)


def test_a_window_is_waited_for(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, NIGHT)
    with shop.open() as cases:
        clock = Clock(cases)
        keeper = Keeper(cases.changes, OPERATOR)
        request = approved(cases)
        keeper.look()
        assert (request.state, name_of(shop)) == (State.APPROVED, "Ann")
        for who in (TEAM, REVIEWER):
            with pytest.raises(NotPermitted, match="22:00-04:00"):
                cases.changes.execute(who, request.id)
        clock.now = dt.datetime(2026, 3, 2, 20, 59, tzinfo=dt.UTC)  # 21:59 in Berlin
        keeper.look()
        assert name_of(shop) == "Ann"
        clock.now = dt.datetime(2026, 3, 2, 21, 0, tzinfo=dt.UTC)
        keeper.look()
        assert name_of(shop) == "New"
        assert cases.changes.get(TEAM.principal, request.id).state is State.EXECUTED


def test_rows_that_moved_before_the_window_are_drift(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, NIGHT)
    with shop.open() as cases:
        clock = Clock(cases)
        request = approved(cases)
        with closing(sqlite3.connect(shop.database)) as connection:
            connection.execute("update customer set name = 'Moved' where id = 1")
            connection.commit()
        clock.now = dt.datetime(2026, 3, 2, 23, tzinfo=dt.UTC)
        Keeper(cases.changes, OPERATOR).look()
        assert (cases.changes.get(TEAM.principal, request.id).state, name_of(shop)) == (State.DRIFTED, "Moved")


def test_an_approval_runs_out(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, "execute: by_requester, valid_h: 2")
    with shop.open() as cases:
        clock = Clock(cases)
        request = approved(cases)
        assert request.expires_at == NOON + dt.timedelta(hours=2)
        clock.now = NOON + dt.timedelta(hours=2)
        Keeper(cases.changes, OPERATOR).look()
        with pytest.raises(StateConflict, match="expired"):
            cases.changes.execute(TEAM, request.id)
        assert name_of(shop) == "Ann"


def test_a_rule_that_asks_for_another_time_since_the_approval_is_drift(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, "execute: by_requester")
    with shop.open() as cases:
        request = approved(cases)
    shop.write(RULES.format(more=NIGHT))
    with shop.open() as cases:
        assert cases.changes.execute(TEAM, request.id).state is State.DRIFTED
    assert name_of(shop) == "Ann"


def test_what_nobody_looks_at_expires_all_the_same(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, "expires_h: 1")
    with shop.open() as cases:
        clock = Clock(cases)
        sql = "update customer set name = 'New' where id = 1"
        request = cases.queries.ask(TEAM, Question(source="shop", sql=sql, parameters={}))
        assert isinstance(request, ChangeRequest)
        clock.now = NOON + dt.timedelta(hours=1)
        Keeper(cases.changes, OPERATOR).look()
        assert cases.gate.changes.get(request.id).state is State.EXPIRED
