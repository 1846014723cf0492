"""A bind variable is found where the engine would read one, and nowhere else."""

from typing import Any

import pytest

from gatebook.binds import bind_names

EVERY_ENGINE = ("postgresql", "mariadb", "sqlite")


@pytest.mark.parametrize("engine", EVERY_ENGINE)
@pytest.mark.parametrize(
    "sql, names",
    [
        ("select :a", ("a",)),
        ("select :b, :a, :b", ("b", "a")),
        ("where x=:x and y>:y_2", ("x", "y_2")),
        ("select (:a)", ("a",)),
        ("select ':a', :b", ("b",)),
        ("select 'it''s :a', :b", ("b",)),
        ("select '', :b", ("b",)),
        ("select 1 -- :a\n, :b", ("b",)),
        ("select /* :a */ :b", ("b",)),
        ("select /* ':a */ :b /*'*/", ("b",)),
        ("select '/*', :b, '*/'", ("b",)),
        ("select '--', :b", ("b",)),
        ("select x::int, :b", ("b",)),
        ("select :b::int", ("b",)),
        ("set @x := 1", ()),
        ("select a[lo:hi]", ()),
        ("select '12:30'", ()),
        ("select {'a':b, \"c\":d}, :e", ("e",)),
        ("select :1, : a", ()),
        ("select ':a", ()),
        ("select /* :a", ()),
        ("select :größe", ("größe",)),
        ("", ()),
    ],
)
def test_what_every_engine_reads_alike(engine: Any, sql: Any, names: Any) -> None:
    assert bind_names(sql, engine) == names


@pytest.mark.parametrize(
    "engine, sql, names",
    [
        # "…" is a name, or a string in MariaDB; a backslash ends neither but there.
        ("postgresql", 'select "a:b"":c" , :d', ("d",)),
        ("sqlite", 'select "a:b"":c" , :d', ("d",)),
        ("mariadb", 'select "a\\":b", :d', ("d",)),
        ("postgresql", r"select '\', :d", ("d",)),
        ("sqlite", r"select '\', :d", ("d",)),
        ("mariadb", r"select '\', :c', :d", ("d",)),
        ("postgresql", r"select E'\', :c', :d", ("d",)),
        ("postgresql", r"select name'\', :d", ("d",)),  # not an E string: the E belongs to a word
        ("mariadb", "select `a:b``:c`, :d", ("d",)),
        ("sqlite", "select `a:b`, :d", ("d",)),
        ("sqlite", "select [a :b], :d", ("d",)),
        ("postgresql", "select a[:i], a[:i : :j]", ("i", "j")),
        ("postgresql", "select $$ :a $$, :b", ("b",)),
        ("postgresql", "select $x$ :a $$ :b $y$ $x$, :c", ("c",)),
        ("postgresql", "select a$x$, :b, a$x$", ("b",)),  # a$x$ is a name
        ("postgresql", "select /* /* :a */ :b */ :c", ("c",)),
        ("mariadb", "select /* /* :a */ :b", ("b",)),
        ("sqlite", "select /* /* :a */ :b", ("b",)),
        ("mariadb", "select 1 # :a\n, :b", ("b",)),
        ("postgresql", "select 5 # :a", ("a",)),
        ("postgresql", "select j #> :path", ("path",)),
        ("mariadb", "select 5--:a", ("a",)),  # minus minus: a comment needs white space
        ("mariadb", "select 5-- :a", ()),
        ("sqlite", "select 5--:a", ()),
    ],
)
def test_what_engines_read_differently(engine: Any, sql: Any, names: Any) -> None:
    assert bind_names(sql, engine) == names


def test_a_long_statement_takes_no_time() -> None:
    sql = "select '" + "''" * 200_000 + "', :a /*" + "/*" * 50_000
    assert bind_names(sql, "postgresql") == ("a",)
