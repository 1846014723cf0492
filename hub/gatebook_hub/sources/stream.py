"""How is a DB-API cursor read as a stream of batches that can be closed at any moment?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from gatebook_hub.sources.arrow import BATCH_ROWS, batch_of, schema_of


class CursorStream:
    """A ReadStream over a cursor. `translate` turns the driver's errors into ours, `end` frees the connection."""

    def __init__(
        self,
        cursor: Any,  # noqa: ANN401 - a DB-API cursor
        *,
        declared: Callable[[Any], Sequence[pa.DataType | None]],
        translate: Callable[[Exception], Exception],
        end: Callable[[], None],
    ) -> None:
        self._cursor = cursor
        self._translate = translate
        self._end = end
        self._is_closed = False
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
        try:
            return list(self._cursor.fetchmany(BATCH_ROWS))
        except Exception as error:
            self.close()
            raise self._translate(error) from error
