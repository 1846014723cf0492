"""Is what is copied from PostgreSQL as Arrow the very same as what comes row by row?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import product

import psycopg
import pyarrow as pa
import pytest
from tests.unit.sources.ways import begin, by_rows, check_same, copied, drained, way

from gatebook_hub.errors import StatementFailed
from gatebook_hub.sources.arrow_columns import Column, Way, rebuilt
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.rows import RowBatches

pytestmark = pytest.mark.postgres

TEXT = "Zoë 東京 \U0001f3b5 ' \" \\ %% $x :y \x01 \r\n\t".replace("'", "''")
# Expressions of which each is a column of its own: copied, with a NULL and without rows.
COPIED = (
    *("true", "false"),
    *(
        "(-32768)::int2",
        "32767::int2",
        "(-2147483648)::int4",
        "2147483647",
        "(-9223372036854775808)",
        "9223372036854775807",
    ),
    *(f"'{value}'::float4" for value in ("1.5", "NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4e38")),
    *(
        f"'{value}'::float8"
        for value in ("0.1", "NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308")
    ),
    *(f"'{value}'::numeric(12, 2)" for value in ("0", "-0.01", "9999999999.99", "-9999999999.99", "1.5")),
    *(f"'{value}'::numeric(18, 0)" for value in ("999999999999999999", "-999999999999999999")),
    *(f"'{value}'::numeric(18, 18)" for value in ("0.999999999999999999", "-0.000000000000000001")),
    *("1.50::numeric(19, 2)", f"'-{'9' * 35}.999'::numeric(38, 3)", "0.1::numeric(38, 38)", "7::numeric(1)"),
    *("1.5", "1.50", "-0.00000001", "12345678901234567890123456789012345.678", "100::numeric", "0.00::numeric"),
    *(f"'{TEXT}'", "''", "'ab '::varchar(10)", "'ab'::char(4)", "'ab'::name", "repeat('é', 3000000)", "NULL"),
    *("'\\x00ff'::bytea", "''::bytea", "decode(repeat('00', 1000000), 'hex')"),
    *("date '0001-01-01'", "date '9999-12-31'", "time '00:00'", "time '23:59:59.999999'"),
    *("timestamp '0001-01-01 00:00'", "timestamp '9999-12-31 23:59:59.999999'", "timestamp '1969-12-31 23:59:59.5'"),
    *("timestamptz '2024-02-29 12:34:56.123456+02'", "timestamptz '1900-01-01 00:00+00'"),
    *('\'{"a": null, "b": [1.50]}\'::json', '\'{"b":1,"a":"é"}\'::jsonb', "'null'::json"),
    "'11111111-2222-3333-4444-55555555555F'::uuid",
    *("'sad'::public.mood", "7::public.price", "'x'::information_schema.sql_identifier"),
)
# What only the driver of rows knows how to say; one such column, and the whole statement goes row by row.
BY_ROWS = (
    *("'10.0.0.1'::inet", "'10.0.0.0/8'::cidr", "'08:00:2b:01:02:03'::macaddr", "timetz '01:02:03+02'"),
    *("'[1,5)'::int4range", "B'101'", "'<a/>'::xml", "'(1,2)'::point", "'a b'::tsvector", "1::oid", "1::text::money"),
    *("interval '3 days 4 hours'", "ARRAY[1, NULL]", "ARRAY[[1, 2], [3, 4]]", "ARRAY['a']", "row(1, 'x')"),
    *("'x'::\"char\"", "'Ab'::public.citext", "'a=>1'::public.hstore", "row(1, 2)::public.pair", "ARRAY[1.5]"),
)
# What neither driver can say.
REFUSED = (
    *("date 'infinity'", "date '-infinity'", "date '0001-12-31 BC'", "date '10000-01-01'", "time '24:00'"),
    *("timestamp 'infinity'", "timestamp '-infinity'", "timestamptz 'infinity'", "timestamp '10000-01-01 00:00'"),
    *("timestamptz '-infinity'", "timestamp '294276-12-31 23:59'", "timestamp '4713-01-01 00:00 BC'"),
    *("'NaN'::numeric(12, 2)", "'NaN'::numeric(30, 2)", "'NaN'::numeric", "'Infinity'::numeric", "1e40::numeric"),
)


@pytest.fixture
def source(postgres_source: PostgresqlSource, chinook_postgres: str) -> Iterator[PostgresqlSource]:
    with psycopg.connect(chinook_postgres.replace("+psycopg", ""), autocommit=True) as connection:
        for made in (
            "create type public.mood as enum ('sad', 'glad')",
            "create domain public.price as numeric(12, 2)",
            "create type public.pair as (a int, b int)",
            "create extension citext schema public",
            "create extension hstore schema public",
        ):
            connection.execute(made.encode())
        yield postgres_source
        connection.execute("drop type public.mood, public.pair")
        connection.execute("drop domain public.price")
        connection.execute("drop extension citext, hstore")


def test_what_is_copied_is_the_same_as_row_by_row(source: PostgresqlSource) -> None:
    for item in COPIED:
        check_same(source, f"SELECT {item} AS x")
        check_same(
            source, f"SELECT CASE WHEN n > 0 THEN x END AS x FROM (VALUES (0), (1)) v(n), (SELECT {item} AS x) q"
        )
        check_same(source, f"SELECT * FROM (SELECT {item} AS x) q WHERE 1 = 0")
    columns = ", ".join(f"{item} AS c{index}" for index, item in enumerate(COPIED))
    check_same(source, f"SELECT n, q.* FROM generate_series(1, 3) n, (SELECT {columns}) q")


def test_a_type_that_cannot_be_copied_takes_the_statement_row_by_row(source: PostgresqlSource) -> None:
    for item in BY_ROWS:
        sql = f"SELECT 1 AS a, {item} AS x"
        expected = by_rows(source, sql)
        for _ in range(2):
            stream = begin(source, sql)
            assert way(stream) is RowBatches, item
            assert drained(stream).equals(expected), item


def test_what_no_driver_can_say_is_an_error_either_way(source: PostgresqlSource) -> None:
    for item in REFUSED:
        for read in (by_rows, copied):
            with pytest.raises(StatementFailed) as caught:
                read(source, f"SELECT {item} AS x")
            assert not any(word in str(caught.value) for word in ("infinity", "NaN", "10000", "294276")), item
        assert copied(source, "SELECT 1 AS x").num_rows == 1
    assert (
        check_same(source, "SELECT (x)::text AS x FROM (SELECT date 'infinity' AS x) q")["x"][0].as_py() == "infinity"
    )


def test_a_numeric_that_is_not_what_was_declared_is_an_error() -> None:
    for digits, scale in ((12, 2), (30, 20), (38, 38)):
        column = Column(name="x", way=Way.DECIMAL, type=pa.decimal128(digits, scale))
        most = f"{'9' * (digits - scale) or '0'}.{'9' * scale}"
        found = rebuilt(column, pa.array([f"-{most}", None, most]), column.type)
        assert found.to_pylist() == [Decimal(f"-{most}"), None, Decimal(most)]
        for text in (f"1{'0' * (digits - scale)}.0", f"-{most}9", f"{'9' * 80}", "NaN", "Infinity", "-Infinity"):
            with pytest.raises(StatementFailed, match="do not fit"):
                rebuilt(column, pa.array(["1", None, text]), column.type)


def test_names_that_repeat_or_are_odd_survive(source: PostgresqlSource) -> None:
    found = check_same(source, 'SELECT 1 AS a, 1.5 AS a, 2 AS "gb_0", 3 AS "É "" x", 4, \'{}\'::json AS a')
    assert found.column_names == ["a", "a", "gb_0", 'É " x', "?column?", "a"]


def test_the_first_rows_tell_the_type_of_what_has_none(source: PostgresqlSource) -> None:
    """As row by row: the longest fraction of the first rows, and a longer one later is an error, not a loss."""
    found = check_same(source, "SELECT n::numeric / 4 AS x FROM generate_series(1, 40000) n")
    assert found["x"].type == pa.decimal128(38, 20)
    late = "SELECT CASE WHEN n < {} THEN NULL ELSE 0.0000000125::numeric END AS x FROM generate_series(1, 40000) n"
    assert check_same(source, late.format(16_000))["x"].type == pa.decimal128(38, 10)
    assert check_same(source, "SELECT NULL::numeric AS x FROM generate_series(1, 40000) n")["x"].type == pa.string()
    longer = "SELECT CASE WHEN n < 30000 THEN 1.5 ELSE 1.25 END AS x FROM generate_series(1, 40000) n"
    for sql, read in product((longer, late.format(17_000)), (by_rows, copied)):
        with pytest.raises(StatementFailed, match="do not fit"):
            read(source, sql)
    assert check_same(source, "SELECT 1.5 AS x UNION ALL SELECT 1.2500")["x"].to_pylist()[1] == Decimal("1.2500")


def test_a_type_made_later_is_read_all_the_same(source: PostgresqlSource, chinook_postgres: str) -> None:
    """The driver looks at the types of a database once."""
    copied(source, "SELECT 1 AS x")
    with psycopg.connect(chinook_postgres.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create type public.late as enum ('x')")
        try:
            assert drained(begin(source, "SELECT 'x'::public.late AS x"))["x"].to_pylist() == ["x"]
        finally:
            connection.execute("drop type public.late")
