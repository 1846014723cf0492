"""Would the server itself hold, were the analysis wrong?  Sessions of PostgreSQL and MariaDB."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url
from tests.conftest import connect_mariadb

from gatebook_hub.errors import StatementFailed, StatementTimeout
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sql import Plan

Server = PostgresqlSource | MariadbSource


def read(source: Server, sql: str, **limits: Any) -> list[tuple[Any, ...]]:
    plan = Plan(engine=Engine.POSTGRESQL, sql=sql, parameters=frozenset(), reads={})
    stream = source.read(plan, {}, Limits(**limits))
    try:
        return [tuple(row.values()) for batch in stream for row in batch.to_pylist()]
    finally:
        stream.close()


@pytest.fixture(
    params=[
        pytest.param("postgres_source", id="postgresql", marks=pytest.mark.postgres),
        pytest.param("mariadb_source", id="mariadb", marks=pytest.mark.mariadb),
    ]
)
def source(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.mark.postgres
def test_a_session_of_postgresql_is_pinned(postgres_source: PostgresqlSource) -> None:
    names = ("transaction_read_only", "search_path", "standard_conforming_strings", "statement_timeout", "lock_timeout")
    columns = ", ".join(f"current_setting('{name}') AS c{index}" for index, name in enumerate(names))
    assert read(postgres_source, f"SELECT {columns}", time_s=7) == [("on", "pg_catalog", "on", "7s", "5s")]
    with postgres_source.writing(Limits(time_s=7)) as session:
        assert session.run(f"SELECT {columns}", {})[0] == [("off", "pg_catalog", "on", "7s", "5s")]


@pytest.mark.mariadb
def test_a_session_of_mariadb_is_pinned_and_forgets(mariadb_source: MariadbSource) -> None:
    """Whatever a statement did to its session, the next one on the same connection does not meet it."""
    columns = "@@tx_read_only AS a, @@max_statement_time AS b, @@sql_mode AS c, @@time_zone AS d, @v AS e"
    for _ in range(2):
        found = read(mariadb_source, f"SELECT {columns}, @v := 'left behind' AS f, get_lock('x', 0) AS g", time_s=7)
        assert [int(found[0][0]), float(found[0][1]), found[0][3], found[0][4]] == [1, 7.0, "+00:00", None]
        assert "STRICT_ALL_TABLES" in found[0][2]
    assert read(mariadb_source, "SELECT is_used_lock('x') AS x") == [(None,)]


@pytest.mark.mariadb
def test_a_read_only_session_of_mariadb_refuses_what_commits_by_itself(
    mariadb_source: MariadbSource, chinook_mariadb: str
) -> None:
    """DDL commits the read-only transaction first, and would then run in none."""
    for sql in (
        "CREATE TABLE stolen (a int)",
        "DROP TABLE genre",
        "ALTER TABLE genre ADD COLUMN a int",
        "TRUNCATE TABLE genre",
        "CREATE TEMPORARY TABLE stolen (a int)",
        "RENAME TABLE genre TO stolen",
        "INSERT INTO genre VALUES (99, 'x')",
    ):
        with pytest.raises(StatementFailed):
            read(mariadb_source, sql)
    connection = connect_mariadb(chinook_mariadb)
    connection.select_db(make_url(chinook_mariadb).database or "")
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES LIKE 'stolen'")
        assert not cursor.fetchall()
        cursor.execute("SELECT count(*) FROM genre")
        assert cursor.fetchall() == ((25,),)


SLOW = {
    PostgresqlSource: "SELECT count(*) FROM generate_series(1, 100000000000) AS before_the_first",
    MariadbSource: "SELECT count(*) AS before_the_first FROM track a, track b, track c, track d",
}


def _runs(source: Server) -> bool:
    if isinstance(source, PostgresqlSource):
        sql = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%before_the_first%%' "
            "AND pid <> pg_backend_pid()"
        )
    else:
        sql = (
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%%before_the_first%%' "
            "AND id <> connection_id()"
        )
    return bool(read(source, sql)[0][0])


def test_a_close_before_the_first_rows_cancels_in_the_database(source: Server) -> None:
    begun: list[ReadStream] = []
    caught: list[BaseException] = []
    plan = Plan(engine=Engine.POSTGRESQL, sql=SLOW[type(source)], parameters=frozenset(), reads={})

    def wait() -> None:
        try:
            source.read(plan, {}, Limits(time_s=60), begun=begun.append)
        except Exception as error:  # noqa: BLE001 - a thread tells what it met
            caught.append(error)

    for _ in range(3):
        waiting = threading.Thread(target=wait)
        waiting.start()
        until = time.monotonic() + 5
        while not _runs(source) and time.monotonic() < until:
            time.sleep(0.05)
        started = time.monotonic()
        begun.pop().close()
        waiting.join(5)
        assert time.monotonic() - started < 4
        while _runs(source) and time.monotonic() < started + 4:
            time.sleep(0.05)
        assert not _runs(source)
    assert all(isinstance(error, StatementFailed | StatementTimeout) for error in caught)
    assert len(caught) == 3
    assert read(source, "SELECT 1 AS x") == [(1,)]


def test_a_close_at_any_moment_leaves_the_pool_whole(source: Server) -> None:
    """Closed before, while and after the statement begins: whoever comes next gets an answer."""
    plan = Plan(engine=Engine.POSTGRESQL, sql="SELECT 1 AS x", parameters=frozenset(), reads={})
    for index in range(30):

        def closing(stream: ReadStream, wait_s: float = index / 3000) -> None:
            threading.Timer(wait_s, stream.close).start()

        try:
            stream = source.read(plan, {}, Limits(), begun=closing)
            list(stream)
            stream.close()
        except (StatementFailed, StatementTimeout):
            pass
    time.sleep(0.2)
    for _ in range(20):
        assert read(source, "SELECT 1 AS x") == [(1,)]


@pytest.mark.postgres
def test_findings_say_what_an_account_of_postgresql_could_do(
    fresh_chinook_postgres: str, postgres_source: PostgresqlSource
) -> None:
    assert {id_ for id_, _ in postgres_source.findings()} >= {"source.W002", "source.W003"}
    url = make_url(fresh_chinook_postgres)
    role = f"{url.database}_reader"
    with psycopg.connect(fresh_chinook_postgres.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"create role {role} login password 'x'")
        try:
            connection.execute(f"grant usage on schema public to {role}")
            connection.execute(f"grant select on all tables in schema public to {role}")
            connection.execute(f"grant insert, update on public.invoice to {role}")
            least = url.set(drivername="postgresql+psycopg", username=role, password="x")
            source = PostgresqlSource("x", least.render_as_string(hide_password=False))
            assert source.findings() == []
            assert source.identity().startswith("postgresql:")
            connection.execute("create schema elsewhere")
            connection.execute("create table elsewhere.t (a int)")
            connection.execute(f"grant usage on schema elsewhere to {role}")
            connection.execute(f"grant insert on elsewhere.t to {role}")
            assert [id_ for id_, _ in source.findings()] == ["source.W004"]
            source.close()
        finally:
            connection.execute(f"drop owned by {role}")
            connection.execute(f"drop role {role}")


@pytest.mark.mariadb
def test_findings_say_what_an_account_of_mariadb_could_do(
    fresh_chinook_mariadb: str, mariadb_source: MariadbSource
) -> None:
    assert {id_ for id_, _ in mariadb_source.findings()} == {"source.W002"}
    url = make_url(fresh_chinook_mariadb)
    account = f"'{str(url.database)[:20]}'@'%'"
    connection = connect_mariadb(fresh_chinook_mariadb)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"create user {account} identified by 'x'")
        try:
            cursor.execute(f"grant select on `{url.database}`.* to {account}")
            cursor.execute(f"grant insert, update on `{url.database}`.`invoice` to {account}")
            least = url.set(username=str(url.database)[:20], password="x")
            source = MariadbSource("x", least.render_as_string(hide_password=False))
            assert source.findings() == []
            assert source.identity().startswith("mariadb:")
            cursor.execute(f"grant drop on `{url.database}`.* to {account}")
            assert [id_ for id_, _ in source.findings()] == ["source.W003"]
            source.close()
        finally:
            cursor.execute(f"drop user {account}")


@pytest.mark.mariadb
def test_an_invisible_column_of_mariadb_is_known_as_such(chinook_mariadb: str) -> None:
    url = make_url(chinook_mariadb)
    with closing(connect_mariadb(chinook_mariadb)) as connection, connection.cursor() as cursor:
        connection.select_db(url.database or "")
        cursor.execute("create table veiled (a int, b int invisible default 3)")
    source = MariadbSource("x", chinook_mariadb)
    try:
        columns = source.schema().tables["veiled"].columns
        assert {column.name: column.is_invisible for column in columns} == {"a": False, "b": True}
    finally:
        source.close()
        with closing(connect_mariadb(chinook_mariadb)) as connection, connection.cursor() as cursor:
            connection.select_db(url.database or "")
            cursor.execute("drop table veiled")
