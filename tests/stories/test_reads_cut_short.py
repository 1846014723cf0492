"""A read that somebody leaves, stops or cuts: the database is free soon, and what was had is not the whole."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.fixtures.labs import write_lab
from tests.stories.alone import Alone
from tests.stories.gateway import APP
from tests.stories.owns import Run, numbers, own_driver
from tests.stories.sandboxes import ENGINES, PATIENT

import gatebook
import gatebook.dbapi
from gatebook.dbapi import Connection, Cursor

HASTY_S = 1.0
PATIENCE_S = 8.0
ROWS = 3_000
ENDLESS = "select a.n, b.pad from big a cross join big b"
LARGE = "select n, pad from big order by n"
SERVERS = ("postgresql", "mariadb")
_HASTY = """
  - {{id: hasty-{0}, to: "group:hasty", on: "lab_{0}.*", allow: [select], limits: {{time_s: 1}}}}
"""


@pytest.fixture(scope="module")
def places(
    make_postgres: Callable[[], str], make_mariadb: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Where the databases are, each with a table of a few megabytes, which joined with itself has no end."""
    folder = tmp_path_factory.mktemp("short")
    servers = {"postgresql": make_postgres(), "mariadb": make_mariadb()}
    found = {engine: servers.get(engine, f"{folder}/lab.{engine}") for engine in ENGINES}
    for engine, place in found.items():
        with own_driver(engine, place) as run:
            run("create table kept (id integer primary key)")
            run("create table big (n integer primary key, pad varchar(1000))")
            run(f"create table numbers as {numbers(engine, ROWS)}")
            run(f"insert into big select number, '{'x' * 1_000}' from numbers")
    return found


