"""How are the stock databases asked: the raw one behind the gate, and the policy worlds that are built beside it?

A stock database is opened, asked and closed where an open file would keep the gate's own workers out.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
from sqlalchemy import make_url
from tests.adversary.sights import VIEWS, Sight, keyed_hash

from gatebook_hub.model import Engine
from gatebook_hub.sources.postgresql import read_as_text

_TIME_S = 20
_DEFAULTS = {
    "ticketid": "nextval('tickets')",
    "status": "'open'",
    "priority": "'normal'",
    "openedat": "cast('2024-01-01' as timestamp)",
}
Rows = list[tuple[Any, ...]]


class StockError(Exception):
    """The stock database itself refused a statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Rows and column names, as the gate or a stock database gives them."""

    names: tuple[str, ...]
    rows: Rows


Ask = Callable[[str], Answered]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A policy world: asked by calling it; `begin` opens a transaction that is never committed."""

    ask: Ask
    begin: Callable[[], Any]

    def __call__(self, sql: str) -> Answered:
        """The rows of a read."""
        return self.ask(sql)

    def rehearse(self, write: str, read: str) -> tuple[Rows, Rows]:
        """What the read gives before and after the write, which leaves no trace."""
        connection = self.begin()
        try:
            cursor = connection.cursor()
            cursor.execute("begin")
            cursor.execute(read)
            before = [tuple(row) for row in cursor.fetchall()]
            cursor.execute(write)
            cursor.execute(read)
            after = [tuple(row) for row in cursor.fetchall()]
            cursor.execute("rollback")
        except (sqlite3.Error, psycopg.Error, pymysql.MySQLError, duckdb.Error) as error:
            raise StockError(str(error)) from error
        finally:
            connection.close()
        return before, after


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The databases of one engine."""

    raw: Ask
    build: Callable[[Sight, bytes], World]


def open_stock(engine: Engine, url: str, folder: Path) -> Stock:
    """Add the two views to the raw database, and be ready to build worlds beside it."""
    match engine:
        case Engine.SQLITE:
            return _open_sqlite(url, folder)
        case Engine.POSTGRESQL:
            return _open_postgres(url)
        case Engine.MARIADB:
            return _open_mariadb(url)
        case Engine.DUCKDB:
            return _open_duckdb(url, folder)


def _fill(run: Callable[[str], Rows], sight: Sight, engine: Engine, key: bytes, *, raw: str, world: str) -> None:
    """Make the tables of one world; `raw` and `world` are prefixes of names."""
    suffix = " collate utf8mb4_bin" if engine is Engine.MARIADB else ""
    for table in sight.tables:
        columns = _columns(run, engine, table, raw)
        run(f"create table {world}{table}{suffix} as {sight.select(engine, table, columns, raw)}")
        if table == "support_ticket":
            # So that an upsert meets the key.
            on = f"{table}" if engine is Engine.SQLITE else f"{world}{table}"
            run(f"create unique index {'main.' * (engine is Engine.SQLITE)}own_key on {on} (ticketid)")
    for table, column in sight.hashed():
        for (value,) in run(f"select distinct {column} from {world}{table} where {column} is not null"):
            literal = str(value).replace("'", "''")
            run(f"update {world}{table} set {column} = '{keyed_hash(key, value)}' where {column} = '{literal}'")


def _columns(run: Callable[[str], Rows], engine: Engine, table: str, raw: str) -> list[str]:
    if engine is Engine.SQLITE:
        return [row[1] for row in run(f"pragma {raw}table_info({table})")]
    if engine is Engine.DUCKDB:
        return [row[0] for row in run(f"describe {raw}{table}")]
    schema = raw.removesuffix(".")
    listed = run(
        "select column_name from information_schema.columns "
        f"where table_schema = '{schema}' and table_name = '{table}' order by ordinal_position"
    )
    return [row[0] for row in listed]


# ── SQLite ──


def _open_sqlite(url: str, folder: Path) -> Stock:
    with sqlite3.connect(url) as connection:
        for name, text in VIEWS.items():
            connection.execute(f"create view {name} as {text.format(p='')}")
    connection.close()

    def build(sight: Sight, key: bytes) -> World:
        path = folder / f"{sight.name}.sqlite"
        builder = sqlite3.connect(path)
        builder.execute("attach database ? as raw", (url,))
        _fill(lambda sql: builder.execute(sql).fetchall(), sight, Engine.SQLITE, key, raw="raw.", world="main.")
        builder.commit()
        builder.close()
        return World(ask=_ask_sqlite(str(path)), begin=lambda: sqlite3.connect(path, isolation_level=None))

    return Stock(raw=_ask_sqlite(url), build=build)


def _ask_sqlite(place: str) -> Ask:
    def run(sql: str) -> Answered:
        connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
        end = time.monotonic() + _TIME_S
        connection.set_progress_handler(lambda: time.monotonic() > end, 100_000)
        try:
            cursor = connection.execute(sql)
            return Answered(names=tuple(item[0] for item in cursor.description or ()), rows=cursor.fetchall())
        except (sqlite3.Error, UnicodeEncodeError, ValueError) as error:
            raise StockError(str(error)) from error
        finally:
            connection.close()

    return run


# ── PostgreSQL ──


def _open_postgres(url: str) -> Stock:
    with psycopg.connect(url, autocommit=True) as connection:
        for name, text in VIEWS.items():
            connection.execute(f"create view public.{name} as {text.format(p='public.')}".encode())

    def build(sight: Sight, key: bytes) -> World:
        with psycopg.connect(url, autocommit=True) as connection:

            def run(sql: str) -> Rows:
                cursor = connection.execute(sql.encode())
                return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

            run(f"create schema {sight.name}")
            _fill(run, sight, Engine.POSTGRESQL, key, raw="public.", world=f"{sight.name}.")
        return World(
            ask=_ask_postgres(url, sight.name),
            begin=lambda: psycopg.connect(url, autocommit=True, options=f"-c search_path={sight.name}"),
        )

    return Stock(raw=_ask_postgres(url, "public"), build=build)


def _ask_postgres(url: str, schema: str) -> Ask:
    def run(sql: str) -> Answered:
        with psycopg.connect(url) as connection:
            read_as_text(connection)
            try:
                connection.execute(f"set search_path = {schema}".encode())
                connection.execute(f"set statement_timeout = {_TIME_S * 1_000}".encode())
                cursor = connection.execute(sql.encode())
                rows = [tuple(row) for row in cursor.fetchall()]
                return Answered(names=tuple(item[0] for item in cursor.description or ()), rows=rows)
            except (psycopg.Error, UnicodeEncodeError) as error:
                raise StockError(str(error)) from error
            finally:
                connection.rollback()

    return run


# ── MariaDB ──


def connect_mariadb(url: str, database: str | None) -> pymysql.Connection[Any]:
    """A connection to any database of the server."""
    parsed = make_url(url)
    return pymysql.connect(
        host=parsed.host or "127.0.0.1",
        port=parsed.port or 3306,
        user=parsed.username or "root",
        password=str(parsed.password or ""),
        database=database,
        charset="utf8mb4",
        autocommit=True,
    )


def _open_mariadb(url: str) -> Stock:
    name = str(make_url(url).database)
    connection = connect_mariadb(url, name)
    with connection.cursor() as cursor:
        for view, text in VIEWS.items():
            cursor.execute(f"create view {view} as {text.format(p='')}")
    connection.close()

    def build(sight: Sight, key: bytes) -> World:
        world = f"{name}_{sight.name}"
        connection = connect_mariadb(url, name)

        def run(sql: str) -> Rows:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return [tuple(row) for row in cursor.fetchall()]

        run(f"create database {world} character set utf8mb4 collate utf8mb4_bin")
        _fill(run, sight, Engine.MARIADB, key, raw=f"{name}.", world=f"{world}.")
        connection.close()
        return World(ask=_ask_mariadb(url, world), begin=lambda: connect_mariadb(url, world))

    return Stock(raw=_ask_mariadb(url, name), build=build)


def _ask_mariadb(url: str, database: str) -> Ask:
    opened = connect_mariadb(url, database)

    def run(sql: str) -> Answered:
        try:
            with opened.cursor() as cursor:
                cursor.execute(f"set session max_statement_time = {_TIME_S}")
                cursor.execute(sql)
                rows = [tuple(row) for row in cursor.fetchall()]
                return Answered(names=tuple(item[0] for item in cursor.description or ()), rows=rows)
        except (pymysql.MySQLError, UnicodeEncodeError) as error:
            raise StockError(str(error)) from error

    return run


# ── DuckDB ──


def _open_duckdb(url: str, folder: Path) -> Stock:
    with duckdb.connect(url) as connection:
        for name, text in VIEWS.items():
            connection.execute(f"create view {name} as {text.format(p='')}")
        # As the demo has it on the other engines.
        connection.execute("create sequence tickets start 80001")
        for column, value in _DEFAULTS.items():
            connection.execute(f"alter table support_ticket alter {column} set default {value}")

    def build(sight: Sight, key: bytes) -> World:
        path = folder / f"{sight.name}.duckdb"
        with duckdb.connect(path) as builder:
            builder.execute(f"attach '{url}' as raw (read_only)")
            _fill(
                lambda sql: builder.execute(sql).fetchall(),
                sight,
                Engine.DUCKDB,
                key,
                raw="raw.main.",
                world="main.",
            )
        return World(ask=_ask_duckdb(str(path)), begin=lambda: duckdb.connect(path))

    return Stock(raw=_ask_duckdb(url), build=build)


def _ask_duckdb(place: str) -> Ask:
    def run(sql: str) -> Answered:
        with _opened(place) as connection:
            try:
                cursor = connection.execute(sql)
                rows = cursor.fetchall()
                return Answered(names=tuple(item[0] for item in cursor.description or ()), rows=rows)
            except (duckdb.Error, UnicodeEncodeError, ValueError, RuntimeError) as error:
                raise StockError(str(error)) from error

    return run


@contextmanager
def _opened(place: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The file, locked down, until the time is over."""
    config: dict[str, Any] = {"threads": 1, "enable_external_access": False, "python_enable_replacements": False}
    with duckdb.connect(place, read_only=True, config=config) as connection:
        timer = threading.Timer(_TIME_S, connection.interrupt)
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()
