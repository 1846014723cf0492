"""Does a copy stop when it is told to, say what went wrong and no more, and leave both pools whole?"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sources.ways import begin, by_rows, copied, drained, plan_of, way

from gatebook_hub.errors import SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Limits
from gatebook_hub.sources.arrow_batches import ArrowBatches
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.sizes import Size
from gatebook_hub.sources.source import ReadStream

pytestmark = pytest.mark.postgres

Run = Callable[[str], list[tuple[Any, ...]]]
ENDLESS = "SELECT generate_series(1, 1000000000) AS x, repeat('copied_without_end', 20) AS y"
SLOW = "SELECT count(*) AS before_the_copy FROM generate_series(1, 100000000000)"


@pytest.fixture
def source(postgres_source: PostgresqlSource) -> PostgresqlSource:
    return postgres_source


def backends(run: Run, word: str) -> list[int]:
    query = (
        "select pid from pg_stat_activity where datname = current_database() and state = 'active' "
        f"and pid <> pg_backend_pid() and query like '%{word}%'"
    )
    return [row[0] for row in run(query)]


def gone_after_s(run: Run, word: str, started: float) -> float:
    while backends(run, word) and time.monotonic() < started + 10:
        time.sleep(0.02)
    return time.monotonic() - started


def test_closing_half_way_frees_the_server_at_once(source: PostgresqlSource, run: Run) -> None:
    for _ in range(3):
        stream = begin(source, ENDLESS)
        assert way(stream) is ArrowBatches
        assert next(iter(stream)).num_rows > 0
        (process,) = backends(run, "copied_without_end")
        started = time.monotonic()
        stream.close()
        assert time.monotonic() - started < 1
        assert gone_after_s(run, "copied_without_end", started) < 1.5
        assert copied(source, "SELECT pg_backend_pid() AS p")["p"].to_pylist() != [process]


def test_closing_from_another_thread_stops_a_reader_in_the_middle(source: PostgresqlSource, run: Run) -> None:
    stream = begin(source, ENDLESS)
    caught: list[BaseException] = []
    taken = threading.Event()

    def consume() -> None:
        try:
            for number, _ in enumerate(stream):
                if number == 3:
                    taken.set()
        except Exception as error:  # noqa: BLE001 - a thread tells what it met
            caught.append(error)

    reader = threading.Thread(target=consume)
    reader.start()
    assert taken.wait(20)
    started = time.monotonic()
    stream.close()
    reader.join(5)
    assert gone_after_s(run, "copied_without_end", started) < 1.5
    assert [(type(error), str(error)) for error in caught] == [(StatementFailed, "the statement was cancelled")]
    assert copied(source, "SELECT 1 AS x").num_rows == 1


def test_closing_before_the_first_rows_cancels(source: PostgresqlSource, run: Run) -> None:
    begun: list[ReadStream] = []
    caught: list[BaseException] = []
    copied(source, "SELECT 1 AS x")

    def wait() -> None:
        source.sizes.tell(SLOW, Size.LARGE)
        try:
            source.read(plan_of(SLOW), {}, Limits(time_s=60), begun=begun.append)
        except Exception as error:  # noqa: BLE001 - a thread tells what it met
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until = time.monotonic() + 10
    while not backends(run, "COPY%before_the_copy") and time.monotonic() < until:
        time.sleep(0.02)
    started = time.monotonic()
    begun.pop().close()
    waiting.join(5)
    assert gone_after_s(run, "before_the_copy", started) < 2
    assert [str(error) for error in caught] == ["the statement was cancelled"]


def test_closing_at_any_moment_leaves_both_pools_whole(source: PostgresqlSource) -> None:
    sql = "SELECT n FROM generate_series(1, 20000) n"
    for index in range(40):
        timers: list[threading.Timer] = []

        def closing(stream: ReadStream, wait_s: float = index / 2000, timers: list[threading.Timer] = timers) -> None:
            timers.append(threading.Timer(wait_s, stream.close))
            timers[0].start()

        source.sizes.tell(sql, Size.LARGE)
        with contextlib.suppress(StatementFailed, StatementTimeout):
            stream = source.read(plan_of(sql), {}, Limits(), begun=closing)
            list(stream)
            stream.close()
        timers[0].join()
    for _ in range(10):
        assert copied(source, sql).num_rows == 20_000
        assert by_rows(source, "SELECT 1 AS x").num_rows == 1
    assert source._links._pool.checkedout() == 0


def test_a_copy_that_takes_too_long_is_a_timeout(source: PostgresqlSource) -> None:
    for sql in (SLOW, "SELECT generate_series(1, 100), pg_sleep(0.1)::text", ENDLESS):
        started = time.monotonic()
        with pytest.raises(StatementTimeout):
            drained(begin(source, sql, time_s=0.5))
        assert time.monotonic() - started < 5
        assert copied(source, "SELECT 1 AS x").num_rows == 1


def test_an_error_in_the_middle_has_its_state_and_no_values(source: PostgresqlSource) -> None:
    for expression, state in (
        ("1 / (500000 - n)", "22012"),
        ("CASE WHEN n < 500000 THEN 1 ELSE ('secret' || n)::int END", "22P02"),
        ("CASE WHEN n < 500000 THEN 1 ELSE 2147483647 + n END", "22003"),
    ):
        sql = f"SELECT {expression} AS x FROM (SELECT generate_series(1, 1000000) AS n) q"
        stream = begin(source, sql)
        assert way(stream) is ArrowBatches
        with pytest.raises(StatementFailed, match=state) as caught:
            drained(stream)
        assert "secret" not in str(caught.value)
        assert copied(source, "SELECT 1 AS x").num_rows == 1


def test_an_error_before_the_first_rows_is_the_same_either_way(source: PostgresqlSource) -> None:
    for sql in ("SELECT 1 / 0 AS x", "SELECT nope", "SELECT * FROM public.nope", "SELEC 1", "SELECT 1; SELECT 2", ""):
        found = []
        for size in (Size.LARGE, Size.SMALL, Size.UNSUITED, None):
            if size is not None:
                source.sizes.tell(sql, size)
            with pytest.raises(StatementFailed) as caught:
                drained(source.read(plan_of(sql), {}, Limits()))
            found.append(str(caught.value))
        assert len(set(found)) == 1, found


def test_a_lost_connection_is_said_so_and_replaced(source: PostgresqlSource, run: Run) -> None:
    stream = begin(source, ENDLESS)
    (process,) = backends(run, "copied_without_end")
    run(f"select pg_terminate_backend({process})")
    with pytest.raises(SourceUnavailable):
        drained(stream)
    (row,) = copied(source, "SELECT pg_backend_pid() AS p").to_pylist()
    run(f"select pg_terminate_backend({row['p']})")
    time.sleep(0.1)
    assert copied(source, "SELECT pg_backend_pid() AS p").to_pylist() != [row]


def test_a_copy_that_does_not_listen_is_ended(source: PostgresqlSource, run: Run) -> None:
    stream = begin(source, ENDLESS)
    (process,) = backends(run, "copied_without_end")
    source._end_process(process)
    assert gone_after_s(run, "copied_without_end", time.monotonic()) < 2
    stream.close()
