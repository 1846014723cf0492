"""How is a governed MariaDB database read and written? Every call runs in a pinned transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.constants import ER, FIELD_TYPE
from pymysql.cursors import SSCursor
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from gatebook_hub.errors import GatebookError, LedgerMissing, SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Engine, Limits, Schema
from gatebook_hub.sources.reflecting import SchemaCache, reflect
from gatebook_hub.sources.source import LEDGER
from gatebook_hub.sources.stream import CursorStream
from gatebook_hub.sources.writing import ServerWriting
from gatebook_hub.sql import Plan

_LOCK_WAIT_S = 5
_DEFAULT_TIME_S = 60.0
_SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY"
_TIMED_OUT = 1969
_TYPES: Mapping[int, pa.DataType] = {
    FIELD_TYPE.TINY: pa.int64(),
    FIELD_TYPE.SHORT: pa.int64(),
    FIELD_TYPE.LONG: pa.int64(),
    FIELD_TYPE.INT24: pa.int64(),
    FIELD_TYPE.LONGLONG: pa.int64(),
    FIELD_TYPE.FLOAT: pa.float64(),
    FIELD_TYPE.DOUBLE: pa.float64(),
    FIELD_TYPE.DATE: pa.date32(),
    FIELD_TYPE.DATETIME: pa.timestamp("us"),
    FIELD_TYPE.TIMESTAMP: pa.timestamp("us"),
    FIELD_TYPE.TIME: pa.duration("us"),
    FIELD_TYPE.VAR_STRING: pa.string(),
    FIELD_TYPE.VARCHAR: pa.string(),
    FIELD_TYPE.STRING: pa.string(),
}


class MariadbSource:
    """A Source over one MariaDB (or MySQL) database."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        arguments = {"connect_timeout": 5, "charset": "utf8mb4", "autocommit": False}
        self._database = create_engine(url, pool_size=4, max_overflow=8, pool_pre_ping=True, connect_args=arguments)
        self._namespace = self._database.url.database or ""
        self._schema = SchemaCache(
            lambda: reflect(self._database, source=name, engine=Engine.MARIADB, namespace=self._namespace)
        )

    def schema(self) -> Schema:
        """Its tables."""
        try:
            return self._schema.get()
        except SQLAlchemyError as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be reached") from error

    def read(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> CursorStream:
        """Start a read whose rows are fetched as they are asked for, in a read-only transaction."""
        pooled, connection = self._begin(limits, "READ ONLY")

        def end() -> None:
            if pooled.dbapi_connection is None:
                return  # ended before: the connection may serve somebody else by now
            result = connection._result  # noqa: SLF001 - as below
            if result is not None and result.unbuffered_active:
                # An unread rest would be drained on close: the connection is ended instead, and the statement with it.
                connection._force_close()  # noqa: SLF001 - the driver has no public way that does not wait
                result.unbuffered_active = False
                pooled.invalidate()
            elif connection.open:
                connection.rollback()
            pooled.close()

        try:
            cursor = connection.cursor(SSCursor)
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
        self._refuse_unsafe_tables()
        pooled, connection = self._begin(limits, "READ WRITE")
        try:
            session = ServerWriting(connection, translate)
            yield session
            if session.is_committed:
                _commit(connection)
        finally:
            if connection.open:
                connection.rollback()
            pooled.close()

    def prepare(self) -> None:
        """Make the ledger table if it is missing."""
        pooled, connection = self._begin(Limits(), "READ WRITE")
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {LEDGER} (change_id varchar(40) PRIMARY KEY, "
                    "digest varchar(64) NOT NULL, executed_at varchar(40) NOT NULL) ENGINE=InnoDB"
                )
        except pymysql.MySQLError as error:
            raise translate(error) from error
        finally:
            pooled.close()

    def ledger(self, change_ids: Sequence[str]) -> frozenset[str]:
        """Which of these changes were executed."""
        query = f"SELECT change_id FROM {LEDGER} WHERE change_id = %(id)s"  # noqa: S608 - a constant
        found: set[str] = set()
        try:
            with self.writing(Limits()) as session:
                for change_id in change_ids:
                    found.update(row[0] for row in session.run(query, {"id": change_id})[0])
        except LedgerMissing:
            return frozenset()
        return frozenset(found)

    def close(self) -> None:
        """Give the pool's connections back."""
        self._database.dispose()

    def _refuse_unsafe_tables(self) -> None:
        """A table that cannot roll back would keep a preview's rows."""
        query = (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s "
            "AND table_type = 'BASE TABLE' AND engine <> 'InnoDB' LIMIT 1"
        )
        try:
            with self._database.connect() as connection:
                found = connection.exec_driver_sql(query, (self._namespace,)).scalar()
        except SQLAlchemyError as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be reached") from error
        if found is not None:
            raise StatementFailed("the source has tables that cannot roll back (not InnoDB), so it takes no writes")

    def _begin(self, limits: Limits, mode: str) -> tuple[Any, Any]:
        try:
            pooled = self._database.raw_connection()
        except (SQLAlchemyError, pymysql.MySQLError) as error:
            raise SourceUnavailable(f"the source `{self.name}` cannot be reached") from error
        connection: Any = pooled.driver_connection
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION max_statement_time = %s", (limits.time_s or _DEFAULT_TIME_S,))
            cursor.execute("SET SESSION innodb_lock_wait_timeout = %s", (_LOCK_WAIT_S,))
            cursor.execute("SET SESSION sql_mode = %s", (_SQL_MODE,))
            cursor.execute("SET SESSION time_zone = '+00:00'")
            cursor.execute(f"START TRANSACTION {mode}")
        return pooled, connection


def _commit(connection: Any) -> None:
    try:
        connection.commit()
    except pymysql.MySQLError as error:
        raise translate(error) from error


def _declared(cursor: Any) -> list[pa.DataType | None]:
    found: list[pa.DataType | None] = []
    for column, field in zip(cursor.description, cursor._result.fields, strict=True):  # noqa: SLF001 - charset
        is_binary = field.charsetnr == 63
        kind = column[1]
        if kind == FIELD_TYPE.NEWDECIMAL:
            found.append(pa.decimal128(38, field.scale))
        elif kind in {FIELD_TYPE.BLOB, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.LONG_BLOB}:
            found.append(pa.binary() if is_binary else pa.string())
        else:
            found.append(_TYPES.get(kind))
    return found


def translate(error: Exception) -> Exception:
    """The number of an error in words; its text may carry values, so it is not repeated."""
    number = error.args[0] if isinstance(error, pymysql.MySQLError) and error.args else None
    match error:
        case _ if number in {_TIMED_OUT, ER.LOCK_WAIT_TIMEOUT, ER.QUERY_INTERRUPTED}:
            return StatementTimeout("the statement, or a lock it waited for, took longer than allowed")
        case _ if number == ER.NO_SUCH_TABLE and LEDGER in str(error):
            return LedgerMissing("the source has no ledger yet; the operator runs `gatebook source prepare`")
        case pymysql.IntegrityError():
            return StatementFailed("the write breaks a rule of the database (a unique value, a reference or a check)")
        case pymysql.OperationalError() if number in {2006, 2013, 2003}:
            return SourceUnavailable("the connection to the database was lost")
        case pymysql.MySQLError():
            return StatementFailed(f"the database refused the statement (error {number})")
        case _:
            return StatementFailed("the values do not fit the statement")
