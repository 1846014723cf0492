"""How is a DB-API cursor read as a stream of batches that can be closed at any moment?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from gatebook_hub.sources.arrow import BATCH_BYTES, BATCH_ROWS, batch_of, schema_of

_FEWEST_ROWS = 64
_MOST_ROWS = 4_096


class CursorStream:
    """A ReadStream over a cursor. `translate` turns the driver's errors into ours, `end` frees the connection."""

    def __init__(
        self,
        cursor: Any,
        *,
        declared: Callable[[Any], Sequence[pa.DataType | None]],
        translate: Callable[[Exception], Exception],
        end: Callable[[], None],
    ) -> None:
        self._cursor = cursor
        self._translate = translate
        self._end = end
        self._is_closed = False
        self._step = _FEWEST_ROWS
        self._first = self._fetch()
        names = [str(item[0]) for item in cursor.description]
        self.schema = schema_of(names, declared(cursor), self._first)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Fetch on and on, a batch at a time."""
        rows, self._first = self._first, []
        while rows:
            yield batch_of(self.schema, rows)
            rows = self._fetch()

    def close(self) -> None:
        """Free the database; safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            self._end()

    def _fetch(self) -> list[tuple[Any, ...]]:
        """The rows of a batch, in steps that shrink where rows are large: a row may hold a thousand megabytes."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        try:
            while len(rows) < BATCH_ROWS and size < BATCH_BYTES:
                step = min(self._step, BATCH_ROWS - len(rows))
                found = self._cursor.fetchmany(step)
                rows.extend(found)
                taken = sum(_size(row) for row in found)
                size += taken
                self._step = min(_MOST_ROWS, self._step * 4) if taken < BATCH_BYTES // 16 else _FEWEST_ROWS
                if len(found) < step:
                    break
        except Exception as error:
            self.close()
            raise self._translate(error) from error
        return rows


def _size(row: Sequence[Any]) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
