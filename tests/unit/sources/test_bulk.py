"""Are large answers of a server read by worker processes, exactly as the gateway would, and do they stop in time?"""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from tests.unit.sources.ways import drained

from gatebook_hub.errors import SourceChanged, StatementFailed, StatementTimeout
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.bulk import BulkReads
from gatebook_hub.sources.embedded import WorkerStream
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.registry import open_server
from gatebook_hub.sources.sizes import Size
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sql import Plan

Source = PostgresqlSource | MariadbSource
MANY = {
    Engine.POSTGRESQL: "SELECT n, n / 7.0 AS f, n::text AS t FROM generate_series(1, 50000) n",
    Engine.MARIADB: "SELECT seq AS n, seq / 7.0 AS f, concat(seq) AS t FROM seq_1_to_50000",
}
ENDLESS = {
    Engine.POSTGRESQL: "SELECT generate_series(1, 1000000000) AS n, repeat('read_by_a_worker', 20) AS t",
    Engine.MARIADB: "SELECT seq AS n, repeat('read_by_a_worker', 20) AS t FROM seq_1_to_1000000000",
}
BUSY = {
    Engine.POSTGRESQL: "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%read_by_a_%%' "
    "AND pid <> pg_backend_pid()",
    Engine.MARIADB: "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%%read_by_a_%%' "
    "AND id <> connection_id()",
}


@pytest.fixture(
    params=[
        pytest.param(Engine.POSTGRESQL, marks=pytest.mark.postgres),
        pytest.param(Engine.MARIADB, marks=pytest.mark.mariadb),
    ]
)
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.param
    return found


@pytest.fixture
def url(engine: Engine, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("chinook_postgres" if engine is Engine.POSTGRESQL else "chinook_mariadb"))


@pytest.fixture
def source(engine: Engine, url: str) -> Iterator[Source]:
    made = open_server("x", engine, url, has_workers=True)
    yield made
    made.close()


class Memory:
    """Remembers one identity, and what it heard."""

    def __init__(self, identity: str | None = None) -> None:
        self.identity = identity
        self.heard: list[str] = []

    def recall(self, _source: str) -> str | None:
        return self.identity

    def remember(self, _source: str, identity: str) -> None:
        self.identity = identity

    def alarm(self, _source: str, sentence: str) -> None:
        self.heard.append(sentence)


def plan_of(engine: Engine, sql: str, names: frozenset[str] = frozenset()) -> Plan:
    return Plan(engine=engine, sql=sql, parameters=names, reads={})


def start(source: Source, engine: Engine, sql: str, **limits: Any) -> ReadStream:
    """A read by a worker, which is waited for."""
    source.sizes.tell(sql, Size.LARGE)
    until = time.monotonic() + 30
    while not is_ready(source) and time.monotonic() < until:
        time.sleep(0.02)
    stream = source.read(plan_of(engine, sql), {}, Limits(**limits))
    assert isinstance(stream, WorkerStream)
    return stream


def is_ready(source: Source) -> bool:
    return any(worker.is_ready for worker in list(workers_of(source)._crew._idle))


def workers_of(source: Source) -> Any:
    bulk = source._bulk
    assert isinstance(bulk, BulkReads)
    return bulk._pool


def own(source: Source, engine: Engine, sql: str) -> Any:
    """The same by the gateway's process, row by row."""
    source.sizes.tell(sql, Size.UNSUITED)
    stream = source.read(plan_of(engine, sql), {}, Limits())
    assert not isinstance(stream, WorkerStream)
    return drained(stream)


def waited(until: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.05)
    return until()


def is_busy(source: Source, engine: Engine) -> bool:
    return bool(own(source, engine, BUSY[engine]).column(0)[0].as_py() > 0)


def test_a_worker_reads_what_was_large_the_last_time(source: Source, engine: Engine) -> None:
    expected = own(source, engine, MANY[engine])
    found = drained(start(source, engine, MANY[engine]))
    assert found.equals(expected)
    assert found.schema.equals(expected.schema)


def test_nobody_waits_for_a_worker(source: Source, engine: Engine) -> None:
    """The first large read makes the gateway start one; until it is there, and while it is busy, it reads itself."""
    sql = MANY[engine]
    first = source.read(plan_of(engine, sql), {}, Limits())
    assert not isinstance(first, WorkerStream)
    assert drained(first).num_rows == 50_000
    assert waited(lambda: bool(workers_of(source).process_ids))
    held = start(source, engine, sql)
    beside = source.read(plan_of(engine, sql), {}, Limits())
    assert not isinstance(beside, WorkerStream)
    assert drained(beside).num_rows == drained(held).num_rows


def test_an_answer_that_is_small_after_all_is_remembered(source: Source, engine: Engine) -> None:
    sql = "SELECT 1 AS x"
    assert drained(start(source, engine, sql)).num_rows == 1
    assert source.sizes.get(sql) is Size.MIDDLING


