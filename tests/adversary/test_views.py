"""Attacks on the rows that a view leaves out: by errors, by writes, and by what a planner knows of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adversary.stands import ENGINES, stand

from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary
RAISES = {
    Engine.POSTGRESQL: "100 / (v - {n}) > -1000",
    Engine.DUCKDB: "sqrt(case when v = {n} then -1 else 1 end) > 0",
    Engine.SQLITE: "abs(case when v = {n} then -9223372036854775808 else v end) > 0",
    Engine.MARIADB: "exp(case when v = {n} then 100000 else 1 end) > 0",
}


@pytest.mark.parametrize(
    "form",
    [
        "select id from items where id = 7 and {c}",
        "select count(*) as n from items where {c}",
        "delete from genre where id in (select i.id + 50 from items i where i.id = 7 and {c})",
        "insert into genre (id, name) select i.id + 1000, 'n' from items i where i.id = 7 and {c}",
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_a_view_leaves_out_are_not_told_of(
    request: pytest.FixtureRequest, engine: Engine, form: str, tmp_path: Path
) -> None:
    setup = [
        "create table base (id integer primary key, owner varchar(20), v integer)",
        "insert into base values (1, 'pat', 1), (7, 'bob', 42)",
        "create table allowed (id integer primary key)",
        "insert into allowed values (1)",
        "create view items as select base.id, base.v from base join allowed on allowed.id = base.id",
        "create table genre (id integer primary key, name varchar(50))",
    ]
    rules = """
grants:
  - {id: items, to: "group:people", on: [shop.items], allow: [select]}
  - {id: genres, to: "group:people", on: [shop.genre], allow: [select, insert, delete]}
"""
    with stand(request, engine, tmp_path, setup, rules, sandbox=True) as shop:
        there, absent = (shop.told(form.format(c=RAISES[engine].format(n=n))) for n in (42, 43))
        assert there == absent


@pytest.mark.postgres
def test_statistics_behind_a_view_tell_nothing(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table base (id integer primary key, owner text, name text)",
        "insert into base select i, 'z', 'secret' from generate_series(100, 3000) i",
        "insert into base values (1, 'pat', 'x')",
        "create view items as select id, owner, name from base where owner = 'pat'",
        "analyze",
    ]
    rules = """
grants:
  - {id: items, to: "group:people", on: [shop.items], allow: [select]}
"""
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=False) as shop:
        there, absent = (
            shop.told(f"select count(*) as n from items where name like '{p}\\'") for p in ("secre", "secrf")
        )
        assert there == absent
