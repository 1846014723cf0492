"""Does an undo, a comment, a lost right or a source that is away get anybody more than they may have?"""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import ACTION, REVIEWER, Shop, ann, person

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import (
    AccessRefused,
    BrokenSeal,
    NotFound,
    SourceUnavailable,
    StateConflict,
    WriteRefused,
)
from gatebook_hub.services import executing as room
from gatebook_hub.services.actions import Press
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.keeping import Keeper
from gatebook_hub.services.opening import OPERATOR
from gatebook_hub.services.queries import Question
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.views import MASKED, change_view

pytestmark = pytest.mark.adversary

RULES = """
grants:
  - {id: team, to: 'group:team', on: shop.customer, allow: [select, insert, update, delete]}
  - {id: germans, to: 'group:germans', on: shop.customer, allow: [select, update], where: country = 'DE'}
  - {id: desk, to: 'group:desk', actions: credit}
  - {id: reviewers, to: 'group:reviewers', on: shop.customer, allow: [select]}
approvals:
  - {id: free, actions: credit, require: []}
"""
LATE = "  - {id: late, on: shop.customer, require: [{groups: [reviewers]}], execute: by_requester, valid_h: 4}\n"
NIGHT = "  - {id: late, on: shop.customer, require: [{groups: [reviewers]}], execute: window, window: {hours: '22:00-04:00'}}\n"
TEAM = ann("team")
SQL = "update customer set name = 'New'"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(RULES)
    return made


def rows(shop: Shop, table: str = "customer") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(shop.database)) as connection:
        return connection.execute(f"select * from {table} order by id").fetchall()


