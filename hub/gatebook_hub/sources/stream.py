"""How is what a driver gives read as a stream of batches that can be closed at any moment?"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from gatebook_hub.errors import GatebookError, StatementFailed
from gatebook_hub.sources.rows import RowBatches, Typed

_Result = TypeVar("_Result")
_CANCEL_AGAIN_S = 0.25
_POLITE_ATTEMPTS = 12


class Batches(Protocol):
    """What a statement answers, batch by batch."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns; known when `next` has returned once."""

    def next(self) -> pa.RecordBatch | None:
        """The next batch, or none at the end."""


class Stopped(Protocol):
    """How a stream stops and frees its database. All but `cancel` are called by one thread at a time."""

    def translate(self, error: Exception) -> Exception:
        """The driver's error as ours."""

    def cancel(self, *, is_polite: bool) -> None:
        """Stop what runs, from another thread: by the engine's own means, or else by cutting the connection."""

    def end(self, *, is_cancelled: bool) -> None:
        """Free the connection; a cancelled one serves nobody else."""


class Driven(Stopped, Typed, Protocol):
    """What a stream of rows needs of its database."""

    def execute(self) -> Any:
        """Run the statement and return its cursor."""


class BatchStream:
    """A ReadStream over a driver. Every call of it holds a lock, so that `close` knows when it has returned."""

    def __init__(self, driven: Stopped, execute: Callable[[], Batches]) -> None:
        self._driven = driven
        self._execute = execute
        self._calling = threading.Lock()
        self._closing = threading.Lock()
        self._is_closed = False
        self._is_ended = False
        self._batches: Batches | None = None
        self._first: pa.RecordBatch | None = None
        self.schema = pa.schema([])

    def start(self) -> None:
        """Execute, and wait for the first rows."""
        batches = self._batches = self._call(self._execute)
        self._first = self._call(batches.next)
        self.schema = batches.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Fetch on and on, a batch at a time."""
        batch, self._first = self._first, None
        while batch is not None and self._batches is not None:
            yield batch
            batch = None  # not held while the next one is made
            batch = self._call(self._batches.next)

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

    def _call(self, function: Callable[[], _Result]) -> _Result:
        try:
            with self._calling:
                self._check_open()
                return function()
        except BaseException as error:
            was_closed = self._is_closed
            self.close()
            if not isinstance(error, Exception):
                raise
            if was_closed:
                raise StatementFailed("the statement was cancelled") from error
            if isinstance(error, GatebookError):
                raise
            raise self._driven.translate(error) from error

    def _check_open(self) -> None:
        if self._is_closed:
            raise StatementFailed("the statement was cancelled")


class CursorStream(BatchStream):
    """A ReadStream over a cursor."""

    def __init__(self, driven: Driven) -> None:
        super().__init__(driven, lambda: RowBatches(driven.execute(), driven))


def cut(descriptor: int) -> None:
    """Shut a connection's socket down, so that whoever waits on it returns."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
