"""Is every odd text refused with a code, and in a time that grows with its length alone?"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from gatebook_hub import sql
from gatebook_hub.errors import GatebookError, StatementRefused
from gatebook_hub.model import Column, Engine, Schema, Table, TableObligation
from gatebook_hub.sql import StatementKind

pytestmark = pytest.mark.adversary

_COLUMNS = (Column(name="id", type="integer"), Column(name="name", type="varchar"))
_TABLE = Table(name="artist", columns=_COLUMNS, key=("id",))


def through(text: str, engine: Engine) -> None:
    """All that happens to a text before it is sent."""
    schema = Schema(source="s", engine=engine, version="1", tables={"artist": _TABLE}, namespace="main")
    obligations = {"artist": TableObligation(table="artist", columns=("id", "name"))}
    statement = sql.parse(text, engine)
    if statement.kind is StatementKind.READ:
        reads = [sql.analyse(statement, schema)]
    else:
        reads = [step.read for step in sql.plan_write(statement, schema).steps]
    for read in reads:
        sql.rewrite(read, obligations, schema, nonce="x")
    sql.lift(statement, {"name"}, {"id"})


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize(
    "text",
    [
        "select name ilike ->> from artist",
        "->> select ::",
        "select -> * from artist",
        "#> artist",
        "select json?)",
        "select 1 ?# 2",
        "select interval ** set '1 day' -> as && x",
        "delete fromartist",
        "delete artist using artist",
        "select name from artist order full join artist",
        "select max(id) over (order by id) as e full join from artist",
        "select qualify 1",
        "select qualify 'x'",
        "select 5. qualify 'x'",
        "select a from ..artist",
        "select count(*) @x from artist where name = '\\\\' or name <> '' -- '",
    ],
)
def test_half_an_expression_is_refused_or_understood(engine: Engine, text: str) -> None:
    with suppress(GatebookError):
        through(text, engine)


@pytest.mark.parametrize("engine", list(Engine))
def test_what_the_book_records_of_a_long_list_costs_no_more_than_it_is_long(engine: Engine) -> None:
    text = f"select id from artist where id in (1{', 1' * 8_000})"
    began = time.process_time()
    statement = sql.parse(text, engine)
    read = time.process_time()
    sql.lift(statement, {"name"}, {"id"})
    assert time.process_time() - read < 8 * (read - began)  # it was a hundred times as much while it was quadratic


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize(
    "text",
    [
        f"select id from artist where id in (1{', 1' * 30_000})",
        f"select {'(select 1), ' * 3_000} 1 from artist",
        f"select {', '.join(f':a{number}' for number in range(10_000))} from artist",
    ],
)
def test_a_text_that_costs_more_than_a_moment_is_refused(engine: Engine, text: str) -> None:
    with pytest.raises(StatementRefused):
        through(text, engine)