def asked(cases: UseCases, call: Call = TEAM, sql: str = SQL) -> ChangeRequest:
    request = cases.queries.ask(call, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def approved(cases: UseCases, request: ChangeRequest) -> ChangeRequest:
    given: dict[str, Any] = {"verdict": Verdict.APPROVE, "reason": "", "digest": request.digest}
    return cases.changes.review(REVIEWER, request.id, **given)


def test_a_rule_that_frees_an_action_frees_no_undo(shop: Shop) -> None:
    desk = ann("desk")
    with shop.open() as cases:
        done = cases.actions.call(desk, Press(action="credit", params={"customer": 1, "amount": 5}))
        assert done.state is State.EXECUTED
        undo = cases.changes.undo(desk, done.id)
        assert undo.state is State.AWAITING_REVIEW
        assert [requirement.groups for requirement in undo.requirements] == [("reviewers",)]
        assert "conditions of the action" in "; ".join(undo.warnings)
        assert len(rows(shop, "credit")) == 1


def test_another_action_of_the_same_name_gives_no_right_to_an_undo(shop: Shop) -> None:
    desk = ann("desk")
    with shop.open() as cases:
        done = cases.actions.call(desk, Press(action="credit", params={"customer": 1, "amount": 5}))
    path = shop.policies / "actions" / "credit.yaml"
    path.write_text(ACTION.replace("title: Credit", "title: Something else"))
    with shop.open() as cases, pytest.raises((AccessRefused, NotFound)):
        cases.changes.undo(desk, done.id)


def test_who_sees_a_part_of_the_rows_undoes_none_of_them(shop: Shop) -> None:
    german = person("gus", "germans", "reviewers")
    with shop.open() as cases:
        done = approved(cases, asked(cases))
        after = rows(shop)
        shop.write(RULES.replace("{id: reviewers, to: 'group:reviewers'", "{id: reviewers, to: 'group:others'"))
    with shop.open() as cases:
        with pytest.raises(WriteRefused, match="outside of what you may see") as refused:
            cases.changes.undo(german, done.id)
        assert "2" not in str(refused.value)
        assert rows(shop) == after
        assert cases.changes.undo(TEAM, done.id).state is State.AWAITING_REVIEW


def test_keys_that_are_masked_are_masked_wherever_they_stand(shop: Shop) -> None:
    shop.write(f"{RULES}\nprotections:\n  - {{id: ids, on: shop.customer.id, mask: hash, unless: 'group:team'}}\n")
    with shop.open() as cases:
        view = change_view(cases, REVIEWER.principal, asked(cases))
        assert [row["key"] for row in view["diffs"][0]["rows"]] == [[MASKED]] * 3
        own = change_view(cases, TEAM.principal, cases.changes.find(TEAM.principal)[0])
        assert [row["key"] for row in own["diffs"][0]["rows"]] == [[1], [2], [3]]


def test_a_comment_comes_between_no_steps_of_an_execution(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []
    with shop.open() as cases:
        request = asked(cases)
        inner = room.apply_all

        def commented(*given: Any) -> Any:
            with pytest.raises(StateConflict) as error:
                cases.changes.comment(TEAM, request.id, "x")
            refused.append(str(error.value))
            return inner(*given)

        monkeypatch.setattr(room, "apply_all", commented)
        assert approved(cases, request).state is State.EXECUTED
    assert refused


def test_who_has_lost_the_right_has_nothing_executed(shop: Shop) -> None:
    shop.write(RULES + LATE)
    before = rows(shop)
    with shop.open() as cases:
        request = approved(cases, asked(cases))
        assert request.state is State.APPROVED
        assert cases.changes.execute(person("ann"), request.id).state is State.FAILED
    assert rows(shop) == before


def test_an_approval_that_ran_out_is_not_carried_out_by_a_look_of_before(shop: Shop) -> None:
    shop.write(RULES + LATE)
    with shop.open() as cases:
        request = approved(cases, asked(cases))
        cases.gate.now = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(hours=5)
        with pytest.raises(StateConflict, match="expired"):
            cases.changes._executing.execute(TEAM, request)  # as `execute_due` does with what it found a while ago


def test_a_source_that_was_away_keeps_nothing_executing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(RULES + NIGHT)
    with shop.open() as cases:
        cases.gate.now = lambda: dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
        ids = [
            approved(cases, asked(cases, sql=f"update customer set name = 'N' where id = {key}")).id for key in (1, 2)
        ]
        cases.gate.now = lambda: dt.datetime(2026, 3, 2, 23, tzinfo=dt.UTC)

        def away(*_: object, **__: object) -> Any:
            raise SourceUnavailable("the source cannot be reached")

        with monkeypatch.context() as gone:
            gone.setattr(SqliteSource, "writing", away)
            gone.setattr(SqliteSource, "ledger", away)
            Keeper(cases.changes, OPERATOR).look()
            states = [cases.gate.changes.get(name).state for name in ids]
            assert states == [State.EXECUTING, State.EXECUTING], "one that fails keeps no other from its turn"
        Keeper(cases.changes, OPERATOR).look()
        assert [cases.gate.changes.get(name).state for name in ids] == [State.FAILED, State.FAILED]
        outcomes = cases.gate.book.find(EventFilter(kind=EventKind.CHANGE_OUTCOME))
        assert sorted(str(event.content["change"]) for event in outcomes) == sorted(ids)


def test_a_condition_that_names_no_column_is_none(shop: Shop) -> None:
    with shop.open() as cases:
        for sql in (SQL, f"{SQL} where true", f"{SQL} where 1 = 1"):
            assert "no condition" in "; ".join(asked(cases, sql=sql).warnings), sql


def test_a_document_of_another_moment_is_no_request(shop: Shop) -> None:
    with shop.open() as cases:
        request = asked(cases)
        with closing(sqlite3.connect(shop.state / "gatebook.sqlite")) as connection:
            (kept,) = connection.execute("select document from change where id = ?", (request.id,)).fetchone()
            cases.changes.withdraw(TEAM, request.id)
            connection.execute(
                "update change set document = ?, state = 'awaiting_review' where id = ?", (kept, request.id)
            )
            connection.commit()
        with pytest.raises(BrokenSeal):
            cases.changes.get(TEAM.principal, request.id)
