"""How does a DB-API cursor become batches?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from gatebook_hub.errors import GatebookError, StatementFailed
from gatebook_hub.sources.arrow import BATCH_BYTES, BATCH_ROWS, GOOD_BYTES, batch_of, schema_of

_FIRST_ROWS = 16
_MOST_ROWS = 4_096
_Rows = list[tuple[Any, ...]]


class Typed(Protocol):
    """Who knows more of a cursor's columns than their values tell?"""

    def declared(self, cursor: Any) -> Sequence[pa.DataType | None]:
        """The types that the engine itself names."""

    def later_value(self, index: int) -> Any:
        """A value of a column without a type, whose first rows are NULL; None where nobody knows one."""


class RowBatches:
    """Rows of a cursor."""

    def __init__(self, cursor: Any, typed: Typed) -> None:
        self._cursor = cursor
        self._typed = typed
        self._guessed: frozenset[int] = frozenset()
        self._step = _FIRST_ROWS
        self._is_begun = False
        self.schema = pa.schema([])

    def next(self) -> pa.RecordBatch | None:
        """Fetch a batch; raises StatementFailed where values do not fit the type of their column."""
        found = self._later() if self._is_begun else self._first()
        return pa.concat_batches(found) if len(found) > 1 else found[0] if found else None

    def _first(self) -> list[pa.RecordBatch]:
        """The rows that tell the types which the engine does not: as many of them as a batch has, fewer large ones."""
        declared = handed_over(lambda: self._typed.declared(self._cursor))
        self._guessed = frozenset(index for index, kind in enumerate(declared) if kind is None)
        rows: _Rows = []
        size = 0
        for fetched in self._fetched(BATCH_ROWS if self._guessed else _MOST_ROWS):
            rows.extend(fetched)
            taken = sum(map(_size, fetched))
            size += taken
            self._adapt(taken)
            if size >= BATCH_BYTES:
                break
        self._is_begun = True
        self.schema = handed_over(lambda: self._schema(declared, rows))
        return [self._batch(rows)] if rows else []

    def _schema(self, declared: Sequence[pa.DataType | None], rows: _Rows) -> pa.Schema:
        names = [str(item[0]) for item in self._cursor.description]
        shown = rows
        if len(rows) == BATCH_ROWS:  # there may be more, with values where these have none
            empty = {index for index in self._guessed if all(row[index] is None for row in rows)}
            later = [self._typed.later_value(index) if index in empty else None for index in range(len(names))]
            shown = [*rows, tuple(later)]
        return schema_of(names, declared, shown)

    def _later(self) -> list[pa.RecordBatch]:
        batches = []
        size = 0
        for rows in self._fetched(BATCH_ROWS):
            batch = self._batch(rows)
            batches.append(batch)
            size += batch.nbytes
            self._adapt(batch.nbytes)
            if size >= GOOD_BYTES:
                break
        return batches

    def _batch(self, rows: _Rows) -> pa.RecordBatch:
        return handed_over(lambda: batch_of(self.schema, rows, self._guessed))

    def _fetched(self, most: int) -> Iterator[_Rows]:
        """Up to that many rows, in steps."""
        while most > 0:
            step = min(self._step, most)
            found = self._cursor.fetchmany(step)
            if found:
                yield found
            if len(found) < step:
                return
            most -= step

    def _adapt(self, taken: int) -> None:
        """Steps shrink where rows are large: a row may hold a thousand megabytes."""
        small = taken < BATCH_BYTES // 16
        self._step = min(_MOST_ROWS, self._step * 4) if small else max(1, self._step // 8)


def handed_over(make: Callable[[], Any]) -> Any:
    """What is made of values, which come in more kinds than anybody has seen; raises StatementFailed."""
    try:
        return make()
    except (GatebookError, MemoryError):
        raise
    except Exception as error:
        raise StatementFailed("the answer has values that cannot be handed over; cast them to text") from error


def _size(row: Sequence[Any]) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
