"""Does each type arrive as the driver itself gives it? One column per type, a NULL beside it, and an empty answer."""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest
from sqlalchemy import make_url
from tests.conftest import connect_mariadb

from gatebook_hub.errors import StatementFailed
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.source import Source
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sql import Plan

TEXT = "Zoë 東京 \U0001f3b5 ' \" \\ % $x :y"
PLAIN_TEXT = TEXT.replace("'", "''")

# Expression, and the type in which it travels.
POSTGRESQL = {
    "1::smallint": pa.int16(),
    "(-2147483648)::integer": pa.int32(),
    "9223372036854775807::bigint": pa.int64(),
    "1.10::numeric(10, 2)": pa.decimal128(10, 2),
    "12345678901234567890123456789012345.678::numeric(38, 3)": pa.decimal128(38, 3),
    "1.5::real": pa.float32(),
    "0.1::double precision": pa.float64(),
    "'infinity'::double precision": pa.float64(),
    "true": pa.bool_(),
    f"'{PLAIN_TEXT}'::text": pa.string(),
    "'ab'::varchar(10)": pa.string(),
    "'ab'::char(4)": pa.string(),
    "'\\x00ff'::bytea": pa.binary(),
    "date '0001-01-01'": pa.date32(),
    "date '9999-12-31'": pa.date32(),
    "time '23:59:59.999999'": pa.time64("us"),
    "timestamp '2024-02-29 12:34:56.123456'": pa.timestamp("us"),
    "timestamptz '2024-02-29 12:34:56.123456+02'": pa.timestamp("us", tz="UTC"),
    "interval '3 days 4 hours'": pa.duration("us"),
    "'11111111-2222-3333-4444-555555555555'::uuid": pa.string(),
}
MARIADB = {
    "CAST(-9223372036854775808 AS SIGNED)": pa.int64(),
    "CAST(1.10 AS DECIMAL(10, 2))": pa.decimal128(38, 2),
    "CAST(0.1 AS DOUBLE)": pa.float64(),
    f"CAST('{PLAIN_TEXT.replace(chr(92), chr(92) * 2).replace('%', '%%')}' AS CHAR)": pa.string(),
    "CAST(x'00ff' AS BINARY)": pa.binary(),
    "CAST('1000-01-01' AS DATE)": pa.date32(),
    "CAST('2024-02-29 12:34:56.123456' AS DATETIME(6))": pa.timestamp("us"),
    "CAST('-838:59:59' AS TIME)": pa.duration("us"),
    "CAST('11111111-2222-3333-4444-555555555555' AS UUID)": pa.string(),
}
SQLITE = {
    "9223372036854775807": pa.int64(),
    "0.1": pa.float64(),
    f"'{PLAIN_TEXT}'": pa.string(),
    "x'00ff'": pa.binary(),
    "date('2024-02-29')": pa.string(),
}
DUCKDB = {
    "1::tinyint": pa.int8(),
    "255::utinyint": pa.uint8(),
    "1::smallint": pa.int16(),
    "(-2147483648)::integer": pa.int32(),
    "9223372036854775807::bigint": pa.int64(),
    "18446744073709551615::ubigint": pa.uint64(),
    "sum(9223372036854775807)": pa.decimal128(38, 0),
    "1.10::decimal(10, 2)": pa.decimal128(10, 2),
    "12345678901234567890123456789012345.678::decimal(38, 3)": pa.decimal128(38, 3),
    "1.5::float": pa.float32(),
    "0.1::double": pa.float64(),
    "'-inf'::double": pa.float64(),
    "true": pa.bool_(),
    f"'{PLAIN_TEXT}'": pa.string(),
    "'\\x00\\xFF'::blob": pa.binary(),
    "date '0001-01-01'": pa.date32(),
    "time '23:59:59.999999'": pa.time64("us"),
    "timestamp '2024-02-29 12:34:56.123456'": pa.timestamp("us"),
    "timestamp_s '2024-02-29 12:34:56'": pa.timestamp("s"),
    "timestamptz '2024-02-29 12:34:56+02'": pa.timestamp("us", tz="UTC"),
    "'a'::enum('a', 'b')": pa.string(),
    "[1, NULL]": pa.list_(pa.field("l", pa.int32())),
    "{'x': 1, 'y': ['a'::enum('a')]}": pa.struct([("x", pa.int32()), ("y", pa.list_(pa.field("l", pa.string())))]),
}


