"""Does a value that has no like outside of its database arrive exactly, or is it refused with what to write?"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.sources.test_types import read

import gatebook_hub.sources.rows as rows_module
from gatebook_hub.errors import StatementFailed
from gatebook_hub.model import Limits
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sources.stream import CursorStream

LARGEST = 170141183460469231731687303715884105727


@pytest.fixture
def duckdb_source(chinook_duckdb: Path) -> Iterator[DuckdbSource]:
    source = DuckdbSource("x", chinook_duckdb)
    yield source
    source.close()


def test_whole_numbers_of_duckdb_are_exact_or_refused(duckdb_source: DuckdbSource) -> None:
    for number in (10**38 - 1, 1 - 10**38, 0, -(2**63), 2**64, -LARGEST - 1):
        assert read(duckdb_source, f"SELECT ({number})::hugeint AS x")["x"].to_pylist() == [number]
    for item in (
        f"{2 * LARGEST + 1}::uhugeint",
        "5::uhugeint",
        "[5::uhugeint]",
        "{'a': 5::uhugeint}",
        f"{LARGEST}::hugeint",
        f"[{LARGEST}::hugeint]",
        f"{10**38}::hugeint",
    ):
        with pytest.raises(StatementFailed, match="cast it"):
            read(duckdb_source, f"SELECT {item} AS x")


BEYOND = (
    "'infinity'::date",
    "'-infinity'::date",
    "'infinity'::timestamp",
    "'-infinity'::timestamp",
    "'infinity'::timestamptz",
    "'infinity'::timestamp_s",
    "'infinity'::timestamp_ms",
    "'infinity'::timestamp_ns",
    "['infinity'::date]",
    "{'a': 'infinity'::timestamp}",
    "map {1: '-infinity'::date}",
)
# Arrow has these; Python has not.
BEYOND_PYTHON = ("date '20000-01-01'", "interval '1 month'", "timestamp_ns '2024-01-01 00:00:00.123456789'")
WITHIN = {
    "date '9999-12-31'": dt.date(9999, 12, 31),
    "date '0001-01-01'": dt.date(1, 1, 1),
    "timestamp '9999-12-31 23:59:59.999999'": dt.datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001 - none
    "timestamp_ns '2024-01-01 00:00:00.123456'": dt.datetime(2024, 1, 1, 0, 0, 0, 123456),  # noqa: DTZ001 - none
    "timestamp_s '2024-01-01 00:00:00'": dt.datetime(2024, 1, 1),  # noqa: DTZ001 - none
    "interval '2 days 3 seconds'": dt.timedelta(days=2, seconds=3),
    "interval '-1 microsecond'": -dt.timedelta(microseconds=1),
    "NULL::date": None,
    "[date '9999-12-31', NULL]": [dt.date(9999, 12, 31), None],
}


def test_a_moment_beyond_all_others_is_refused(duckdb_source: DuckdbSource) -> None:
    for item in BEYOND:
        with pytest.raises(StatementFailed, match="cast it to VARCHAR"):
            read(duckdb_source, f"SELECT {item} AS x")
        with (
            pytest.raises(StatementFailed, match="cast it to VARCHAR"),
            duckdb_source.writing(Limits()) as session,
        ):
            session.run(f"SELECT {item} AS x", {})
    with pytest.raises(StatementFailed, match="cast it to VARCHAR"):
        read(duckdb_source, "SELECT time '24:00:00' AS x")


def test_rows_of_a_write_are_those_that_were_asked_for(duckdb_source: DuckdbSource) -> None:
    with duckdb_source.writing(Limits()) as session:
        for item, value in WITHIN.items():
            found, _ = session.run(f"SELECT {item} AS x, 5::hugeint AS n, uuid '{uuid.UUID(int=7)}' AS u", {})
            assert found == [(value, 5, uuid.UUID(int=7))], item
        for item in BEYOND_PYTHON:
            with pytest.raises(StatementFailed, match="cast it to VARCHAR"):
                session.run(f"SELECT {item} AS x", {})


def test_a_row_of_parts_is_handed_over_or_refused(duckdb_source: DuckdbSource) -> None:
    with duckdb_source.writing(Limits()) as session:
        assert session.run("SELECT [1, NULL] AS x, [['a']] AS y", {})[0] == [([1, None], [["a"]])]
        for item in ("{'a': 1}", "map {'a': 1}", "[{'a': 1}]", "genre", "union_value(k := {'a': 1})"):
            with pytest.raises(StatementFailed, match="cast it"):
                session.run(f"SELECT {item} AS x FROM genre LIMIT 1", {})
        assert session.run("SELECT 1 AS x", {})[0] == [(1,)]


def test_a_worker_outlives_a_value_that_nobody_thought_of(duckdb_source: DuckdbSource, chinook_sqlite: Path) -> None:
    sqlite_source = SqliteSource("y", chinook_sqlite)
    try:
        for source in (duckdb_source, sqlite_source):
            with source.writing(Limits()) as session:
                before = source.process_ids
                with pytest.raises(StatementFailed, match="cannot be handed over"):
                    session.ask({"op": "select", "limit_rows": "many", "sql": "SELECT 1", "params": {}, "reads": {}})
                assert session.run("SELECT 1 AS x", {})[0] == [(1,)]
                assert source.process_ids == before
    finally:
        sqlite_source.close()


@pytest.mark.postgres
def test_a_time_with_a_zone_keeps_it(postgres_source: PostgresqlSource) -> None:
    table = read(postgres_source, "SELECT '12:00:00+05'::timetz AS t, ARRAY['12:00:00.5-03:30'::timetz] AS ts")
    assert table.to_pylist() == [{"t": "12:00:00+05", "ts": ["12:00:00.5-03:30"]}]


@pytest.mark.postgres
def test_numbers_that_no_decimal_is_are_refused_with_what_to_write(postgres_source: PostgresqlSource) -> None:
    for item in (
        "'NaN'::numeric",
        "'Infinity'::numeric",
        "'-Infinity'::numeric",
        "'NaN'::numeric(10, 2)",
        "ARRAY['NaN'::numeric]",
        "ARRAY[ARRAY[1, 'NaN'::numeric]]",
        "CASE WHEN g > 40000 THEN 'NaN'::numeric ELSE 1 END",
        "CASE WHEN g > 40000 THEN ARRAY['NaN'::numeric] ELSE ARRAY[1::numeric] END",
        "1e-400",
        "ARRAY[1e-400]",
        "cast(1e-30 AS numeric(60, 50))",
    ):
        with pytest.raises(StatementFailed, match="as double precision"):
            read(postgres_source, f"SELECT {item} AS x FROM generate_series(1, 40001) g")
        assert read(postgres_source, f"SELECT cast({item} AS text) AS x FROM generate_series(1, 2) g").num_rows == 2


@pytest.mark.postgres
def test_a_scale_may_be_negative_or_larger_than_the_precision(postgres_source: PostgresqlSource) -> None:
    asked = "SELECT 'NaN'::numeric::double precision AS n, 1249::numeric(3, -2) AS a, 0.00123::numeric(3, 5) AS b"
    table = read(postgres_source, asked)
    assert math.isnan(table["n"][0].as_py())
    assert table.select(["a", "b"]).to_pylist() == [{"a": Decimal(1200), "b": Decimal("0.00123")}]


class _Odd:
    """A value of a driver's that nobody has seen before."""

    def __str__(self) -> str:
        raise LookupError


