"""How is a governed SQLite file read and written? By worker processes that can be killed, never by the gateway."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from gatebook_hub.errors import GatebookError, SourceUnavailable
from gatebook_hub.model import Engine, Limits, Schema
from gatebook_hub.sources import embedded
from gatebook_hub.sources.inspecting import details_of
from gatebook_hub.sources.reflecting import SchemaCache, reflect
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sources.sqlite_journal import undo_ended
from gatebook_hub.sql import Plan
from gatebook_hub.sql.functions import FUNCTIONS, SQLITE_OPERATORS, TABLE_FUNCTIONS

_LOCK_WAIT_S = 5.0
_MEMORY_BYTES = 1_500_000_000
_FUNCTIONS = FUNCTIONS[Engine.SQLITE] | TABLE_FUNCTIONS[Engine.SQLITE] | SQLITE_OPERATORS


class SqliteSource(embedded.FileSource):
    """A Source over one SQLite file."""

    def __init__(self, name: str, path: Path, *, lock_wait_s: float = _LOCK_WAIT_S) -> None:
        setup = {
            "engine": "sqlite",
            "functions": sorted(_FUNCTIONS),
            "lock_wait_s": lock_wait_s,
            "memory_bytes": _MEMORY_BYTES,
        }
        super().__init__(name, path, setup)
        path_now = self._path
        database = create_engine("sqlite://", creator=lambda: _connect(path_now), poolclass=NullPool)
        self._schema = SchemaCache(lambda: reflect(database, source=name, engine=Engine.SQLITE, namespace="main"))
        self._details = SchemaCache(lambda: details_of(database, Engine.SQLITE, None))

    def schema(self) -> Schema:
        """Its tables."""
        self._check()
        self._pool.warm()
        try:
            return self._schema.get()
        except GatebookError:
            raise
        except Exception as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be read now") from error

    def read(
        self,
        plan: Plan,
        parameters: Mapping[str, Any],
        limits: Limits,
        *,
        begun: Callable[[ReadStream], None] | None = None,
    ) -> ReadStream:
        """Start a read in a worker."""
        self._check()
        request = {"op": "read", **embedded.request_of(plan, _bindable(parameters))}
        stream = embedded.WorkerStream(self._pool.lease(), self._pool.give_back)
        if begun is not None:
            begun(stream)
        stream.start(request, limits.time_s or embedded.DEFAULT_TIME_S)
        return stream

    def writing(self, limits: Limits) -> AbstractContextManager[embedded.WorkerWriting]:
        """Take the write lock at once, so that nothing moves between reading and writing."""
        self._check()
        return embedded.writing(self._pool, limits, _bindable)

    def findings(self) -> Sequence[tuple[str, str]]:
        """Nothing to say of the account: the file is opened read only for reads."""
        return ()


def _connect(path: Path) -> sqlite3.Connection:
    """A connection of the gateway's own, to read the schema alone."""
    undo_ended(str(path))
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_LOCK_WAIT_S,
    )
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA query_only=ON")
    return connection


def _bindable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values in SQLite's five types: numbers compare as numbers, moments as the texts that its functions write."""
    return {name: _native(value) for name, value in parameters.items()}


def _native(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case dt.datetime():
            return value.isoformat(" ")
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return value.total_seconds()
        case uuid.UUID():
            return str(value)
        case _:
            return value
