"""How does MariaDB alone answer, and how under the source's SQL mode?"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pymysql
from engines import MOST_ROWS, Answer, Reflected, Refused, engine_on
from pymysql.constants import FIELD_TYPE
from sqlalchemy import make_url
from steps import Step

from gatebook_hub.model import Engine, Schema
from gatebook_hub.sources import mariadb as mariadb_source
from gatebook_hub.sql import Plan


class StockMariadb:
    """A database `test` of a private MariaDB server."""

    engine = Engine.MARIADB
    time_s = 5

    def __init__(self, start: Callable[[], str]) -> None:
        self._start = start
        self._url = make_url(start())
        self._connection: Any = None
        self._hurry()
        self.fresh()
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT version(), @@global.sql_mode")
            version, self._mode = cursor.fetchone()
        self.version = f"MariaDB {version}"

    def fresh(self) -> None:
        """Drop every database that a script made, and make `test` anew; a server that a test ended is replaced."""
        for _ in range(2):
            try:
                self._drop_all()
                break
            except pymysql.MySQLError:
                with contextlib.suppress(pymysql.MySQLError):
                    self._connect(None).close()
                    continue
                self._url = make_url(self._start())
                self._hurry()
        self.reset()

    def _hurry(self) -> None:
        """Nothing need outlive the server: thousands of tables are made and dropped."""
        settings = {"innodb_file_per_table": "OFF", "sync_frm": "OFF", "aria_sync_log_dir": "NEVER"}
        with contextlib.closing(self._connect(None)) as connection, connection.cursor() as cursor:
            for name, value in settings.items():
                cursor.execute(f"SET GLOBAL {name} = {value}")

    def _drop_all(self) -> None:
        if self._connection is not None:
            self._connection._force_close()  # noqa: SLF001 - a polite end may wait for what it holds
        connection = self._connect(None)
        kept = {"information_schema", "mysql", "performance_schema", "sys"}
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("SET SESSION lock_wait_timeout = 5, foreign_key_checks = 0")
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user = 'root'"
            )
            for (other,) in cursor.fetchall():
                with contextlib.suppress(pymysql.MySQLError):
                    cursor.execute(f"KILL {other}")
            cursor.execute("SHOW DATABASES")
            for (name,) in cursor.fetchall():
                if name not in kept:
                    with contextlib.suppress(pymysql.OperationalError):
                        cursor.execute(f"DROP DATABASE `{name}`")
            cursor.execute("CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4")

    def reset(self) -> None:
        """A new session."""
        self._connection = self._connect("test")
        with self._connection.cursor() as cursor:
            cursor.execute("SET SESSION max_statement_time = 8, lock_wait_timeout = 3, innodb_lock_wait_timeout = 3")
            cursor.execute("SET SESSION time_zone = '+00:00'")
        connection = self._connection
        self._reflected = Reflected(self.engine, lambda: self._database(connection), self._tables)

    def execute(self, step: Step) -> Answer | None:
        """Run a statement; a lost connection is replaced."""
        if not self._connection.open:
            self.reset()
        started = time.monotonic()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(step.sql)
                answer = _mariadb_answer(cursor)
        except (pymysql.MySQLError, UnicodeError, ValueError, OverflowError, AttributeError) as error:
            raise Refused(str(error)) from error
        if time.monotonic() - started > self.time_s:
            raise Refused("took longer than is waited for")
        return answer

    def again(self, step: Step) -> Answer | None:
        """Under the SQL mode that the gate pins: what a script's own mode makes another statement of does not count."""
        with self._pinned():
            return self.execute(step)

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Reads leave no trace but variables."""
        yield

    def governed(self, plan: Plan, parameters: Mapping[str, Any]) -> Answer:
        """As the source: under its SQL mode and time zone."""
        with self._pinned(), self._connection.cursor() as cursor:
            try:
                cursor.execute(plan.sql, dict(parameters))
                answer = _mariadb_answer(cursor)
            except (pymysql.MySQLError, UnicodeError, ValueError, OverflowError) as error:
                raise Refused(str(error)) from error
        assert answer is not None
        return answer

    @contextlib.contextmanager
    def _pinned(self) -> Iterator[None]:
        mode = mariadb_source._SQL_MODE  # noqa: SLF001 - what the source itself sets
        with self._connection.cursor() as cursor:
            cursor.execute("SET @stock_mode = @@session.sql_mode, SESSION sql_mode = %s", (mode,))
        try:
            yield
        finally:
            if self._connection.open:
                with self._connection.cursor() as cursor:
                    cursor.execute("SET SESSION sql_mode = @stock_mode")

    def schema(self, words: frozenset[str]) -> Schema:
        """The tables of the database in use."""
        with self._connection.cursor() as cursor:
            # Some scripts allow themselves small joins only, which the catalogue's are not.
            cursor.execute("SET @stock_joins = @@session.sql_big_selects, SESSION sql_big_selects = 1")
            cursor.execute("SELECT database()")
            (name,) = cursor.fetchone()
            try:
                return self._reflected.schema(words, name or "test")
            finally:
                cursor.execute("SET SESSION sql_big_selects = @stock_joins")

    def changed(self) -> None:
        """The tables may be others now."""
        self._reflected.forget()

    def kind_of(self, name: str) -> str:
        """View, catalogue, other database, …"""
        bare = name.replace("`", "").split(".")
        if len(bare) > 1 and bare[0].lower() in {"information_schema", "mysql", "performance_schema", "sys"}:
            return "catalogue"
        with self._connection.cursor() as cursor:
            query = (
                "SELECT table_type FROM information_schema.tables WHERE table_schema = database() AND table_name = %s"
            )
            cursor.execute(query, (bare[-1],))
            row = cursor.fetchone()
        if row is None:
            return "other database" if len(bare) > 1 else "not a relation of this database"
        return str(row[0]).lower()

    def _tables(self) -> list[str]:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = database()")
            return [row[0] for row in cursor.fetchall()]

    def _database(self, connection: Any) -> Any:
        return engine_on("mysql+pymysql://", connection)

    def _connect(self, database: str | None) -> Any:
        return pymysql.connect(
            host=self._url.host or "127.0.0.1",
            port=self._url.port or 3306,
            user=self._url.username or "root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            read_timeout=40,
            local_infile=False,
        )


def _mariadb_answer(cursor: Any) -> Answer | None:
    if cursor.description is None:
        return None
    rows = [tuple(row) for row in cursor.fetchmany(MOST_ROWS + 1)]
    if len(rows) > MOST_ROWS:
        raise Refused("more rows than are compared")
    types = []
    for item, field in zip(cursor.description, cursor._result.fields, strict=True):  # noqa: SLF001 - no public way
        scale = field.scale if item[1] == FIELD_TYPE.NEWDECIMAL else None
        types.append((item[1], scale, field.charsetnr == 63))
    return Answer(names=tuple(item[0] for item in cursor.description), types=tuple(types), rows=rows)
