"""How does a server's transaction serve as a WriteSession?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any

from gatebook_hub.sources.source import Ending, ReadStream, within
from gatebook_hub.sources.stream import CursorStream, Driven
from gatebook_hub.sql import Plan


class ServerWriting(Ending):
    """A WriteSession on a DB-API connection in a transaction that its source opened."""

    def __init__(
        self,
        connection: Any,
        translate: Callable[[Exception], Exception],
        reading: Callable[[Any, Plan, Mapping[str, Any]], Driven],
        timed: Callable[[Any, float | None], None],
        others: Callable[[], AbstractContextManager[ServerWriting]],
    ) -> None:
        self._connection = connection
        self._translate = translate
        self._reading = reading
        self._timed = timed
        self._others = others
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
        stream = CursorStream(self._reading(self._connection, plan, parameters))
        if begun is not None:
            begun(stream)
        stream.start()
        return stream

    def select(self, plan: Plan, parameters: Mapping[str, Any], limit_rows: int) -> list[tuple[Any, ...]]:
        """Rows of a governed read."""
        self._check_open()
        cursor = self._reader()
        try:
            with closing(cursor):  # which may read the rest, and fail
                cursor.execute(plan.sql, dict(parameters))
                rows = [tuple(row) for row in cursor.fetchmany(limit_rows + 1)]
        except Exception as error:
            raise self._translate(error) from error
        within(rows, limit_rows)
        return rows

    def run(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        *,
        returns: bool = False,  # noqa: ARG002 - servers tell rows from a count
    ) -> tuple[list[tuple[Any, ...]], int]:
        """One of the gate's own statements."""
        cursor = self._cursor()
        try:
            cursor.execute(sql, dict(parameters))
            rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            self.last_id = getattr(cursor, "lastrowid", None) or None
            return rows, cursor.rowcount
        except Exception as error:
            raise self._translate(error) from error
        finally:
            cursor.close()

    def select_many(
        self, plan: Plan, sets: Sequence[Mapping[str, Any]], limit_rows: int
    ) -> list[list[tuple[Any, ...]]]:
        """Rows of a governed read, for each set of parameters."""
        return [self.select(plan, parameters, limit_rows) for parameters in sets]

    def run_many(
        self, sql: str, sets: Sequence[Mapping[str, Any]], *, returns: bool = False
    ) -> list[tuple[list[tuple[Any, ...]], int]]:
        """One of the gate's own statements, for each set of parameters."""
        return [self.run(sql, parameters, returns=returns) for parameters in sets]

    def limit_time(self, seconds: float | None) -> None:
        """What the next statements may take; told each time, since a savepoint may have undone it."""
        self._check_open()
        try:
            self._timed(self._connection, seconds)
        except Exception as error:
            raise self._translate(error) from error

    def others(self) -> AbstractContextManager[ServerWriting]:
        """What everybody else sees at this moment, on a connection of its own, read only."""
        self._check_open()
        return self._others()

    def _reader(self) -> Any:
        """The cursor of a governed read."""
        return self._cursor()

    def _cursor(self) -> Any:
        self._check_open()
        try:
            return self._connection.cursor()
        except Exception as error:
            raise self._translate(error) from error

    def commit(self) -> None:
        """Make it last when the session ends."""
        self.is_committed = True
