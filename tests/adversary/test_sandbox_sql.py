"""What does a sandbox send that nobody looked at, what does it count, and what does its owner's schema hide?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.adversary.stands import ENGINES, Stand, stand

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary

L = "c" * 63
SETUP = [
    "create table genre (id integer primary key, name varchar(50))",
    "insert into genre values " + ", ".join(f"({i}, 'g{i}')" for i in range(1, 26)),
    "create table track (id integer primary key, name varchar(50))",
    "insert into track values " + ", ".join(f"({i}, 't{i}')" for i in range(1, 61)),
]
ALL = """
grants:
  - {id: all, to: "group:people", on: "shop.*", allow: [select, insert, update, delete, ddl]}
"""
MANY = (
    ALL
    + """
approvals:
  - {id: many, on: shop.genre, when: rows > 20, require: [{groups: [reviewers]}]}
"""
)
HOST = """jsonb_array_elements_text('["/etc/hostname"]')"""
FILES = [
    f"with genre as (select x.pg_read_file as name from {HOST} as x) insert into note (id, body) values (1, (select max(name) from genre))",
    f"with a as (select 1 as id) insert into note (id, body) with genre as (select 3 as id, x.pg_read_file as name from {HOST} as x) select id, name from genre",
    f"select (select max({L}y.pg_read_file) from {HOST} as {L}x) as n from trick as {L}y",
    f"select (select max({L}._regclass) from {HOST} as {L}) as n from (select 'q' as _regclass) as {L}y",
    f"select (select count(*) from (select 'q' as pg_read_file, 'r' as x) c, (genre a join genre b on c.pg_read_file like 'v%' and a.id = b.id)) as n, (select count(*) from trick) as m from {HOST} as c",
    f"select x.pg_read_file from trick t, {HOST} as x",
    "select c.aclitem from jsonb_array_elements_text('[\"nosuchrole=r/root\"]') as c",
    "select c._regrole from jsonb_array_elements_text('[\"{10}\"]') as c",
]


@contextmanager
def made(request: pytest.FixtureRequest, engine: Engine, folder: Path, more: list[str], rules: str) -> Iterator[Stand]:
    with stand(request, engine, folder, [*SETUP, *more], rules, sandbox=True) as found:
        yield found


@pytest.mark.postgres
def test_no_file_and_no_catalogue_is_read(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with made(request, Engine.POSTGRESQL, tmp_path, [], ALL) as shop:
        shop.ask("create table trick (id integer primary key, pg_read_file text, ts_stat text)")
        shop.ask("create table note (id integer primary key, body text)")
        shop.ask("insert into trick (id) values (1)")
        for sql in FILES:
            shop.refused(sql)
        assert shop.run("select count(*) from note") == [(0,)]


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_are_counted_as_they_are(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> None:
    with made(request, engine, tmp_path, [], MANY) as shop:
        before = shop.run("select count(*) from genre where name = 'hacked' or id > 1000")
        for sql in (
            "update genre set name = 'hacked' returning 1 as \"Count\"",
            "update genre set name = 'hacked' returning id as x",
            "update genre set name = 'hacked'",
            "with z as (select 1 as q) insert into genre (id, name) select 1000 + id, 'x' from track where id < 40",
            "insert into genre (id, name) with z as (select 1 as q) select 1000 + id, 'x' from track where id < 40",
        ):
            try:
                answer = shop.ask(sql)
            except GatebookError:
                continue
            finally:
                assert shop.run("select count(*) from genre where name = 'hacked' or id > 1000") == before, sql
            assert isinstance(answer, ChangeRequest), sql


@pytest.mark.postgres
def test_parts_of_a_table_are_no_tables_for_everybody(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    more = [
        "create table person (id int, region text, email text, primary key (id, region)) partition by list (region)",
        "create table person_eu partition of person for values in ('eu')",
        "insert into person values (1, 'eu', 'secret@x')",
        "create table base_t (id int primary key, owner text, v int)",
        "create table child_t () inherits (base_t)",
        "insert into base_t values (7, 'pat', 1)",
        "insert into child_t values (7, 'bob', 1), (8, 'bob', 1)",
    ]
    rules = """
grants:
  - {id: all, to: "group:people", on: "shop.*", allow: [select, insert, update, delete, ddl]}
protections:
  - {id: mail, on: shop.person.email, mask: redact}
"""
    with made(request, Engine.POSTGRESQL, tmp_path, more, rules) as shop:
        assert "secret@x" not in repr(shop.ask("select * from person"))
        for sql in (
            "select * from person_eu",
            "update person_eu set email = 'x'",
            "delete from person_eu",
            "create table copied as select * from person_eu",
            "drop table person_eu",
            "select * from child_t",
        ):
            shop.refused(sql)
    narrow = """
grants:
  - {id: own, to: "group:people", on: shop.base_t, allow: [select, update, delete], where: owner = 'pat'}
