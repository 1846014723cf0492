"""How is one statement sent, and how are its rows fetched?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from gatebook.changes import Change
from gatebook.dbapi.errors import (
    ChangeRequested,
    DataError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    translated,
)
from gatebook.dbapi.types import Column, described
from gatebook.model import Outcome
from gatebook.stream import Batches
from gatebook.values import encode_parameters

if TYPE_CHECKING:
    import pyarrow as pa

    from gatebook.dbapi.connection import Connection

Row = tuple[Any, ...]
# What goes in one call of `executemany`: the relay takes a megabyte.
_MOST_SETS = 5_000
_MOST_CHARACTERS = 400_000
# An answer this small is most likely at its end: looking for it gives the connection back at once.
_SMALL_ROWS = 4_096
_SMALL_BYTES = 1_000_000  # a batch of wide rows has few of them, however many are to come


class Cursor:
    """Statements one after the other, and the rows of the last one. Not to be shared between threads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.description: tuple[Column, ...] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.outcome: Outcome | None = None
        self._is_closed = False
        self._is_cut = False  # the rows that are here are not all, and none will follow
        self._stream: Batches | None = None
        self._schema: pa.Schema | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._rows: list[Row] = []
        self._place = 0

    @translated
    def execute(self, operation: str, parameters: Mapping[str, Any] | None = None) -> Self:
        """Run one statement; parameters are `:name`.

        Raises ChangeRequested for a write that waits for review now, ApprovalRequired for one inside of a transaction.
        """
        self._begin()
        answer = self.connection.send(operation, {"params": encode_parameters(_named(parameters))})
        self._take(answer)
        return self

    @translated
    def executemany(self, operation: str, seq_of_parameters: Sequence[Mapping[str, Any]]) -> Self:
        """Run one write for each of the parameters, all or none; as many as fit into a call may be one request."""
        self._begin()
        sets = [encode_parameters(_named(one)) for one in seq_of_parameters]
        chunks = list(calls_of(sets))
        if len(chunks) == 1:
            self._take(self.connection.send(operation, {"params": sets[0]} if len(sets) == 1 else {"many": sets}))
            return self
        changed = 0
        with self.connection.together():
            for chunk in chunks:
                self._take(self.connection.send(operation, {"many": chunk}))
                changed += max(self.rowcount, 0)
        self.rowcount = changed
        return self

    @translated
    def fetchone(self) -> Row | None:
        """The next row, or None."""
        self._check_rows()
        if self._place >= len(self._rows):
            self._have(1)
            if self._place >= len(self._rows):
                return None
        self._place += 1
        return self._rows[self._place - 1]

    @translated
    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next rows, `arraysize` of them or as many as are asked for."""
        self._check_rows()
        wanted = self.arraysize if size is None else size
        self._have(wanted)
        found = self._rows[self._place : self._place + wanted]
        self._place += len(found)
        return found

    @translated
    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        self._check_rows()
        self._have(None)
        found = self._rows[self._place :]
        self._place = len(self._rows)
        return found

    @translated
    def fetch_arrow_table(self) -> pa.Table:
        """All rows that are left, as an Arrow table."""
        return self.fetch_record_batch().read_all()

    @translated
    def fetch_record_batch(self) -> pa.RecordBatchReader:
        """The rows that are left, as a reader of Arrow batches in bounded memory."""
        import pyarrow as pa

        self._check_rows()
        if self._place < len(self._rows):
            message = "some rows were fetched as tuples already; execute the statement again"
            raise InterfaceError(message)
        if self._schema is None:
            message = "what a write returns has no Arrow types; fetch its rows"
            raise InterfaceError(message)
        return pa.RecordBatchReader.from_batches(self._schema, self._batches())

    def cancel(self) -> None:
        """Leave the rows that are still to come; the gateway stops the statement in the database."""
        self._is_cut = self._is_cut or self._stream is not None
        self._hang_up()

    def close(self) -> None:
        """Nothing more through this cursor."""
        self._hang_up()
        self._is_closed = True

    def setinputsizes(self, sizes: object) -> None:
        """Do nothing, which PEP 249 allows."""

    def setoutputsize(self, size: object, column: int | None = None) -> None:
        """Do nothing, which PEP 249 allows."""

    def nextset(self) -> None:
        """There is never another result: one call is one statement."""

    def __iter__(self) -> Iterator[Row]:
        while (row := self.fetchone()) is not None:
            yield row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        if self._is_closed:
            message = "the cursor is closed"
            raise InterfaceError(message)
        self._hang_up()
        self._forget()

    def _forget(self) -> None:
        self.description, self.rowcount, self.lastrowid, self.outcome = None, -1, None, None
        self._stream, self._schema = None, None
        self._waiting, self._rows, self._place = [], [], 0
        self._is_cut = False

    def _take(self, answer: Batches | Change | Outcome) -> None:
        match answer:
            case Change():
                raise ChangeRequested(answer)
            case Outcome():
                self.outcome = answer
                self.rowcount = -1 if answer.rows_changed is None else answer.rows_changed
                self.lastrowid = answer.last_id
                if answer.returned is not None:
                    names = answer.returned.columns
                    self.description = tuple((name, None, None, None, None, None, None) for name in names)
                    self._rows.extend(answer.returned.rows)
            case _:
                self._stream, self._schema = answer, answer.schema
                self.description = described(answer.schema)
                self._look_ahead()

    def _look_ahead(self) -> None:
        """Have the first rows here; inside of a transaction all of them, since the next statement waits for that."""
        is_whole = self.connection.is_in_transaction
        rows = size = 0
        while self._stream is not None and (batch := self._read()) is not None:
            self._waiting.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if not is_whole and (rows >= _SMALL_ROWS or size >= _SMALL_BYTES):
                return

    def _read(self) -> pa.RecordBatch | None:
        stream = self._stream
        if stream is None:
            return None
        try:
            batch = next(stream, None)
        except BaseException:
            self._stream, self._is_cut = None, True
            raise
        if batch is None:
            self._stream = None
            if stream.outcome is None:  # somebody hung up from another thread
                self._is_cut = True
                self._check_whole()
            self.outcome = stream.outcome
            self.rowcount = stream.outcome.rows if stream.outcome else -1
        return batch

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._waiting.pop(0) if self._waiting else self._read()) is not None:
            yield batch

    def _have(self, wanted: int | None) -> None:
        """Have so many rows here, or all there are."""
        try:
            while (wanted is None or len(self._rows) - self._place < wanted) and self._next_rows():
                pass
        except BaseException:  # an interrupt too: the rows of a batch that was taken may be missing
            self._is_cut = True
            self._hang_up()
            raise

    def _next_rows(self) -> bool:
        """Have the rows of another batch; False when there is none."""
        batch = next(self._batches(), None)
        if batch is None:
            return False
        columns = [self._values(name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
        more = zip(*columns, strict=True) if columns else [()] * batch.num_rows
        del self._rows[: self._place]
        self._place = 0
        self._rows.extend(more)
        return True

    def _values(self, name: str, column: pa.Array) -> list[Any]:
        try:
            values: list[Any] = column.to_pylist()
        except (ArithmeticError, ValueError) as error:
            message = f"the column `{name}` has a value that Python has not; fetch Arrow, or cast it to text"
            raise DataError(message) from error
        return values

    def _check_rows(self) -> None:
        if self._is_closed:
            message = "the cursor is closed"
            raise InterfaceError(message)
        if self.description is None:
            message = "there are no rows: the last statement was none that gives rows"
            raise ProgrammingError(message)
        self._check_whole()

    def _check_whole(self) -> None:
        """Raise OperationalError after the rows broke off: what was had of them would pass for all."""
        if self._is_cut:
            message = "the rows broke off, so there is no rest of them to fetch; execute the statement again"
            raise OperationalError(message)

    def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        self._waiting = []
        if stream is not None:
            stream.close()


def _named(parameters: object) -> Mapping[str, Any]:
    if parameters is None:
        return {}
    if isinstance(parameters, Mapping):
        return parameters
    if not parameters:
        return {}
    message = "parameters are named here: `:name` in the statement, and a mapping of names to values"
    raise ProgrammingError(message)


def calls_of(sets: Sequence[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    """Encoded parameters, in as many calls as they need; those of one call may become one change request."""
    chunk: list[dict[str, object]] = []
    size = 0
    for one in sets:
        length = len(json.dumps(one))
        if chunk and (len(chunk) >= _MOST_SETS or size + length > _MOST_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += length
    if chunk:
        yield chunk
