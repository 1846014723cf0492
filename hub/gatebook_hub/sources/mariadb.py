"""How is a governed MariaDB database read and written? Every call runs in a pinned transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.constants import ER
from pymysql.cursors import SSCursor
from sqlalchemy.exc import SQLAlchemyError

from gatebook_hub.errors import LedgerMissing, RuleBroken, SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.mariadb_batches import batches_of
from gatebook_hub.sources.mariadb_columns import declared
from gatebook_hub.sources.mariadb_packets import read_in_large_pieces
from gatebook_hub.sources.server import ServerSource
from gatebook_hub.sources.sizes import CountedBatches
from gatebook_hub.sources.source import LEDGER
from gatebook_hub.sources.stream import BatchStream, Driven, cut
from gatebook_hub.sources.writing import ServerWriting
from gatebook_hub.sql import Plan

_LOCK_WAIT_S = 5
_DEFAULT_TIME_S = 60.0
_SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_TIMED_OUT = 1969
_GRACE_S = 5.0
_LOST = 2013
_RESET = 0x1F


class MariadbSource(ServerSource):
    """A Source over one MariaDB (or MySQL) database."""

    _driver_error = pymysql.MySQLError
    _add_line = f"INSERT IGNORE INTO {LEDGER} (change_id, digest, executed_at) VALUES (%(id)s, '', '')"  # noqa: S608

    def __init__(self, name: str, url: str, *, has_workers: bool = False) -> None:
        arguments = {"connect_timeout": 5, "charset": "utf8mb4", "autocommit": False}
        super().__init__(name, url, Engine.MARIADB, arguments, has_workers=has_workers)

    @contextmanager
    def writing(self, limits: Limits) -> Iterator[ServerWriting]:
        """Open a transaction that may write; rows are locked as they are read by key."""
        self._refuse_unsafe_tables()
        with super().writing(limits) as session:
            yield session

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

    def findings(self) -> Sequence[tuple[str, str]]:
        """What the account could do, were the gate not before it."""
        grants = [str(row[0]).upper() for row in self._ask("SHOW GRANTS", {})]
        return list(_findings(grants, self._namespace.upper()))

    def _stream(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> BatchStream:
        pooled, connection = self._begin(limits, "READ ONLY")
        read = self._reading(pooled, connection, plan, parameters)
        tell = partial(self.sizes.tell, plan.sql)
        return BatchStream(read, lambda: CountedBatches(batches_of(read), tell))

    def _session(self, connection: Any) -> ServerWriting:
        return _Writing(connection, self._translate, self._reading_within, self._limit_time, self._others)

    def _reading(self, pooled: Any, connection: Any, plan: Plan, parameters: Mapping[str, Any]) -> Driven:
        return _Read(pooled, connection, plan.sql, parameters, self._kill)

    def _reading_within(self, connection: Any, plan: Plan, parameters: Mapping[str, Any]) -> Driven:
        return _ReadWithin(connection, plan.sql, parameters, self._kill)

    def _prepare_new(self, connection: Any) -> None:
        read_in_large_pieces(connection)

    def _limit_time(self, connection: Any, seconds: float | None) -> None:
        time_s = float(seconds or _DEFAULT_TIME_S)
        connection._read_timeout = time_s + _GRACE_S  # noqa: SLF001 - as in `_begin`
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION max_statement_time = {time_s}")

    def _identity_on(self, connection: Any) -> str:
        return _identity(connection, self._namespace)

    def _translate(self, error: Exception) -> Exception:
        return translate(error)

    def _kill(self, thread_id: int, what: str) -> None:
        """Stop a statement, or a whole session, of ours from another connection."""
        with suppress(SQLAlchemyError, pymysql.MySQLError), self._apart.connect() as connection:
            connection.exec_driver_sql(f"KILL {what} {int(thread_id)}")

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
            raise self._unreachable() from error
        if found is not None:
            raise StatementFailed("the source has tables that cannot roll back (not InnoDB), so it takes no writes")

    def _begin(self, limits: Limits, mode: str) -> tuple[Any, Any]:
        pooled = self._pooled()
        connection: Any = pooled.driver_connection
        pins = (
            f"max_statement_time = {float(limits.time_s or _DEFAULT_TIME_S)}",
            f"innodb_lock_wait_timeout = {_LOCK_WAIT_S}",
            f"lock_wait_timeout = {_LOCK_WAIT_S}",
            f"idle_transaction_timeout = {int(limits.time_s or _DEFAULT_TIME_S) + 60}",
            f"sql_mode = '{_SQL_MODE}'",
            "time_zone = '+00:00'",
            "autocommit = 0",  # what follows a transaction that is over must not be committed by itself
        )
        # Some functions do not look at whether they were killed; nobody waits for them.
        connection._read_timeout = float(limits.time_s or _DEFAULT_TIME_S) + _GRACE_S  # noqa: SLF001 - no other way
        try:
            _reset(connection)
            with connection.cursor() as cursor:
                cursor.execute(f"SET SESSION {', SESSION '.join(pins)}, NAMES utf8mb4")
                # For the session too: DDL commits a read-only transaction, and would then run in none.
                # What was read is read anew by the next statement: an old sight of rows would outlive a change of them.
                level = "READ COMMITTED" if mode == "READ WRITE" else "REPEATABLE READ"
                cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}, {mode}")
                cursor.execute(f"START TRANSACTION {mode}")
        except pymysql.MySQLError as error:
            pooled.invalidate()
            pooled.close()
            raise translate(error) from error
        return pooled, connection


def _reset(connection: Any) -> None:
    """Forget what a session holds (variables, temporary tables, locks, prepared statements), as if it were new."""
    connection._execute_command(_RESET, b"")  # noqa: SLF001 - the driver has no public way
    connection._read_ok_packet()  # noqa: SLF001 - as above


class _Writing(ServerWriting):
    """A WriteSession whose reads are fetched as they are asked for: what is too much is never held."""

    def _reader(self) -> Any:
        return SSCursor(self._connection)


class _ReadWithin:
    """One read inside of somebody's transaction, as `CursorStream` drives it. Left half way, it ends the session."""

    def __init__(
        self, connection: Any, sql: str, parameters: Mapping[str, Any], kill: Callable[[int, str], None]
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._parameters = dict(parameters)
        self._kill = kill

    def execute(self) -> SSCursor:
        cursor = SSCursor(self._connection)
        cursor.execute(self._sql, self._parameters)
        return cursor

    def declared(self, cursor: SSCursor) -> list[pa.DataType | None]:
        return declared(cursor)

    def later_value(self, index: int) -> None:  # noqa: ARG002 - the engine tells every type that matters
        return None

    def translate(self, error: Exception) -> Exception:
        return translate(error)

    def cancel(self, *, is_polite: bool) -> None:
        if is_polite:
            self._kill(self._connection.thread_id(), "QUERY")
        else:
            with suppress(OSError):
                cut(self._connection._sock.fileno())  # noqa: SLF001 - the driver has no other way

    def end(self, *, is_cancelled: bool) -> None:  # noqa: ARG002 - the transaction decides what remains
        self._leave_rest()

    def _leave_rest(self) -> bool:
        """Whether rows were left unread, which ended the session."""
        result = self._connection._result  # noqa: SLF001 - as below
        if result is None or not result.unbuffered_active:
            return False
        # An unread rest would be drained on close: the session is ended instead, and the statement with it.
        self._kill(self._connection.thread_id(), "CONNECTION")
        self._connection._force_close()  # noqa: SLF001 - the driver has no public way that does not wait
        result.unbuffered_active = False
        return True


class _Read(_ReadWithin):
    """One read on a pooled connection, in a transaction of its own."""

    def __init__(
        self, pooled: Any, connection: Any, sql: str, parameters: Mapping[str, Any], kill: Callable[[int, str], None]
    ) -> None:
        super().__init__(connection, sql, parameters, kill)
        self._pooled = pooled

    def end(self, *, is_cancelled: bool) -> None:
        if self._leave_rest() or is_cancelled or not self._connection.open:
            self._pooled.invalidate()
        else:
            self._connection.rollback()
        self._pooled.close()


def _identity(connection: Any, namespace: str) -> str:
    """What server and which of its databases; the connection is new."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uid', 'server_uuid')")
        found = dict(cursor.fetchall())
        if not any(found.values()):
            cursor.execute("SELECT 'host', CONCAT_WS(':', @@hostname, @@port, @@server_id, @@datadir)")
            found = dict(cursor.fetchall())
    connection.rollback()
    return f"mariadb:{next(value for value in found.values() if value)}:{namespace}"


def _findings(grants: Sequence[str], namespace: str) -> Iterator[tuple[str, str]]:
    """Read from the account's own grants; the words are the server's."""
    for grant in grants:
        rights, _, rest = grant.removeprefix("GRANT ").partition(" ON ")
        where = rest.split(" TO ")[0].replace("`", "")
        if (where == "*.*" and rights != "USAGE") or rights == "PROXY":  # proxies act as other accounts
            yield "source.W002", "its account has rights over the whole server, not over one database"
        elif where.startswith(f"{namespace}.") and (
            "ALL PRIVILEGES" in rights or "DROP" in rights or "ALTER" in rights
        ):
            yield "source.W003", "its account could change or drop tables"
        elif rest and not where.startswith(f"{namespace}.") and where != "*.*":
            yield "source.W004", "its account has rights in other databases than the one that is governed"


def translate(error: Exception) -> Exception:
    """The number of an error in words; its text may carry values, so it is not repeated."""
    first = error.args[0] if isinstance(error, pymysql.MySQLError) and error.args else None
    number = first if isinstance(first, int) else None
    match error:
        case _ if number in {_TIMED_OUT, ER.LOCK_WAIT_TIMEOUT}:
            return StatementTimeout("the statement, or a lock it waited for, took longer than allowed")
        case _ if number == ER.NO_SUCH_TABLE and LEDGER in str(error):
            return LedgerMissing("the source has no ledger yet; the operator runs `gatebook source prepare`")
        case _ if number == ER.QUERY_INTERRUPTED:
            return StatementFailed("the statement was cancelled")
        case pymysql.IntegrityError():
            return RuleBroken("the write breaks a rule of the database (a unique value, a reference or a check)")
        case pymysql.OperationalError() if number == _LOST and "timed out" in str(error):
            return StatementTimeout("the statement took longer than allowed, and nobody waits for it")
        case pymysql.OperationalError() if number in {2006, _LOST, 2003}:
            return SourceUnavailable("the connection to the database was lost")
        case pymysql.MySQLError():
            return StatementFailed(f"the database refused the statement (error {number})")
        case _:
            return StatementFailed("the values do not fit the statement")
