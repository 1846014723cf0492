"""How does an answer of DuckDB become batches? In Arrow straight from the engine, with its own types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as pa

from gatebook_hub.errors import StatementFailed
from gatebook_hub.sources.arrow import BATCH_ROWS
from gatebook_hub.sources.worker.duckdb_values import check_finite, is_bent, values_of

_VECTOR_ROWS = 2_048
_GOOD_BYTES = 1_000_000
# DuckDB hands these over in a form that loses something, or that nobody outside of it can read.
_REFUSED = ("UHUGEINT", "TIME WITH TIME ZONE", "BIT", "BIGNUM", "VARINT", "UNION", "VARIANT", "LAMBDA")


class DuckdbBatches:
    """A read under way on a cursor; iterate once."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, translate: Callable[[Exception], Exception], end: Callable[[], None]
    ) -> None:
        self._translate = translate
        self._end = end
        self._is_closed = False
        for name, kind, *_ in cursor.description or ():
            _check(str(name), str(kind))
        self._reader = cursor.to_arrow_reader(_VECTOR_ROWS)
        found: pa.Schema = self._reader.schema
        self.schema = pa.schema([pa.field(item.name, _plain(item.type)) for item in found])
        self._is_plain = found.equals(self.schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Vectors of the engine, put together to a size that travels well."""
        waiting: list[pa.RecordBatch] = []
        rows = size = 0
        while (batch := self._next()) is not None:
            waiting.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if rows + _VECTOR_ROWS > BATCH_ROWS or size >= _GOOD_BYTES:
                yield _one(waiting)
                waiting, rows, size = [], 0, 0
        if rows:
            yield _one(waiting)

    def close(self) -> None:
        """Free the cursor."""
        if not self._is_closed:
            self._is_closed = True
            self._reader.close()
            self._end()

    def _next(self) -> pa.RecordBatch | None:
        try:
            batch = self._reader.read_next_batch()
            return batch if self._is_plain else batch.cast(self.schema)
        except StopIteration:
            return None
        except (pa.ArrowException, duckdb.Error, OSError, ValueError) as error:
            raise self._translate(_cause(error)) from error


def rows_of(cursor: duckdb.DuckDBPyConnection, limit: int | None) -> list[tuple[Any, ...]]:
    """Rows as Python values, `limit` of them at most; raises StatementFailed for a value that Python has not."""
    kinds = [str(item[1]) for item in cursor.description or ()]
    if not any(map(is_bent, kinds)):
        rows: list[tuple[Any, ...]] = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
        return rows
    found: list[tuple[Any, ...]] = []
    for batch in DuckdbBatches(cursor, lambda error: error, lambda: None):
        named = zip(batch.schema.names, batch.columns, kinds, strict=True)
        columns = [values_of(name, column, kind) for name, column, kind in named]
        found.extend(zip(*columns, strict=True))
        if limit is not None and len(found) >= limit:
            break
    return found[:limit]


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Raises StatementFailed for a value that does not travel."""
    found = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
    for name, column in zip(found.schema.names, found.columns, strict=True):
        check_finite(name, column)
    return found


def _cause(error: Exception) -> Exception:
    """Arrow wraps what DuckDB raises while a batch is made; the text still says what it was."""
    text = str(error)
    if isinstance(error, duckdb.Error):
        return error
    if "Interrupted" in text or "INTERRUPT" in text:
        return duckdb.InterruptException("interrupted")
    if "Out of Memory" in text:
        return duckdb.OutOfMemoryException("out of memory")
    return duckdb.Error("a batch could not be made")


def _check(name: str, kind: str) -> None:
    words = " ".join(re.split(r"[^A-Z0-9_]+", kind.upper()))
    for refused in _REFUSED:
        if f" {refused} " in f" {words} ":
            detail = f"the column `{name}` is a {refused}, which does not travel without loss; cast it to VARCHAR"
            raise StatementFailed(detail)


def _plain(kind: Any) -> Any:
    """The type without dictionaries: an ENUM travels as its words."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(pa.field(kind.value_field.name, _plain(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(pa.field(kind.value_field.name, _plain(kind.value_type)), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(item.name, _plain(item.type)) for item in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    return kind