def read(source: Source, sql: str) -> pa.Table:
    plan = Plan(engine=Engine.SQLITE, sql=sql, parameters=frozenset(), reads={})
    stream = source.read(plan, {}, Limits())
    try:
        return pa.Table.from_batches(list(stream), schema=stream.schema)
    finally:
        stream.close()


def same(ours: Any, driver_s: Any) -> bool:
    """The value that the driver gives, in the form in which Arrow has it."""
    match driver_s:
        case float() if math.isnan(driver_s):
            return isinstance(ours, float) and math.isnan(ours)
        case uuid.UUID():
            return bool(ours == str(driver_s))
        case dt.datetime() if driver_s.tzinfo is not None:
            return bool(ours == driver_s and ours.utcoffset() == dt.timedelta(0))
        case Decimal():
            return bool(ours == driver_s and (not isinstance(ours, Decimal) or ours.as_tuple() == driver_s.as_tuple()))
        case memoryview() | bytearray():
            return bool(ours == bytes(driver_s))
        case _:
            return bool(ours == driver_s)


def check(source: Source, types: dict[str, pa.DataType], rows: list[Any], *, is_declared: bool = True) -> None:
    for (expression, kind), expected in zip(types.items(), rows, strict=True):
        found = read(source, f"SELECT {expression} AS x")
        assert found.schema.field("x").type == kind, expression
        assert same(found["x"][0].as_py(), expected), (expression, found["x"][0].as_py(), expected)
        if is_declared:
            empty = read(source, f"SELECT * FROM (SELECT {expression} AS x) q WHERE 1 = 0")
            assert empty.schema.field("x").type == kind, expression
            nothing = read(source, f"SELECT CASE WHEN 1 = 0 THEN x END AS x FROM (SELECT {expression} AS x) q")
            assert nothing["x"].to_pylist() == [None], expression


@pytest.mark.postgres
def test_types_of_postgresql(postgres_source: PostgresqlSource, chinook_postgres: str) -> None:
    with psycopg.connect(chinook_postgres) as connection:
        rows = [connection.execute(f"SELECT {item}".encode()).fetchone() for item in POSTGRESQL]
    escaped = {item.replace("%", "%%"): kind for item, kind in POSTGRESQL.items()}
    check(postgres_source, escaped, [row[0] for row in rows if row])


@pytest.mark.mariadb
def test_types_of_mariadb(mariadb_source: MariadbSource, chinook_mariadb: str) -> None:
    connection = connect_mariadb(chinook_mariadb)
    connection.select_db(make_url(chinook_mariadb).database or "")
    rows = []
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SET NAMES utf8mb4")
        for item in MARIADB:
            cursor.execute(f"SELECT {item.replace('%%', '%')}")
            rows.append(cursor.fetchall()[0][0])
    check(mariadb_source, MARIADB, rows)


@pytest.fixture
def sqlite_source(chinook_sqlite: Path) -> Iterator[SqliteSource]:
    source = SqliteSource("x", chinook_sqlite)
    yield source
    source.close()


def test_types_of_sqlite(sqlite_source: SqliteSource) -> None:
    """Nothing is declared of an expression: an empty answer has text, as a NULL has."""
    with closing(sqlite3.connect(":memory:")) as connection:
        rows = [connection.execute(f"SELECT {item}").fetchone()[0] for item in SQLITE]
    check(sqlite_source, SQLITE, rows, is_declared=False)
    assert read(sqlite_source, "SELECT NULL AS x")["x"].to_pylist() == [None]


