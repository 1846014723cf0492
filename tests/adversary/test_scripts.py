"""Several writes as one request: is each row told once, bound, executed in one transaction, and taken back in order?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.adversary.stands import ENGINES, REVIEWER, Stand, stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import NotOneStatement, ParameterMismatch, WriteRefused
from gatebook_hub.model import Engine
from gatebook_hub.services.queries import Question

pytestmark = pytest.mark.adversary

NAMED = ", foreign key (p) references parent (id)"
TABLES = [
    "create table parent (id integer primary key, v integer)",
    f"create table child (id integer primary key, p integer, w varchar(20){NAMED})",
    "insert into parent values (1, 10), (2, 20)",
    "insert into child values (1, 1, 'a'), (2, 2, 'b')",
]
FOLLOWED = [
    "create table parent (id integer primary key, v integer)",
    "create table child (id integer primary key, p integer, w varchar(20), "
    "foreign key (p) references parent (id) on delete cascade)",
    "create table leaf (id integer primary key, c integer, foreign key (c) references child (id) on delete set null)",
    "insert into parent values (1, 10), (2, 20)",
    "insert into child values (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c')",
    "insert into leaf values (7, 1), (8, 3), (9, null)",
]
RULES = """
grants:
  - {id: a, to: "group:people", on: [shop.parent, shop.child, shop.leaf], allow: [select, insert, update, delete]}
  - {id: r, to: "group:reviewers", on: [shop.parent, shop.child, shop.leaf], allow: [select]}
