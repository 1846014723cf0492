"""Which tables and columns does a statement touch, and what does a write plan say?"""

from __future__ import annotations

import pytest
from sqlglot import exp
from tests.unit.sql.conftest import OBLIGATIONS, TABLES

from gatebook_hub import sql
from gatebook_hub.errors import (
    ConstructRefused,
    FunctionRefused,
    GatebookError,
    KindRefused,
    NotParsed,
    PolicyInvalid,
    UnknownColumn,
    UnknownRelation,
    WriteRefused,
)
from gatebook_hub.model import Engine, Schema
from gatebook_hub.sql.dialects import fold

READS = [
    ("select name from genre", {"genre": {"name"}}),
    ("select count(*) from genre", {"genre": set()}),
    ("select g.name from genre g where g.id = 1", {"genre": {"id", "name"}}),
    (
        "select c.name from customer c join invoice i on i.customer_id = c.id",
        {"customer": {"id", "name"}, "invoice": {"customer_id"}},
    ),
    (
        "select name from customer c where exists (select 1 from invoice i where i.customer_id = c.id)",
        {"customer": {"id", "name"}, "invoice": {"customer_id"}},
    ),
    ("with customer as (select name from genre) select name from customer", {"genre": {"name"}}),
    ("select t.n from (select name as n from genre) t", {"genre": {"name"}}),
    ("select name as id from genre order by id", {"genre": {"id", "name"}}),
    ("select 1", {}),
    ("select count(*) from customer join invoice using (id)", {"customer": {"id"}, "invoice": {"id"}}),
]


@pytest.mark.parametrize("text, expected", READS)
def test_columns_are_found_where_they_belong(schema: Schema, text: str, expected: dict[str, set[str]]) -> None:
    uses = sql.analyse(sql.parse(text, schema.engine), schema).uses
    assert {use.table: set(use.reads) for use in uses} == expected
    assert not any(use.is_whole for use in uses)


def test_a_star_is_whole(schema: Schema) -> None:
    for text in ("select * from genre", "select g.* from genre g", "select t.x from (select *, 1 as x from genre) t"):
        (use,) = sql.analyse(sql.parse(text, schema.engine), schema).uses
        assert use.is_whole


@pytest.mark.parametrize(
    "text, kind",
    [
        ("select nosuch from genre", UnknownColumn),
        ("select g.nosuch from genre g", UnknownColumn),
        ("select name from nosuch", UnknownRelation),
        ("select x.name from genre g", UnknownColumn),
        ("select x.* from genre g", UnknownRelation),
        ("select a.id from genre a, genre a", ConstructRefused),
        ("vacuum", KindRefused),
        ("select pg_sleep(1)", FunctionRefused),
        ("select 1 +", NotParsed),
    ],
)
def test_what_is_not_understood_is_refused(schema: Schema, text: str, kind: type[GatebookError]) -> None:
    with pytest.raises(kind):
        sql.analyse(sql.parse(text, schema.engine), schema)


def test_a_table_without_an_obligation_is_unknown(schema: Schema) -> None:
    analysis = sql.analyse(sql.parse("select line from log", schema.engine), schema)
    with pytest.raises(UnknownRelation):
        sql.rewrite(analysis, OBLIGATIONS, schema, nonce="n")


def test_a_plan_binds_the_parameters_that_it_holds(schema: Schema) -> None:
    analysis = sql.analyse(sql.parse("select total from invoice where id = :id", schema.engine), schema)
    plan = sql.rewrite(analysis, OBLIGATIONS, schema, nonce="n")
    assert plan.parameters == {"id", "gb_principal"}
    assert plan.reads["customer"] == {"id", "name"}
    assert "secret" not in plan.sql


WRITES = [
    ("update genre set name = 'x' where id = 1", ("name",), {"genre": set()}, True),
    ("update genre set name = upper(name)", ("name",), {"genre": {"name"}}, False),
    (
        "update genre set name = (select email from customer c where c.id = genre.id)",
        ("name",),
        {"genre": {"id"}, "customer": {"email", "id"}},
        False,
    ),
    (
        "update genre set name = (with t(x, y, z, w) as (select * from customer) select t.x from t limit 1)",
        ("name",),
        {"genre": set(), "customer": {"id", "name", "email", "country"}},
        False,
    ),
    ("delete from genre where name = 'x'", (), {}, True),
    ("insert into genre (id, name) values (1, 'a'), (2, 'b')", ("id", "name"), {}, True),
    (
        "insert into genre (id, name) select id, email from customer",
        ("id", "name"),
        {"customer": {"id", "email"}},
        True,
    ),
]


