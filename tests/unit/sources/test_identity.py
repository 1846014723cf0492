"""Does a source stop when another database answers, and go on when the operator accepts it?"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from gatebook_hub.errors import SourceChanged
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sql import Plan

ONE = Plan(engine=Engine.SQLITE, sql="SELECT 1 AS x", parameters=frozenset(), reads={})


class Remembered:
    """A memory that a test looks into."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.alarms: list[str] = []

    def recall(self, source: str) -> str | None:
        return self.known.get(source)

    def remember(self, source: str, identity: str) -> None:
        self.known[source] = identity

    def alarm(self, source: str, sentence: str) -> None:
        self.alarms.append(f"{source}: {sentence}")


def ask(source: SqliteSource | DuckdbSource | PostgresqlSource | MariadbSource) -> None:
    stream = source.read(ONE, {}, Limits())
    list(stream)
    stream.close()


def test_a_file_in_the_place_of_another_stops_the_source(chinook_sqlite: Path) -> None:
    source, memory = SqliteSource("x", chinook_sqlite), Remembered()
    source.pin.hold(memory)
    ask(source)
    assert memory.known["x"].startswith("file:")
    copy = chinook_sqlite.with_name("copy")
    shutil.copy2(chinook_sqlite, copy)
    copy.rename(chinook_sqlite)
    for _ in range(2):
        with pytest.raises(SourceChanged):
            ask(source)
        with pytest.raises(SourceChanged):
            source.schema()
        with pytest.raises(SourceChanged), source.writing(Limits()):
            pass
    assert len(memory.alarms) == 1
    assert "gatebook source accept" in memory.alarms[0]
    memory.remember("x", source.identity())
    ask(source)
    assert len(memory.alarms) == 1
    source.close()


def test_a_duckdb_file_that_was_exchanged_is_read_anew_when_nobody_remembers(chinook_duckdb: Path) -> None:
    """And never out of what a worker still has open."""
    source = DuckdbSource("x", chinook_duckdb)
    ask(source)
    fresh = chinook_duckdb.with_name("fresh")
    with duckdb.connect(str(fresh)) as connection:
        connection.execute("CREATE TABLE genre (genreid INTEGER, name VARCHAR)")
    fresh.rename(chinook_duckdb)
    plan = Plan(
        engine=Engine.DUCKDB,
        sql="SELECT count(*) AS n FROM main.genre",
        parameters=frozenset(),
        reads={"genre": frozenset({"genreid"})},
    )
    stream = source.read(plan, {}, Limits())
    assert [batch.to_pylist() for batch in stream] == [[{"n": 0}]]
    stream.close()
    memory = Remembered(x="file:1")
    source.pin.hold(memory)
    with pytest.raises(SourceChanged):
        ask(source)
    source.close()


@pytest.mark.postgres
def test_postgresql_is_known_by_its_cluster_and_its_database(
    chinook_postgres: str, postgres_source: PostgresqlSource, postgres_url: str
) -> None:
    memory = Remembered()
    postgres_source.pin.hold(memory)
    ask(postgres_source)
    first = memory.known["x"]
    assert first.startswith("postgresql:")
    assert first.split(":")[1].isdigit()
    other = PostgresqlSource("x", postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    other.pin.hold(memory)
    for _ in range(2):
        with pytest.raises(SourceChanged):
            ask(other)
        with pytest.raises(SourceChanged):
            other.schema()
    assert len(memory.alarms) == 1
    memory.remember("x", other.identity())
    ask(other)
    other.close()


@pytest.mark.mariadb
def test_mariadb_is_known_by_its_server_and_its_database(mariadb_source: MariadbSource, mariadb_url: str) -> None:
    memory = Remembered()
    mariadb_source.pin.hold(memory)
    ask(mariadb_source)
    assert memory.known["x"].startswith("mariadb:")
    other = MariadbSource("x", mariadb_url)
    other.pin.hold(memory)
    with pytest.raises(SourceChanged):
        ask(other)
    with pytest.raises(SourceChanged), other.writing(Limits()):
        pass
    assert len(memory.alarms) == 1
    memory.remember("x", other.identity())
    ask(other)
    other.close()
