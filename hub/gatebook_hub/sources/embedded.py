"""How does a database that lives in a file answer through its workers?"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from gatebook_hub.errors import (
    GatebookError,
    LedgerMissing,
    LimitExceeded,
    MemoryExceeded,
    RuleBroken,
    SourceChanged,
    SourceUnavailable,
    StatementFailed,
    StatementTimeout,
)
from gatebook_hub.model import Limits, Schema
from gatebook_hub.sources.frames import BATCH, SCHEMA, FrameError, pack, unpack_rows
from gatebook_hub.sources.identity import Pin, file_identity
from gatebook_hub.sources.inspecting import Details
from gatebook_hub.sources.reflecting import SchemaCache
from gatebook_hub.sources.source import LEDGER, Ending, ReadStream, SeenMore, known
from gatebook_hub.sources.workers import Worker, WorkerPool
from gatebook_hub.sql import Plan

DEFAULT_TIME_S = 60.0
_COMMIT_S = 60.0
_MOST_SENTENCE = 400
_SETS_AT_ONCE = 500
Bindable = Callable[[Mapping[str, Any]], dict[str, Any]]
_ERRORS: Mapping[str, type[GatebookError]] = {
    kind.__name__: kind
    for kind in (
        LedgerMissing,
        LimitExceeded,
        MemoryExceeded,
        RuleBroken,
        SeenMore,
        SourceChanged,
        SourceUnavailable,
        StatementFailed,
        StatementTimeout,
    )
}


class WorkerStream:
    """A ReadStream whose statement runs in a worker; `close` stops it, by force if need be."""

    def __init__(self, worker: Worker, give_back: Callable[[Worker], None]) -> None:
        self._worker = worker
        self._give_back = give_back
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._is_given_back = False
        self.is_closed = False
        self.schema = pa.schema([])

    def start(self, request: Mapping[str, Any], time_s: float) -> None:
        """Run the statement until its first answer."""
        try:
            with self._asking:  # one that closes meanwhile waits until there is something to interrupt
                self._check_open()
                self._worker.ask(request, time_s)
            kind, value = self._next()
            self.schema = _schema(kind, value)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches as they come, each validated: they were made by a process that ran a person's statement."""
        try:
            while True:
                kind, value = self._next()
                if kind != BATCH:
                    break
                batch = self._batch(value)
                del value
                yield batch
                del batch  # not held while the next one arrives
        except BaseException:
            self.close()
            raise
        self._leave()

    def close(self) -> None:
        """Stop the statement if it runs, and free the worker; safe to call twice and from another thread."""
        with self._lock:
            self.is_closed = True
            if self._is_given_back:
                return
            with self._asking:
                if not self._worker.is_answered:
                    self._worker.abort()
            self._leave()

    def _batch(self, data: bytes) -> pa.RecordBatch:
        try:
            batch = pa.ipc.read_record_batch(pa.py_buffer(data), self.schema)
            batch.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise StatementFailed("a column holds a value that its type cannot; cast it to another type") from error
        return batch

    def _next(self) -> tuple[bytes, Any]:
        kind, value = self._worker.receive()
        self._check_open()
        if isinstance(value, dict):
            raise_told(value)
        return kind, value

    def _check_open(self) -> None:
        if self.is_closed:
            raise StatementFailed("the statement was cancelled")

    def _leave(self) -> None:
        if not self._is_given_back:
            self._is_given_back = True
            self._give_back(self._worker)


