"""SQLAlchemy's dialects compile in the kernel alone; DuckDB's has words that PostgreSQL's has not."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

import gatebook.dbapi
from gatebook.dialects.duckdb import GatebookDuckDB
from gatebook.dialects.duckdb_types import HUGEINT
from gatebook.dialects.types import type_of

PROGRAM = """
import sys
import sqlalchemy
engine = sqlalchemy.create_engine("gatebook+duckdb:///chinook")
assert engine.dialect.name == "duckdb"
assert engine.dialect.dbapi.__name__ == "gatebook.dbapi"
assert not {"duckdb", "duckdb_engine", "gatebook_hub"} & set(sys.modules)
"""
T = sa.table(
    "t",
    sa.column("a", sa.Integer),
    sa.column("f", sa.Float),
    sa.column("s", sa.String),
    sa.column("j", sa.JSON),
    sa.column("day", sa.Date),
)


def compiled(statement: Any) -> str:
    text = str(statement.compile(dialect=GatebookDuckDB(), compile_kwargs={"literal_binds": True}))
    return " ".join(text.split())


def test_the_dialect_needs_no_duckdb() -> None:
    run = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert GatebookDuckDB.import_dbapi() is gatebook.dbapi


@pytest.mark.parametrize(
    "expression, text",
    [
        (T.c.a // 2, "t.a // 2"),
        (T.c.f // 2, "FLOOR(t.f / 2)"),
        (T.c.a / 2, "t.a / 2"),
        (T.c.a.bitwise_xor(3), "xor(t.a, 3)"),
        (T.c.s.regexp_match("x"), "regexp_matches(t.s, 'x')"),
        (~T.c.s.regexp_match("x", flags="i"), "NOT regexp_matches(t.s, 'x', 'i')"),
        (T.c.s.regexp_replace("x", "y"), "REGEXP_REPLACE(t.s, 'x', 'y')"),
        (T.c.j["k"], """json_extract(t.j, '$."k"')"""),
        (T.c.j[("k", 1)].as_string(), """CAST(json_extract_string(t.j, '$."k"[1]') AS VARCHAR)"""),
        (sa.try_cast(T.c.s, sa.Integer), "TRY_CAST(t.s AS INTEGER)"),
        (sa.literal(dt.timedelta(days=-1, seconds=2, microseconds=3)), "CAST('-1 days 2.000003 seconds' AS INTERVAL)"),
        (sa.cast(T.c.a, HUGEINT), "CAST(t.a AS HUGEINT)"),
        (sa.cast(T.c.s, sa.Double), "CAST(t.s AS DOUBLE)"),
    ],
)
def test_words_that_mean_something_else_to_duckdb_are_its_own(expression: Any, text: str) -> None:
    assert compiled(sa.select(expression.label("x"))) == f"SELECT {text} AS x" + (" FROM t" if "t." in text else "")


def test_rows_are_neither_locked_nor_fetched_with_ties() -> None:
    assert compiled(sa.select(T.c.a).with_for_update()) == "SELECT t.a FROM t"
    assert compiled(sa.select(T.c.a).offset(1).fetch(2)) == "SELECT t.a FROM t LIMIT 2 OFFSET 1"
    assert compiled(sa.select(T.c.a).offset(1)) == "SELECT t.a FROM t OFFSET 1"
    with pytest.raises(sa.exc.CompileError, match="with ties"):
        compiled(sa.select(T.c.a).fetch(2, with_ties=True))


def test_a_table_has_types_that_duckdb_has() -> None:
    kinds = {
        "a": (sa.Float(), "DOUBLE"),
        "b": (sa.Float(24), "REAL"),
        "c": (sa.DateTime(), "TIMESTAMP"),
        "d": (postgresql.TIMESTAMP(timezone=True, precision=3), "TIMESTAMP WITH TIME ZONE"),
        "e": (sa.LargeBinary(), "BLOB"),
        "f": (sa.Uuid(), "UUID"),
        "g": (sa.Interval(), "INTERVAL"),
        "h": (postgresql.JSONB(), "JSON"),
        "i": (sa.ARRAY(sa.Integer), "INTEGER[]"),
        "j": (sa.Enum("x", "yes", name="k"), "VARCHAR(3)"),
        "qualify": (sa.Time(), "TIME"),
    }
    table = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, kind) for name, (kind, _) in kinds.items()),
    )
    columns = ", ".join(
        f'"{name}" {word}' if name == "qualify" else f"{name} {word}" for name, (_, word) in kinds.items()
    )
    assert compiled(CreateTable(table)) == f"CREATE TABLE t ( id INTEGER NOT NULL, {columns}, PRIMARY KEY (id) )"


def test_what_duckdb_reserves_is_quoted() -> None:
    known = duckdb.connect().execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'")
    names = {str(name) for (name,) in known.fetchall()}
    assert names <= GatebookDuckDB().identifier_preparer.reserved_words
    assert "qualify" not in postgresql.dialect().identifier_preparer.reserved_words


def test_an_enum_whose_values_are_not_told_is_a_text() -> None:
    known = GatebookDuckDB.type_names
    assert isinstance(type_of({"name": "Enum", "args": {}, "values": ["a"]}, known), sa.Enum)
    assert not isinstance(type_of({"name": "Enum", "args": {}}, known), sa.Enum)
