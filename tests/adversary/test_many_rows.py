"""Many rows at a time, by keys of every kind: what is written is what each row alone would have got, and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adversary.stands import ENGINES, stand

from gatebook_hub.errors import RuleBroken, StatementFailed
from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary
ROWS = 230
TABLE = [
    "create table stock (place varchar(20), n integer, price numeric(10,2), bought date, seen timestamp, "
    "is_sold boolean, weight double precision, note varchar(60), primary key (place, n))",
    "insert into stock values "
    + ", ".join(
        f"('{'ÄB ' if n % 2 else 'ab'}{n % 7}', {n}, {n}.25, '2026-01-{n % 28 + 1:02}', "
        f"'2026-02-03 04:05:06', {'true' if n % 3 else 'false'}, {n} / 7.0, 'n{n}')"
        for n in range(1, ROWS + 1)
    ),
    "update stock set note = null where n % 5 <> 0",
]
RULES = """
grants:
  - {id: a, to: "group:people", on: "shop.*", allow: [select, insert, update, delete]%s}
  - {id: r, to: "group:reviewers", on: "shop.*", allow: [select]}
"""
# Types of PostgreSQL that a list of values is not sent for, and some that it is.
KINDS = [
    "create type mood as enum ('sad', 'glad')",
    "create domain small as integer check (value < 1000)",
    "create table kinds (code char(4) primary key, feels mood, few small, id uuid, raw bytea, doc jsonb, tags text[], "
    'big numeric, tiny real, at timestamptz, took interval, short varchar(5), word "char", pay money, net inet)',
    "insert into kinds select lpad(i::text, 3), case when i % 2 = 0 then 'sad' else 'glad' end::mood, i, "
    "gen_random_uuid(), decode('00ff' || lpad(to_hex(i), 4, '0'), 'hex'), jsonb_build_object('n', i), array['x', i::text], "
    "i / 3.0, i / 3.0, now() + i * interval '1 hour', i * interval '1 day 1 month', 's' || i, 'c', i::money, "
    "('10.0.0.' || i)::inet from generate_series(1, 120) i",
]


@pytest.mark.parametrize("scope", ["", ", where: n > 0"], ids=["all", "scoped"])
@pytest.mark.parametrize("engine", ENGINES)
def test_writes_of_many_rows_are_those_of_the_database_and_come_back(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine, scope: str
) -> None:
    with stand(request, engine, tmp_path, TABLE, RULES % scope, sandbox=False) as shop:
        every = "select * from stock order by place, n"
        before = shop.run(every)
        for sql in (
            "update stock set price = price * 3, bought = null, note = coalesce(note, 'none') where n > 5",
            "update stock set is_sold = not is_sold, weight = weight / 3 where n <= 210",
            "update stock set seen = null, note = 'same' where n > 20",
            "delete from stock where n % 4 <> 0",
            "insert into stock (place, n, price, note) select place, n + 1000, price, note from stock where n > 3",
        ):
            done = shop.executed(shop.proposed(sql))
            after = shop.run(every)
            assert after != before
            undo = shop.executed(shop.cases.changes.undo(shop.call, done.id))
            assert shop.run(every) == before, sql
            shop.executed(shop.cases.changes.undo(shop.call, undo.id))
            assert shop.run(every) == after, sql
            again = shop.cases.changes.find(shop.call.principal, is_mine=True, limit=1)[0]
            shop.executed(shop.cases.changes.undo(shop.call, again.id))
            assert shop.run(every) == before, sql


@pytest.mark.postgres
def test_every_type_is_written_as_it_is(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with stand(request, Engine.POSTGRESQL, tmp_path, KINDS, RULES % "", sandbox=False) as shop:
        every = "select * from kinds order by code"
        before = shop.run(every)
        changed = (
            "update kinds set feels = 'glad', few = few + 1, raw = null, big = big * 3, tiny = tiny * 3, at = null",
            "update kinds set doc = null, tags = null, took = null, short = '', word = 'x', pay = null, net = null",
            "delete from kinds where few > 10",
        )
        for sql in changed:
            shop.run("begin")
            shop.run(sql)
            direct = shop.run(every)
            shop.run("rollback")
            done = shop.executed(shop.proposed(sql))
            assert shop.run(every) == direct, sql
            shop.executed(shop.cases.changes.undo(shop.call, done.id))
            assert shop.run(every) == before, sql
        assert isinstance(shop.refused("update kinds set short = 'much too long'"), StatementFailed)
        assert isinstance(shop.refused("update kinds set few = 5000"), RuleBroken)
