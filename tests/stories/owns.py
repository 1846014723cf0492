"""What does the driver that each engine has of its own say? Stories compare with it, and look at servers through it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import psycopg
from sqlalchemy import make_url
from tests.conftest import connect_mariadb

Row = tuple[Any, ...]
Run = Callable[[str], list[Row]]


def numbers(engine: str, count: int) -> str:
    """A query for the numbers from nought on."""
    match engine:
        case "postgresql":
            return f"select number from generate_series(0, {count - 1}) number"
        case "mariadb":
            return f"select seq as number from seq_0_to_{count - 1}"
        case "duckdb":
            return f"select number from range({count}) t(number)"
        case _:
            counted = f"select 0 union all select n + 1 from t where n < {count - 1}"
            return f"with recursive t(n) as ({counted}) select n as number from t"


@contextlib.contextmanager
def own_driver(engine: str, place: str) -> Iterator[Run]:
    """Run statements through the driver that the engine has of its own."""
    match engine:
        case "postgresql":
            with psycopg.connect(place, autocommit=True) as postgres:
                postgres.execute("set time zone 'UTC'")

                def run(sql: str) -> list[Row]:
                    cursor = postgres.execute(sql.encode())
                    return cursor.fetchall() if cursor.description else []

                yield run
        case "mariadb":
            with contextlib.closing(connect_mariadb(place)) as maria, maria.cursor() as cursor:
                maria.select_db(make_url(place).database or "")
                cursor.execute("set names utf8mb4, time_zone = '+00:00', autocommit = 1")

                def run(sql: str) -> list[Row]:
                    cursor.execute(sql)
                    return list(cursor.fetchall())

                yield run
        case "sqlite":
            with contextlib.closing(sqlite3.connect(place)) as lite:
                yield lambda sql: lite.execute(sql).fetchall()
                lite.commit()
        case _:
            with duckdb.connect(place) as duck:
                yield lambda sql: duck.execute(sql).fetchall()
