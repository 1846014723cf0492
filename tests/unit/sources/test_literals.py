"""Does a value that is written into the text mean exactly what it means as a parameter?"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from tests.unit.sources.ways import begin, by_rows, check_same, copied, drained, way

from gatebook_hub.errors import StatementFailed
from gatebook_hub.sources.literals import with_literals
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.rows import RowBatches

pytestmark = pytest.mark.postgres

HOSTILE = (
    "",
    "'",
    "''",
    "\\",
    "\\'",
    "\\'; SELECT 1; --",
    "'; DROP TABLE genre; --",
    "x' OR '1'='1",
    "E'\\047'",
    "\\x27",
    "$$ $1 $a$",
    "%s %(a)s %% %",
    "/* -- */",
    "'::pg_catalog.int4) --",
    "\n\r\t\x01\x7f",
    "\u2018\u2019\u02bc\uff07\u2032",
    "\U0001f3b5\ufeff\u202e東京",
    "¿\\' \xbf\x27",
)
MOMENT = dt.datetime(2024, 2, 29, 12, 34, 56, 123456)  # noqa: DTZ001 - as a TIMESTAMP is
VALUES: tuple[Any, ...] = (
    *(True, False, 0, 1, -1, 32_767, 32_768, -32_769, 2**31, -(2**31), 2**63 - 1, -(2**63), 2**63, 2**80, -(2**80)),
    *(0.1, -0.0, 1.0, 1e300, 5e-324, math.inf, -math.inf, math.nan),
    *(Decimal("1.10"), Decimal("-0.00"), Decimal("1E+3"), Decimal("1E-20"), Decimal("NaN")),
    *(dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.time(23, 59, 59, 999999), MOMENT),
    *(MOMENT.replace(tzinfo=dt.UTC), MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=-3.5)))),
    *(uuid.UUID(int=7), b"", b"\x00\xff'\\", bytes(range(256))),
)
SPANS = (dt.timedelta(days=-1, microseconds=5), dt.timedelta(days=400, hours=1), -dt.timedelta(seconds=1))


@pytest.fixture
def source(postgres_source: PostgresqlSource) -> PostgresqlSource:
    return postgres_source


def test_hostile_texts_are_texts_and_no_more(source: PostgresqlSource) -> None:
    for text in HOSTILE:
        found = check_same(source, "SELECT %(a)s AS x, %(a)s || %(b)s AS y, '%%' AS z", {"a": text, "b": text})
        assert found.to_pylist() == [{"x": text, "y": text * 2, "z": "%"}], text
        sql = "SELECT name FROM public.genre WHERE name = %(a)s OR name LIKE 'Ro%%'"
        assert sorted(check_same(source, sql, {"a": text})["name"].to_pylist()) == ["Rock", "Rock And Roll"]


def test_values_have_the_very_type_of_a_parameter(source: PostgresqlSource) -> None:
    for value in (*VALUES, *SPANS):
        kind = by_rows(source, "SELECT pg_catalog.pg_typeof(%(a)s)::text AS x", {"a": value})["x"][0].as_py()
        assert kind != "unknown"
        sql = (
            "SELECT pg_catalog.pg_typeof(%(a)s)::text AS kind, (%(a)s)::text AS x, %(a)s IS NULL AS n, "
            "pg_catalog.pg_typeof(COALESCE(NULL, %(a)s))::text AS k"
        )
        (row,) = check_same(source, sql, {"a": value}).to_pylist()
        assert row["kind"] == kind, value
    for sql in ("SELECT 7 / %(a)s AS x", "SELECT trackid / %(a)s AS x FROM public.track", "SELECT 1.5 * %(a)s AS x"):
        for number in (2, -2, 40_000, 2**40, Decimal("0.30"), 0.3):
            check_same(source, sql, {"a": number})


def test_a_text_takes_the_type_of_where_it_stands(source: PostgresqlSource) -> None:
    """As a parameter does: one type for all of its places."""
    for sql, value in (
        ("SELECT count(*) AS x FROM public.invoice WHERE invoicedate >= %(a)s", "2010-01-02"),
        ("SELECT invoicedate >= %(a)s AS x, %(a)s = '2010-01-02' AS y FROM public.invoice", "2010-01-02 00:00"),
        ("SELECT name AS x FROM public.track WHERE unitprice > %(a)s ORDER BY trackid", "1"),
        ("SELECT name AS x FROM public.track WHERE trackid = %(a)s", "17"),
        ("SELECT name AS x FROM public.track ORDER BY trackid LIMIT %(a)s", 3),
        ("SELECT name AS x FROM public.track ORDER BY %(a)s, trackid", "name"),
        ("SELECT name AS x FROM public.track WHERE composer IS NOT DISTINCT FROM %(a)s ORDER BY trackid", None),
        ("SELECT CAST(%(a)s AS int) AS x, CAST(%(a)s AS int) IS NULL AS y", None),
        ("SELECT %(a)s AS x", None),
    ):
        check_same(source, sql, {"a": value})


def test_what_is_not_on_the_list_goes_row_by_row(source: PostgresqlSource) -> None:
    for sql, value in (
        ("SELECT name AS x FROM public.genre WHERE genreid = ANY(%(a)s) ORDER BY genreid", [1, 2]),
        ("SELECT (%(a)s::json)::text AS x", "{}"),
    ):
        stream = begin(source, sql, {"a": value})
        assert way(stream) is RowBatches, sql
        assert drained(stream).equals(by_rows(source, sql, {"a": value})), sql
    for value in ("a\0b", "\ud83d", object()):
        with pytest.raises((StatementFailed, UnicodeEncodeError)):
            drained(begin(source, "SELECT %(a)s AS x", {"a": value}))
    assert copied(source, "SELECT 1 AS x").num_rows == 1


@pytest.fixture
def connection(chinook_postgres: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(psycopg.connect(chinook_postgres.replace("+psycopg", ""))) as made:
        yield made


def test_only_marks_of_parameters_are_filled(connection: psycopg.Connection[Any]) -> None:
    assert with_literals(connection, "SELECT '%%(a)s' AS x", {}) == "SELECT '%(a)s' AS x"
    assert with_literals(connection, "SELECT '%%%(a)s%%%%'", {"a": 1}) == "SELECT '%('1'::pg_catalog.int2)%%'"
    for odd in ("SELECT 5 % 2", "SELECT %s", "SELECT %(a)b", "SELECT %(a)s", "SELECT %(a b)s"):
        assert with_literals(connection, odd, {"b": 1}) is None, odd


def test_a_database_whose_strings_do_not_conform_is_no_way_in(fresh_chinook_postgres: str) -> None:
    """A backslash would escape a quote there; the transaction is pinned before any value is written."""
    url = fresh_chinook_postgres.replace("+psycopg", "")
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"alter database {name} set standard_conforming_strings = off".encode())
        admin.execute(f"alter database {name} set backslash_quote = on".encode())
        admin.execute(f"alter database {name} set datestyle = 'SQL, DMY'".encode())
        admin.execute(f"alter database {name} set bytea_output = 'escape'".encode())
    source = PostgresqlSource("x", fresh_chinook_postgres.replace("postgresql://", "postgresql+psycopg://"))
    try:
        for text in HOSTILE:
            assert check_same(source, "SELECT %(a)s AS x", {"a": text})["x"].to_pylist() == [text]
        for value in (*VALUES, *SPANS):
            check_same(source, "SELECT (%(a)s)::text AS x", {"a": value})
    finally:
        source.close()
