"""Is the row filter fenced off wherever DuckDB would make one type of another, row by row, and only there?"""

from __future__ import annotations

import pytest
from tests.unit.sql.conftest import OBLIGATIONS, schema_of

from gatebook_hub import sql
from gatebook_hub.model import Engine

FENCE = str(2**62)
CONVERTING = [
    "select id from customer where id = 5",
    "select id from customer where id",
    "select id from customer where not id",
    "select id from customer where (id) or country = 'DE'",
    "select id from customer where id is true",
    "select count(*) from customer having max(id)",
    "select c.id from customer c join genre g on c.id",
    "select country from customer join (select 5 as id) x using (country, id)",
    "select country from customer natural join (select 5 as id) x",
    "with recursive r(n) as (select 1 union all select id from customer) select n from r",
    "select id from customer where 1 = 1.0000000000000000001",
    "select id from customer where id = :x",
    "select coalesce(id, :x) as x from customer",
]
PLAIN = [
    "select id from customer where id = '5' and country <> 'x'",
    "select id from customer where not (id = '5' or country is null)",
    "select c.id from customer c join genre g on c.id = g.id",
    "select country from customer where 1 < 2",
    "with x as (select id from customer) select id from x",
]


def rewritten(text: str) -> str:
    schema = schema_of(Engine.DUCKDB)
    analysis = sql.analyse(sql.parse(text, Engine.DUCKDB), schema)
    uses = {use.table: OBLIGATIONS[use.table] for use in analysis.uses}
    return sql.rewrite(analysis, uses, schema, nonce="n").sql


@pytest.mark.parametrize("text", CONVERTING)
def test_what_may_convert_a_value_stays_behind_the_filter(text: str) -> None:
    assert FENCE in rewritten(text)


@pytest.mark.parametrize("text", PLAIN)
def test_what_compares_like_with_like_needs_no_fence(text: str) -> None:
    assert FENCE not in rewritten(text)