"""
WITHOUT_LEAF = RULES.replace(", shop.leaf", "")
# DuckDB follows no reference; the others do.
FOLLOWING = ENGINES[:-1]


class Shop:
    """A stand whose tables are looked at as a whole."""

    def __init__(self, shop: Stand, tables: tuple[str, ...]) -> None:
        self.ask, self.run, self.cases, self.call = shop.ask, shop.run, shop.cases, shop.call
        self.refused, self.proposed = shop.refused, shop.proposed
        self.approved, self.executed = shop.approved, shop.executed
        self._tables = tables

    def rows(self) -> list[list[tuple[object, ...]]]:
        return [self.run(f"select * from {table} order by id") for table in self._tables]


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> Iterator[Shop]:
    # DuckDB does not see within a transaction that a row is there to be named.
    tables = [text.replace(NAMED, "") for text in TABLES] if engine is Engine.DUCKDB else TABLES
    with stand(request, engine, tmp_path, tables, WITHOUT_LEAF, sandbox=False) as made:
        yield Shop(made, ("parent", "child"))


@contextmanager
def followed(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine, rules: str = RULES) -> Iterator[Shop]:
    with stand(request, engine, tmp_path, FOLLOWED, rules, sandbox=False) as made:
        yield Shop(made, ("parent", "child", "leaf"))


every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_engine
def test_statements_of_one_text_are_one_request_and_are_taken_back_together(shop: Shop) -> None:
    before = shop.rows()
    request = shop.proposed(
        "insert into parent (id, v) values (3, 30); -- first the parent; then what names it\n"
        "insert into child (id, p, w) values (:child, 3, 'x;y');\n"
        "update child set p = 3 where id = 1;\n"
        "update parent set v = v + 1 where id = 3",
        child=9,
    )
    assert shop.rows() == before
    told = {diff.table: [(str(row.kind), row.key) for row in diff.rows] for diff in request.diffs}
    assert told == {"parent": [("added", (3,))], "child": [("added", (9,)), ("changed", (1,))]}
    assert request.diffs[0].rows[0].after == (3, 31)
    done = shop.executed(request)
    after = shop.rows()
    assert after == [[(1, 10), (2, 20), (3, 31)], [(1, 3, "a"), (2, 2, "b"), (9, 3, "x;y")]]
    undo = shop.executed(shop.cases.changes.undo(shop.call, done.id))
    assert shop.rows() == before
    shop.executed(shop.cases.changes.undo(shop.call, undo.id))
    assert shop.rows() == after


@every_engine
def test_all_of_a_script_is_done_or_nothing(shop: Shop) -> None:
    before = shop.rows()
    shop.refused("update parent set v = 0 where id = 1; insert into child (id, p, w) values (1, 1, 'twice')")
    request = shop.proposed("update parent set v = 0 where id = 1; update child set w = 'z' where id = 2")
    shop.run("update child set w = 'moved' where id = 2")
    assert shop.approved(request).state is State.DRIFTED
    shop.run("update child set w = 'b' where id = 2")
    assert shop.rows() == before


@every_engine
def test_a_script_is_decided_statement_by_statement(shop: Shop) -> None:
    assert isinstance(shop.refused("update parent set v = 1; select * from child"), NotOneStatement)
    assert isinstance(shop.refused("update parent set v = :a where id = 1; delete from child", b=1), ParameterMismatch)
    shop.refused("update parent set v = 1 where id = 1; update gatebook_ledger set digest = ''")
    shop.refused("update parent set v = 1 where id = 1; drop table child")
    shop.refused(";".join(["update parent set v = 1 where id = 1"] * 60))
    added = "insert into child (id, p, w) values (5, 1, 'e'); insert into child (id, p) values (6, 1)"
    assert isinstance(shop.refused(added), WriteRefused)


@every_engine
def test_many_sets_of_values_are_one_request(shop: Shop) -> None:
    before = shop.rows()
    sets = tuple({"id": number, "p": 1 + number % 2, "w": f"n{number}"} for number in range(100, 130))
    asked = Question(source="shop", sql="insert into child (id, p, w) values (:id, :p, :w)", parameters={}, many=sets)
    request = shop.cases.queries.ask(shop.call, asked)
    assert isinstance(request, ChangeRequest)
    assert (request.rows, len(request.sets), shop.rows()) == (30, 30, before)
    done = shop.executed(request)
    assert len(shop.rows()[1]) == 32
    changed = tuple({"id": number, "w": f"w{number}"} for number in (100, 1, 129))
    asked = Question(source="shop", sql="update child set w = :w where id = :id", parameters={}, many=changed)
    second = shop.cases.queries.ask(shop.call, asked)
    assert isinstance(second, ChangeRequest)
    shop.executed(second)
    assert {row[2] for row in shop.rows()[1]} >= {"w1", "w100", "w129"}
    shop.executed(shop.cases.changes.undo(shop.call, second.id))
    shop.executed(shop.cases.changes.undo(shop.call, done.id))
    assert shop.rows() == before


@every_engine
def test_one_row_in_two_sets_is_refused(shop: Shop) -> None:
    sets = ({"id": 1, "w": "one"}, {"id": 1, "w": "two"})
    asked = Question(source="shop", sql="update child set w = :w where id = :id", parameters={}, many=sets)
    with pytest.raises(WriteRefused):
        shop.cases.queries.ask(shop.call, asked)


@every_engine
def test_no_script_goes_inside_of_a_transaction(shop: Shop) -> None:
    asked = Question(source="shop", sql="delete from child; delete from parent", parameters={}, transaction="new")
    with pytest.raises(NotOneStatement):
        shop.cases.queries.ask(shop.call, asked)


@pytest.mark.parametrize("engine", FOLLOWING)
def test_rows_that_follow_are_shown_bound_and_taken_back(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    with followed(request, tmp_path, engine) as shop:
        before = shop.rows()
        asked = shop.proposed("delete from parent where id = 1")
        told = {diff.table: sorted((row.key, str(row.kind), row.is_along) for row in diff.rows) for diff in asked.diffs}
        assert next(iter(told)) == "parent"
        assert told == {
            "parent": [((1,), "removed", False)],
            "child": [((1,), "removed", True), ((2,), "removed", True)],
            "leaf": [((7,), "changed", True)],
        }
        assert "3 rows that nobody asked for go or change with these" in asked.warnings
        shop.run("insert into child values (4, 1, 'late')")
        assert shop.approved(asked).state is State.DRIFTED
        shop.run("delete from child where id = 4")
        done = shop.executed(shop.proposed("delete from parent where id = 1"))
        assert shop.rows() == [[(2, 20)], [(3, 2, "c")], [(7, None), (8, 3), (9, None)]]
        shop.executed(shop.cases.changes.undo(shop.call, done.id))
        assert shop.rows() == before


@pytest.mark.parametrize("engine", FOLLOWING)
def test_rows_of_a_table_that_is_not_seen_go_along_with_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    with followed(request, tmp_path, engine, WITHOUT_LEAF) as shop:
        before = shop.rows()
        assert isinstance(shop.refused("delete from parent where id = 1"), WriteRefused)
        assert isinstance(shop.refused("delete from child where id = 1"), WriteRefused)
        assert shop.rows() == before


@pytest.mark.parametrize("engine", FOLLOWING)
def test_a_reviewer_who_does_not_see_what_goes_along_does_not_count(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    rules = RULES.replace(
        '"group:reviewers", on: [shop.parent, shop.child, shop.leaf]', '"group:reviewers", on: shop.parent'
    )
    with followed(request, tmp_path, engine, rules) as shop:
        asked = shop.proposed("delete from parent where id = 1")
        why = shop.cases.changes.sights(REVIEWER).why_no_review(asked)
        assert why == "you cannot see `rows of another table`, which this request changes"
