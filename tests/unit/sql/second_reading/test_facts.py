"""What does PostgreSQL's own parser say that a text holds?"""

from __future__ import annotations

import pytest

from gatebook_hub.sql.second_reading import facts_of


def test_a_read_names_its_relations_functions_operators_and_types() -> None:
    facts = facts_of(
        """with x as (select a from public.t) select coalesce(a, 1), lower(b)::text, count(*) over (order by c),
        current_date, nullif(a, 2), greatest(a, b), extract(year from d), grouping(a), pg_catalog.sum(a)
        from x join "S"."U" u on x.a = u.a where a in (select b from v) and b operator(s.+) 1 = $2"""
    )
    assert facts.is_plain_read
    assert (facts.statements, facts.kind) == (1, "SelectStmt")
    assert facts.relations == {("public", "t"), ("S", "U"), ("", "v")}
    assert facts.functions == {
        ("", "coalesce"),
        ("", "lower"),
        ("", "count"),
        ("", "current_date"),
        ("", "nullif"),
        ("", "greatest"),
        ("pg_catalog", "extract"),
        ("", "grouping"),
        ("pg_catalog", "sum"),
    }
    assert facts.operators == {("", "="), ("s", "+")}
    assert facts.types == {("", "text")}
    assert facts.parameters == {2}
    assert not facts.written


def test_labels_are_those_that_the_engine_gives() -> None:
    facts = facts_of(
        "select a, t.b as c, count(*), 1 + 1, *, x::int, (select max(d) from u), case when a then 1 end from t"
    )
    assert facts.labels == ("a", "c", "count", "?column?", None, "x", "max", "case")
    assert facts_of("values (1, 2)").labels == ("column1", "column2")
    assert facts_of("select a from t union select b from u").labels == ("a",)
    assert facts_of("select nullif(a, 1), now(), current_date, array[1], exists (select 1) from t").labels == (
        "nullif",
        "now",
        "current_date",
        "array",
        "exists",
    )


@pytest.mark.parametrize(
    "text, relations",
    [
        ("with t as (select 1) select * from t", set()),
        ("with t as (select * from t) select * from t", {("", "t")}),
        ("with recursive t as (select * from t) select * from t", set()),
        ("with t as (select 1) select * from public.t", {("public", "t")}),
        ("select * from (with t as (select 1) select * from t) x, t", {("", "t")}),
        ("with a as (select * from b), b as (select 1) select * from a", {("", "b")}),
        ("with a as (select 1), b as (select * from a) select * from b", set()),
        ("with a as (with b as (select 1) select * from b) select * from b", {("", "b")}),
        ("select (with t as (select 1) select * from t) from t", {("", "t")}),
        ("(with t as (select 1) select * from t) union select * from t", {("", "t")}),
        ("with t as (select 1) (select * from t) union select * from t", set()),
        ("with t as (delete from t returning 1) select * from t", {("", "t")}),
        ("with t as (select 1) insert into t select * from t", {("", "t")}),
    ],
)
def test_a_name_is_a_relation_where_no_common_table_expression_is_in_scope(
    text: str, relations: set[tuple[str, str]]
) -> None:
    assert facts_of(text).relations == relations


@pytest.mark.parametrize(
    "text, unknown",
    [
        ("select a into u from t", "SelectStmt.intoClause"),
        ("select a from t for update", "SelectStmt.lockingClause"),
        ("select a from db.s.t", "RangeVar.catalogname"),
        ("select a from t tablesample system (1)", "RangeTableSample"),
        ("select xmlforest(a) from t", "XmlExpr"),
        ("select xmlserialize(content a as text) from t", "XmlSerialize"),
        ("select * from xmltable('/' passing a columns b int)", "RangeTableFunc"),
        ("select json_object('a': 1)", "JsonObjectConstructor"),
        ("select json_array(1)", "JsonArrayConstructor"),
        ("select json_query(a, '$') from t", "JsonFuncExpr"),
        ("select a is json from t", "JsonIsPredicate"),
        ("select json_scalar(1)", "JsonScalarExpr"),
        ("select * from json_table(a, '$' columns (b int))", "JsonTable"),
        ("select json_arrayagg(a) from t", "JsonArrayAgg"),
        ('select * from f() as (a int[] collate "C")', "ColumnDef.collClause"),
        ("select a from t order by a using <", "SortBy.useOp"),
        ("delete from t where current of c", "CurrentOfExpr"),
        ("merge into t using u on true when matched then delete", "MergeStmt"),
        (
            "with recursive t as (select 1) search depth first by a set b select * from t",
            "CommonTableExpr.search_clause",
        ),
        ("with x as (select a into u from t) select 1", "SelectStmt.intoClause"),
        ("select (select a from t for share)", "SelectStmt.lockingClause"),
    ],
)
def test_what_is_not_on_the_list_is_unknown(text: str, unknown: str) -> None:
    facts = facts_of(text)
    assert unknown in facts.unknown
    assert not facts.is_plain_read


@pytest.mark.parametrize(
    "text",
    """vacuum
    set role x
    begin
    listen x
    copy t to stdout
    do $$begin end$$
    call f()
    explain select 1
    prepare p as select 1
    execute p
    declare c cursor for select 1
    fetch c
    lock table t
    create table t as select 1
    create table t (a int)
    create view v as select 1
    drop table t
    truncate t
    grant select on t to u
    alter table t add a int
    refresh materialized view v
    notify x
    discard all
    checkpoint
    load 'x'
    show all
    reset all
    security label on table t is 'x'
    comment on table t is 'x'
    savepoint a""".splitlines(),
)
def test_a_utility_statement_is_no_plain_read(text: str) -> None:
    facts = facts_of(text)
    assert facts.unknown
    assert not facts.is_plain_read


def test_writes_anywhere_are_told() -> None:
    facts = facts_of(
        "with x as (insert into public.t (a) values (1) on conflict (a) do update set a = 2 returning a) select 1"
    )
    assert facts.written == {("public", "t")}
    assert not facts.is_plain_read
    assert facts_of("update public.t set a = 1 where b in (select c from public.u)").written == {("public", "t")}
    assert facts_of("delete from public.t using public.u").relations == {("public", "t"), ("public", "u")}


def test_several_statements_have_no_kind() -> None:
    facts = facts_of("select 1; select 2")
    assert (facts.statements, facts.kind, facts.labels) == (2, "", ())
    assert not facts.is_plain_read
    assert facts_of("").statements == 0
    assert not facts_of("-- nothing").is_plain_read
