"""How is a governed PostgreSQL database read and written? Every call runs in a pinned transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import errors as pg
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from gatebook_hub.errors import GatebookError, LedgerMissing, SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Engine, Limits, Schema
from gatebook_hub.sources.reflecting import SchemaCache, reflect
from gatebook_hub.sources.source import LEDGER
from gatebook_hub.sources.stream import CursorStream
from gatebook_hub.sources.writing import ServerWriting
from gatebook_hub.sql import Plan

_LOCK_WAIT_MS = 5_000
_DEFAULT_TIME_S = 60.0
_NAMESPACE = "public"
_TYPES: Mapping[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    25: pa.string(),
    700: pa.float32(),
    701: pa.float64(),
    1042: pa.string(),
    1043: pa.string(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
    1186: pa.duration("us"),
    2950: pa.string(),
}
_NUMERIC = 1700


class PostgresqlSource:
    """A Source over a PostgreSQL database; one namespace, `public`."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._database = create_engine(
            url, pool_size=4, max_overflow=8, pool_pre_ping=True, connect_args={"connect_timeout": 5}
        )
        self._schema = SchemaCache(
            lambda: reflect(self._database, source=name, engine=Engine.POSTGRESQL, namespace=_NAMESPACE)
        )

    def schema(self) -> Schema:
        """Its tables."""
        try:
            return self._schema.get()
        except SQLAlchemyError as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be reached") from error

    def read(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> CursorStream:
        """Start a read through a server-side cursor in a read-only transaction."""
        pooled, connection = self._begin(limits, "READ ONLY")
        cursor = connection.cursor(name="gatebook")

        def end() -> None:
            if pooled.dbapi_connection is None:
                return  # ended before: the connection may serve somebody else by now
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                connection.cancel_safe(timeout=5)
            pooled.invalidate() if connection.closed else connection.rollback()
            cursor.close()
            pooled.close()

        try:
            cursor.execute(plan.sql, dict(parameters))
            return CursorStream(cursor, declared=_declared, translate=translate, end=end)
        except GatebookError:
            end()
            raise
        except Exception as error:
            end()
            raise translate(error) from error

    @contextmanager
    def writing(self, limits: Limits) -> Iterator[ServerWriting]:
        """Open a transaction that may write; rows are locked as they are read by key."""
        pooled, connection = self._begin(limits, "READ WRITE")
        try:
            session = ServerWriting(connection, translate)
            yield session
            if session.is_committed:
                _commit(connection)
        finally:
            if not connection.closed:
                connection.rollback()
            pooled.close()

    def prepare(self) -> None:
        """Make the ledger table if it is missing."""
        with self.writing(Limits()) as session:
            session.run(
                f"CREATE TABLE IF NOT EXISTS {_NAMESPACE}.{LEDGER} "
                "(change_id text PRIMARY KEY, digest text NOT NULL, executed_at text NOT NULL)",
                {},
            )
            session.commit()

    def ledger(self, change_ids: Sequence[str]) -> frozenset[str]:
        """Which of these changes were executed."""
        query = f"SELECT change_id FROM {_NAMESPACE}.{LEDGER} WHERE change_id = ANY(%(ids)s)"  # noqa: S608 - constants
        try:
            with self.writing(Limits()) as session:
                rows, _ = session.run(query, {"ids": list(change_ids)})
        except LedgerMissing:
            return frozenset()
        return frozenset(row[0] for row in rows)

    def close(self) -> None:
        """Give the pool's connections back."""
        self._database.dispose()

    def _begin(self, limits: Limits, mode: str) -> tuple[Any, psycopg.Connection[Any]]:
        try:
            pooled = self._database.raw_connection()
        except (SQLAlchemyError, psycopg.Error) as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be reached") from error
        connection: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
        timeout_ms = int((limits.time_s or _DEFAULT_TIME_S) * 1000)
        connection.execute(f"SET TRANSACTION {mode}")
        pins = {
            "search_path": "pg_catalog",
            "standard_conforming_strings": "on",
            "statement_timeout": timeout_ms,
            "lock_timeout": _LOCK_WAIT_MS,
            "idle_in_transaction_session_timeout": timeout_ms + 60_000,
        }
        for name, value in pins.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, str(value)))
        return pooled, connection


def _commit(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.commit()
    except psycopg.Error as error:
        raise translate(error) from error


def _declared(cursor: Any) -> list[pa.DataType | None]:
    found: list[pa.DataType | None] = []
    for column in cursor.description:
        if column.type_code == _NUMERIC and column.precision is not None:
            found.append(pa.decimal128(min(column.precision, 38), column.scale or 0))
        else:
            found.append(_TYPES.get(column.type_code))
    return found


def translate(error: Exception) -> Exception:
    """The SQLSTATE of an error in words; its text may carry values, so it is not repeated."""
    match error:
        case pg.QueryCanceled() | pg.LockNotAvailable():
            return StatementTimeout("the statement, or a lock it waited for, took longer than allowed")
        case pg.UndefinedTable() if LEDGER in str(error):
            return LedgerMissing("the source has no ledger yet; the operator runs `gatebook source prepare`")
        case pg.UniqueViolation():
            return StatementFailed("the write breaks a rule of the database (a unique value)")
        case pg.ForeignKeyViolation():
            return StatementFailed("the write breaks a rule of the database (a reference to another table)")
        case pg.CheckViolation() | pg.NotNullViolation():
            return StatementFailed("the write breaks a rule of the database (a check)")
        case psycopg.OperationalError() if error.sqlstate is None:
            return SourceUnavailable("the connection to the database was lost")
        case psycopg.Error():
            return StatementFailed(f"the database refused the statement (SQLSTATE {error.sqlstate or 'unknown'})")
        case _:
            return StatementFailed("the values do not fit the statement")
