"""How do copied Arrow batches become those of an answer? Each column as it should be, in pieces of bounded size."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from gatebook_hub.sources.arrow import BATCH_BYTES, BATCH_ROWS
from gatebook_hub.sources.arrow_columns import Column, inferred, rebuilt


class Reader(Protocol):
    """What the driver copies."""

    schema: pa.Schema

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; raises StopIteration."""


class ArrowBatches:
    """The batches of a copy."""

    def __init__(self, reader: Reader, columns: Sequence[Column]) -> None:
        self._reader = reader
        self._columns = columns
        self._pieces: deque[pa.RecordBatch] = deque()
        self._is_begun = False
        self.is_exhausted = False
        self.schema = pa.schema([])

    def next(self) -> pa.RecordBatch | None:
        """The next piece; raises what the driver raises, StatementFailed where values do not fit."""
        while not self._pieces and not self.is_exhausted:
            arrived = self._read() if self._is_begun else self._begin()
            if arrived is not None:
                self._pieces.extend(_in_pieces(self._rebuilt(arrived)))
        return self._pieces.popleft() if self._pieces else None

    def _begin(self) -> pa.RecordBatch | None:
        """The first rows, which tell the types that are not declared: as many of them as the other driver looks at."""
        self._is_begun = True
        first = self._read()
        if any(column.type is None for column in self._columns):
            found, rows, size = [first], first.num_rows if first else 0, first.nbytes if first else 0
            while not self.is_exhausted and rows < BATCH_ROWS and size < BATCH_BYTES:
                more = self._read()
                if more is not None:
                    found.append(more)
                    rows, size = rows + more.num_rows, size + more.nbytes
            batches = [batch for batch in found if batch is not None]
            first = pa.concat_batches(batches) if batches else None
        fields = []
        for index, column in enumerate(self._columns):
            kind = column.type
            if kind is None:
                arrived = None if first is None else first.column(index).slice(0, BATCH_ROWS)
                kind = pa.string() if arrived is None else inferred(column.name, arrived)
            fields.append(pa.field(column.name, kind))
        self.schema = pa.schema(fields)
        return first

    def _read(self) -> pa.RecordBatch | None:
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self.is_exhausted = True
            return None

    def _rebuilt(self, arrived: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [
            rebuilt(column, array, kind)
            for column, array, kind in zip(self._columns, arrived.columns, self.schema.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def fits(reader: Reader, columns: Sequence[Column]) -> bool:
    """Whether what arrives is what was asked for."""
    return list(reader.schema.types) == [column.travels_as for column in columns]


def _in_pieces(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """As few pieces of about the same size as there can be."""
    count = -(-batch.num_rows // BATCH_ROWS)
    step = -(-batch.num_rows // count) if count else 0
    return [batch.slice(start, step) for start in range(0, batch.num_rows, step)] if count else []
