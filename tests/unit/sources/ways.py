"""A source over PostgreSQL that is told which way to read: at once, row by row, or copied as Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.arrow_batches import ArrowBatches
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.rows import RowBatches
from gatebook_hub.sources.sizes import Size
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sql import Plan


def plan_of(sql: str) -> Plan:
    return Plan(engine=Engine.POSTGRESQL, sql=sql, parameters=frozenset(), reads={})


def begin(source: PostgresqlSource, sql: str, values: Mapping[str, Any] | None = None, **limits: Any) -> ReadStream:
    """A read that is begun as a large one."""
    source.sizes.tell(sql, Size.LARGE)
    return source.read(plan_of(sql), values or {}, Limits(**limits))


def way(stream: ReadStream) -> type:
    """What gave the batches of a stream that was begun."""
    kind = type(stream._batches._batches)  # type: ignore[attr-defined]
    assert kind in {ArrowBatches, RowBatches}
    return kind


def drained(stream: ReadStream) -> pa.Table:
    try:
        return pa.Table.from_batches(list(stream), schema=stream.schema)
    finally:
        stream.close()


def copied(source: PostgresqlSource, sql: str, values: Mapping[str, Any] | None = None, **limits: Any) -> pa.Table:
    """An answer that is read as a large one, and is copied indeed."""
    stream = begin(source, sql, values, **limits)
    assert way(stream) is ArrowBatches, sql
    return drained(stream)


def by_rows(source: PostgresqlSource, sql: str, values: Mapping[str, Any] | None = None, **limits: Any) -> pa.Table:
    """The same answer, row by row."""
    source.sizes.tell(sql, Size.UNSUITED)
    stream = source.read(plan_of(sql), values or {}, Limits(**limits))
    assert way(stream) is RowBatches, sql
    return drained(stream)


def at_once(source: PostgresqlSource, sql: str, values: Mapping[str, Any] | None = None, **limits: Any) -> pa.Table:
    """The same answer in one round trip, or row by row where it is too large for that."""
    source.sizes.tell(sql, Size.SMALL)
    stream = source.read(plan_of(sql), values or {}, Limits(**limits))
    assert way(stream) is RowBatches, sql
    return drained(stream)


def check_same(source: PostgresqlSource, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
    """Copied, and the very same as row by row or at once: names, types, values, order."""
    expected, found = by_rows(source, sql, values), copied(source, sql, values)
    for other in (found, at_once(source, sql, values)):
        assert other.schema.equals(expected.schema, check_metadata=True), (sql, other.schema, expected.schema)
        # As text, for NaN is not itself, and -0.0 is 0.0.
        assert [repr(column.to_pylist()) for column in other] == [repr(column.to_pylist()) for column in expected], sql
    return found