class WorkerWriting(Ending):
    """A WriteSession in one worker: a process that ends takes its transaction with it, and the file rolls back."""

    def __init__(self, worker: Worker, limits: Limits, bindable: Bindable) -> None:
        self._worker = worker
        self._bindable = bindable
        self._time_s = limits.time_s or DEFAULT_TIME_S
        self.is_committed = False
        self.last_id: int | None = None

    def read(
        self,
        plan: Plan,
        parameters: Mapping[str, Any],
        *,
        begun: Callable[[ReadStream], None] | None = None,
    ) -> ReadStream:
        """A governed read that sees what the transaction wrote."""
        self._check_open()
        stream = WorkerStream(self._worker, lambda _: None)
        if begun is not None:
            begun(stream)
        stream.start({"op": "read", **request_of(plan, self._bindable(parameters))}, self._time_s)
        return stream

    def select(self, plan: Plan, parameters: Mapping[str, Any], limit_rows: int) -> list[tuple[Any, ...]]:
        """The person's read, watched as any read."""
        request = {"op": "select", "limit_rows": limit_rows, **request_of(plan, self._bindable(parameters))}
        return self.ask(request)[0]

    def run(
        self, sql: str, parameters: Mapping[str, Any], *, returns: bool = False
    ) -> tuple[list[tuple[Any, ...]], int]:
        """One of the gate's own statements."""
        packed = _packed(self._bindable(parameters))
        answered = self.ask({"op": "run", "sql": sql, "params": packed, "returns": returns})
        self.last_id = self._worker.last_id
        return answered

    def select_many(
        self, plan: Plan, sets: Sequence[Mapping[str, Any]], limit_rows: int
    ) -> list[list[tuple[Any, ...]]]:
        """The person's read for each set of parameters, each watched."""
        request = {"op": "select", "limit_rows": limit_rows, **request_of(plan, {})}
        return [rows for rows, _ in self._ask_many(request, sets)]

    def run_many(
        self, sql: str, sets: Sequence[Mapping[str, Any]], *, returns: bool = False
    ) -> list[tuple[list[tuple[Any, ...]], int]]:
        """One of the gate's own statements, for each set of parameters."""
        return self._ask_many({"op": "run", "sql": sql, "returns": returns}, sets)

    def others(self) -> AbstractContextManager[WorkerWriting]:
        """Nobody: the one who writes has the whole file."""
        raise StatementFailed("nobody else reads while a file is written")

    def commit(self) -> None:
        """Make it last when the session ends."""
        self.is_committed = True

    def _ask_many(
        self, request: Mapping[str, Any], sets: Sequence[Mapping[str, Any]]
    ) -> list[tuple[list[tuple[Any, ...]], int]]:
        """The answers to one request for each set, in as few frames as they fit into."""
        self._check_open()
        found = []
        for start in range(0, len(sets), _SETS_AT_ONCE):
            packed = [_packed(self._bindable(one)) for one in sets[start : start + _SETS_AT_ONCE]]
            self._worker.ask({**request, "sets": packed}, self._time_s)
            found += _answers(self._worker)
        return found

    def ask(self, request: Mapping[str, Any], time_s: float | None = None) -> tuple[list[tuple[Any, ...]], int]:
        """Send a request and wait for its rows and their number."""
        self._check_open()
        self._worker.ask(request, self._time_s if time_s is None else time_s)
        return _answer(self._worker)

    def limit_time(self, seconds: float | None) -> None:
        """What the next statements may take."""
        self._time_s = seconds or DEFAULT_TIME_S


