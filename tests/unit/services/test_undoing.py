"""Does an undo put exactly the rows back that a change has written, and no row that somebody has changed since?"""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import REVIEWER, Shop, ann

from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import (
    AccessRefused,
    BookUnavailable,
    BrokenSeal,
    EffectMissed,
    NotFound,
    ReviewRefused,
    StateConflict,
)
from gatebook_hub.services.actions import Press
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.stores.book import Book

RULES = """
grants:
  - {id: team, to: 'group:team', on: shop.customer, allow: [select, insert, update, delete]}
  - {id: changers, to: 'group:changers', on: shop.customer, allow: [select, update]}
  - {id: reviewers, to: 'group:reviewers', on: shop.customer, allow: [select]}
"""
TEAM = ann("team")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(RULES)
    return made


def rows(shop: Shop) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(shop.database)) as connection:
        return connection.execute("select * from customer order by id").fetchall()


def run(shop: Shop, sql: str) -> None:
    with closing(sqlite3.connect(shop.database)) as connection:
        connection.execute(sql)
        connection.commit()


def proposed(cases: UseCases, sql: str, call: Call = TEAM, **parameters: object) -> ChangeRequest:
    request = cases.queries.ask(call, Question(source="shop", sql=sql, parameters=parameters))
    assert isinstance(request, ChangeRequest)
    return request


def approved(cases: UseCases, request: ChangeRequest, by: Call = REVIEWER) -> ChangeRequest:
    assert request.state is State.AWAITING_REVIEW
    return cases.changes.review(by, request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest)


def written(cases: UseCases, sql: str, **parameters: object) -> ChangeRequest:
    done = approved(cases, proposed(cases, sql, **parameters))
    assert done.state is State.EXECUTED, done.failure
    return done


@pytest.mark.parametrize(
    "sql, kinds",
    [
        ("update customer set name = upper(name), country = null where id < 3", {RowKind.CHANGED}),
        ("insert into customer (name, email) values ('Dov', 'd@x'), ('Eli', 'e@x')", {RowKind.REMOVED}),
        ("delete from customer where country = 'DE'", {RowKind.ADDED}),
        (
            "insert into customer as c (id, name) values (2, 'B'), (9, 'F') on conflict (id) do update set name = 'B'",
            {RowKind.CHANGED, RowKind.REMOVED},
        ),
    ],
)
def test_each_kind_of_write_is_taken_back_exactly(shop: Shop, sql: str, kinds: set[RowKind]) -> None:
    before = rows(shop)
    with shop.open() as cases:
        done = written(cases, sql)
        after = rows(shop)
        assert after != before
        undo = cases.changes.undo(TEAM, done.id)
        assert {row.kind for row in undo.diffs[0].rows} == kinds
        assert rows(shop) == after, "an undo waits for its reviewers"
        assert approved(cases, undo).state is State.EXECUTED
        assert rows(shop) == before
        undone = cases.changes.get(TEAM.principal, done.id)
        assert (undone.state, undone.undone_by) == (State.UNDONE, undo.id)
        again = cases.changes.undo(TEAM, undo.id)
        assert approved(cases, again).state is State.EXECUTED
        assert rows(shop) == after, "an undo can be taken back as well"


def test_rows_that_were_changed_since_stay_and_are_told(shop: Shop) -> None:
    with shop.open() as cases:
        done = written(cases, "update customer set country = 'XX'")
        run(shop, "update customer set name = 'Cam' where id = 3")
        undo = cases.changes.undo(TEAM, done.id)
        assert [(one.table, one.key) for one in undo.left] == [("customer", (3,))]
        assert "1 row has been changed since, and stays as it is" in undo.warnings
        approved(cases, undo)
        assert [(row[1], row[3]) for row in rows(shop)] == [("Ann", "DE"), ("Bea", "FR"), ("Cam", "XX")]
        run(shop, "update customer set name = 'x'")
        with pytest.raises(StateConflict, match="undone"):
            cases.changes.undo(TEAM, done.id)


def test_where_every_row_was_changed_since_there_is_nothing_to_undo(shop: Shop) -> None:
    with shop.open() as cases:
        done = written(cases, "delete from customer where id = 1")
        run(shop, "insert into customer (id, name) values (1, 'somebody else')")
        with pytest.raises(EffectMissed):
            cases.changes.undo(TEAM, done.id)


