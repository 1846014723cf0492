"""Are MariaDB's rows taken off the connection whole and in order up to any end, which leaves all as the driver does?"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.conftest import connect_mariadb
from tests.unit.sources.mariadb_ways import begin, by_columns, by_rows, check_same, drained, plan_of

from gatebook_hub.errors import SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Limits
from gatebook_hub.sources import mariadb, mariadb_packets
from gatebook_hub.sources.arrow import BATCH_ROWS
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.source import ReadStream

pytestmark = pytest.mark.mariadb

Run = Callable[[str], Any]
ENDLESS = "SELECT seq AS x, REPEAT('packets_without_end', 20) AS y FROM seq_1_to_1000000000"
SLOW = "SELECT SLEEP(30) AS before_the_packets"
ME = "SELECT CONNECTION_ID() AS c"


@pytest.fixture
def source(mariadb_source: MariadbSource) -> MariadbSource:
    return mariadb_source


@pytest.fixture
def run(chinook_mariadb: str) -> Iterator[Run]:
    """Look at the server from outside."""
    with contextlib.closing(connect_mariadb(chinook_mariadb)) as connection, connection.cursor() as cursor:

        def ask(sql: str) -> Any:
            cursor.execute(sql)
            return cursor.fetchall()

        yield ask


def sessions(run: Run, word: str) -> list[int]:
    query = "select id from information_schema.processlist where id <> connection_id() and info like "
    return [row[0] for row in run(f"{query} '%{word}%'")]


def gone_after_s(run: Run, word: str, started: float) -> float:
    while sessions(run, word) and time.monotonic() < started + 10:
        time.sleep(0.02)
    return time.monotonic() - started


def session(source: MariadbSource) -> int:
    return int(by_columns(source, ME)["c"][0].as_py())


def test_rows_of_any_size_come_through_buffers_of_any_size(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = "seq AS n, REPEAT('é', seq * seq %% 700) AS x, NULLIF(seq %% 3, 0) AS y"
    sql = f"SELECT {columns} FROM seq_1_to_3000 ORDER BY n DESC"
    texts = "SELECT '' AS x, NULLIF(1, 1) AS y FROM seq_1_to_3000"
    for size in (1, 7, 64, 1000, 5000, 70_000, 2_000_000):
        monkeypatch.setattr(mariadb_packets, "_BUFFER_BYTES", size)
        source = MariadbSource("x", mariadb_url)
        try:
            for each in (sql, texts, sql):
                assert check_same(source, each, {}).num_rows == 3000
        finally:
            source.close()


def test_a_large_answer_comes_in_pieces_in_its_order(source: MariadbSource) -> None:
    sql = "SELECT seq AS n, REPEAT('x', seq %% 300) AS x FROM seq_1_to_100000 ORDER BY (seq * 7919) %% 100003, seq DESC"
    me = session(source)
    stream = begin(source, sql, {})
    batches = list(stream)
    stream.close()
    assert max(batch.num_rows for batch in batches) <= BATCH_ROWS
    assert max(batch.nbytes for batch in batches) <= 3_000_000
    assert [n for batch in batches for n in batch["n"].to_pylist()] == sorted(
        range(1, 100_001), key=lambda n: (n * 7919 % 100_003, -n)
    )
    assert session(source) == me


def test_wide_rows_come_in_smaller_pieces(source: MariadbSource) -> None:
    columns = ", ".join(f"seq AS c{number}" for number in range(500))
    stream = begin(source, f"SELECT {columns} FROM seq_1_to_9000")
    batches = list(stream)
    stream.close()
    assert sum(batch.num_rows for batch in batches) == 9000
    assert max(batch.nbytes for batch in batches) < 10_000_000


def test_rows_that_come_in_several_packets(source: MariadbSource) -> None:
    parts = ", ".join(f"REPEAT(CHAR(96 + seq USING latin1), 6000000) AS x{index}" for index in range(4))
    for numbers in ("seq_1_to_1", "seq_1_to_3"):
        found = check_same(source, f"SELECT seq, {parts} FROM {numbers}")
        assert found.nbytes > 20_000_000
    exactly = "SELECT REPEAT('x', {}) AS a, REPEAT('y', 8000000) AS b, seq FROM seq_1_to_2"
    for less in range(8, 13):  # about as long as one packet can be
        check_same(source, exactly.format(2**24 - 8_000_000 - less))
    sizes = "SELECT seq, IF(seq %% 200 = 0, REPEAT('x', 3000000), 'x') AS x FROM seq_1_to_1000"
    assert check_same(source, sizes, {}).num_rows == 1000


def test_where_the_buffer_cannot_be_looked_at_the_driver_reads(source: MariadbSource) -> None:
    class Blind:
        def __init__(self, file: Any) -> None:
            self.read, self.close = file.read, file.close

        def peek(self) -> bytes:
            raise TimeoutError

    pooled, connection = source._begin(Limits(), "READ ONLY")
    connection._rfile = Blind(connection._rfile)
    pooled.close()
    assert check_same(source, "SELECT seq FROM seq_1_to_20000").num_rows == 20_000


def test_an_error_in_the_middle_has_its_number_and_leaves_the_connection(source: MariadbSource) -> None:
    me = session(source)
    for expression, number in (
        ("9223372036854735807 + CAST(seq AS SIGNED)", 1690),
        ("(SELECT a.seq FROM seq_1_to_2 a WHERE q.seq > 40000)", 1242),
    ):
        sql = f"SELECT seq, {expression} AS x FROM seq_1_to_100000 q"
        stream = begin(source, sql)
        batches = iter(stream)
        assert next(batches).num_rows > 1_000
        with pytest.raises(StatementFailed, match=str(number)) as caught:
            list(batches)
        assert "4000" not in str(caught.value)
        stream.close()
        with pytest.raises(StatementFailed) as other:
            by_rows(source, sql)
        assert str(other.value) == str(caught.value)
        assert session(source) == me


def test_an_error_before_the_first_rows_is_the_same_either_way(source: MariadbSource) -> None:
    for sql in ("SELECT 9223372036854775807 + 1", "SELECT nope", "SELEC 1", "SELECT 1; SELECT 2", "", "SET @a = 1"):
        found = set()
        for read in (by_rows, by_columns):
            with pytest.raises(StatementFailed) as caught:
                read(source, sql)
            found.add(str(caught.value))
        assert len(found) == 1, found


def test_closing_half_way_frees_the_server_at_once(source: MariadbSource, run: Run) -> None:
    for _ in range(3):
        stream = begin(source, ENDLESS)
        assert next(iter(stream)).num_rows > 0
        (number,) = sessions(run, "packets_without_end")
        started = time.monotonic()
        stream.close()
        assert time.monotonic() - started < 1
        assert gone_after_s(run, "packets_without_end", started) < 1.5
        assert session(source) != number


def consume(stream: ReadStream, taken: threading.Event, caught: list[BaseException]) -> None:
    try:
        for number, _ in enumerate(stream):
            if number == 3:
                taken.set()
    except Exception as error:  # noqa: BLE001 - a thread tells what it met
        caught.append(error)


def test_closing_from_another_thread_stops_a_reader_in_the_middle(source: MariadbSource, run: Run) -> None:
    waits = ENDLESS.replace("without_end", "that_wait") + " WHERE seq < 60000 OR SLEEP(0.1) = 1"
    for sql, word in ((ENDLESS, "packets_without_end"), (waits, "packets_that_wait")):
        stream = begin(source, sql)
        caught: list[BaseException] = []
        taken = threading.Event()
        reader = threading.Thread(target=consume, args=(stream, taken, caught))
        reader.start()
        assert taken.wait(20)
        started = time.monotonic()
        stream.close()
        reader.join(5)
        assert gone_after_s(run, word, started) < 1.5
        assert [(type(error), str(error)) for error in caught] == [(StatementFailed, "the statement was cancelled")]
        assert by_columns(source, "SELECT 1 AS x").num_rows == 1


def test_closing_at_any_moment_leaves_the_pool_whole(source: MariadbSource) -> None:
    sql = "SELECT seq FROM seq_1_to_60000"
    for index in range(40):
        timers: list[threading.Timer] = []

        def closing(stream: ReadStream, wait_s: float = index / 1000, timers: list[threading.Timer] = timers) -> None:
            timers.append(threading.Timer(wait_s, stream.close))
            timers[0].start()

        with contextlib.suppress(StatementFailed):
            stream = source.read(plan_of(sql), {}, Limits(), begun=closing)
            list(stream)
            stream.close()
        timers[0].join()
    for _ in range(10):
        assert by_columns(source, sql).num_rows == 60_000
    assert source._database.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_read_that_takes_too_long_is_a_timeout(source: MariadbSource) -> None:
    for sql in (SLOW, f"{ENDLESS} WHERE seq < 60000 OR SLEEP(0.1) = 1", ENDLESS):
        started = time.monotonic()
        with pytest.raises(StatementTimeout):
            drained(begin(source, sql, time_s=0.5))
        assert time.monotonic() - started < 5
        assert by_columns(source, "SELECT 1 AS x").num_rows == 1


def test_a_server_that_says_nothing_for_too_long_is_a_timeout(
    source: MariadbSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb, "_GRACE_S", -9.5)
    stalls = "SELECT seq FROM seq_1_to_100000 WHERE seq < 60000 OR SLEEP(IF(seq = 60000, 2, 0)) = 0"
    for sql in (SLOW, stalls):
        started = time.monotonic()
        with pytest.raises(StatementTimeout):
            drained(begin(source, sql, time_s=10))
        assert time.monotonic() - started < 2
    monkeypatch.undo()
    assert by_columns(source, "SELECT 1 AS x").num_rows == 1


def test_a_lost_connection_is_said_so_and_replaced(source: MariadbSource, run: Run) -> None:
    stream = begin(source, ENDLESS)
    (number,) = sessions(run, "packets_without_end")
    run(f"kill connection {number}")
    with pytest.raises(SourceUnavailable):
        drained(stream)
    me = session(source)
    run(f"kill connection {me}")
    assert session(source) != me
