"""How is a large answer of PostgreSQL copied as Arrow? A pool of connections of the driver for that.

Such a connection is as pinned as the other driver's: its server is compared with the one that was met first, each read
has a read-only transaction with the same settings, and what a session could keep is discarded before the next one. A
connection that was cancelled, or whose answer was not read to its end, serves nobody else.

The driver copies (`COPY (…) TO STDOUT`), which hands over rows as they are made. The time limit of the statement then
bounds the whole of it, with the time that the reader takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import psycopg
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement
from adbc_driver_manager._reader import AdbcRecordBatchReader
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from gatebook_hub.model import Limits
from gatebook_hub.sources.postgresql_session import pins

DriverError = adbc_driver_manager.Error
_USE_COPY = adbc_driver_postgresql.StatementOptions.USE_COPY.value
_BATCH_BYTES = adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value
_GOOD_BYTES = 500_000
_KEPT, _MORE = 2, 4
# A dead network is noticed by the kernel, for nobody else can end a call of this driver.
_NETWORK = {
    "connect_timeout": "5",
    "client_encoding": "UTF8",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_ENCODING = "SELECT pg_catalog.current_setting('server_encoding')"


class ArrowLink:
    """One connection. All but `cancel` are called by one thread at a time."""

    def __init__(self, database: AdbcDatabase) -> None:
        self._connection = AdbcConnection(database)
        self._statement: AdbcStatement | None = None
        self._reader: AdbcRecordBatchReader | None = None
        self.process = 0

    def ask(self, sql: str) -> str:
        """The first value of a query, as text; raises psycopg.Error as the other driver would."""
        try:
            return self._ask(sql)
        except DriverError as error:
            raise told(error) from error

    def _ask(self, sql: str) -> str:
        with AdbcStatement(self._connection) as statement:
            statement.set_options(**{_USE_COPY: "false"})
            statement.set_sql_query(sql)
            handle, _ = statement.execute_query()
            reader = AdbcRecordBatchReader._import_from_c(handle.address)  # noqa: SLF001 - the driver's own, public one lacks SQLSTATEs
            try:
                rows = [row for batch in reader for row in batch.to_pylist()]
            finally:
                reader.close()
        return str(next(iter(rows[0].values()))) if rows and rows[0] else ""

    def check_encoding(self) -> None:
        """Raise where texts may be in no known encoding."""
        if self.ask(_ENCODING) != "UTF8":
            raise psycopg.NotSupportedError("the database is not in UTF-8")

    def begin(self, limits: Limits) -> None:
        """Open a pinned transaction that can only read."""
        self.ask("BEGIN READ ONLY")
        self.process = int(self.ask(pins(limits)))

    def describe(self, sql: str) -> pa.Schema:
        """The columns of a statement, which is parsed but does not run.

        What it reads is locked until the transaction ends, so the columns are those that `copy` meets.
        """
        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(sql)
            return pa.schema(statement.execute_schema())

    def copy(self, sql: str) -> AdbcRecordBatchReader:
        """Run a statement."""
        statement = self._statement = AdbcStatement(self._connection)
        statement.set_options(**{_BATCH_BYTES: str(_GOOD_BYTES)})
        statement.set_sql_query(sql)
        handle, _ = statement.execute_query()
        self._reader = AdbcRecordBatchReader._import_from_c(handle.address)  # noqa: SLF001 - as above
        return self._reader

    @property
    def is_copying(self) -> bool:
        """Whether a statement was begun, and not ended."""
        return self._statement is not None

    def cancel(self) -> None:
        """Stop what runs, also from another thread."""
        with suppress(DriverError):
            self._connection.cancel()

    def forget(self) -> None:
        """End the transaction, and all that a session could keep."""
        self._end_statement()
        self.ask("ROLLBACK")
        self.ask("DISCARD ALL")

    def close(self) -> None:
        """Close the connection; the statement was cancelled, if it still ran."""
        with suppress(DriverError):
            self._end_statement()
        self._connection.close()

    def _end_statement(self) -> None:
        reader, self._reader = self._reader, None
        statement, self._statement = self._statement, None
        try:
            if reader is not None:
                reader.close()
        finally:
            if statement is not None:
                statement.close()


class Lent:
    """A connection of the pool in a transaction of its own, until it is given back."""

    def __init__(self, pooled: PoolProxiedConnection, link: ArrowLink) -> None:
        self._pooled = pooled
        self.link = link

    def give_back(self, *, is_clean: bool) -> None:
        """To the next read; or else stop what still runs, and close it."""
        if is_clean:
            try:
                self.link.forget()
            except (DriverError, psycopg.Error):
                self._pooled.invalidate()
        else:
            self.link.cancel()
            self._pooled.invalidate()
        self._pooled.close()


class ArrowLinks:
    """The pool of one database; it makes no connection before the first large answer."""

    def __init__(self, arguments: Mapping[str, Any], met: Callable[[ArrowLink], None]) -> None:
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        self._arguments = {name: value for name, value in arguments.items() if name in known} | _NETWORK
        self._met = met
        self._opening = threading.Lock()
        self._database: AdbcDatabase | None = None
        # Nobody waits for a connection of this pool: the other driver's is the next best.
        self._pool = QueuePool(self._connect, pool_size=_KEPT, max_overflow=_MORE, timeout=0, reset_on_return=None)

    def lend(self, limits: Limits) -> Lent | None:
        """A connection in a pinned transaction; none if there is none to be had, and then the other driver tells why.

        Raises SourceChanged.
        """
        for _ in range(_KEPT + 1):  # those that were kept may be dead
            try:
                pooled = self._pool.connect()
            except (SQLAlchemyError, DriverError, psycopg.Error):
                return None
            link: Any = pooled.driver_connection
            try:
                link.begin(limits)
            except psycopg.Error:
                pooled.invalidate()
                pooled.close()
                continue
            return Lent(pooled, link)
        return None

    def close(self) -> None:
        """Close those that nobody has."""
        self._pool.dispose()
        with self._opening, suppress(RuntimeError):  # somebody still has one
            if self._database is not None:
                self._database.close()
                self._database = None

    def _connect(self) -> Any:
        with self._opening:
            if self._database is None:
                self._database = adbc_driver_postgresql.connect(make_conninfo(**self._arguments))
            database = self._database
        link = ArrowLink(database)
        try:
            self._met(link)
            link.check_encoding()
        except BaseException:
            link.close()
            raise
        return link


def told(error: Exception) -> Exception:
    """The error as the other driver would raise it, without its text."""
    if not isinstance(error, DriverError | OSError):
        return error
    state = getattr(error, "sqlstate", None)
    if state is None:
        is_lost = getattr(error, "status_code", None) == adbc_driver_manager.AdbcStatusCode.IO
        return psycopg.OperationalError() if is_lost else psycopg.DatabaseError()
    try:
        return psycopg.errors.lookup(state)()
    except KeyError:
        found = psycopg.DatabaseError()
        found.sqlstate = state
        return found
