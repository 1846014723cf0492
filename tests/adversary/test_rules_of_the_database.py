"""Attacks by what the database does of its own: references to parts, clauses of constraints, triggers, equal values."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from tests.adversary.stands import stand

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary
PARTS = [
    "create table base_t (id int primary key, v int)",
    "create table child_t (primary key (id)) inherits (base_t)",
    "create table log (id int primary key, c int references child_t (id) on delete cascade)",
    "insert into child_t values (2, 1)",
    "insert into log values (1, 2)",
    "create table person (id int, region text, email text, primary key (id, region)) partition by list (region)",
    "create table person_eu partition of person for values in ('eu')",
    "create table note (id int primary key, pid int, reg text, "
    "foreign key (pid, reg) references person_eu (id, region) on delete cascade)",
    "insert into person values (1, 'eu', 'x')",
    "insert into note values (1, 1, 'eu')",
]


@pytest.mark.postgres
def test_what_refers_to_a_part_goes_along_too(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    rules = """
grants:
  - {id: a, to: "group:people", on: [shop.base_t, shop.person], allow: [select, delete]}
"""
    with stand(request, Engine.POSTGRESQL, tmp_path, PARTS, rules, sandbox=True) as shop:
        shop.refused("delete from base_t where id = 2")
        shop.refused("delete from person where id = 1")
        assert shop.run("select (select count(*) from log), (select count(*) from note)") == [(1, 1)]


def test_no_clause_of_a_constraint_replaces_hidden_rows(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table person (id integer primary key on conflict replace, code text unique on conflict replace, "
        "country text)",
        "insert into person values (1, 'a', 'DE'), (2, 'b', 'FR')",
    ]
    rules = """
grants:
  - {id: a, to: "group:people", on: shop.person, allow: [select, insert, update, delete], where: country = 'DE'}
"""
    with stand(request, Engine.SQLITE, tmp_path, setup, rules, sandbox=True) as shop:
        for sql in (
            "insert into person (id, code, country) values (9, 'b', 'DE')",
            "insert into person (id, code, country) values (2, 'z', 'DE')",
            "update person set code = 'b' where id = 1",
        ):
            with suppress(GatebookError):
                shop.ask(sql)
            assert shop.run("select * from person where id = 2") == [(2, "b", "FR")], sql


@pytest.mark.postgres
def test_a_suppressed_write_is_no_crash_and_no_success(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table pub (id integer primary key, t varchar(50))",
        "insert into pub values (1, 'one'), (2, 'two')",
        "create function skip() returns trigger language plpgsql as 'begin return null; end'",
        "create trigger a before insert or delete on pub for each row execute function skip()",
    ]
    rules = """
grants:
  - {id: q, to: "group:people", on: shop.pub, allow: [select, insert, update, delete], where: id < 100}
"""
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=True) as shop:
        shop.refused("insert into pub (id, t) values (5, 'x')")
        shop.refused("delete from pub where id = 1")


@pytest.mark.postgres
def test_a_change_that_python_takes_for_none_is_shown(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table plan (id integer primary key, period interval, note text)",
        "insert into plan values (1, '1 month', 'x'), (2, '1 month', 'x')",
    ]
    rules = """
grants:
  - {id: q, to: "group:people", on: shop.plan, allow: [select, update], where: id < 100}
"""
    sql = "update plan set period = interval '30 days', note = case when id = 2 then 'y' else note end"
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=True) as shop:
        answer = shop.ask(sql)
        assert isinstance(answer, ChangeRequest)
        shown = {row.key[0] for row in answer.diffs[0].rows}
        changed = {row[0] for row in shop.run("select id from plan where period::text <> '1 mon'")}
        assert changed == shown


@pytest.mark.postgres
def test_a_list_keeps_its_bounds_and_may_be_a_key(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table plan (id integer primary key, v integer[], seen boolean)",
        "insert into plan values (1, '{1,2}', false), (2, '[2:3]={1,2}', false)",
        "create table named (id integer[] primary key, v integer)",
        "insert into named values ('{1}', 1), ('[2:2]={1}', 2)",
    ]
    rules = """
grants:
  - {id: q, to: "group:people", on: [shop.plan, shop.named], allow: [select, update], where: 1 = 1}
"""
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=True) as shop:
        merge = "merge into plan using (select v from plan where id = 2) s on plan.id = 1 when matched then update set v = s.v"
        answer = shop.ask(merge)
        assert isinstance(answer, ChangeRequest)
        assert len(answer.diffs[0].rows) == 1
        assert shop.run("select v::text from plan where id = 1") == [("[2:3]={1,2}",)]
        shop.ask("update named set v = v + 1 where v in (select 2 as n)")
        assert shop.run("select v from named order by v") == [(1,), (3,)]
