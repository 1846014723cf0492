"""How does SQLite alone answer, and how under the source's authorizer?"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engines import MOST_ROWS, Answer, Reflected, Refused, engine_on
from steps import Step

from gatebook_hub.model import Engine, Schema
from gatebook_hub.sources import sqlite as sqlite_source
from gatebook_hub.sources.worker import sqlite as worker
from gatebook_hub.sql import Plan


class _Quiet:
    """A connection to which SQLAlchemy adds no functions of its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def create_function(self, *_: Any, **__: Any) -> None:
        """Not on a stock engine."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class StockSqlite:
    """SQLite in memory, on the library that Python brings."""

    engine = Engine.SQLITE
    time_s = 5
    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        functions = sorted(sqlite_source._FUNCTIONS)  # noqa: SLF001 - the source's list
        self._served = worker.SqliteServed({"path": ":memory:", "functions": functions, "lock_wait_s": 1})
        self.fresh()

    def fresh(self) -> None:
        """An empty database."""
        if self._connection is not None:
            self._connection.close()
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 32_000_000)
        self._connection = connection
        self._reflected = Reflected(self.engine, lambda: engine_on("sqlite://", _Quiet(connection)), self._tables)

    reset = fresh

    def execute(self, step: Step) -> Answer | None:
        """Run a statement under the clock."""
        return self._run(lambda connection: connection.execute(step.sql))

    again = execute

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Reads of SQLite leave no trace but user functions' own."""
        yield

    def governed(self, plan: Plan, parameters: Mapping[str, Any]) -> Answer:
        """As the source: under its authorizer and its clock."""
        connection = self._connection
        assert connection is not None
        guard = worker._Guard(self._served, connection, time.monotonic() + self.time_s, 1)  # noqa: SLF001 - its own
        reads = {table: sorted(columns) for table, columns in plan.reads.items()}
        guard.allow({"reads": reads, "functions": sorted(plan.functions), "views": sorted(plan.views)})
        try:
            answer = _sqlite_answer(connection.execute(plan.sql, dict(parameters)))
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            told = f"authorizer: {guard.refused}" if guard.refused else str(error)
            raise Refused(told) from error
        finally:
            guard.off()
        assert answer is not None
        return answer

    def schema(self, words: frozenset[str]) -> Schema:
        """The tables of `main`."""
        return self._reflected.schema(words, "main")

    def changed(self) -> None:
        """The tables may be others now."""
        self._reflected.forget()

    def kind_of(self, name: str) -> str:
        """View, virtual table, catalogue or another database's table."""
        assert self._connection is not None
        bare = name.rsplit(".", maxsplit=1)[-1].strip('"`[]')
        if bare.lower().startswith("sqlite_"):
            return "catalogue"
        query = "SELECT type, sql FROM main.sqlite_schema WHERE lower(name) = lower(?)"
        row = self._connection.execute(query, (bare,)).fetchone()
        if "." in name and not name.lower().startswith("main."):
            return "other database"
        if row is None:
            return "not a relation of main"
        return "virtual table" if "VIRTUAL" in str(row[1]).upper()[:20] else str(row[0])

    def _tables(self) -> list[str]:
        assert self._connection is not None
        rows = self._connection.execute(
            "SELECT name FROM main.sqlite_schema WHERE type IN ('table', 'view')"
        ).fetchall()
        return [row[0] for row in rows]

    def _run(self, act: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> Answer | None:
        connection = self._connection
        assert connection is not None
        deadline = time.monotonic() + self.time_s
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
        try:
            return _sqlite_answer(act(connection))
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError, MemoryError) as error:
            raise Refused(str(error)) from error
        finally:
            connection.set_progress_handler(None, 0)


def _sqlite_answer(cursor: sqlite3.Cursor) -> Answer | None:
    rows = cursor.fetchmany(MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        raise Refused("more rows than are compared")
    if cursor.description is None:
        return None
    names = tuple(item[0] for item in cursor.description)
    return Answer(names=names, types=(), rows=rows)
