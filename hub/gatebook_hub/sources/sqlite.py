"""How is a governed SQLite file read and written?

Reads open the file read only, with an authorizer that allows exactly the tables and columns that the analysis named:
what SQLite sees beyond them is refused and reported.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from gatebook_hub.errors import (
    GatebookError,
    LedgerMissing,
    LimitExceeded,
    SourceUnavailable,
    StatementFailed,
    StatementTimeout,
)
from gatebook_hub.model import Engine, Limits, Schema
from gatebook_hub.sources.reflecting import SchemaCache, reflect
from gatebook_hub.sources.source import LEDGER
from gatebook_hub.sources.stream import CursorStream
from gatebook_hub.sql import Plan
from gatebook_hub.sql.functions import FUNCTIONS, SQLITE_OPERATORS, TABLE_FUNCTIONS

_PROGRESS_STEPS = 10_000
_LOCK_WAIT_S = 5.0
_MOST_BYTES = 32_000_000
_DEFAULT_TIME_S = 60.0
_FUNCTIONS = FUNCTIONS[Engine.SQLITE] | TABLE_FUNCTIONS[Engine.SQLITE] | SQLITE_OPERATORS


class SeenMore(StatementFailed):
    """SQLite saw the statement reach for something that the analysis did not name: refused, and an alarm."""


class SqliteSource:
    """A Source over one SQLite file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        database = create_engine("sqlite://", creator=lambda: self._connect("ro"), poolclass=NullPool)
        self._schema = SchemaCache(lambda: reflect(database, source=name, engine=Engine.SQLITE, namespace="main"))

    def schema(self) -> Schema:
        """Its tables."""
        try:
            return self._schema.get()
        except GatebookError:
            raise
        except Exception as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be read now") from error

    def read(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> CursorStream:
        """Start a read on a connection of its own."""
        connection = self._connect("ro")
        guard = _Guard(connection, plan, limits)
        try:
            cursor = connection.execute(plan.sql, _bindable(parameters))
            return CursorStream(
                cursor,
                declared=lambda found: [None] * len(found.description),
                translate=guard.translate,
                end=guard.end,
            )
        except GatebookError:
            guard.end()
            raise
        except Exception as error:
            guard.end()
            raise guard.translate(error) from error

    @contextmanager
    def writing(self, limits: Limits) -> Iterator[_SqliteWriting]:
        """Take the write lock at once, so that nothing moves between reading and writing."""
        connection = self._connect("rw")
        try:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise SourceUnavailable(f"the source `{self.name}` is busy with another write") from error
            session = _SqliteWriting(connection, limits)
            yield session
            try:
                connection.execute("COMMIT" if session.is_committed else "ROLLBACK")
            except sqlite3.Error as error:
                raise translate(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.close()

    def prepare(self) -> None:
        """Make the ledger table if it is missing."""
        connection = self._connect("rw")
        try:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {LEDGER} "
                "(change_id TEXT PRIMARY KEY, digest TEXT NOT NULL, executed_at TEXT NOT NULL)"
            )
        except sqlite3.Error as error:
            raise LedgerMissing(f"the ledger of `{self.name}` cannot be made") from error
        finally:
            connection.close()

    def ledger(self, change_ids: Sequence[str]) -> frozenset[str]:
        """Which of these changes were executed."""
        connection = self._connect("ro")
        try:
            query = f"SELECT change_id FROM {LEDGER} WHERE change_id = ?"  # noqa: S608 - a constant
            found = [row for change_id in change_ids for row in connection.execute(query, (change_id,))]
        except sqlite3.OperationalError:
            return frozenset()
        finally:
            connection.close()
        return frozenset(row[0] for row in found)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _connect(self, mode: str) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_LOCK_WAIT_S,
            )
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA foreign_keys=ON")
            if mode == "ro":
                connection.execute("PRAGMA query_only=ON")
            connection.create_function("gatebook_hash", 3, keyed_hash, deterministic=True)
        except sqlite3.Error as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be opened") from error
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        # One function call cannot be interrupted, so what it may work on is bounded.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
        return connection


