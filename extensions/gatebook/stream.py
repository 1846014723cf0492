"""Is this answer whole? Rows arrive as Arrow IPC, one batch at a time, and only the outcome ends them.

The last batch is empty and carries `gatebook.outcome` in its custom metadata, or `gatebook.problem` if the statement
failed on the way. A stream that ends otherwise raises `StreamCut`, so that a cut connection never looks like a short
table.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Self

import pyarrow as pa
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from gatebook.errors import StreamCut, error_of
from gatebook.model import Outcome

OUTCOME_KEY = b"gatebook.outcome"
PROBLEM_KEY = b"gatebook.problem"
_SMALL_BYTES = 262_144


class Batches(Iterator[pa.RecordBatch]):
    """Record batches as they arrive; holds one at a time.

    `schema` is known at once, `outcome` after the last batch. Closing early (`close`, leaving the `with` block, an
    interrupt) hangs up, on which the gateway cancels the statement in the database.
    """

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response
        self._rows = 0
        self._is_closed = False
        self.outcome: Outcome | None = None
        try:
            self._reader = pa.ipc.open_stream(_body(response))
        except (pa.ArrowException, OSError) as error:
            response.close()
            message = "the answer was cut off before its first row"
            raise StreamCut(message) from error
        except BaseException:
            response.close()
            raise

    @property
    def schema(self) -> pa.Schema:
        """The columns' names and types."""
        return self._reader.schema

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        if self.outcome is not None or self._is_closed:
            raise StopIteration
        try:
            batch = self._next_batch()
        except BaseException:
            # Whatever happened (an interrupt too): hang up, so that the gateway stops the statement.
            self.close()
            raise
        if batch is None:
            raise StopIteration
        return batch

    def _next_batch(self) -> pa.RecordBatch | None:
        """The next batch with rows, or None after the outcome."""
        while True:
            batch, metadata = self._read()
            if metadata is not None and PROBLEM_KEY in metadata:
                raise error_of(json.loads(metadata[PROBLEM_KEY]))
            if metadata is not None and OUTCOME_KEY in metadata:
                self._finish(Outcome.from_json(json.loads(metadata[OUTCOME_KEY])))
                return None
            self._rows += batch.num_rows
            if batch.num_rows:
                return batch

    def _read(self) -> tuple[pa.RecordBatch, pa.KeyValueMetadata | None]:
        try:
            read = self._reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            raise self._cut() from None
        except (pa.ArrowException, OSError, EOFError) as error:
            raise self._cut() from error
        return read.batch, read.custom_metadata

    def _finish(self, outcome: Outcome) -> None:
        if outcome.rows != self._rows:
            raise self._cut()
        try:
            self._reader.read_next_batch()
        except StopIteration:
            pass
        except (pa.ArrowException, OSError) as error:
            raise self._cut() from error
        else:
            raise self._cut()
        self.outcome = outcome
        self._reader.close()
        # Nothing may follow; reading to the end gives the connection back to the pool.
        if self._response.read(1):
            self._response.close()
        self._response.release_conn()

    def _cut(self) -> StreamCut:
        message = f"the answer was cut off after {self._rows:,} rows, so it is not the whole result"
        return StreamCut(message, ask="run the statement again")

    def close(self) -> None:
        """Hang up; harmless after the end."""
        self._is_closed = True
        if self.outcome is None:
            self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _body(response: BaseHTTPResponse) -> pa.Buffer | _Body:
    """A small body at once, another as it arrives; raises OSError where a small one is shorter than it said."""
    length = response.length_remaining
    body = _Body(response)
    return pa.py_buffer(body.read(length)) if length is not None and length <= _SMALL_BYTES else body


class _Body(io.RawIOBase):
    """An HTTP body as pyarrow reads files; a broken connection becomes an `OSError` like any other cut."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._response.read(size if size >= 0 else None)
        except HTTPError as error:
            message = "the connection broke"
            raise OSError(message) from error