class FileSource(ABC):
    """What Sources over one file have alike: the workers, the ledger, and the file's identity."""

    _ledger: ClassVar[str] = LEDGER
    _schema: SchemaCache[Schema]
    _details: SchemaCache[Details]

    def __init__(self, name: str, path: Path, setup: Mapping[str, Any]) -> None:
        self.name = name
        self.pin = Pin(name)
        self._path = path.absolute()
        self._pool = WorkerPool({"path": str(self._path), **setup})

    @abstractmethod
    def writing(self, limits: Limits) -> AbstractContextManager[WorkerWriting]:
        """Open a transaction that may write; raises SourceUnavailable."""

    def details(self) -> Details:
        """What the file says of its tables in detail."""
        self._check()
        try:
            return self._details.get()
        except GatebookError:
            raise
        except Exception as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be read now") from error

    def forget_schema(self) -> None:
        """Look at its tables anew the next time."""
        self._schema.forget()
        self._details.forget()

    def prepare(self) -> None:
        """Make the ledger table if it is missing."""
        statement = (
            f"CREATE TABLE IF NOT EXISTS {self._ledger} "
            "(change_id TEXT PRIMARY KEY, digest TEXT NOT NULL, executed_at TEXT NOT NULL)"
        )
        try:
            with self.writing(Limits()) as session:
                session.run(statement, {})
                session.commit()
        except StatementFailed as error:
            raise LedgerMissing(f"the ledger of `{self.name}` cannot be made") from error

    def ledger(self, change_ids: Sequence[str]) -> frozenset[str]:
        """Which of these changes were executed."""
        self._check()
        query = f"SELECT change_id FROM {self._ledger} WHERE change_id = $id"  # noqa: S608 - constants
        return known(change_ids, lambda id_: self._ask({"op": "ask", "sql": query, "params": {"id": id_}}))

    def identity(self) -> str:
        """Which file lies there now."""
        return file_identity(self.name, self._path)

    def findings(self) -> Sequence[tuple[str, str]]:
        """Nothing to say of an account: there is none, and the file is opened read only for reads."""
        return ()

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The worker processes that there are."""
        return self._pool.process_ids

    def _ask(self, request: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """One request of the gate itself to any worker."""
        worker = self._pool.lease()
        try:
            worker.ask(request, DEFAULT_TIME_S)
            return _answer(worker)[0]
        finally:
            self._pool.give_back(worker)

    def _check(self) -> None:
        """The file that is there now is the one that was there when the source was first met."""
        found = self.identity()
        self.pin.check(lambda: found)


@contextmanager
def writing(pool: WorkerPool, limits: Limits, bindable: Bindable) -> Iterator[WorkerWriting]:
    """A session whose transaction begins now, with the write lock taken."""
    worker = pool.lease()
    session = WorkerWriting(worker, limits, bindable)
    try:
        session.ask({"op": "begin"})
        try:
            yield session
        except BaseException:
            with suppress(GatebookError):
                session.ask({"op": "end", "commit": False})
            raise
        session.ask({"op": "end", "commit": session.is_committed}, _COMMIT_S)
    finally:
        session.end()
        pool.give_back(worker)


def request_of(plan: Plan, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as plain data."""
    reads = {table: sorted(columns) for table, columns in plan.reads.items()}
    beyond = {"functions": sorted(plan.functions), "views": sorted(plan.views)}
    return {"sql": plan.sql, "params": _packed(parameters), "reads": reads, **beyond}


def raise_told(reply: Mapping[str, Any]) -> None:
    """Raise the error that a reply tells of, if it does."""
    name = reply.get("error")
    if name is not None:
        found = _ERRORS.get(str(name), StatementFailed)
        raise found(str(reply.get("detail", ""))[:_MOST_SENTENCE])


def _schema(kind: bytes, value: Any) -> pa.Schema:
    try:
        if kind == SCHEMA:
            return pa.ipc.read_schema(pa.py_buffer(value))
    except (pa.ArrowException, OSError) as error:
        raise StatementFailed("the process that ran the statement gave no answer") from error
    raise StatementFailed("the process that ran the statement gave no answer")


def _answer(worker: Worker) -> tuple[list[tuple[Any, ...]], int]:
    reply = _reply(worker)
    last_id = reply.get("last_id")
    worker.last_id = last_id if isinstance(last_id, int) else None
    return _unpacked(reply.get("rows", []), reply.get("count", 0))


def _answers(worker: Worker) -> list[tuple[list[tuple[Any, ...]], int]]:
    """What it says to each of many sets."""
    answers = _reply(worker).get("answers")
    if not isinstance(answers, list) or not all(isinstance(one, list) and len(one) == 2 for one in answers):
        raise StatementFailed("the process that ran the statement gave no answer")
    return [_unpacked(rows, count) for rows, count in answers]


def _reply(worker: Worker) -> dict[str, Any]:
    kind, reply = worker.receive()
    if not isinstance(reply, dict):
        raise StatementFailed(f"the process that ran the statement gave no answer ({kind!r})")
    raise_told(reply)
    return reply


def _unpacked(rows: Any, count: Any) -> tuple[list[tuple[Any, ...]], int]:
    try:
        return unpack_rows(rows), int(count)
    except (FrameError, TypeError, ValueError) as error:
        raise StatementFailed("the process that ran the statement gave no answer") from error


def _packed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: pack(value) for name, value in parameters.items()}