class _Cursor:
    """Rows of one column, as a driver hands them over."""

    description = (("x",),)

    def __init__(self, *batches: list[Any]) -> None:
        self._batches = list(batches)

    def fetchmany(self, size: int) -> list[tuple[Any]]:
        found = self._batches.pop(0) if self._batches else []
        return [(value,) for value in found[:size]]


class _Driven:
    """A database that gives these rows."""

    def __init__(self, cursor: _Cursor, declared: pa.DataType | None) -> None:
        self._cursor = cursor
        self._declared = declared
        self.ended = 0

    def execute(self) -> _Cursor:
        return self._cursor

    def declared(self, _: Any) -> list[pa.DataType | None]:
        return [self._declared]

    def later_value(self, index: int) -> None:
        raise AssertionError(index)

    def translate(self, error: Exception) -> Exception:
        return error

    def cancel(self, *, is_polite: bool) -> None:
        raise AssertionError(is_polite)

    def end(self, *, is_cancelled: bool) -> None:
        assert not is_cancelled
        self.ended += 1


@pytest.mark.parametrize(
    "values, declared",
    [([_Odd()], pa.string()), ([b"\xff"], pa.string()), ([{"a": _Odd()}], None), ([object()], pa.int64())],
)
def test_a_value_that_nobody_knows_ends_the_statement_alone(values: list[Any], declared: pa.DataType | None) -> None:
    driven = _Driven(_Cursor(values), declared)
    stream = CursorStream(driven)
    with pytest.raises(StatementFailed, match="cast") as raised:
        stream.start()
    assert raised.value.__cause__ is not None
    assert driven.ended == 1


def test_a_schema_that_cannot_be_made_ends_the_statement_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "schema_of", lambda *_: {}["x"])
    driven = _Driven(_Cursor([1]), None)
    with pytest.raises(StatementFailed, match="cast them to text"):
        CursorStream(driven).start()
    assert driven.ended == 1