@pytest.fixture
def duckdb_source(chinook_duckdb: Path) -> Iterator[DuckdbSource]:
    source = DuckdbSource("x", chinook_duckdb)
    yield source
    source.close()


def test_types_of_duckdb(duckdb_source: DuckdbSource) -> None:
    with duckdb.connect() as connection:
        # The driver itself needs one more package for a moment with a zone.
        zoned = {item: item.startswith("timestamptz") for item in DUCKDB}
        rows = [
            connection.execute(f"SELECT {f'epoch_us({item})' if zoned[item] else item}").fetchone() for item in DUCKDB
        ]
    values = [
        dt.datetime.fromtimestamp(row[0] / 1e6, dt.UTC) if zoned[item] else row[0]
        for item, row in zip(DUCKDB, rows, strict=True)
        if row
    ]
    check(duckdb_source, DUCKDB, values)


def test_what_duckdb_cannot_hand_over_whole_is_refused(duckdb_source: DuckdbSource) -> None:
    for item in (
        "timetz '01:02:03+02'",
        "[timetz '01:02:03+02']",
        "'101'::bit",
        "{'a': '101'::bit}",
        "union_value(k := 1)",
        "123456789012345678901234567890123456789012::bignum",
    ):
        with pytest.raises(StatementFailed, match="cast it"):
            read(duckdb_source, f"SELECT {item} AS x")
        assert read(duckdb_source, f"SELECT ({item})::VARCHAR AS x").num_rows == 1
    with pytest.raises(StatementFailed, match="cast it"):
        read(duckdb_source, "SELECT 170141183460469231731687303715884105727::hugeint AS x")


def test_parameters_of_duckdb_are_bound_as_what_they_are(duckdb_source: DuckdbSource) -> None:
    values = {
        "decimal": Decimal("1.10"),
        "date": dt.date(2024, 2, 29),
        "moment": dt.datetime(2024, 2, 29, 12, 34, 56, 123456),  # noqa: DTZ001 - as a TIMESTAMP is
        "zoned": dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
        "span": dt.timedelta(days=1, microseconds=5),
        "id": uuid.UUID(int=7),
        "raw": b"\x00\xff",
        "text": TEXT,
        "big": 2**80,
        "none": None,
        "infinite": math.inf,
    }
    columns = ", ".join(f"${name} AS {name}" for name in values if name not in {"big", "span"})
    plan = Plan(engine=Engine.DUCKDB, sql=f"SELECT {columns}", parameters=frozenset(values), reads={})
    given = {name: value for name, value in values.items() if name not in {"big", "span"}}
    stream = duckdb_source.read(plan, given, Limits())
    (row,) = [row for batch in stream for row in batch.to_pylist()]
    stream.close()
    assert {name: str(value) if name == "id" else value for name, value in given.items()} == row
    with duckdb_source.writing(Limits()) as session:
        found, _ = session.run("SELECT $span AS a, $big AS b", {"span": values["span"], "big": values["big"]})
        assert found == [(values["span"], values["big"])]
        found, _ = session.run("SELECT $zoned AS a, 5 AS b, NULL AS c", {"zoned": values["zoned"]})
        assert found == [(values["zoned"], 5, None)]


@pytest.mark.postgres
def test_what_is_made_of_parts_comes_as_the_server_writes_it(postgres_source: PostgresqlSource) -> None:
    asked = (
        "SELECT '{\"a\": null, \"b\": [1.50]}'::json AS j, '[1,5)'::int4range AS r, row(1, 'x') AS w, "
        "ARRAY[1, NULL, 3] AS a, ARRAY[[1, 2], [3, 4]] AS m, ARRAY['{\"k\": true}'::json] AS js"
    )
    table = read(postgres_source, asked)
    assert table.to_pylist() == [
        {
            "j": '{"a": null, "b": [1.50]}',
            "r": "[1,5)",
            "w": "(1,x)",
            "a": [1, None, 3],
            "m": [[1, 2], [3, 4]],
            "js": ['{"k": true}'],
        }
    ]
