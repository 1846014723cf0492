"""Is a small answer of PostgreSQL the same in one round trip, and does nothing remain of it?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.unit.sources.ways import at_once, by_rows, drained, plan_of

from gatebook_hub.errors import SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Limits
from gatebook_hub.sources.at_once import fetched
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.sizes import Size
from gatebook_hub.sources.source import ReadStream

pytestmark = pytest.mark.postgres

Run = Callable[..., list[tuple[Any, ...]]]
SLOW = "SELECT pg_sleep(30)::text AS slept_at_once"


@pytest.fixture
def source(postgres_source: PostgresqlSource) -> PostgresqlSource:
    return postgres_source


def test_texts_are_read_at_once_from_the_second_time_on(
    source: PostgresqlSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def seen(*given: Any) -> Any:
        cursor = fetched(*given)
        tried.append(cursor is not None)
        return cursor

    monkeypatch.setattr("gatebook_hub.sources.choosing.fetched", seen)
    sql = "SELECT n FROM generate_series(1, %(most)s) n"
    ways = ((3, []), (31, [True]), (0, [True]), (32, [False]), (32, []), (3, []), (3, [True]))
    for most, ways_tried in ways:
        del tried[:]
        found = drained(source.read(plan_of(sql), {"most": most}, Limits()))
        assert found["n"].to_pylist() == list(range(1, most + 1))
        assert tried == ways_tried, most


def test_what_is_too_much_for_once_is_read_row_by_row(source: PostgresqlSource) -> None:
    sql = "SELECT n, repeat('x', 100) AS t FROM generate_series(1, 20000) n"
    assert at_once(source, sql).equals(by_rows(source, sql))


def test_nothing_is_left_open(source: PostgresqlSource) -> None:
    for sql in ("SELECT 1 AS x", "SELECT n FROM generate_series(1, 500) n"):
        at_once(source, sql)
    with pytest.raises(StatementFailed):
        at_once(source, "SELECT 1 / 0 AS x")
    pooled = source._database.raw_connection()
    connection: Any = pooled.driver_connection
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert connection.execute("SELECT count(*) FROM pg_cursors").fetchone() == (0,)
    connection.rollback()
    pooled.close()
    assert source._database.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_it_cannot_write_and_is_pinned(source: PostgresqlSource) -> None:
    shown = at_once(source, "SELECT current_setting('search_path') AS p, current_setting('transaction_read_only') AS r")
    assert shown.to_pylist() == [{"p": "pg_catalog", "r": "on"}]


def test_it_is_bounded_in_time(source: PostgresqlSource) -> None:
    started = time.monotonic()
    with pytest.raises(StatementTimeout):
        at_once(source, SLOW, time_s=0.3)
    assert time.monotonic() - started < 5


def test_who_leaves_stops_it(source: PostgresqlSource, run: Run) -> None:
    begun: list[ReadStream] = []
    caught: list[BaseException] = []
    source.sizes.tell(SLOW, Size.SMALL)

    def wait() -> None:
        try:
            source.read(plan_of(SLOW), {}, Limits(time_s=60), begun=begun.append)
        except Exception as error:  # noqa: BLE001 - a thread tells what it met
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    active = (
        "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' "
        "AND datname = current_database() AND query LIKE '%%slept_at_once%%' AND pid <> pg_backend_pid()"
    )
    until = time.monotonic() + 10
    while not run(active) and time.monotonic() < until:
        time.sleep(0.02)
    begun.pop().close()
    waiting.join(5)
    assert [str(error) for error in caught] == ["the statement was cancelled"]
    assert not run(active)
    assert source._database.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_connections_that_died_meanwhile_are_replaced(source: PostgresqlSource, run: Run) -> None:
    sql = "SELECT 1 AS x"
    streams = [source.read(plan_of("SELECT n FROM generate_series(1, 50000) n"), {}, Limits()) for _ in range(4)]
    for stream in streams:
        stream.close()
    for read in (at_once, by_rows):
        assert read(source, sql).num_rows == 1
        run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert read(source, sql).num_rows == 1


def test_a_server_that_is_gone_is_said_so(source: PostgresqlSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise SourceUnavailable("the source cannot be reached")

    at_once(source, "SELECT 1 AS x")
    monkeypatch.setattr(source, "_pooled", refused)
    with pytest.raises(SourceUnavailable):
        at_once(source, "SELECT 1 AS x")
