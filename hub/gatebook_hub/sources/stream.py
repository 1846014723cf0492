"""How is a DB-API cursor read as a stream of batches that can be closed at any moment?"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from gatebook_hub.errors import GatebookError, StatementFailed
from gatebook_hub.sources.arrow import BATCH_BYTES, BATCH_ROWS, batch_of, schema_of

T = TypeVar("T")
_FIRST_ROWS = 16
_MOST_ROWS = 4_096
_CANCEL_AGAIN_S = 0.25
_POLITE_ATTEMPTS = 12


class Driven(Protocol):
    """What a stream needs of its database. All but `cancel` are called by one thread at a time."""

    def execute(self) -> Any:
        """Run the statement and return its cursor."""

    def declared(self, cursor: Any) -> Sequence[pa.DataType | None]:
        """The types that the engine itself names."""

    def translate(self, error: Exception) -> Exception:
        """The driver's error as ours."""

    def cancel(self, *, is_polite: bool) -> None:
        """Stop what runs, from another thread: by the engine's own means, or else by cutting the connection."""

    def end(self, *, is_cancelled: bool) -> None:
        """Free the connection; a cancelled one serves nobody else."""


class CursorStream:
    """A ReadStream over a cursor. Every call of the driver holds a lock, so that `close` knows when it has returned."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven
        self._calling = threading.Lock()
        self._closing = threading.Lock()
        self._is_closed = False
        self._is_ended = False
        self._step = _FIRST_ROWS
        self._cursor: Any = None
        self._first: list[tuple[Any, ...]] = []
        self.schema = pa.schema([])

    def start(self) -> None:
        """Execute, and wait for the first rows."""
        self._cursor = self._call(self._driven.execute)
        self._first = self._call(self._fetch)
        self.schema = self._made(self._schema_of_first)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Fetch on and on, a batch at a time."""
        rows, self._first = self._first, []
        while rows:
            yield self._made(partial(batch_of, self.schema, rows))
            rows = self._call(self._fetch)

    def close(self) -> None:
        """Free the database; safe to call twice and from another thread."""
        with self._closing:
            if self._is_ended:
                return
            self._is_closed = True
            attempts = 0
            while not self._calling.acquire(timeout=_CANCEL_AGAIN_S if attempts else 0):
                self._driven.cancel(is_polite=attempts < _POLITE_ATTEMPTS)
                attempts += 1
            try:
                self._is_ended = True
                self._driven.end(is_cancelled=attempts > 0)
            finally:
                self._calling.release()

    def _call(self, function: Callable[[], Any]) -> Any:
        try:
            with self._calling:
                self._check_open()
                return function()
        except BaseException as error:
            self.close()
            if isinstance(error, GatebookError) or not isinstance(error, Exception):
                raise
            raise self._driven.translate(error) from error

    def _made(self, make: Callable[[], T]) -> T:
        """What is made of rows. Values come in more kinds than anybody has seen: whichever fails, it is told as one."""
        try:
            return make()
        except BaseException as error:
            self.close()
            if isinstance(error, GatebookError | MemoryError) or not isinstance(error, Exception):
                raise
            raise StatementFailed("the answer has values that cannot be handed over; cast them to text") from error

    def _schema_of_first(self) -> pa.Schema:
        names = [str(item[0]) for item in self._cursor.description]
        return schema_of(names, self._driven.declared(self._cursor), self._first)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StatementFailed("the statement was cancelled")

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


def cut(descriptor: int) -> None:
    """Shut a connection's socket down, so that whoever waits on it returns."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def _size(row: Sequence[Any]) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