def test_nothing_of_the_rows_is_looked_at_before_the_book_knows(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.open() as cases:
        done = written(cases, "update customer set country = 'XX' where id = 1")

        def refuse(_self: object, _event: object) -> int:
            raise BookUnavailable("the book cannot be written")

        opened: list[object] = []
        monkeypatch.setattr(Book, "append", refuse)
        monkeypatch.setattr(SqliteSource, "writing", lambda *given: opened.append(given))
        with pytest.raises(BookUnavailable):
            cases.changes.undo(TEAM, done.id)
        assert opened == []


def test_a_row_that_changes_while_an_undo_waits_is_drift(shop: Shop) -> None:
    with shop.open() as cases:
        undo = cases.changes.undo(TEAM, written(cases, "update customer set country = 'XX' where id < 3").id)
        run(shop, "update customer set country = 'YY' where id = 2")
        assert approved(cases, undo).state is State.DRIFTED
        assert [row[3] for row in rows(shop)] == ["XX", "YY", "DE"]


def test_two_undos_of_one_change_are_executed_once(shop: Shop) -> None:
    with shop.open() as cases:
        done = written(cases, "update customer set country = 'XX' where id = 1")
        undos = [cases.changes.undo(TEAM, done.id) for _ in range(2)]
        states = [approved(cases, undo).state for undo in undos]
        assert states == [State.EXECUTED, State.FAILED]
        assert rows(shop)[0][3] == "DE"


def test_only_what_was_executed_is_undone(shop: Shop) -> None:
    with shop.open() as cases:
        request = proposed(cases, "update customer set country = 'XX' where id = 1")
        with pytest.raises(StateConflict, match="awaiting review"):
            cases.changes.undo(TEAM, request.id)
        cases.changes.withdraw(TEAM, request.id)
        with pytest.raises(StateConflict, match="withdrawn"):
            cases.changes.undo(TEAM, request.id)


def test_an_undo_needs_the_rights_of_a_write_and_other_reviewers(shop: Shop) -> None:
    eve = Call(principal=replace(ann("changers").principal, name="eve"))
    with shop.open() as cases:
        done = written(cases, "delete from customer where id = 1")
        with pytest.raises(NotFound):
            cases.changes.undo(eve, done.id)
        with pytest.raises(AccessRefused):
            cases.changes.undo(REVIEWER, done.id)
        both = Call(principal=replace(ann("team", "reviewers").principal, name="rea"))
        undo = cases.changes.undo(both, done.id)
        with pytest.raises(ReviewRefused, match="own"):
            approved(cases, undo)


def test_protected_values_come_back_by_the_hand_of_somebody_who_may_write_them(shop: Shop) -> None:
    shop.write(
        f"{RULES}\nprotections:\n  - {{id: mail, on: shop.customer.email, mask: email, unless: 'group:privacy'}}\n"
    )
    before = rows(shop)
    pia = Call(principal=replace(ann("reviewers", "privacy").principal, name="pia"))
    with shop.open() as cases:
        done = approved(cases, proposed(cases, "delete from customer where id = 1"), pia)
        with pytest.raises(AccessRefused, match="email"):
            cases.changes.undo(TEAM, done.id)
        undo = cases.changes.undo(ann("team", "privacy"), done.id)
        with pytest.raises(ReviewRefused, match="cannot see `email`"):
            approved(cases, undo)
        approved(cases, undo, pia)
    assert rows(shop) == before


def test_what_an_action_did_is_undone_by_its_right_and_needs_people(shop: Shop) -> None:
    shop.write(
        RULES.replace("grants:", "grants:\n  - {id: credits, to: 'group:desk', actions: credit}")
        + "approvals:\n"
        + "  - {id: small, actions: credit, when: amount <= 10, require: []}\n"
        + "  - {id: large, actions: credit, when: amount > 10, require: [{groups: [reviewers]}]}\n"
    )
    desk = ann("desk")
    with shop.open() as cases:
        done = cases.actions.call(desk, Press(action="credit", params={"customer": 1, "amount": 5}))
        assert done.state is State.EXECUTED
        undo = cases.changes.undo(desk, done.id)
        assert undo.state is State.AWAITING_REVIEW, "how much it is about is not known of an undo"
        rea = Call(principal=replace(ann("reviewers", "desk").principal, name="rea"))
        with pytest.raises(ReviewRefused, match="cannot see"):
            cases.changes.review(rea, undo.id, verdict=Verdict.APPROVE, reason="", digest=undo.digest)


def test_rows_are_sealed_where_they_are_kept(shop: Shop) -> None:
    with shop.open() as cases:
        first = written(cases, "update customer set name = 'Anna', email = 'anna@secret.example' where id = 1")
        second = proposed(cases, "update customer set name = 'B' where id = 2")
        state = shop.state / "gatebook.sqlite"
        for path in shop.state.glob("gatebook.sqlite*"):
            assert b"anna@secret.example" not in path.read_bytes()
            assert b"ann@example.com" not in path.read_bytes()
        with closing(sqlite3.connect(state)) as connection:
            query = "update change set document = (select document from change where id = ?) where id = ?"
            connection.execute(query, (first.id, second.id))
            connection.commit()
        with pytest.raises(BrokenSeal):
            cases.changes.get(TEAM.principal, second.id)


def test_after_their_time_values_are_forgotten_and_the_rest_stays(shop: Shop) -> None:
    with shop.open() as cases:
        gate = cases.gate
        done = written(cases, "update customer set name = :name where id = 1", name="Anna")
        assert cases.changes.forget(REVIEWER) == 0
        gate.now = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=gate.settings.image_days + 1)
        assert cases.changes.forget(REVIEWER) == 1
        assert cases.changes.forget(REVIEWER) == 0
        kept = cases.changes.get(TEAM.principal, done.id)
        assert (len(kept.diffs[0].rows), kept.diffs[0].rows[0].before, kept.parameters) == (1, None, {"name": None})
        with pytest.raises(StateConflict, match="no longer kept"):
            cases.changes.undo(TEAM, done.id)
