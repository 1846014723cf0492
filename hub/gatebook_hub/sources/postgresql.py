"""How is a governed PostgreSQL database read and written? Every call runs in a pinned transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader
from sqlalchemy.exc import SQLAlchemyError

from gatebook_hub.errors import LedgerMissing
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.arrow_link import ArrowLink, ArrowLinks
from gatebook_hub.sources.postgresql_read import PostgresqlRead
from gatebook_hub.sources.postgresql_session import identity, pins, translate
from gatebook_hub.sources.server import ServerSource
from gatebook_hub.sources.sizes import Sizes
from gatebook_hub.sources.source import LEDGER
from gatebook_hub.sources.stream import Driven
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
    1186: pa.duration("us"),
    2950: pa.string(),
}
_NUMERIC = 1700
# JSON, records, ranges and multiranges come as the server writes them, not as objects of the driver's.
_AS_TEXT = (114, 3802, 2249, 2287, 3904, 3906, 3908, 3910, 3912, 3926, 4451, 4532, 4533, 4534, 4535, 4536)
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

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name, url, Engine.POSTGRESQL, {"connect_timeout": 5}, _NAMESPACE)
        _, arguments = self._database.dialect.create_connect_args(self._database.url)
        self._links = ArrowLinks(arguments, self._met_link)
        self._sizes = Sizes()

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
            return frozenset(row[0] for row in self._ask(query, {"ids": list(change_ids)}))
        except LedgerMissing:
            return frozenset()

    def findings(self) -> Sequence[tuple[str, str]]:
        """What the account could do, were the gate not before it."""
        row = self._ask(_RIGHTS, {})[0]
        return [(id_, sentence) for (id_, sentence), holds in zip(_FINDINGS, row, strict=True) if holds]

    def close(self) -> None:
        """Give the connections of both pools back."""
        super().close()
        self._links.close()

    def _begin(self, limits: Limits, mode: str) -> tuple[Any, psycopg.Connection[Any]]:
        pooled = self._pooled()
        connection: psycopg.Connection[Any] = pooled.driver_connection
        try:
            connection.execute(f"SET TRANSACTION {mode}".encode())
            connection.execute(pins(limits).encode())
        except psycopg.Error as error:
            pooled.invalidate()
            pooled.close()
            raise translate(error) from error
        return pooled, connection

    def _reading(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> Driven:
        return PostgresqlRead(
            plan.sql,
            parameters,
            limits,
            begin=lambda: self._begin(limits, "READ ONLY"),
            declaring=_declared,
            links=self._links,
            end_process=self._end_process,
            sizes=self._sizes,
        )

    def _prepare_new(self, connection: Any) -> None:
        read_as_text(connection)

    def _identity_on(self, connection: Any) -> str:
        found = identity(lambda query: _one(connection, query), connection.rollback)
        connection.rollback()  # it is new, and is left without a transaction
        return found

    def _translate(self, error: Exception) -> Exception:
        return translate(error)

    def _met_link(self, link: ArrowLink) -> None:
        self.pin.check(lambda: identity(link.ask, lambda: None))

    def _end_process(self, process: int) -> None:
        with suppress(SQLAlchemyError), self._apart.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_catalog.pg_terminate_backend({int(process)})")


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
            found.append(pa.decimal128(min(column.precision, 38), column.scale or 0))
        else:
            found.append(_TYPES.get(column.type_code))
    return found
