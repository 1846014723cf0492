"""A source over MariaDB that is told which way to read: by columns, or row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest

from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources import mariadb_batches
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.mariadb_packets import Packets
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sources.stream import CursorStream
from gatebook_hub.sql import Plan


def plan_of(sql: str) -> Plan:
    return Plan(engine=Engine.MARIADB, sql=sql, parameters=frozenset(), reads={})


def begin(source: MariadbSource, sql: str, values: Mapping[str, Any] | None = None, **limits: Any) -> ReadStream:
    return source.read(plan_of(sql), values or {}, Limits(**limits))


def drained(stream: ReadStream) -> pa.Table:
    try:
        return pa.Table.from_batches(list(stream), schema=stream.schema)
    finally:
        stream.close()


@contextmanager
def by_columns_beyond(few_rows: int) -> Iterator[list[bool]]:
    """Read each batch that has more rows by columns; for each of these it is told whether it was."""
    told: list[bool] = []
    columns_of = mariadb_batches.columns_of

    def watched(packets: Packets, types: Sequence[pa.DataType]) -> list[pa.Array] | None:
        found = columns_of(packets, types)
        told.append(found is not None)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mariadb_batches, "_FEW_ROWS", few_rows)
        patch.setattr(mariadb_batches, "columns_of", watched)
        yield told


def by_columns(source: MariadbSource, sql: str, values: Mapping[str, Any] | None = None, **limits: Any) -> pa.Table:
    """An answer that is read by columns, all of it."""
    with by_columns_beyond(0) as told:
        stream = begin(source, sql, values, **limits)
        assert type(stream._batches._batches) is mariadb_batches.PacketBatches, sql  # type: ignore[attr-defined]
        found = drained(stream)
    assert all(told), sql
    assert bool(told) is bool(found.num_rows)
    return found


def by_rows(source: MariadbSource, sql: str, values: Mapping[str, Any] | None = None, **limits: Any) -> pa.Table:
    """The same answer, as the driver reads it."""
    connections = source._begin(Limits(**limits), "READ ONLY")
    stream = CursorStream(source._reading(*connections, plan_of(sql), values or {}))
    stream.start()
    return drained(stream)


def check_same(source: MariadbSource, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
    """By columns the very same as row by row: names, types, values, order."""
    expected, found = by_rows(source, sql, values), by_columns(source, sql, values)
    assert found.schema.equals(expected.schema, check_metadata=True), (sql, found.schema, expected.schema)
    found.validate(full=True)
    # As text, for -0.0 is 0.0.
    assert [repr(column.to_pylist()) for column in found] == [repr(column.to_pylist()) for column in expected], sql
    return found
