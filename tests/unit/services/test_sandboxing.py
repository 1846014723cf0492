"""What does a sandbox do at once, on each engine, and what does it do for nobody?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import ann

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import (
    AccessRefused,
    ConstructRefused,
    EffectMissed,
    FunctionRefused,
    GatebookError,
    KindRefused,
    StatementFailed,
    UnknownRelation,
    WriteRefused,
)
from gatebook_hub.model import Column, Engine, Schema, Table
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.opening import open_gate, start
from gatebook_hub.services.queries import Answer, Question
from gatebook_hub.services.sandboxing import Done
from gatebook_hub.settings import Settings
from gatebook_hub.sql import keyed_statements
from gatebook_hub.stores.book import EventFilter

RULES = """
grants:
  - id: builders
    to: group:builders
    on: "shop.*"
    allow: [select, insert, update, delete, ddl]
  - id: readers
    to: group:readers
    on: "shop.*"
    allow: [select, insert, update]
  - id: narrow
    to: group:narrow
    on: shop.note
    allow: [select, insert, update, delete]
  - id: narrow-reads
    to: group:narrow
    on: shop.mediatype
    allow: [select]
  - id: scoped-writer-reads
    to: group:scoped
    on: [shop.mediatype, shop.note]
    allow: [select, ddl]
  - id: scoped-writer
    to: group:scoped
    on: shop.mediatype
    allow: [insert, update]
    where: mediatypeid > 100
  - id: assigned
    to: group:assigned
    on: shop.artist
    allow: [select]
    where: artistid in (select trackid from playlisttrack)
  - id: only-ddl
    to: group:blind
    on: shop.playlist
    allow: [ddl]
  - id: partial
    to: group:partial
    on: shop.customer
    allow: [select, insert, update, ddl]
    where: country = 'Germany'
protections:
  - {id: mask-email, on: shop.customer.email, mask: email, unless: group:builders}
classification:
  money.billing: [shop.invoice.total]
approvals:
  - {id: billing, tag: money.billing, require: [{groups: [reviewers]}]}
  - id: many
    on: shop.genre
    when: rows > 20
    require: [{groups: [reviewers]}]