class _Guard:
    """What watches one statement: the authorizer, the clock, and the way out."""

    def __init__(self, connection: sqlite3.Connection, plan: Plan, limits: Limits) -> None:
        self._connection = connection
        self._reads = plan.reads
        self._functions = _FUNCTIONS | plan.functions
        self._deadline = time.monotonic() + (limits.time_s or _DEFAULT_TIME_S)
        self._lock = threading.Lock()
        self._is_open = True
        self._is_late = False
        self.refused: str | None = None
        connection.set_authorizer(self._authorize)
        connection.set_progress_handler(self._tick, _PROGRESS_STEPS)

    def translate(self, error: Exception) -> Exception:
        """SQLite's error as ours; its text may carry values, so it is not repeated."""
        if self.refused is not None:
            return SeenMore(f"the database saw the statement reach for {self.refused}, which the analysis did not name")
        if self._is_late:
            return StatementTimeout("the statement took longer than allowed and was stopped")
        return translate(error)

    def end(self) -> None:
        """Interrupt what runs and close."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
        self._connection.interrupt()
        self._connection.close()

    def off(self) -> None:
        """Stop watching; the connection goes on with the gate's own statements."""
        self._connection.set_authorizer(None)
        self._connection.set_progress_handler(None, 0)

    def _tick(self) -> int:
        self._is_late = self._is_late or time.monotonic() > self._deadline
        return int(self._is_late)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: Any) -> int:
        if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            columns = self._reads.get((first or "").lower())
            if columns is not None and (not second or second.lower() in columns):
                return sqlite3.SQLITE_OK
            self.refused = f"`{first}.{second}`"
        elif action == sqlite3.SQLITE_FUNCTION:
            if (second or "").upper() in self._functions:
                return sqlite3.SQLITE_OK
            self.refused = f"the function `{second}`"
        else:
            self.refused = f"action {action}"
        return sqlite3.SQLITE_DENY


class _SqliteWriting:
    """A WriteSession on one connection that holds the write lock."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self.is_committed = False

    def select(self, plan: Plan, parameters: Mapping[str, Any], limit_rows: int) -> list[tuple[Any, ...]]:
        """The person's read, watched as any read."""
        guard = _Guard(self._connection, plan, self._limits)
        try:
            rows = self._connection.execute(plan.sql, _bindable(parameters)).fetchmany(limit_rows + 1)
        except Exception as error:
            raise guard.translate(error) from error
        finally:
            guard.off()
        if len(rows) > limit_rows:
            raise LimitExceeded(f"the write concerns more than {limit_rows:,} rows; narrow it")
        return rows

    def run(self, sql: str, parameters: Mapping[str, Any]) -> tuple[list[tuple[Any, ...]], int]:
        """One of the gate's own statements."""
        try:
            cursor = self._connection.execute(sql, _bindable(parameters))
            rows = cursor.fetchall() if cursor.description else []
        except sqlite3.Error as error:
            raise translate(error) from error
        return rows, cursor.rowcount if cursor.rowcount >= 0 else len(rows)

    def commit(self) -> None:
        """Make it last when the session ends."""
        self.is_committed = True


def _bindable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values in SQLite's five types: numbers compare as numbers, moments as the texts that its functions write."""
    return {name: _native(value) for name, value in parameters.items()}


def keyed_hash(outer: bytes, inner: bytes, value: Any) -> str | None:
    """The mask `hash`, which SQLite has no functions for: see `sql/masks.py`."""
    if value is None:
        return None
    within = hashlib.sha256(inner + str(value).encode()).digest()
    return hashlib.sha256(outer + within).hexdigest()[:32]


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


def translate(error: Exception) -> Exception:
    """The class of an SQLite error in words, without its text."""
    match error:
        case sqlite3.IntegrityError():
            return StatementFailed(f"the write breaks a rule of the database ({_constraint(error)})")
        case sqlite3.OperationalError() if "no such table: gatebook_ledger" in str(error):
            return LedgerMissing("the source has no ledger yet; the operator runs `gatebook source prepare`")
        case sqlite3.OperationalError() if "locked" in str(error):
            return SourceUnavailable("the source is busy with another write; try again")
        case sqlite3.OperationalError() if "interrupted" in str(error):
            return StatementFailed("the statement was cancelled")
        case sqlite3.Error():
            return StatementFailed(f"the database refused the statement ({_name(error)})")
        case _:
            return StatementFailed("the values do not fit the statement")


def _name(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", "") or "SQLITE_ERROR")


def _constraint(error: sqlite3.Error) -> str:
    names = {
        "SQLITE_CONSTRAINT_UNIQUE": "a unique value",
        "SQLITE_CONSTRAINT_PRIMARYKEY": "a unique key",
        "SQLITE_CONSTRAINT_FOREIGNKEY": "a reference to another table",
        "SQLITE_CONSTRAINT_NOTNULL": "a value that must not be empty",
        "SQLITE_CONSTRAINT_CHECK": "a check",
    }
    return names.get(_name(error), "a constraint")
