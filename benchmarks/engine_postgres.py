"""How does PostgreSQL alone answer, and how in the source's pinned, read-only transaction?"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from engines import MOST_ROWS, Answer, Reflected, Refused
from psycopg.types.string import TextLoader
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import StaticPool
from steps import Step

from gatebook_hub.model import Engine, Schema
from gatebook_hub.sql import Plan


class StockPostgres:
    """A database of a private PostgreSQL server; values come as PostgreSQL's own text, with the type's number."""

    engine = Engine.POSTGRESQL
    time_s = 5

    def __init__(self, url: str, name: str = "regression") -> None:
        self._server = url
        self._name = name
        self._connection: psycopg.Connection[Any] | None = None
        self.fresh()
        assert self._connection is not None
        self.version = f"PostgreSQL {self._connection.info.parameter_status('server_version')}"

    def fresh(self) -> None:
        """Drop and make the database."""
        if self._connection is not None:
            self._connection.close()
        with psycopg.connect(self._server, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')
            server.execute(f"CREATE DATABASE \"{self._name}\" TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
            for pin in ("statement_timeout = '60s'", "lock_timeout = '5s'", "timezone_abbreviations = 'Default'"):
                server.execute(f'ALTER DATABASE "{self._name}" SET {pin}')
            for pin in ("TimeZone = 'PST8PDT'", "datestyle = 'Postgres, MDY'", "bytea_output = 'hex'"):
                server.execute(f'ALTER DATABASE "{self._name}" SET {pin}')
        self.reset()

    def reset(self) -> None:
        """A new session."""
        if self._connection is not None:
            self._connection.close()
        url = make_url(self._server).set(database=self._name).render_as_string(hide_password=False)
        connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        self._connection = connection
        self._text = psycopg.adapt.AdaptersMap(connection.adapters)
        for known in psycopg.postgres.types:
            self._text.register_loader(known.oid, TextLoader)
            if known.array_oid:
                self._text.register_loader(known.array_oid, TextLoader)
        database = create_engine(
            "postgresql+psycopg://",
            creator=lambda: connection,
            poolclass=StaticPool,
            pool_reset_on_return=None,
            use_native_hstore=False,
        )
        for name in ("do_rollback", "do_commit", "do_close", "do_terminate"):
            setattr(database.dialect, name, lambda *_: None)
        self._reflected = Reflected(self.engine, lambda: database, self._tables)

    def execute(self, step: Step) -> Answer | None:
        """Run a statement as it stands; a broken session is replaced."""
        connection = self._connection
        assert connection is not None
        if connection.closed:
            self.reset()
            connection = self._connection
        started = time.monotonic()
        try:
            with self._cursor() as cursor:
                if step.data is not None:
                    with cursor.copy(step.sql) as copy:
                        copy.write(step.data.encode())
                    return None
                cursor.execute(step.sql.encode())
                answer = _postgres_answer(cursor)
        except (psycopg.Error, UnicodeError, ValueError) as error:
            raise Refused(str(error)) from error
        if time.monotonic() - started > self.time_s:
            raise Refused("took longer than is waited for")
        return answer

    def again(self, step: Step) -> Answer | None:
        """Through a cursor of the server, as the source reads, and where `public` is looked at first."""
        connection = self._connection
        assert connection is not None
        try:
            connection.execute("SET LOCAL search_path = public; SET LOCAL standard_conforming_strings = on")
            answer = self._through_cursor(step.sql, None)
            connection.execute("CLOSE gatebook")
        except (psycopg.Error, UnicodeError, ValueError) as error:
            raise Refused(str(error)) from error
        return answer

    def _through_cursor(self, sql: str, parameters: Mapping[str, Any] | None) -> Answer | None:
        assert self._connection is not None
        cursor = self._connection.cursor(name="gatebook")
        cursor._adapters = self._text  # noqa: SLF001 - there is no public way to hand over prepared adapters
        cursor.execute(sql.encode() if parameters is None else sql, parameters)
        return _postgres_answer(cursor)

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """In a transaction, or in a savepoint of the script's own, that is rolled back."""
        connection = self._connection
        assert connection is not None
        is_inside = connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        connection.execute("SAVEPOINT stock" if is_inside else "BEGIN")
        try:
            yield
        finally:
            if not connection.closed:
                connection.execute("ROLLBACK TO stock; RELEASE stock" if is_inside else "ROLLBACK")

    def governed(self, plan: Plan, parameters: Mapping[str, Any]) -> Answer:
        """As the source: read only, with its pins, through a cursor of the server."""
        connection = self._connection
        assert connection is not None
        try:
            connection.execute(
                "SET TRANSACTION READ ONLY; SELECT set_config('search_path', 'pg_catalog', true), "
                "set_config('standard_conforming_strings', 'on', true), set_config('statement_timeout', '60s', true)"
            )
            answer = self._through_cursor(plan.sql, dict(parameters))
        except (psycopg.Error, UnicodeError, ValueError) as error:
            raise Refused(str(error)) from error
        if answer is None:
            raise Refused("no columns")
        return answer

    def schema(self, words: frozenset[str]) -> Schema:
        """The tables of `public`."""
        return self._reflected.schema(words, "public")

    def changed(self) -> None:
        """The tables may be others now."""
        self._reflected.forget()

    def kind_of(self, name: str) -> str:
        """View, catalogue, other schema, …"""
        assert self._connection is not None
        kinds = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialised view", "f": "foreign table",
                 "S": "sequence", "i": "index"}  # fmt: skip
        bare = name.replace('"', "").split(".")
        query = (
            "SELECT n.nspname::text, c.relkind::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
            "ON n.oid = c.relnamespace WHERE c.relname = lower(%s) ORDER BY n.nspname <> 'public'"
        )
        rows = [
            row
            for row in self._connection.execute(query, (bare[-1],)).fetchall()
            if len(bare) == 1 or row[0] == bare[-2]
        ]
        if not rows:
            return "not a relation"
        namespace, kind = rows[0]
        if namespace in {"pg_catalog", "information_schema"}:
            return "catalogue"
        return kinds.get(kind, kind) if namespace == "public" else f"{kinds.get(kind, kind)} of another schema"

    def _tables(self) -> list[str]:
        assert self._connection is not None
        query = "SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace"
        return [
            row[0] for row in self._connection.execute(query + " AND relkind IN ('r', 'p', 'f', 'v', 'm')").fetchall()
        ]

    def _cursor(self) -> psycopg.Cursor[Any]:
        assert self._connection is not None
        cursor = self._connection.cursor()
        cursor._adapters = self._text  # noqa: SLF001 - as above
        return cursor


def _postgres_answer(cursor: Any) -> Answer | None:
    if not cursor.description or not str(cursor.statusmessage or "SELECT").startswith(("SELECT", "FETCH", "DECL")):
        return None
    rows = cursor.fetchmany(MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        raise Refused("more rows than are compared")
    names = tuple(item.name for item in cursor.description)
    types = tuple(item.type_code for item in cursor.description)
    return Answer(names=names, types=types, rows=rows)