@pytest.mark.parametrize("text, columns, values, has_condition", WRITES)
def test_a_write_names_its_columns_and_what_they_are_made_of(
    schema: Schema, text: str, columns: tuple[str, ...], values: dict[str, set[str]], has_condition: bool
) -> None:
    plan = sql.plan_write(sql.parse(text, schema.engine), schema)
    (step,) = plan.steps
    assert step.columns == columns
    assert {table: set(names) for table, names in step.value_reads.items()} == values
    assert plan.has_condition is has_condition


@pytest.mark.parametrize(
    "text",
    [
        "update genre set id = 2",
        "update genre set name = 'a', name = 'b'",
        "update genre set name = max(name)",
        "update genre set name = row_number() over (order by id)",
        "delete from log",
        "update log set line = 'x'",
        "insert into genre values (1, 'a')",
        "insert into genre (id, name) select * from customer",
        "insert into genre (id, name) values (1)",
        "update sums set b = 1",
    ],
)
def test_a_write_that_cannot_be_bound_to_rows_is_refused(schema: Schema, text: str) -> None:
    with pytest.raises(WriteRefused):
        sql.plan_write(sql.parse(text, schema.engine), schema)


def test_keyed_statements_name_everything_in_full() -> None:
    from tests.unit.sql.conftest import schema_of

    keyed = sql.keyed_statements(TABLES["genre"], ["name"], schema_of(Engine.POSTGRESQL))
    assert keyed.update == 'UPDATE "public"."genre" SET "name" = %(v0)s WHERE "id" = %(k0)s'
    assert keyed.select_locked.endswith("FOR UPDATE")
    keyed = sql.keyed_statements(TABLES["genre"], ["name"], schema_of(Engine.SQLITE))
    assert keyed.update == "UPDATE OR ABORT `main`.`genre` SET `name` = :v0 WHERE `id` = :k0"
    assert keyed.insert == "INSERT OR ABORT INTO `main`.`genre` (`name`) VALUES (:v0) RETURNING `id`"


@pytest.mark.parametrize(
    "condition",
    [
        "1 = 1; drop table x",
        "nosuch = 1",
        "id = :other",
        "load_extension('x') = 1",
        "id in (select id from nosuch)",
        "",
        "id = 1 limit 1",
    ],
)
def test_a_condition_of_policy_is_checked(schema: Schema, condition: str) -> None:
    with pytest.raises((PolicyInvalid, GatebookError)):
        sql.check_condition(condition, TABLES["genre"], schema)
    sql.check_condition("name = :principal", TABLES["genre"], schema)


def test_names_are_folded_as_the_engine_does() -> None:
    assert fold(exp.to_identifier("Name", quoted=False), Engine.POSTGRESQL) == "name"
    assert fold(exp.to_identifier("Name", quoted=True), Engine.POSTGRESQL) == "Name"
    assert fold(exp.to_identifier("Name", quoted=True), Engine.SQLITE) == "name"


def test_lifted_values_are_open_only_beside_open_columns(schema: Schema) -> None:
    text = "select name from customer where country = 'DE' and email = 'a@b.c' and lower(email) like :p limit 5"
    lifted = sql.lift(sql.parse(text, schema.engine), {"email"}, {"name", "country", "id"})
    assert {value.text: value.is_protected for value in lifted.values} == {"DE": False, "a@b.c": True, "5": False}
    assert lifted.protected_parameters == {"p"}
    assert "a@b.c" not in lifted.shape


@pytest.mark.parametrize(
    "text, names",
    [
        ("select :value as x", {"value"}),
        ("select (:value) from genre where id=:a and name = :b", {"value", "a", "b"}),
        ("select name from genre order by id limit :n", {"n"}),
        ("select ':no' as x from genre where name = ':no'", set()),
    ],
)
def test_parameters_are_found_wherever_they_stand(schema: Schema, text: str, names: set[str]) -> None:
    assert sql.parse(text, schema.engine).parameters == names


def test_a_colon_of_a_slice_or_a_key_is_no_parameter() -> None:
    for text in ("select [:a, :b][1:2]", "select {'x': :a, 'y':1} where 1 = :b", "select x: 42 where :a = :b"):
        assert sql.parse(text, Engine.DUCKDB).parameters == {"a", "b"}
    assert sql.parse("select (array[:a, :b])[1:2]", Engine.POSTGRESQL).parameters == {"a", "b"}
