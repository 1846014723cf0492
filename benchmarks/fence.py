"""What does a row filter with masks cost a query by key on a large table, and is the index still used?

    .venv/bin/python benchmarks/fence.py [--engine postgresql] [--rows 1000000] [--runs 400]

One process, one connection per engine; the plain statement and the one that the gate sends take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import figures
import psycopg
import pymysql
from services import services
from sqlalchemy import create_engine

from gatebook_hub import policy, sql
from gatebook_hub.model import Allowed, Engine, Principal, PrincipalKind, Schema
from gatebook_hub.policy.loading import load
from gatebook_hub.sources.reflecting import reflect

_REGIONS = ("north", "south", "east", "west")
_COLUMNS = "id INTEGER PRIMARY KEY, region VARCHAR(10) NOT NULL, email VARCHAR(60), amount NUMERIC(10, 2)"
_RULES = """
classification:
  pii.email: [shop.orders.email]
grants:
  - id: own-regions
    to: group:analysts
    on: shop.orders
    allow: [select]
    where: region in ('north', 'south', 'east')
protections:
  - id: mask-email
    tag: pii.email
    mask: email
"""
_SOURCE = "source: shop\ntitle: shop\nengine: {engine}\nurl: '{url}'\nproduction: false\nsandbox: true\n"
_QUESTIONS = {
    "point": "select id, region, email, amount from orders where id = :low",
    "range of 100": "select id, region, email, amount from orders where id between :low and :high",
    "point, may raise": "select id, region, email, 100 / amount as share from orders where id = :low",
    "range of 100, may raise": "select id, region, 100 / amount as share from orders where id between :low and :high",
}
_WARM = 20
_MOST_MS = 20_000
_ANN = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"analysts"}))


class _Shop(Protocol):
    """One engine with the table in it."""

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Run a statement and fetch everything."""

    def plan(self, sql: str, parameters: Mapping[str, Any]) -> list[str]:
        """The engine's plan, a line each."""

    def schema(self) -> Schema:
        """The table as the source reflects it."""


@dataclass(slots=True, kw_only=True)
class _Times:
    plain: list[float]
    gate: list[float]


