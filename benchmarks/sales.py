"""What do the benchmarks of the fast path read? A table of ten columns on each engine, masked and filtered.

The gate adds the filter and the mask; who reads around it writes the filter and gets the addresses as they are.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_postgresql.dbapi
import duckdb
import pandas as pd
import psycopg
import pymysql
from sqlalchemy import URL, create_engine, make_url

POSTGRESQL = "postgresql://root@127.0.0.1:5432/postgres"
MARIADB = "mariadb://root@127.0.0.1:3306/mysql"
COLUMNS = "id, quantity, price, weight, is_paid, paid_at, day, email, city, note"
GATED = f"select {COLUMNS} from sale"  # noqa: S608 - constants
DIRECT = f"{GATED} where city <> 'hidden'"
POINT = f"{GATED} where id = "
DIRECT_POINT = f"{GATED} where city <> 'hidden' and id = "
_TABLE = """
create table sale (
  id bigint primary key, quantity int, price numeric(12, 2), weight double precision, is_paid bool,
  paid_at {moment}, day date, email varchar(60), city varchar(20), note varchar(60)
)
"""
# The same rows on each engine: {n} counts, and the last hundredth is hidden.
_ROWS = """
insert into sale
select n, case when n % 7 > 0 then n % 1000 end, (n % 100000) * 0.37, n / 3.0, n % 2 = 0,
  {moment}, {day}, {email},
  case when n > {rows} then 'hidden'
    when n % 4 = 0 then 'Wien' when n % 4 = 1 then 'Zürich' when n % 4 = 2 then 'Berlin' else 'Graz' end,
  {note}
from {numbers}
"""
_SOURCE = """
source: shop
title: a shop
engine: {engine}
url: "{url}"
production: false
limits: {{rows: 1000000000, time_s: 600, concurrent: 64}}
default_quorum:
  - {{groups: [reviewers], needed: 1}}
"""
_RULES = """
classification:
  pii.email: [shop.sale.email]
grants:
  - id: analysts
    to: group:analysts
    on: shop.sale
    allow: [select]
    where: city <> 'hidden'
protections:
  - id: mask-email
    tag: pii.email
    mask: email
