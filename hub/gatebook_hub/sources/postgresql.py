"""How is a governed PostgreSQL database read and written? Every call runs in a pinned transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import errors as pg
from psycopg.types.string import TextLoader
from sqlalchemy.exc import SQLAlchemyError

from gatebook_hub.errors import LedgerMissing, RuleBroken, SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.arrow import decimal_of
from gatebook_hub.sources.arrow_link import ArrowLinks
from gatebook_hub.sources.choosing import ByRows, ChosenRead
from gatebook_hub.sources.postgresql_session import identity, limit_time, pins
from gatebook_hub.sources.postgresql_writing import INTERVAL, PostgresqlWriting
from gatebook_hub.sources.server import MOST_CONNECTIONS, ServerSource
from gatebook_hub.sources.source import LEDGER
from gatebook_hub.sources.stream import BatchStream, Driven, cut
from gatebook_hub.sources.writing import ServerWriting
from gatebook_hub.sql import Plan

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
    INTERVAL: pa.duration("us"),
    2950: pa.string(),
}
_NUMERIC = 1700
# JSON, records, ranges, multiranges, addresses and times with a zone come as the server writes them: what the driver
# makes of one type may be of several.
_AS_TEXT = (
    *(114, 650, 869, 1266, 2249, 2287, 3802, 3904, 3906, 3908, 3910, 3912, 3926),
    *(4451, 4532, 4533, 4534, 4535, 4536),
)
_RIGHTS = f"""
SELECT r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
  EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = '{_NAMESPACE}'::regnamespace AND c.relname <> '{LEDGER}'
          AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_has_role(c.relowner, 'USAGE')),
  EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname NOT IN ('{_NAMESPACE}', 'pg_catalog', 'information_schema')
          AND n.nspname !~ '^pg_(toast|temp)' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
FROM pg_roles r WHERE r.rolname = current_user
"""  # noqa: S608 - constants
_FINDINGS = (
    ("source.W002", "its account has rights over the whole server (superuser, roles, databases or row security)"),
    ("source.W003", "its account owns tables, so it could change or drop them, and its row security does not bind it"),
    ("source.W004", "its account may write tables outside of the schema that is governed"),
)


class PostgresqlSource(ServerSource):
    """A Source over a PostgreSQL database; one namespace, `public`."""

    _driver_error = psycopg.Error
    _add_line = (
        f"INSERT INTO {_NAMESPACE}.{LEDGER} (change_id, digest, executed_at) "  # noqa: S608 - constants
        "VALUES (%(id)s, '', '') ON CONFLICT DO NOTHING"
    )
    _begins_anew = True

    def __init__(self, name: str, url: str, *, has_workers: bool = False) -> None:
        arguments = {"connect_timeout": 5}
        super().__init__(name, url, Engine.POSTGRESQL, arguments, _NAMESPACE, is_asked=False, has_workers=has_workers)
        _, given = self._database.dialect.create_connect_args(self._database.url)
        self._links = ArrowLinks(given, lambda link: self.pin.check(lambda: identity(link.ask, lambda: None)))

    def prepare(self) -> None:
        """Make the ledger table if it is missing."""
        with self.writing(Limits()) as session:
            session.run(
                f"CREATE TABLE IF NOT EXISTS {_NAMESPACE}.{LEDGER} "
                "(change_id text PRIMARY KEY, digest text NOT NULL, executed_at text NOT NULL)",
                {},
            )
            session.commit()

    def findings(self) -> Sequence[tuple[str, str]]:
        """What the account could do, were the gate not before it."""
        row = self._ask(_RIGHTS, {})[0]
        return [(id_, sentence) for (id_, sentence), holds in zip(_FINDINGS, row, strict=True) if holds]

    def close(self) -> None:
        """Give the connections of both pools back."""
        super().close()
        self._links.close()

    def _stream(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> BatchStream:
        def by_rows(pooled: Any, connection: Any) -> ByRows:
            return ByRows(driven=self._reading(pooled, connection, plan, parameters), connection=connection)

        def lease() -> ByRows:
            pooled = self._pooled()
            return by_rows(pooled, pooled.driver_connection)

        read = ChosenRead(
            plan.sql,
            parameters,
            limits,
            lease=lease,
            begin=lambda: by_rows(*self._begin(limits, "READ ONLY")),
            translate=translate,
            links=self._links,
            sizes=self.sizes,
            end_process=self._end_process,
        )
        return BatchStream(read, read.execute)

    def _end_process(self, process: int) -> None:
        with suppress(SQLAlchemyError), self._apart.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_catalog.pg_terminate_backend({int(process)})")

    def _begin(self, limits: Limits, mode: str) -> tuple[Any, psycopg.Connection[Any]]:
        for left in reversed(range(MOST_CONNECTIONS + 1)):
            pooled = self._pooled()
            connection: psycopg.Connection[Any] = pooled.driver_connection
            try:
                connection.read_only = mode == "READ ONLY"
                connection.execute(pins(limits).encode())
            except psycopg.Error as error:
                is_stale = connection.broken and left > 0  # the server ended it while nobody had it
                pooled.invalidate()
                pooled.close()
                if not is_stale:
                    raise translate(error) from error
            else:
                return pooled, connection
        raise self._unreachable()

    def _reading(self, pooled: Any, connection: Any, plan: Plan, parameters: Mapping[str, Any]) -> Driven:
        return _Read(pooled, connection, plan.sql, parameters)

    def _reading_within(self, connection: Any, plan: Plan, parameters: Mapping[str, Any]) -> Driven:
        return _ReadWithin(connection, plan.sql, parameters)

    def _prepare_new(self, connection: Any) -> None:
        read_as_text(connection)

    def _session(self, connection: Any) -> ServerWriting:
        return PostgresqlWriting(connection, self._translate, self._reading_within, self._limit_time, self._others)

    def _limit_time(self, connection: Any, seconds: float | None) -> None:
        connection.execute(limit_time(seconds).encode())

    def _identity_on(self, connection: Any) -> str:
        found = identity(lambda query: _one(connection, query), connection.rollback)
        connection.rollback()  # it is new, and is left without a transaction
        return found

    def _translate(self, error: Exception) -> Exception:
        return translate(error)


class _ReadWithin:
    """One read inside of somebody's transaction, as `CursorStream` drives it."""

    def __init__(self, connection: psycopg.Connection[Any], sql: str, parameters: Mapping[str, Any]) -> None:
        self._connection = connection
        self._cursor: Any = None
        self._sql = sql
        self._parameters = dict(parameters)

    def execute(self) -> Any:
        self._cursor = self._connection.cursor(name="gatebook")
        return self._cursor.execute(self._sql.encode(), self._parameters)

    def declared(self, cursor: Any) -> list[pa.DataType | None]:
        return _declared(cursor)

    def later_value(self, index: int) -> None:  # noqa: ARG002 - the engine tells every type that matters
        return None

    def translate(self, error: Exception) -> Exception:
        return translate(error)

    def cancel(self, *, is_polite: bool) -> None:
        with suppress(psycopg.Error, OSError):
            if is_polite:
                self._connection.cancel_safe(timeout=2)
            else:
                cut(self._connection.fileno())

    def end(self, *, is_cancelled: bool) -> None:  # noqa: ARG002 - the transaction decides what remains
        with suppress(psycopg.Error):
            if self._cursor is not None:
                self._cursor.close()