"""
SOURCE = """
source: shop
title: Shop
engine: {engine}
url: "{url}"
sandbox: true
"""
ENGINES = [
    "sqlite",
    "duckdb",
    pytest.param("postgresql", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]
BUILD = ann("builders")


@pytest.fixture(params=ENGINES)
def cases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UseCases]:
    engine = request.param
    name = {"postgresql": "chinook_postgres", "mariadb": "chinook_mariadb"}.get(engine, f"chinook_{engine}")
    found = request.getfixturevalue(name)
    url = f"{engine}:///{found}" if engine in {"sqlite", "duckdb"} else str(found)
    policies = tmp_path / "policies"
    (policies / "sources").mkdir(parents=True)
    (policies / "sources" / "shop.yaml").write_text(SOURCE.format(engine=engine, url=url))
    (policies / "rules.yaml").write_text(RULES)
    with open_gate(Settings(state=tmp_path / "state", policies=policies)) as gate:
        gate.in_force.sources.get("shop").prepare()
        yield start(gate)
        _drop(gate.in_force.sources.get("shop"))


def _drop(source: Any) -> None:
    from gatebook_hub.model import Limits

    namespace = "public." if source.schema().namespace == "public" else ""
    with source.writing(Limits()) as session:
        for table in ("note", "copied"):
            session.run(f"DROP TABLE IF EXISTS {namespace}{table}", {})
        session.commit()


def do(cases: UseCases, sql: str, call: Any = BUILD, **parameters: Any) -> Done:
    done = cases.queries.ask(call, Question(source="shop", sql=sql, parameters=parameters))
    assert isinstance(done, Done), done
    return done


def rows(cases: UseCases, sql: str, call: Any = BUILD) -> list[tuple[Any, ...]]:
    answer = cases.queries.ask(call, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(answer, Answer)
    return [tuple(row.values()) for batch in answer.batches() for row in batch.to_pylist()]


MAKE = "create table note (id integer not null primary key, body varchar(50) default '100 % x', genreid integer)"


def test_a_table_is_made_filled_altered_and_dropped(cases: UseCases) -> None:
    do(cases, MAKE)
    assert do(cases, "insert into note (id, body) values (1, :b), (2, 'it''s 5 %')", b="ü").rows == 2
    do(cases, "insert into note (id) values (3)")
    assert rows(cases, "select id, body from note order by id") == [(1, "ü"), (2, "it's 5 %"), (3, "100 % x")]
    assert do(cases, "update note set genreid = 1 where id in (select id from note where id < 3)").rows == 2
    assert do(cases, "update note set body = 'x' where id = 77").rows == 0
    do(cases, "alter table note add column more integer default 7")
    assert rows(cases, "select more from note where id = 1") == [(7,)]
    do(cases, "alter table note rename column more to rest")
    do(cases, "alter table note drop column rest")
    assert do(cases, "create table if not exists copied as select id, genreid from note where id < 3").rows >= 0
    assert rows(cases, "select * from copied order by id") == [(1, 1), (2, 1)]
    assert do(cases, "delete from note where id = 3").rows == 1
    do(cases, "drop table if exists copied")
    do(cases, "drop table note")
    with pytest.raises(UnknownRelation):
        rows(cases, "select * from note")


def test_a_table_without_a_key_is_written_too(cases: UseCases) -> None:
    do(cases, "create table note (id integer, body varchar(9))")
    assert do(cases, "insert into note (id, body) values (1, 'a'), (1, 'a'), (2, 'b')").rows == 3
    assert do(cases, "update note set body = 'c' where id = 1").rows == 2
    assert do(cases, "delete from note where body = 'c'").rows == 2
    assert rows(cases, "select * from note") == [(2, "b")]


def test_what_is_written_is_returned(cases: UseCases) -> None:
    do(cases, MAKE)
    question = Question(source="shop", sql="insert into note (id) values (5), (6) returning id, body", parameters={})
    answer = cases.queries.ask(BUILD, question)
    if isinstance(answer, ChangeRequest):  # MariaDB: in steps
        returned = cases.changes.returned_to(BUILD.principal, answer)
    else:
        assert isinstance(answer, Done)
        returned = answer.returned
    assert returned is not None
    assert (returned.columns, returned.rows) == (("id", "body"), ((5, "100 % x"), (6, "100 % x")))


def test_all_of_it_is_in_the_book_without_values(cases: UseCases) -> None:
    before = cases.gate.book.size()
    do(cases, "create table note (id integer primary key, body varchar(9) default 'canary')")
    do(cases, "create table copied as select genreid from genre where name = 'canary'")
    told = [event.content for event in cases.gate.book.find(EventFilter(limit=10)) if event.index >= before]
    assert [event["kind"] for event in reversed(told)] == ["query.intent", "query.outcome"] * 2
    assert "canary" not in repr(told)


def test_a_rule_that_asks_for_people_is_asked(cases: UseCases) -> None:
    before = rows(cases, "select count(*) from genre")
    text = "update genre set name = 'x'"
    request = cases.queries.ask(BUILD, Question(source="shop", sql=text, parameters={}))
    assert isinstance(request, ChangeRequest)
    assert request.state is State.AWAITING_REVIEW
    assert rows(cases, "select count(*) from genre where name = 'x'") == [(0,)]
    assert rows(cases, "select count(*) from genre") == before


def test_whoever_sees_a_table_in_part_writes_it_in_steps(cases: UseCases) -> None:
    text = "update customer set company = 'Acme' where customerid = -1"
    with pytest.raises(EffectMissed):  # one statement would be no effort
        cases.queries.ask(ann("readers"), Question(source="shop", sql=text, parameters={}))
    with pytest.raises(AccessRefused):
        cases.queries.ask(
            ann("readers"), Question(source="shop", sql="update customer set firstname = email", parameters={})
        )


REFUSED = {
    "create view v as select * from customer": KindRefused,
    "create table copied as select * from customer": WriteRefused,
    "create table copied as select customerid, upper(email) as e from customer": WriteRefused,
    "create table copied as select * from nosuch": UnknownRelation,
    "create table copied as select * from gatebook_ledger": UnknownRelation,
    "create table gatebook_ledger (id integer)": UnknownRelation,
    "drop table gatebook_ledger": UnknownRelation,
    'drop table "gatebook_ledger"': UnknownRelation,
    "create table elsewhere.note (id integer)": UnknownRelation,
    "create table note (id integer default nosuch(1))": FunctionRefused,
    "create table note (id integer references gatebook_ledger (change_id))": UnknownRelation,
    "create temporary table note (id integer)": GatebookError,
    "create or replace table note (id integer)": GatebookError,
    # rules go by names, and a check, an index or a default would tell of what is masked
    "alter table customer rename column email to mail": AccessRefused,
    "alter table customer drop column country": AccessRefused,
    "alter table customer add column country2 varchar(20) default 'x'": AccessRefused,
    "alter table customer add constraint c check (customerid <> 2 or email > 'z')": AccessRefused,
    "create unique index u on customer ((case when email > 'a' then 1 else customerid end))": AccessRefused,
    "drop table customer": AccessRefused,
    "alter table genre add column x integer": AccessRefused,  # people are asked about it
    "create table note (id integer primary key, c integer references customer (customerid))": AccessRefused,
    "create table note (id integer default id)": ConstructRefused,
    'create table note (id integer, "a\u200bb" integer)': GatebookError,
    'create table "a.b" (id integer)': GatebookError,
    'create table "no*te" (id integer)': GatebookError,
    'create table "Ärger" (id integer)': GatebookError,
    "create table json_each (id integer)": GatebookError,
    "drop table artist cascade": GatebookError,
    "alter table artist drop constraint x": GatebookError,
    "alter table customer rename to client": ConstructRefused,
    "drop database shop": KindRefused,
    "drop index customer_pkey": GatebookError,
    "drop index no_such_index": GatebookError,
    "drop index `PRIMARY` on album": GatebookError,
    "create table note (id integer generated by default as identity (start with 5), `a``b` int)": GatebookError,
    "comment on table customer is 'x'": GatebookError,
    "comment on column customer.email is 'x'": GatebookError,
    "comment on database shop is 'x'": GatebookError,
    "create user eve": GatebookError,
    "create function f() returns integer as 'x'": GatebookError,
    "drop table note; drop table customer": GatebookError,
    "create table note (id integer) as select 1 as id": GatebookError,
    "insert into gatebook_ledger (change_id, digest, executed_at) values ('a', 'b', 'c')": UnknownRelation,
    "with x as (select 1 as a) insert into genre (genreid) select digest from gatebook_ledger": UnknownRelation,
}


def test_what_a_sandbox_does_for_nobody(cases: UseCases) -> None:
    for text, kind in REFUSED.items():
        with pytest.raises(GatebookError) as refused:
            cases.queries.ask(BUILD, Question(source="shop", sql=text, parameters={}))
        assert isinstance(refused.value, (kind, ConstructRefused, StatementFailed)), (text, refused.value)
    assert rows(cases, "select count(*) from customer") != [(0,)]


NAMES = ["x%(k0)s", "p q", "a:b", "per%cent", "-- it's", "semi;colon", "[brackets]", "(round)", "ünder", "$1", "?"]


@pytest.mark.parametrize("name", NAMES)
def test_names_with_signs_are_written_and_read_like_others(cases: UseCases, name: str) -> None:
    engine = cases.gate.source("shop", BUILD.principal)[2].engine
    quoted = f"`{name}`" if engine is Engine.MARIADB else f'"{name}"'
    do(
        cases,
        f"create table note (id integer primary key, {quoted} integer, country varchar(9) check (country <> 'x'))",
    )
    do(cases, f"create index {quoted} on note ({quoted})")
    do(cases, f"insert into note (id, {quoted}) values (1, 7), (2, 8)")
    do(cases, f"update note set {quoted} = {quoted} + 1 where {quoted} = 7")
    do(cases, f"update note set {quoted} = {quoted} + 1 where id = 1 or {quoted} in (select 9 as n)")
    assert rows(cases, f"select id, {quoted} from note where {quoted} > 5 order by {quoted}") == [(2, 8), (1, 9)]
    in_steps = f"merge into note using (select 1 as n) s on note.id = s.n when matched then update set {quoted} = 20"
    answer = cases.queries.ask(BUILD, Question(source="shop", sql=in_steps, parameters={}))
    assert isinstance(answer, ChangeRequest)
    assert answer.state is State.EXECUTED
    assert rows(cases, f"select id, {quoted} from note order by id") == [(1, 20), (2, 8)]
    if engine is not Engine.DUCKDB:
        do(cases, f"drop index {quoted} on note" if engine is Engine.MARIADB else f"drop index {quoted}")
    do(cases, "drop table note")


def test_an_index_is_dropped_with_its_table_s_rights(cases: UseCases) -> None:
    engine = cases.gate.source("shop", BUILD.principal)[2].engine
    where = " on album" if engine is Engine.MARIADB else ""
    do(cases, "create index album_title on album (title)")
    for group in ("readers", "narrow"):
        with pytest.raises(GatebookError) as refused:
            cases.queries.ask(ann(group), Question(source="shop", sql=f"drop index album_title{where}", parameters={}))
        assert group == "readers" or engine is Engine.MARIADB or "album`" not in str(refused.value)
    if engine is not Engine.DUCKDB:
        do(cases, f"drop index album_title{where}")


def test_a_write_is_sent_as_one_statement_only_if_all_readers_find_one_table(cases: UseCases) -> None:
    """What DuckDB deletes from is not what MariaDB does, and a column in a joined update may be another table's."""
    kept = rows(cases, "select count(*), min(name), max(name) from mediatype")
    do(cases, "create table note (id integer primary key, name varchar(90))")
    for text in (
        "delete from mediatype using note as mediatype where exists (select 1 from mediatype)",
        "delete from mediatype as x using note as x where exists (select 1 from mediatype)",
        "update note natural right join mediatype set name = 'hacked'",
        "update note right join mediatype using (name) set name = 'hacked'",
    ):
        with contextlib.suppress(GatebookError):
            answer = cases.queries.ask(ann("narrow"), Question(source="shop", sql=text, parameters={}))
            assert isinstance(answer, ChangeRequest)
        assert rows(cases, "select count(*), min(name), max(name) from mediatype") == kept


