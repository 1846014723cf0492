"""How does a DB-API cursor become batches?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from gatebook_hub.errors import GatebookError, StatementFailed
from gatebook_hub.sources.arrow import BATCH_BYTES, BATCH_ROWS, batch_of, schema_of

_FIRST_ROWS = 16
_MOST_ROWS = 4_096
Declaring = Callable[[Any], Sequence[pa.DataType | None]]


class RowBatches:
    """Rows of a cursor, which `declaring` tells the types that the engine itself names."""

    def __init__(self, cursor: Any, declaring: Declaring) -> None:
        self._cursor = cursor
        self._declaring = declaring
        self._step = _FIRST_ROWS
        self._is_begun = False
        self.schema = pa.schema([])

    def next(self) -> pa.RecordBatch | None:
        """Fetch a batch; raises StatementFailed where values do not fit the type of their column."""
        rows = self._fetch()
        try:
            return self._made_of(rows)
        except (GatebookError, MemoryError):
            raise
        except Exception as error:  # values come in more kinds than anybody has seen
            raise StatementFailed("the answer has values that cannot be handed over; cast them to text") from error

    def _made_of(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch | None:
        if not self._is_begun:
            self._is_begun = True
            names = [str(item[0]) for item in self._cursor.description]
            self.schema = schema_of(names, self._declaring(self._cursor), rows)
        return batch_of(self.schema, rows) if rows else None

    def _fetch(self) -> list[tuple[Any, ...]]:
        """The rows of a batch, in steps that shrink where rows are large: a row may hold a thousand megabytes."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        while len(rows) < BATCH_ROWS and size < BATCH_BYTES:
            step = min(self._step, BATCH_ROWS - len(rows))
            found = self._cursor.fetchmany(step)
            rows.extend(found)
            taken = sum(_size(row) for row in found)
            size += taken
            self._step = min(_MOST_ROWS, self._step * 4) if taken < BATCH_BYTES // 16 else max(1, self._step // 8)
            if len(found) < step:
                break
        return rows


def _size(row: Sequence[Any]) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