"""
    (tmp_path / "b").mkdir()
    with stand(request, Engine.POSTGRESQL, tmp_path / "b", [], narrow, sandbox=True) as shop:
        before = shop.run("select * from only child_t order by id")
        for sql in ("update base_t set v = 9 where id = 7", "delete from base_t where id = 7"):
            try:
                shop.ask(sql)
            except GatebookError:
                continue
            finally:
                assert shop.run("select * from only child_t order by id") == before


@pytest.mark.postgres
def test_a_collation_takes_no_source_down(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with made(request, Engine.POSTGRESQL, tmp_path, [], ALL) as shop:
        shop.ask('create table copied as select id, name collate "C" as name from genre')
        assert shop.ask("select count(*) as n from copied") == [(25,)]


@pytest.mark.mariadb
def test_capitals_make_no_other_table(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    more = [
        "create table Person (id integer primary key, email varchar(50))",
        "insert into Person values (1, 'secret')",
    ]
    with made(request, Engine.MARIADB, tmp_path, more, ALL) as shop:
        for sql in (
            "drop table Person",
            "alter table Person rename column email to mail",
            "alter table Person add constraint ck3 check (email not like 'secret%')",
            "create table t1 (id integer primary key, p integer references Person (id))",
        ):
            shop.refused(sql)
        assert shop.run("select email from Person") == [("secret",)]


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(Engine.MARIADB, marks=pytest.mark.mariadb),
        Engine.DUCKDB,
        Engine.SQLITE,
        pytest.param(Engine.POSTGRESQL, marks=pytest.mark.postgres),
    ],
)
def test_the_tables_behind_a_filter_that_looks_at_a_view_stay(
    request: pytest.FixtureRequest, engine: Engine, tmp_path: Path
) -> None:
    more = [
        "create table customer (id integer primary key, name varchar(20))",
        "insert into customer values (1, 'a'), (2, 'b'), (3, 'c')",
        "create table assignments (customer integer primary key, who varchar(20))",
        "insert into assignments values (1, 'pat')",
        "create view mine as select customer from assignments where who = 'pat'",
    ]
    rules = """
grants:
  - {id: customers, to: "group:people", on: shop.customer, allow: [select], where: id in (select customer from mine)}
  - {id: assigned, to: "group:people", on: shop.assignments, allow: [select, ddl]}
  - {id: genres, to: "group:people", on: [shop.genre], allow: [select, ddl]}
"""
    with made(request, engine, tmp_path, more, rules) as shop:
        assert shop.ask("select id from customer") == [(1,)]
        for sql in ("drop table assignments", "alter table assignments rename column who to whose"):
            shop.refused(sql)
        assert shop.ask("select id from customer") == [(1,)]


@pytest.mark.parametrize("engine", [Engine.SQLITE, pytest.param(Engine.POSTGRESQL, marks=pytest.mark.postgres)])
def test_a_deleted_row_takes_no_others_along(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> None:
    more = [
        "create table parent (id integer primary key)",
        "create table child (id integer primary key, parent integer references parent (id) on delete cascade)",
        "create table grandchild (id integer primary key, child integer references child (id) on delete set null)",
        "insert into parent values (1)",
        "insert into child values (1, 1)",
        "insert into grandchild values (1, 1)",
    ]
    rules = """
grants:
  - {id: parents, to: "group:people", on: shop.parent, allow: [select, delete]}
"""
    with made(request, engine, tmp_path, more, rules) as shop:
        shop.refused("delete from parent where id = 1")
        assert shop.run("select count(*) from child") == [(1,)]


def test_what_full_text_search_keeps_is_no_table(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    more = ["create virtual table docs using fts5 (body)", "insert into docs values ('secret words')"]
    with made(request, Engine.SQLITE, tmp_path, more, ALL) as shop:
        for table in ("docs_content", "docs_data", "docs", "docs_idx"):
            shop.refused(f"select * from {table}")


CASCADES = [
    "create table parent (id integer primary key, code integer unique)",
    "create table child (id integer primary key, code integer, p integer, "
    "foreign key (code) references parent (code) on update cascade on delete cascade, "
    "foreign key (p) references parent (id) on delete cascade)",
    "insert into parent values (1, 10)",
    "insert into child values (1, 10, 1)",
]


@pytest.mark.parametrize(
    "engine",
    [
        Engine.SQLITE,
        pytest.param(Engine.POSTGRESQL, marks=pytest.mark.postgres),
        pytest.param(Engine.MARIADB, marks=pytest.mark.mariadb),
    ],
)
def test_what_goes_along_with_a_row_needs_what_it_would_need_alone(
    request: pytest.FixtureRequest, engine: Engine, tmp_path: Path
) -> None:
    rules = """
grants:
  - {id: all, to: "group:people", on: "shop.*", allow: [select, insert, update, delete, ddl]}
approvals:
  - {id: children, on: shop.child, when: rows > 20, require: [{groups: [reviewers], needed: 2}]}
"""
    more = ["insert into child values " + ", ".join(f"({number}, 10, 1)" for number in range(2, 22))]
    with made(request, engine, tmp_path, CASCADES + more, rules) as shop:
        shop.refused("update parent set code = 11 where id = 1")
        request_ = shop.ask("delete from parent where id = 1")
        assert isinstance(request_, ChangeRequest)
        assert request_.requirements[0].needed == 2
        shop.refused("drop table parent")
        assert shop.run("select count(*), min(code) from child") == [(21, 10)]


def test_capitals_of_a_reference_hide_no_cascade(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    more = [
        "create table parent (id integer primary key)",
        "create table Child (id integer primary key, p integer references Parent (id) on delete cascade)",
        "insert into parent values (1)",
        "insert into child values (1, 1)",
    ]
    rules = """
grants:
  - {id: parents, to: "group:people", on: shop.parent, allow: [select, delete]}
"""
    with made(request, Engine.SQLITE, tmp_path, more, rules) as shop:
        shop.refused("delete from parent where id = 1")