def test_a_row_scope_of_a_write_is_not_lifted_by_what_is_returned(cases: UseCases) -> None:
    kept = rows(cases, "select mediatypeid, name from mediatype order by 1")
    for text in (
        "insert into mediatype (mediatypeid, name) values (11, 'x') returning mediatypeid",
        "update mediatype set name = 'y' where mediatypeid = 2 returning mediatypeid",
    ):
        with pytest.raises(GatebookError):
            cases.queries.ask(ann("scoped"), Question(source="shop", sql=text, parameters={}))
        assert rows(cases, "select mediatypeid, name from mediatype order by 1") == kept


RESTED_ON = [
    (BUILD, "drop table playlisttrack"),  # a row filter reads it
    (BUILD, "alter table playlisttrack add column x integer"),
    (ann("scoped"), "alter table mediatype add column x integer"),
    (ann("blind"), "alter table playlist add constraint k check (playlistid < 5)"),
    (ann("blind"), "create unique index u on playlist (name)"),
    (BUILD, "drop table invoice"),  # its columns are tagged, and people are asked about the tag
]


def test_a_table_that_rules_rest_on_keeps_its_schema(cases: UseCases) -> None:
    for call, text in RESTED_ON:
        with pytest.raises(AccessRefused):
            cases.queries.ask(call, Question(source="shop", sql=text, parameters={}))


def test_a_name_with_a_percent_sign_is_a_name(cases: UseCases) -> None:
    """Drivers put values into a text at `%(k0)s`, also within quotes."""
    schema = Schema(source="s", engine=cases.gate.policy.sources["shop"].engine, version="1", namespace="n%(k0)s")
    table = Table(name="t%(k0)s", columns=(Column(name="c%(v0)s", type="integer"),), key=("c%(v0)s",))
    statements = keyed_statements(table, ["c%(v0)s"], schema)
    if schema.engine in {Engine.POSTGRESQL, Engine.MARIADB}:
        for text in (statements.insert, statements.update, statements.delete, statements.select):
            assert text.count("%(k0)s") == text.count("%%(k0)s") + text.count(" %(k0)s")


CHANGES = ["create table note (id integer)", "drop table customer", "alter table genre add column x int"]


def test_who_may_not_change_the_schema(cases: UseCases) -> None:
    for call in (ann("readers"), ann("partial"), ann()):
        for text in CHANGES:
            with pytest.raises(GatebookError):
                cases.queries.ask(call, Question(source="shop", sql=text, parameters={}))
    assert rows(cases, "select count(*) from customer") != [(0,)]