def test_parameters_arrive(source: Source, engine: Engine) -> None:
    values: dict[str, Any] = {
        "n": 2**62,
        "d": Decimal("12345678901234567890.125"),
        "t": "naïve 😀 '\"\\%",
        "at": dt.datetime(2024, 2, 29, 12, 30, 0, 125),  # noqa: DTZ001 - one without a zone
        "none": None,
    }
    sql = "SELECT " + ", ".join(f"%({name})s AS {name}" for name in values)
    kind = {"t": "text", "at": "timestamp", "d": "numeric", "n": "bigint", "none": "text"}
    if engine is Engine.POSTGRESQL:
        sql = "SELECT " + ", ".join(f"CAST(%({name})s AS {kind[name]}) AS {name}" for name in values)
    drained(start(source, engine, "SELECT 2 AS y"))
    source.sizes.tell(sql, Size.UNSUITED)
    expected = drained(source.read(plan_of(engine, sql, frozenset(values)), values, Limits()))
    source.sizes.tell(sql, Size.LARGE)
    stream = source.read(plan_of(engine, sql, frozenset(values)), values, Limits())
    assert isinstance(stream, WorkerStream)
    assert drained(stream).equals(expected)


def test_closing_half_way_frees_the_server_and_the_worker(source: Source, engine: Engine) -> None:
    for _ in range(2):
        stream = start(source, engine, ENDLESS[engine])
        batches = iter(stream)
        assert next(batches).num_rows > 0
        assert is_busy(source, engine)
        stream.close()
        assert waited(lambda: not is_busy(source, engine))
    assert drained(start(source, engine, MANY[engine])).num_rows == 50_000


def test_it_is_bounded_in_time(source: Source, engine: Engine) -> None:
    started = time.monotonic()
    stream = start(source, engine, ENDLESS[engine], time_s=1)
    with pytest.raises(StatementTimeout):
        drained(stream)
    assert time.monotonic() - started < 10
    assert waited(lambda: not is_busy(source, engine))


def test_an_error_is_told_without_values(source: Source, engine: Engine) -> None:
    for sql in ("SELECT nope AS x", "SELECT 1; SELECT 2", "SELECT * FROM nope"):
        source.sizes.tell(sql, Size.UNSUITED)
        with pytest.raises(StatementFailed) as expected:
            drained(source.read(plan_of(engine, sql), {}, Limits()))
        with pytest.raises(StatementFailed) as found:
            drained(start(source, engine, sql))
        assert str(found.value) == str(expected.value)


def test_a_worker_that_dies_takes_its_own_read_alone(source: Source, engine: Engine) -> None:
    stream = start(source, engine, ENDLESS[engine])
    batches = iter(stream)
    next(batches)
    (process,) = workers_of(source).process_ids
    os.kill(process, signal.SIGKILL)
    with pytest.raises(StatementFailed):
        list(batches)
    assert waited(lambda: not is_busy(source, engine))
    assert drained(start(source, engine, MANY[engine])).num_rows == 50_000


def test_workers_read_the_server_that_was_met_first_and_no_other(source: Source, engine: Engine, url: str) -> None:
    source.pin.hold(Memory())
    expected = own(source, engine, MANY[engine])
    assert drained(start(source, engine, MANY[engine])).equals(expected)
    other = open_server("x", engine, url, has_workers=True)
    memory = Memory("another server")
    other.pin.hold(memory)
    try:
        other.sizes.tell(MANY[engine], Size.LARGE)
        assert waited(lambda: is_ready(other), 30)
        with pytest.raises(SourceChanged):
            other.read(plan_of(engine, MANY[engine]), {}, Limits())
        assert len(memory.heard) == 1
    finally:
        other.close()


def test_workers_end_with_their_source(source: Source, engine: Engine) -> None:
    drained(start(source, engine, MANY[engine]))
    (process,) = workers_of(source).process_ids
    source.close()
    assert waited(lambda: not os.path.exists(f"/proc/{process}"))  # noqa: PTH110 - no file


@pytest.mark.postgres
def test_the_drivers_environment_is_the_gateways(chinook_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator who asks for TLS by `PGSSLMODE` asks for it in workers too; other variables stay with the gateway."""
    monkeypatch.setenv("PGAPPNAME", "gateway-of-the-shop")
    monkeypatch.setenv("SHOP_PASSWORD", "secret-of-the-gateway")
    source = open_server("x", Engine.POSTGRESQL, chinook_postgres, has_workers=True)
    sql = "SELECT pg_catalog.current_setting('application_name') AS x"
    try:
        assert own(source, Engine.POSTGRESQL, sql).to_pylist() == [{"x": "gateway-of-the-shop"}]
        assert drained(start(source, Engine.POSTGRESQL, sql)).to_pylist() == [{"x": "gateway-of-the-shop"}]
        (process,) = workers_of(source).process_ids
        environment = Path(f"/proc/{process}/environ").read_bytes()
        line = Path(f"/proc/{process}/cmdline").read_bytes()
    finally:
        source.close()
    password = make_url(chinook_postgres).password
    for secret in ("gateway-of-the-shop", "secret-of-the-gateway", chinook_postgres, *([password] if password else [])):
        assert secret.encode() not in environment + line