@pytest.fixture(scope="module")
def gateway(
    places: dict[str, str], chinook_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    """A gateway over them, where a minute is what a statement may take, and a second for people in a hurry."""
    folder = tmp_path_factory.mktemp("gateway")
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    for engine, place in places.items():
        url = place if "://" in place else f"{engine}:///{place}"
        write_lab(policies, engine, url.replace("mysql://", "mariadb+pymysql://"), "builders")
    (policies / "hasty.yaml").write_text("grants:\n" + "".join(map(_HASTY.format, places)))
    with Alone(folder, chinook_template, policies=policies, environment=PATIENT) as running:
        yield running


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(engine: str, places: dict[str, str]) -> Iterator[Run | None]:
    """How the server is looked at from outside; a file has nobody to ask."""
    if engine not in SERVERS:
        yield None
        return
    with own_driver(engine, places[engine]) as asked:
        yield asked


def connect(gateway: Alone, engine: str, **options: Any) -> Connection:
    return gatebook.dbapi.connect(f"lab_{engine}", gateway.url, gateway.token("ann", "builders"), **options)


def is_busy(engine: str, run: Run) -> bool:
    """Whether the server holds a statement or a transaction of the gateway's."""
    if engine == "postgresql":
        return bool(run("select 1 from pg_stat_activity where datname = current_database() "
                        "and pid <> pg_backend_pid() and xact_start is not null"))  # fmt: skip
    return bool(run("select 1 from information_schema.processlist where db = database() "
                    "and id <> connection_id() and command <> 'Sleep'"))  # fmt: skip


def check_freed(gateway: Alone, engine: str, run: Run | None, before: int, within_s: float) -> None:
    """The book has the end of the statement, and the server runs nothing more."""
    started = time.monotonic()
    while ended(gateway, engine) == before or (run is not None and is_busy(engine, run)):
        assert time.monotonic() - started < within_s, "the statement still runs"
        time.sleep(0.1)


def ended(gateway: Alone, engine: str) -> int:
    outcomes = gateway.events(kind="query.outcome")
    intents = {event["index"] for event in gateway.events(kind="query.intent", source=f"lab_{engine}")}
    return sum(event["refers_to"] in intents for event in outcomes)


@contextlib.contextmanager
def begun(gateway: Alone, engine: str, group: str = "builders") -> Iterator[socket.socket]:
    """A caller with a small window, who has read the first bytes of an answer without end."""
    body = json.dumps({"source": f"lab_{engine}", "sql": ENDLESS}).encode()
    head = (
        f"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {gateway.token('ann', group)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        made.settimeout(20)
        made.connect(("127.0.0.1", gateway.port))
        made.sendall(head.encode() + body)
        assert made.recv(4_096).startswith(b"HTTP/1.1 200")
        yield made


def test_a_caller_who_vanishes_while_rows_stream_frees_the_database(
    gateway: Alone, engine: str, run: Run | None
) -> None:
    """The second time the answer is known to be large, which may be another way."""
    for _ in range(2):
        before = ended(gateway, engine)
        with begun(gateway, engine) as caller:
            for _ in range(50):
                caller.recv(65_536)
            if run is not None:
                assert is_busy(engine, run)
        check_freed(gateway, engine, run, before, PATIENCE_S)


def test_a_caller_who_stalls_holds_no_database_longer_than_a_statement_may_take(
    gateway: Alone, places: dict[str, str]
) -> None:
    before = {engine: ended(gateway, engine) for engine in ENGINES}
    with contextlib.ExitStack() as held:
        for engine in ENGINES:
            held.enter_context(begun(gateway, engine, "hasty"))
        until = time.monotonic() + HASTY_S + 3
        while held_still(gateway, before) and time.monotonic() < until:
            time.sleep(0.2)
        assert held_still(gateway, before) == []


def test_callers_who_stall_keep_nobody_else_waiting(gateway: Alone) -> None:
    """As many as the gateway has threads."""
    before = {engine: ended(gateway, engine) for engine in ENGINES}
    callers = min(32, (os.cpu_count() or 1) + 4)
    try:
        with contextlib.ExitStack() as held, gateway.client(gateway.token("ann", "builders")) as client:
            for index in range(callers):
                held.enter_context(begun(gateway, ENGINES[index % len(ENGINES)]))
            time.sleep(0.5)
            asked = {"source": "lab_postgresql", "sql": "select n from big where n = 1"}
            assert client.post("/api/v1/query", json=asked, timeout=3).status_code == 200
    finally:
        until = time.monotonic() + 20
        while sum(ended(gateway, engine) - before[engine] for engine in ENGINES) < callers and time.monotonic() < until:
            time.sleep(0.1)


def held_still(gateway: Alone, before: dict[str, int]) -> list[str]:
    return [engine for engine in before if ended(gateway, engine) == before[engine]]


def test_an_interrupt_in_the_middle_of_a_fetch_frees_the_database(gateway: Alone, engine: str, run: Run | None) -> None:
    """And the rows that were had do not pass for all of them."""
    before = ended(gateway, engine)
    cursor = connect(gateway, engine).execute(ENDLESS)
    assert cursor.fetchone() is not None
    with interrupted(after_s=0.4), pytest.raises(KeyboardInterrupt):
        cursor.fetchall()
    check_freed(gateway, engine, run, before, PATIENCE_S)
    check_cut(cursor)
    assert len(cursor.execute("select n from big where n < 7").fetchall()) == 7


def check_cut(cursor: Cursor) -> None:
    for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall, cursor.fetch_arrow_table, lambda: list(cursor)):
        with pytest.raises(gatebook.dbapi.OperationalError):
            fetch()


@contextlib.contextmanager
def interrupted(*, after_s: float) -> Iterator[None]:
    """As Control-C does it; not while garbage is collected, where whoever listens to that swallows it."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGUSR1))
    gc.disable()
    timer.start()
    try:
        yield
    finally:
        gc.enable()
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGUSR1, old)


def test_who_leaves_the_rest_frees_the_database(gateway: Alone, engine: str, run: Run | None) -> None:
    """By `cancel`, by closing the cursor or its connection; also where the answer was hung up behind the cursor."""
    before = ended(gateway, engine)
    connection = connect(gateway, engine)
    left, watched, closed, kept = (connection.execute(ENDLESS) for _ in range(4))
    assert len(left.fetchmany(3)) == 3
    left.cancel()
    check_cut(left)
    assert watched._stream is not None
    watched._stream.close()
    with pytest.raises(gatebook.dbapi.OperationalError):
        watched.fetchall()
    check_cut(watched)
    closed.close()
    connection.close()
    for cursor in (closed, kept):
        with pytest.raises(gatebook.dbapi.InterfaceError):
            cursor.fetchone()
    with pytest.raises(gatebook.dbapi.InterfaceError):
        connection.cursor()
    check_freed(gateway, engine, run, before + 3, PATIENCE_S)


def test_more_rows_than_allowed_are_an_error_however_they_are_fetched(gateway: Alone, engine: str) -> None:
    """The limit itself is allowed; one row more is an error, also for whoever has fetched most of them."""
    assert len(connect(gateway, engine, limit_rows=ROWS).execute(LARGE).fetchall()) == ROWS
    connection = connect(gateway, engine, limit_rows=ROWS - 1)
    for fetch in (Cursor.fetchall, list, Cursor.fetch_arrow_table):
        cursor = connection.cursor()
        with pytest.raises(gatebook.dbapi.OperationalError, match="more rows"):
            fetch(cursor.execute(LARGE))
        with pytest.raises(gatebook.dbapi.OperationalError):
            cursor.fetchall()
    through = gatebook.connect(f"lab_{engine}", gateway.url, gateway.token("ann", "builders"))
    for read in (through.query, through.arrow):
        with pytest.raises(gatebook.GatebookError, match="more rows"):
            read(LARGE, limit_rows=ROWS - 1)


def test_a_gateway_that_dies_cuts_reads_and_undoes_what_was_not_committed(
    gateway: Alone, places: dict[str, str]
) -> None:
    readers = {engine: connect(gateway, engine).execute(ENDLESS) for engine in SERVERS}
    frames = gatebook.connect("lab_sqlite", gateway.url, gateway.token("ann", "builders")).batches(ENDLESS)
    next(frames)
    writers = {engine: connect(gateway, engine) for engine in ENGINES if engine != "sqlite"}
    for engine, writer in writers.items():
        assert readers.get(engine) is None or readers[engine].fetchone()
        writer.cursor().executemany("insert into kept (id) values (:id)", [{"id": 1}, {"id": 2}])
        assert writer.execute("select count(*) as n from kept").fetchall() == [(2,)]
    gateway.kill()
    for cursor in readers.values():
        with pytest.raises(gatebook.dbapi.OperationalError):
            cursor.fetchall()
        check_cut(cursor)
    with pytest.raises(gatebook.GatebookError), frames:
        list(frames)
    for writer in writers.values():
        with pytest.raises(gatebook.dbapi.OperationalError, match="cannot be reached"):
            writer.execute("insert into kept (id) values (3)")
    gateway.start()
    for engine, writer in writers.items():
        with pytest.raises(gatebook.dbapi.TransactionLost):
            writer.commit()
        writer.rollback()
        assert writer.execute("select count(*) as n from kept").fetchall() == [(0,)], engine
        writer.execute("insert into kept (id) values (4)")
        writer.commit()
        assert writer.execute("select id from kept").fetchall() == [(4,)]
    for engine in SERVERS:
        with own_driver(engine, places[engine]) as run:
            assert not is_busy(engine, run)