def main() -> None:
    """Measure each engine and print the table and the plans."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", action="append", choices=sorted(_SHOPS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=400)
    arguments = parser.parse_args()
    for name in arguments.engine or sorted(_SHOPS):
        lines = [
            "| statement | plain p50 ms | p99 | gate p50 ms | p99 | ratio | index |",
            "|---|---|---|---|---|---|---|",
        ]
        plans = []
        with _SHOPS[name](arguments.rows) as shop:
            for title, question in _QUESTIONS.items():
                times, sent = _measure(shop, Engine(name), question, arguments)
                shown = shop.plan(sent, {"low": 1000, "high": 1099})
                lines.append(f"| {title} | {_row(times)} | {'yes' if _uses_index(shown) else 'NO'} |")
                plans += [f"{title}:", *(f"    {line}" for line in shown)]
        print("\n".join([name, *lines, "", *plans]))
        text = f"Table of {arguments.rows:,} rows, up to {arguments.runs} runs each, plain and gate taking turns."
        figures.write(
            f"fence-{name}", [text, "", *lines, "", "Plans of what the gate sends:", "", "```text", *plans, "```"]
        )


def _measure(shop: _Shop, engine: Engine, question: str, arguments: argparse.Namespace) -> tuple[_Times, str]:
    sent = _sent(shop.schema(), engine, question)
    plain = question if engine is Engine.SQLITE else question.replace(":low", "%(low)s").replace(":high", "%(high)s")
    chance = random.Random(1)  # noqa: S311 - keys to look up
    times = _Times(plain=[], gate=[])
    for index in range(arguments.runs + _WARM):
        if sum(times.gate) > _MOST_MS and len(times.gate) > _WARM:
            break  # it is slow: a few runs tell
        low = chance.randrange(1, arguments.rows - 100)
        parameters = {"low": low, "high": low + 99}
        parts = [(times.plain, plain), (times.gate, sent)]
        for kept, text in parts if index % 2 else reversed(parts):
            started = time.perf_counter()
            shop.rows(text, parameters)
            taken = time.perf_counter() - started
            if index >= _WARM:  # the first ones warm the caches
                kept.append(taken * 1000)
    return times, sent


def _sent(schema: Schema, engine: Engine, question: str) -> str:
    """The statement as the gate would send it."""
    url = "sqlite:////shop" if engine is Engine.SQLITE else f"{engine}://shop/shop"
    rules = load({"sources/shop.yaml": _SOURCE.format(engine=engine, url=url), "rules.yaml": _RULES})
    analysis = sql.analyse(sql.parse(question, engine), schema)
    decided = policy.decide(rules, _ANN, schema, analysis.uses)
    assert isinstance(decided, Allowed)
    return sql.rewrite(analysis, decided.obligations, schema, nonce="5eed").sql


def _row(times: _Times) -> str:
    parts = []
    for kept in (times.plain, times.gate):
        parts += [f"{statistics.median(kept):.3f}", f"{statistics.quantiles(kept, n=100)[98]:.3f}"]
    return " | ".join([*parts, f"{statistics.median(times.gate) / statistics.median(times.plain):.2f}"])


def _uses_index(lines: list[str]) -> bool:
    text = " ".join(lines).lower()
    known = ("index scan", "primary key", "using index", "| range |", "| const |", "bitmap index", "const tables")
    return "scan gb_" not in text and any(word in text for word in known)


def _orders(count: int) -> Iterator[tuple[int, str, str, float]]:
    chance = random.Random(7)  # noqa: S311 - test data
    for number in range(1, count + 1):
        yield number, chance.choice(_REGIONS), f"person{number}@example.com", 1 + number % 5000 / 100


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self._connection.execute(sql, dict(parameters)).fetchall()

    def plan(self, sql: str, parameters: Mapping[str, Any]) -> list[str]:
        return [str(row[3]) for row in self.rows(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    def schema(self) -> Schema:
        database = create_engine(f"sqlite:///{self._path}")
        return reflect(database, source="shop", engine=Engine.SQLITE, namespace="main")


@contextlib.contextmanager
def _sqlite_shop(count: int) -> Iterator[_Shop]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = Path(folder) / "shop.sqlite"
        connection = stack.enter_context(contextlib.closing(sqlite3.connect(path)))
        connection.execute(f"CREATE TABLE orders ({_COLUMNS})")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", _orders(count))
        connection.commit()
        yield _Sqlite(connection, path)


class _Server:
    """A server's connection, and SQLAlchemy's URL of it."""

    def __init__(self, connection: Any, url: str, engine: Engine, namespace: str) -> None:
        self._connection = connection
        self._url = url
        self._engine = engine
        self._namespace = namespace

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, dict(parameters))
            return list(cursor.fetchall())

    def plan(self, sql: str, parameters: Mapping[str, Any]) -> list[str]:
        return [" | ".join(str(part) for part in row) for row in self.rows(f"EXPLAIN {sql}", parameters)]

    def schema(self) -> Schema:
        database = create_engine(self._url)
        try:
            return reflect(database, source="shop", engine=self._engine, namespace=self._namespace)
        finally:
            database.dispose()


@contextlib.contextmanager
def _postgres_shop(count: int) -> Iterator[_Shop]:
    with contextlib.ExitStack() as stack:
        url = services().own_postgres(stack)
        connection = stack.enter_context(psycopg.connect(url, autocommit=True, prepare_threshold=None))
        connection.execute(f"CREATE TABLE orders ({_COLUMNS})")
        with connection.cursor() as cursor, cursor.copy("COPY orders FROM STDIN") as copy:
            for row in _orders(count):
                copy.write_row(row)
        connection.execute("VACUUM ANALYZE orders")
        yield _Server(connection, url.replace("postgresql:", "postgresql+psycopg:"), Engine.POSTGRESQL, "public")


@contextlib.contextmanager
def _mariadb_shop(count: int) -> Iterator[_Shop]:
    with contextlib.ExitStack() as stack:
        url = services().own_mariadb(stack)
        port = int(url.rstrip("/").rsplit(":", 1)[1])
        connection = pymysql.connect(host="127.0.0.1", port=port, user="root", charset="utf8mb4", autocommit=True)
        stack.enter_context(contextlib.closing(connection))
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE shop")
            cursor.execute("USE shop")
            cursor.execute(f"CREATE TABLE orders ({_COLUMNS})")
            cursor.execute("SET autocommit = 0")
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s)", list(_orders(count)))
            cursor.execute("COMMIT")
            cursor.execute("SET autocommit = 1")
            cursor.execute("ANALYZE TABLE orders")
        yield _Server(connection, f"{url}shop", Engine.MARIADB, "shop")


_SHOPS = {"sqlite": _sqlite_shop, "postgresql": _postgres_shop, "mariadb": _mariadb_shop}


if __name__ == "__main__":
    main()
