"""Which databases do the tests of this room open?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource


@pytest.fixture
def postgres_source(chinook_postgres: str) -> Iterator[PostgresqlSource]:
    made = PostgresqlSource("x", chinook_postgres.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    made.close()


@pytest.fixture
def mariadb_source(chinook_mariadb: str) -> Iterator[MariadbSource]:
    made = MariadbSource("x", chinook_mariadb)
    yield made
    made.close()


@pytest.fixture
def run(chinook_postgres: str) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Look at the server from outside."""
    with psycopg.connect(chinook_postgres.replace("+psycopg", ""), autocommit=True) as connection:
        yield lambda sql: connection.execute(sql.encode()).fetchall()