"""
_COUNTED = "with recursive c(n) as (select 1 union all select n + 1 from c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """The table on one engine: its URL for a policy, and the usual way to read a statement around the gate."""

    engine: str
    url: str
    usual: str
    read: Callable[[str], pd.DataFrame]

    @property
    def source(self) -> str:
        """Its file in a folder of policies."""
        return _SOURCE.format(engine=self.engine, url=self.url)

    def policies(self, folder: Path) -> Path:
        """A folder of policies over it."""
        policies = folder / "policies"
        (policies / "sources").mkdir(parents=True)
        (policies / "sources" / "shop.yaml").write_text(self.source)
        (policies / "rules.yaml").write_text(_RULES)
        return policies


@contextlib.contextmanager
def postgresql(folder: Path, rows: int, server: str = POSTGRESQL) -> Iterator[Sales]:
    """In a database of its own."""
    del folder
    name = _name()
    url = make_url(server).set(drivername="postgresql", database=name)
    text = _text(url)
    statement = _ROWS.format(
        rows=rows,
        moment="timestamptz '2024-01-01' + n * interval '1 second'",
        day="date '2024-01-01' + n % 1000",
        email="'person' || n || '@example.org'",
        note="md5(n::text)",
        numbers=f"generate_series(1, {rows + rows // 100}) n",
    )
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        try:
            with psycopg.connect(text, autocommit=True) as connection:
                connection.execute(_TABLE.format(moment="timestamptz").encode())
                connection.execute(statement.encode())
                connection.execute("vacuum analyze sale")
            with _sqlalchemy(url.set(drivername="postgresql+psycopg")) as read:
                yield Sales(engine="postgresql", url=text, usual="pd.read_sql, SQLAlchemy and psycopg", read=read)
        finally:
            admin.execute(f"drop database {name} with (force)".encode())


@contextlib.contextmanager
def mariadb(folder: Path, rows: int, server: str = MARIADB) -> Iterator[Sales]:
    """In a database of its own."""
    del folder
    name = _name()
    given = make_url(server)
    url = given.set(drivername="mysql+pymysql", database=name)
    statement = _ROWS.format(
        rows=rows,
        moment="timestamp '2024-01-01 00:00:00' + interval n second",
        day="date '2024-01-01' + interval n % 1000 day",
        email="concat('person', n, '@example.org')",
        note="md5(n)",
        numbers=f"(select seq as n from seq_1_to_{rows + rows // 100}) numbers",  # noqa: S608 - a number
    )
    admin = pymysql.connect(
        host=given.host, port=given.port or 3306, user=given.username, password=given.password or "", autocommit=True
    )
    with contextlib.closing(admin), admin.cursor() as cursor:
        cursor.execute(f"create database {name} character set utf8mb4")
        try:
            cursor.execute(f"use {name}")
            cursor.execute(_TABLE.format(moment="datetime(6)"))
            cursor.execute(statement)
            with _sqlalchemy(url) as read:
                yield Sales(
                    engine="mariadb",
                    url=_text(url.set(drivername="mariadb")),
                    usual="pd.read_sql, SQLAlchemy and PyMySQL",
                    read=read,
                )
        finally:
            cursor.execute(f"drop database {name}")


@contextlib.contextmanager
def sqlite(folder: Path, rows: int) -> Iterator[Sales]:
    """In a file."""
    path = folder / "shop.sqlite"
    statement = _ROWS.format(
        rows=rows,
        moment="strftime('%Y-%m-%d %H:%M:%S', 1704067200 + n, 'unixepoch')",
        day="date(1704067200 + n % 1000 * 86400, 'unixepoch')",
        email="'person' || n || '@example.org'",
        note="lower(hex(n * n)) || hex(n)",
        numbers=f"({_COUNTED} limit {rows + rows // 100}) select n from c)",  # noqa: S608 - a number
    )
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(_TABLE.format(moment="timestamp"))
        connection.execute(statement)
        connection.commit()
    with _sqlalchemy(URL.create("sqlite", database=str(path))) as read:
        yield Sales(engine="sqlite", url=f"sqlite:///{path}", usual="pd.read_sql, SQLAlchemy", read=read)


@contextlib.contextmanager
def duck(folder: Path, rows: int) -> Iterator[Sales]:
    """In a file."""
    path = folder / "shop.duckdb"
    statement = _ROWS.format(
        rows=rows,
        moment="timestamptz '2024-01-01 00:00:00+00' + n * interval 1 second",
        day="date '2024-01-01' + (n % 1000)::int",
        email="'person' || n || '@example.org'",
        note="md5(n::varchar)",
        numbers=f"range(1, {rows + rows // 100 + 1}) numbers(n)",
    )
    with duckdb.connect(str(path)) as connection:
        connection.execute(_TABLE.format(moment="timestamptz"))
        connection.execute(statement)

    def read(sql: str) -> pd.DataFrame:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(sql).df()

    yield Sales(engine="duckdb", url=f"duckdb:///{path}", usual=".df()", read=read)


ENGINES = {"postgresql": postgresql, "mariadb": mariadb, "sqlite": sqlite, "duckdb": duck}


def by_adbc(url: str) -> pd.DataFrame:
    """How the rows of PostgreSQL are read without a gate, and fast."""
    with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(DIRECT)
        return cursor.fetch_arrow_table().to_pandas(types_mapper=pd.ArrowDtype)


@contextlib.contextmanager
def _sqlalchemy(url: URL) -> Iterator[Callable[[str], pd.DataFrame]]:
    """How it is done without a gate."""
    engine = create_engine(url)
    try:
        yield lambda sql: pd.read_sql(sql, engine)
    finally:
        engine.dispose()


def _name() -> str:
    return f"gatebook_sales_{secrets.token_hex(4)}"


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
