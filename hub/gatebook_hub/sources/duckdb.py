"""How is a governed DuckDB file read and written? By worker processes, and never by a reader and a writer at once."""

from __future__ import annotations

import importlib.metadata
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatebook_hub.errors import SourceUnavailable
from gatebook_hub.model import Column, Engine, Limits, Schema, Table
from gatebook_hub.sources import embedded
from gatebook_hub.sources.duckdb_details import details_from
from gatebook_hub.sources.reflecting import SchemaCache, fingerprint
from gatebook_hub.sources.source import LEDGER, ReadStream
from gatebook_hub.sources.workers import Worker
from gatebook_hub.sql import Plan

_LOCK_WAIT_S = 5.0
_ENGINE_BYTES = 1_000_000_000
_MEMORY_BYTES = 2_500_000_000
_THREADS = 2
_REST_S = 5.0
_MACROS = "SELECT DISTINCT upper(function_name) FROM duckdb_functions() WHERE NOT internal"
_VERSION = tuple(int(part) for part in importlib.metadata.version("duckdb").split(".") if part.isdigit())


class DuckdbSource(embedded.FileSource):
    """A Source over one DuckDB file; one namespace, `main`. Views are no tables, as on the other engines."""

    _ledger = f"main.{LEDGER}"

    def __init__(self, name: str, path: Path, *, lock_wait_s: float = _LOCK_WAIT_S) -> None:
        setup = {
            "engine": "duckdb",
            "lock_wait_s": lock_wait_s,
            "threads": _THREADS,
            "engine_bytes": _ENGINE_BYTES,
            "memory_bytes": _MEMORY_BYTES,
        }
        super().__init__(name, path, setup)
        self._lock_wait_s = lock_wait_s
        self._turns = _Turns()
        self._schema = SchemaCache(self._reflect)
        self._details = SchemaCache(lambda: details_from(self._query, self._schema.get(), _VERSION))

    def schema(self) -> Schema:
        """Its tables."""
        self._check()
        return self._schema.get()

    def read(
        self,
        plan: Plan,
        parameters: Mapping[str, Any],
        limits: Limits,
        *,
        begun: Callable[[ReadStream], None] | None = None,
    ) -> ReadStream:
        """Start a read in a worker; waits while a write has the file."""
        self._check()
        request = {"op": "read", **embedded.request_of(plan, parameters)}
        self._turns.enter_reader(self._lock_wait_s)
        try:
            stream = embedded.WorkerStream(self._pool.lease(), self._leave)
        except BaseException:
            self._turns.leave_reader()
            raise
        if begun is not None:
            begun(stream)
        stream.start(request, limits.time_s or embedded.DEFAULT_TIME_S)
        return stream

    @contextmanager
    def writing(self, limits: Limits) -> Iterator[embedded.WorkerWriting]:
        """Wait for the readers, open the file for writing alone, and let it go at the end."""
        self._check()
        self._turns.enter_writer(self._lock_wait_s)
        try:
            self._pool.broadcast({"op": "rest"}, _REST_S)
            with embedded.writing(self._pool, limits, dict) as session:
                yield session
        finally:
            self._turns.leave_writer()

    def findings(self) -> Sequence[tuple[str, str]]:
        """Nothing to say of an account: there is none, and the file is opened read only for reads."""
        return ()

    def _ask(self, request: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self._turns.enter_reader(self._lock_wait_s)
        try:
            return super()._ask(request)
        finally:
            self._turns.leave_reader()

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        return self._ask({"op": "ask", "sql": sql, "params": {}})

    def _leave(self, worker: Worker) -> None:
        self._pool.give_back(worker)
        self._turns.leave_reader()

    def _reflect(self) -> Schema:
        columns: dict[str, list[Column]] = {}
        keys: dict[str, tuple[str, ...]] = {}
        comments: dict[str, str | None] = {}
        views: set[str] = set()
        for table, name, kind, is_nullable, has_default, sql, key, comment, is_view, _ in self._ask({"op": "reflect"}):
            known = str(table).lower()
            if known == LEDGER:
                continue
            is_generated = bool(has_default) and any(
                f"{written} {kind} GENERATED ALWAYS AS(" in str(sql) for written in (name, f'"{name}"')
            )
            column = Column(
                name=str(name).lower(),
                type=str(kind).lower(),
                nullable=bool(is_nullable),
                is_generated=is_generated,
                declared=str(name) if str(name) != str(name).lower() else None,
            )
            columns.setdefault(known, []).append(column)
            keys[known] = tuple(str(part).lower() for part in json.loads(str(key or "[]")))
            comments[known] = comment
            if is_view:
                views.add(known)
        tables = {
            name: Table(name=name, columns=tuple(found), key=keys[name], comment=comments[name], is_view=name in views)
            for name, found in columns.items()
        }
        # The owner's macros may do anything, under a name that is on the list.
        shadowed = frozenset(str(name) for (name,) in self._query(_MACROS))
        return Schema(
            source=self.name,
            engine=Engine.DUCKDB,
            version=fingerprint(tables, shadowed),
            tables=tables,
            namespace="main",
            shadowed=shadowed,
        )


class _Turns:
    """Many readers or one writer; a writer that waits goes before readers that come after it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writers_waiting = 0
        self._is_writing = False

    def enter_reader(self, wait_s: float) -> None:
        """Take a reader's place; raises SourceUnavailable."""
        self._enter(lambda: not self._is_writing and not self._writers_waiting, wait_s)

    def enter_writer(self, wait_s: float) -> None:
        """Take the only place; raises SourceUnavailable."""
        with self._changed:
            self._writers_waiting += 1
        try:
            self._enter(lambda: not self._is_writing and not self._readers, wait_s, is_writer=True)
        finally:
            with self._changed:
                self._writers_waiting -= 1
                self._changed.notify_all()

    def leave_reader(self) -> None:
        """Give the place back."""
        with self._changed:
            self._readers -= 1
            self._changed.notify_all()

    def leave_writer(self) -> None:
        """Give the place back."""
        with self._changed:
            self._is_writing = False
            self._changed.notify_all()

    def _enter(self, may: Callable[[], bool], wait_s: float, *, is_writer: bool = False) -> None:
        with self._changed:
            if not self._changed.wait_for(may, wait_s):
                raise SourceUnavailable("the source is busy with another statement; try again")
            if is_writer:
                self._is_writing = True
            else:
                self._readers += 1
