"""How does a transaction of PostgreSQL serve as a WriteSession? Many sets of parameters go in one pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.types.string import TextLoader

from gatebook_hub.sources.source import within
from gatebook_hub.sources.writing import ServerWriting
from gatebook_hub.sql import Plan

INTERVAL = 1186
_LISTS = tuple(sorted({kind.array_oid for kind in psycopg.adapters.types if kind.array_oid}))


class PostgresqlWriting(ServerWriting):
    """A month is another interval than thirty days, and lists have bounds: the driver's own values do not say so."""

    _adapters: AdaptersMap | None = None

    def select(self, plan: Plan, parameters: Mapping[str, Any], limit_rows: int) -> list[tuple[Any, ...]]:
        """Rows of a governed read; the driver takes all that come, so no more than one too many are asked for."""
        rows, _ = self.run(_limited(plan, limit_rows), parameters)
        within(rows, limit_rows)
        return rows

    def select_many(
        self, plan: Plan, sets: Sequence[Mapping[str, Any]], limit_rows: int
    ) -> list[list[tuple[Any, ...]]]:
        """Rows of a governed read, for each set of parameters."""
        found = [rows for rows, _ in self.run_many(_limited(plan, limit_rows), sets)]
        for rows in found:
            within(rows, limit_rows)
        return found

    def run_many(
        self,
        sql: str,
        sets: Sequence[Mapping[str, Any]],
        *,
        returns: bool = False,  # noqa: ARG002 - the server tells rows from a count
    ) -> list[tuple[list[tuple[Any, ...]], int]]:
        """One of the gate's own statements, for each set of parameters."""
        if not sets:
            return []
        cursor = self._cursor()
        found = []
        try:
            cursor.executemany(sql, [dict(one) for one in sets], returning=True)
            is_more = True
            while is_more:
                rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
                found.append((rows, cursor.rowcount))
                is_more = cursor.nextset()
        except Exception as error:
            raise self._translate(error) from error
        finally:
            cursor.close()
        return found

    def _cursor(self) -> Any:
        self._check_open()
        if self._adapters is None:  # once for all statements of the session
            self._adapters = AdaptersMap(self._connection.adapters)
            for oid in (INTERVAL, *_LISTS):
                self._adapters.register_loader(oid, TextLoader)
        return _AdaptedCursor(self._connection, self._adapters)


def _limited(plan: Plan, limit_rows: int) -> str:
    return f"SELECT * FROM ({plan.sql}) AS gb_found LIMIT {int(limit_rows) + 1}"  # noqa: S608 - the plan's own text


class _AdaptedCursor(psycopg.Cursor[Any]):
    """A cursor whose values are loaded as it is told, and not as its connection's."""

    def __init__(self, connection: psycopg.Connection[Any], adapters: AdaptersMap) -> None:
        super().__init__(connection)
        self._adapters = adapters