class _Read(_ReadWithin):
    """One read on a pooled connection, in a transaction of its own."""

    def __init__(
        self, pooled: Any, connection: psycopg.Connection[Any], sql: str, parameters: Mapping[str, Any]
    ) -> None:
        super().__init__(connection, sql, parameters)
        self._pooled = pooled

    def end(self, *, is_cancelled: bool) -> None:
        super().end(is_cancelled=is_cancelled)
        with suppress(psycopg.Error):
            if not is_cancelled:
                self._connection.rollback()
        # A cancellation that is still under way would hit the next statement.
        if is_cancelled or self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self._pooled.invalidate()
        self._pooled.close()


def read_as_text(connection: psycopg.Connection[Any]) -> None:
    """Have the driver hand on the server's own text of values that are made of parts."""
    for oid in _AS_TEXT:
        connection.adapters.register_loader(oid, TextLoader)


def _one(connection: psycopg.Connection[Any], query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return str(row[0]) if row else ""


def _declared(cursor: Any) -> list[pa.DataType | None]:
    found: list[pa.DataType | None] = []
    for column in cursor.description:
        if column.type_code == _NUMERIC and column.precision is not None:
            found.append(_decimal(column))
        else:
            found.append(_TYPES.get(column.type_code))
    return found


def _decimal(column: Any) -> pa.DataType:
    """The declared type of a `numeric`; its scale may be negative, or larger than its precision."""
    scale = column.scale or 0
    return decimal_of(column.name, max(column.precision - min(scale, 0), scale), max(scale, 0))


def translate(error: Exception) -> Exception:
    """The SQLSTATE of an error in words; its text may carry values, so it is not repeated."""
    match error:
        case pg.QueryCanceled() | pg.LockNotAvailable():
            return StatementTimeout("the statement, or a lock it waited for, took longer than allowed")
        case pg.AdminShutdown() | pg.CrashShutdown():
            return SourceUnavailable("the connection to the database was lost")
        case pg.UndefinedTable() if LEDGER in str(error):
            return LedgerMissing("the source has no ledger yet; the operator runs `gatebook source prepare`")
        case pg.UniqueViolation():
            return RuleBroken("the write breaks a rule of the database (a unique value)")
        case pg.ForeignKeyViolation():
            return RuleBroken("the write breaks a rule of the database (a reference to another table)")
        case pg.CheckViolation() | pg.NotNullViolation():
            return RuleBroken("the write breaks a rule of the database (a check)")
        case psycopg.OperationalError() if error.sqlstate is None:
            return SourceUnavailable("the connection to the database was lost")
        case psycopg.Error():
            return StatementFailed(f"the database refused the statement (SQLSTATE {error.sqlstate or 'unknown'})")
        case _:
            return StatementFailed("the values do not fit the statement")
