"""How does a worker read and write an SQLite file?

Reads open the file read only, with an authorizer that allows exactly the tables and columns that the analysis named:
what SQLite sees beyond them is refused and reported. Each statement has a connection of its own, so nothing that one
leaves behind meets the next.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gatebook_hub.errors import (
    GatebookError,
    LedgerMissing,
    MemoryExceeded,
    RuleBroken,
    SourceUnavailable,
    StatementFailed,
    StatementTimeout,
)
from gatebook_hub.sources.source import LEDGER, SeenMore, within
from gatebook_hub.sources.sqlite_journal import undo_ended
from gatebook_hub.sources.stream import CursorStream
from gatebook_hub.sources.worker.serving import is_select

_PROGRESS_STEPS = 10_000
_MOST_BYTES = 32_000_000
_HEAP_BYTES = 512_000_000
_OF_VIEWS = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION})


class SqliteServed:
    """One SQLite file."""

    threads = 1
    idle_s: float | None = None
    last_id: int | None = None

    def __init__(self, setup: Mapping[str, Any]) -> None:
        self._path = str(setup["path"])
        self.functions = frozenset(setup["functions"])
        self._lock_wait_s = float(setup["lock_wait_s"])
        self._stopped = 0
        self._running: sqlite3.Connection | None = None
        self._writing: sqlite3.Connection | None = None

    def read(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int
    ) -> CursorStream:
        """Run a person's read on a connection of its own, or inside of the transaction that is open."""
        kind, connection = (_Read, self._connect("ro")) if self._writing is None else (_ReadWithin, self._writing)
        stream = CursorStream(kind(self, connection, request, parameters, deadline, number))
        stream.start()
        return stream

    def do(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """A step of the write session, or a read of the gate's own."""
        self._drop_ended()
        try:
            return self._do(request, parameters, deadline, number)
        finally:
            self._drop_ended()

    def _drop_ended(self) -> None:
        """SQLite rolls back by itself after some errors: what came next would be committed at once."""
        writing = self._writing
        if writing is not None and not writing.in_transaction:
            self._writing = None
            writing.close()

    def _do(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int
    ) -> tuple[Sequence[Sequence[Any]], int]:
        match request["op"]:
            case "begin":
                self._begin()
                return [], 0
            case "end":
                self._end(is_committed=bool(request["commit"]))
                return [], 0
            case "ask":
                connection = self._connect("ro")
                try:
                    return self._run(connection, request, parameters, deadline, number)
                finally:
                    connection.close()
            case "select" if self._writing is not None:
                return self._select(self._writing, request, parameters, deadline, number)
            case "run" if self._writing is not None:
                return self._run(self._writing, request, parameters, deadline, number)
            case _:
                raise StatementFailed("there is no open session")

    def interrupt(self, number: int) -> None:
        """Remember it, for what has not begun yet, and tell SQLite."""
        self._stopped = number
        running = self._running
        if running is not None:
            try:
                running.interrupt()
            except sqlite3.ProgrammingError:
                return  # closed meanwhile

    def rest(self) -> None:
        """Nothing is held between statements."""

    def is_stopped(self, number: int) -> bool:
        """Whether the request of that number was interrupted."""
        return self._stopped == number

    def watch(self, connection: sqlite3.Connection | None) -> None:
        """What `interrupt` interrupts."""
        self._running = connection

    def _begin(self) -> None:
        if self._writing is not None:
            self._end(is_committed=False)
        connection = self._connect("rw")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            connection.close()
            raise SourceUnavailable("the source is busy with another write; try again") from error
        self._writing = connection

    def _end(self, *, is_committed: bool) -> None:
        connection, self._writing = self._writing, None
        if connection is None:
            return
        try:
            connection.execute("COMMIT" if is_committed else "ROLLBACK")
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.close()

    def _select(
        self,
        connection: sqlite3.Connection,
        request: Mapping[str, Any],
        parameters: Mapping[str, Any],
        deadline: float,
        number: int,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        limit_rows = int(request["limit_rows"])
        guard = _Guard(self, connection, deadline, number)
        guard.allow(request)
        try:
            rows = connection.execute(str(request["sql"]), parameters).fetchmany(limit_rows + 1)
        except Exception as error:
            raise guard.translate(error) from error
        finally:
            guard.off()
        return within(rows, limit_rows), len(rows)

    def _run(
        self,
        connection: sqlite3.Connection,
        request: Mapping[str, Any],
        parameters: Mapping[str, Any],
        deadline: float,
        number: int,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        guard = _Guard(self, connection, deadline, number)
        try:
            cursor = connection.execute(str(request["sql"]), parameters)
            rows = cursor.fetchall() if cursor.description else []
            self.last_id = cursor.lastrowid
            # The module counts what begins with a write's own word.
            is_read = is_select(str(request["sql"]))
            changed = cursor.rowcount if cursor.rowcount >= 0 or is_read else _changed(connection)
        except Exception as error:
            raise guard.translate(error) from error
        finally:
            guard.off()
        return rows, len(rows) if is_read else changed

    def _connect(self, mode: str) -> sqlite3.Connection:
        if mode == "ro":
            undo_ended(self._path)
        try:
            connection = sqlite3.connect(
                f"file:{quote(self._path)}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=self._lock_wait_s,
            )
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA temp_store=MEMORY")
            # A connection makes their tables at their first use, and the authorizer would take that for a write.
            connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
            connection.execute(f"PRAGMA hard_heap_limit={_HEAP_BYTES}")
            if mode == "ro":
                connection.execute("PRAGMA query_only=ON")
            connection.create_function("gatebook_hash", 3, keyed_hash, deterministic=True)
        except sqlite3.Error as error:
            raise SourceUnavailable("the source cannot be opened") from error
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        # One function call cannot be interrupted, so what it may work on is bounded.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
        return connection


class _ReadWithin:
    """A person's read inside of a transaction, as `CursorStream` drives it."""

    def __init__(
        self,
        served: SqliteServed,
        connection: sqlite3.Connection,
        request: Mapping[str, Any],
        parameters: Mapping[str, Any],
        deadline: float,
        number: int,
    ) -> None:
        self._connection = connection
        self._served = served
        self._sql = str(request["sql"])
        self._parameters = parameters
        self._guard = _Guard(served, connection, deadline, number)
        self._guard.allow(request)
        self._cursor: sqlite3.Cursor | None = None
        self._width = 0
        self.translate = self._guard.translate

    def execute(self) -> sqlite3.Cursor:
        self._cursor = self._connection.execute(self._sql, self._parameters)
        return self._cursor

    def declared(self, cursor: sqlite3.Cursor) -> list[None]:
        self._width = len(cursor.description)
        return [None] * self._width

    def later_value(self, index: int) -> Any:
        """Asked of the same statement, under the same watch: columns have no types, and pages of NULLs tell none."""
        names = ", ".join(f"gb_{number}" for number in range(self._width))
        sought = f"gb_{index}"
        text = f"WITH gb_out({names}) AS ({self._sql}) SELECT {sought} FROM gb_out WHERE {sought} IS NOT NULL LIMIT 1"  # noqa: S608 - the plan's own text
        try:
            row = self._connection.execute(text, self._parameters).fetchone()
        except sqlite3.Error as error:
            raise self.translate(error) from error
        return row[0] if row else None

    def cancel(self, *, is_polite: bool) -> None:
        """Nobody waits in this process; the gateway interrupts it."""

    def end(self, *, is_cancelled: bool) -> None:  # noqa: ARG002 - as the protocol has it
        if self._cursor is not None:
            self._cursor.close()
        self._guard.off()


class _Read(_ReadWithin):
    """A person's read on a connection of its own."""

    def end(self, *, is_cancelled: bool) -> None:  # noqa: ARG002 - as the protocol has it
        self._served.watch(None)
        self._connection.close()


class _Guard:
    """What watches one statement: the authorizer, the clock, and whoever gave up waiting."""

    def __init__(self, served: SqliteServed, connection: sqlite3.Connection, deadline: float, number: int) -> None:
        self._served = served
        self._connection = connection
        self._deadline = deadline
        self._number = number
        self._reads: Mapping[str, frozenset[str]] = {}
        self._functions: frozenset[str] = frozenset()
        self._views: frozenset[str] = frozenset()
        self._is_late = False
        self.refused: str | None = None
        served.watch(connection)
        connection.set_progress_handler(self._tick, _PROGRESS_STEPS)

    def allow(self, request: Mapping[str, Any]) -> None:
        """Let it reach the columns that the analysis named, the functions that are allowed, and no others."""
        self._reads = {str(table): frozenset(columns) for table, columns in request["reads"].items()}
        self._functions = self._served.functions | frozenset(request["functions"])
        self._views = frozenset(request["views"])
        self._connection.set_authorizer(self._authorize)

    def translate(self, error: Exception) -> Exception:
        """SQLite's error as ours; its text may carry values, so it is not repeated."""
        if isinstance(error, GatebookError):
            return error
        if self.refused is not None:
            return SeenMore(f"the database saw the statement reach for {self.refused}, which the analysis did not name")
        if self._is_late:
            return StatementTimeout("the statement took longer than allowed and was stopped")
        return translate(error)

    def off(self) -> None:
        """Stop watching; the connection goes on with the gate's own statements."""
        self._served.watch(None)
        self._connection.set_authorizer(None)
        self._connection.set_progress_handler(None, 0)

    def _tick(self) -> int:
        self._is_late = self._is_late or time.monotonic() > self._deadline
        return int(self._is_late or self._served.is_stopped(self._number))

    def _authorize(self, action: int, first: str | None, second: str | None, _: str | None, inside: str | None) -> int:
        if inside is not None and inside.lower() in self._views and action in _OF_VIEWS:
            # What a view is made of; its name is a table's, for common table expressions have random ones.
            return sqlite3.SQLITE_OK
        if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            columns = self._reads.get((first or "").lower())
            if columns is not None and (not second or second.lower() in columns):
                return sqlite3.SQLITE_OK
            if self._views and not second:
                # A view may be made of a table without any of its columns.
                return sqlite3.SQLITE_OK
            self.refused = f"`{first}.{second}`"
        elif action == sqlite3.SQLITE_FUNCTION:
            if (second or "").upper() in self._functions:
                return sqlite3.SQLITE_OK
            self.refused = f"the function `{second}`"
        else:
            self.refused = f"action {action}"
        return sqlite3.SQLITE_DENY


def _changed(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT changes()").fetchone()[0])


def translate(error: Exception) -> Exception:
    """The class of an SQLite error in words, without its text."""
    match error:
        case MemoryError():
            return MemoryExceeded("the statement needs more memory than it may have; narrow it")
        case sqlite3.IntegrityError():
            return RuleBroken(f"the write breaks a rule of the database ({_constraint(error)})")
        case sqlite3.OperationalError() if f"no such table: {LEDGER}" in str(error):
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


def keyed_hash(outer: bytes, inner: bytes, value: Any) -> str | None:
    """The mask `hash`, which SQLite has no functions for: see `sql/masks.py`."""
    if value is None:
        return None
    within = hashlib.sha256(inner + str(value).encode()).digest()
    return hashlib.sha256(outer + within).hexdigest()[:32]
