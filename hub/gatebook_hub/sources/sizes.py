"""Was the answer to this text large? What is remembered of each text that was sent: a hint, and no more."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum

import pyarrow as pa

from gatebook_hub.sources.stream import Batches

LARGE_ROWS = 1_000
# What is fetched at once is held at once, and a row may be large.
SMALL_ROWS = 32
_SMALL_BYTES = 100_000
_MOST_TEXTS = 10_000


class Size(StrEnum):
    """What a text is known for."""

    SMALL = "small"
    MIDDLING = "middling"
    LARGE = "large"
    UNSUITED = "unsuited"


class Sizes:
    """What is known of the texts that were sent last; any thread may ask and tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By hash, for texts may be long; where two have the same one, a hint is wrong, and that is all.
        self._known: OrderedDict[int, Size] = OrderedDict()
        # Called when a text is found to have a large answer.
        self.met_large: Callable[[], None] = lambda: None

    def get(self, sql: str) -> Size | None:
        """What a text is known for."""
        with self._lock:
            size = self._known.get(hash(sql))
            if size is not None:
                self._known.move_to_end(hash(sql))
            return size

    def tell(self, sql: str, size: Size) -> None:
        """Remember it; the text that was not asked about for longest is forgotten."""
        with self._lock:
            self._known[hash(sql)] = size
            self._known.move_to_end(hash(sql))
            if len(self._known) > _MOST_TEXTS:
                self._known.popitem(last=False)
        if size is Size.LARGE:
            self.met_large()


class CountedBatches:
    """Batches whose rows are counted: whether there were many is told as soon as it is known."""

    def __init__(self, batches: Batches, tell: Callable[[Size], None]) -> None:
        self._batches = batches
        self._tell = tell
        self._rows = 0
        self._bytes = 0

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._batches.schema

    def next(self) -> pa.RecordBatch | None:
        """The next batch."""
        batch = self._batches.next()
        if batch is not None:
            before, self._rows = self._rows, self._rows + batch.num_rows
            self._bytes += batch.nbytes
            if before < LARGE_ROWS <= self._rows:
                self._tell(Size.LARGE)
        elif self._rows < LARGE_ROWS:
            is_small = self._rows < SMALL_ROWS and self._bytes < _SMALL_BYTES
            self._tell(Size.SMALL if is_small else Size.MIDDLING)
        return batch
