"""Does a worker end when it must, hold what it promised, and leave nothing behind?"""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from gatebook_hub.errors import LimitExceeded, MemoryExceeded, SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.embedded import WorkerStream
from gatebook_hub.sources.frames import BATCH, FrameError, unpack_rows
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sql import Plan

Embedded = SqliteSource | DuckdbSource
MANY = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t"
# SQLite looks at its clock between two steps, and one `instr` of nine million letters takes half an hour.
LONG_CALL = "SELECT instr(replace(:a, 'a', :a), replace(:b, 'a', :a)) AS x"
LONG_VALUES = {"a": "a" * 3000, "b": "a" * 1500 + "b"}
READS = {"genre": frozenset({"genreid", "name"}), "track": frozenset({"trackid", "name"})}


@pytest.fixture(params=["sqlite", "duckdb"])
def source(request: pytest.FixtureRequest) -> Iterator[Embedded]:
    made: Embedded
    if request.param == "sqlite":
        made = SqliteSource("x", request.getfixturevalue("chinook_sqlite"))
    else:
        made = DuckdbSource("x", request.getfixturevalue("chinook_duckdb"))
    yield made
    made.close()


@pytest.fixture
def sqlite_source(chinook_sqlite: Path) -> Iterator[SqliteSource]:
    made = SqliteSource("x", chinook_sqlite)
    yield made
    made.close()


def read(source: Embedded, sql: str, parameters: dict[str, Any] | None = None, **limits: Any) -> list[Any]:
    stream = source.read(plan(sql), parameters or {}, Limits(**limits))
    try:
        return [row for batch in stream for row in batch.to_pylist()]
    finally:
        stream.close()


def plan(sql: str) -> Plan:
    return Plan(engine=Engine.SQLITE, sql=sql, parameters=frozenset(), reads=READS)


def children() -> set[int]:
    own = os.getpid()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == own:
                found.add(int(entry.name))
    return found


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_call_that_cannot_be_interrupted_ends_with_its_process(sqlite_source: SqliteSource) -> None:
    started = time.monotonic()
    with pytest.raises(StatementTimeout):
        read(sqlite_source, LONG_CALL, LONG_VALUES, time_s=0.5)
    assert time.monotonic() - started < 6
    assert read(sqlite_source, "SELECT 1 AS x") == [{"x": 1}]


def test_a_process_that_is_killed_is_a_sentence_and_the_next_statement_is_answered(source: Embedded) -> None:
    assert read(source, "SELECT 1 AS x") == [{"x": 1}]
    sql = MANY if isinstance(source, SqliteSource) else "SELECT i AS n FROM range(100000000000) r(i)"
    stream = source.read(plan(sql), {}, Limits())
    batches = iter(stream)
    next(batches)
    (process,) = source.process_ids
    os.kill(process, signal.SIGKILL)
    with pytest.raises(StatementFailed, match="process that ran the statement ended"):
        for _ in batches:
            pass
    stream.close()
    assert read(source, "SELECT 1 AS x") == [{"x": 1}]
    assert process not in children()


def test_an_idle_process_that_is_killed_is_replaced(source: Embedded) -> None:
    read(source, "SELECT 1 AS x")
    (process,) = source.process_ids
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    assert read(source, "SELECT 1 AS x") == [{"x": 1}]


def test_a_killed_write_session_rolls_back(source: Embedded) -> None:
    read(source, "SELECT 1 AS x")
    with pytest.raises(StatementFailed), source.writing(Limits()) as session:  # noqa: PT012 - what is left midway
        session.run("UPDATE main.genre SET name = 'x'", {})
        for process in source.process_ids:
            os.kill(process, signal.SIGKILL)
        session.commit()
        session.run("UPDATE main.genre SET name = 'y'", {})
    assert read(source, "SELECT count(*) AS n FROM main.genre WHERE name = 'x'") == [{"n": 0}]
    with source.writing(Limits()) as session:
        assert session.run("UPDATE main.genre SET name = 'z' WHERE genreid = 1", {})[1] == 1
        session.commit()
    assert read(source, "SELECT name FROM main.genre WHERE genreid = 1") == [{"name": "z"}]


def test_a_read_in_a_write_session_ends_in_time(sqlite_source: SqliteSource) -> None:
    with pytest.raises(StatementTimeout), sqlite_source.writing(Limits(time_s=0.3)) as session:
        session.select(plan(MANY.replace("SELECT n FROM t", "SELECT max(n) FROM t")), {}, 10)
    with pytest.raises(StatementTimeout), sqlite_source.writing(Limits(time_s=0.3)) as session:
        session.select(plan(LONG_CALL), LONG_VALUES, 10)
    with sqlite_source.writing(Limits()) as session:
        assert session.run("UPDATE genre SET name = 'z' WHERE genreid = 1", {})[1] == 1


def test_a_close_before_the_first_rows_frees_the_worker_within_a_second(source: Embedded) -> None:
    sql = (
        MANY.replace("SELECT n FROM t", "SELECT max(n) FROM t")
        if isinstance(source, SqliteSource)
        else "SELECT count(*) FROM main.track a, main.track b, main.track c WHERE a.name || b.name < c.name"
    )
    read(source, "SELECT 1 AS x")
    begun: list[ReadStream] = []
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            source.read(plan(sql), {}, Limits(), begun=begun.append)
        except StatementFailed as error:
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.5)
    started = time.monotonic()
    begun[0].close()
    waiting.join(5)
    assert time.monotonic() - started < 5
    assert "cancelled" in str(caught[0])
    assert read(source, "SELECT 1 AS x") == [{"x": 1}]


def test_a_reader_that_vanishes_holds_nothing_for_ever(sqlite_source: SqliteSource) -> None:
    """Nobody reads on and nobody closes: the statement's time ends it."""
    stream = sqlite_source.read(plan(MANY), {}, Limits(time_s=0.5))
    batches = iter(stream)
    next(batches)
    (process,) = sqlite_source.process_ids
    until = time.monotonic() + 5
    while Path(f"/proc/{process}").exists() and time.monotonic() < until:
        if "Z" in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]:
            break
        time.sleep(0.05)
    with pytest.raises((StatementTimeout, StatementFailed)):
        for _ in batches:
            pass
    stream.close()
    assert process not in children()


@pytest.mark.slow
def test_a_memory_bomb_hurts_nobody_else(source: Embedded) -> None:
    if isinstance(source, SqliteSource):
        sql = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT group_concat(n || :a) AS x FROM t"
        sorted_ = (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n, :a || n AS x FROM t ORDER BY x"
        )
    else:
        sql = "SELECT length(string_agg(i::VARCHAR || $a, ',')) AS x FROM range(1000000000) r(i)"
        sorted_ = "SELECT list(i) AS x FROM range(10000000000) r(i)"
    for bomb in (sql, sorted_):
        with pytest.raises((MemoryExceeded, StatementFailed, StatementTimeout)):
            read(
                source, bomb, {"a": "a" * 100_000} if "a" in bomb and (":a" in bomb or "$a" in bomb) else {}, time_s=20
            )
        assert read(source, "SELECT 1 AS x") == [{"x": 1}]


def test_a_value_that_is_sought_is_sought_in_time(sqlite_source: SqliteSource) -> None:
    """Behind pages of NULLs SQLite is asked for a value of the column, under the clock of the read itself."""
    sql = MANY.replace("SELECT n FROM t", "SELECT CASE WHEN n < 0 THEN 1 END AS x FROM t")
    started = time.monotonic()
    with pytest.raises(StatementTimeout):
        read(sqlite_source, sql, time_s=0.5)
    assert time.monotonic() - started < 6
    assert read(sqlite_source, "SELECT 1 AS x") == [{"x": 1}]


WAITS = """
import ctypes, os, signal, socket, sys
from gatebook_hub.sources.frames import Channel
from gatebook_hub.sources.worker import __main__ as worker
ours, theirs = socket.socketpair()
os.environ["GATEBOOK_PARENT"] = str(os.getppid())
def told(self):
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
    sys.exit()
Channel.receive = told
worker.main([str(theirs.detach()), "0"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says it")
def test_a_worker_closes_its_memory_before_it_is_told_a_password() -> None:
    done = subprocess.run([sys.executable, "-c", WAITS], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "0\n", done.stderr


def test_a_worker_has_neither_the_environment_nor_the_descriptors_of_the_gateway(
    source: Embedded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "secret-of-the-gateway")
    with (tmp_path / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        read(source, "SELECT 1 AS x")
        (process,) = source.process_ids
        environment = Path(f"/proc/{process}/environ").read_bytes()
        opened = {str(path.readlink()) for path in Path(f"/proc/{process}/fd").iterdir()}
    assert b"secret-of-the-gateway" not in environment
    assert not any("held" in name for name in opened)
    assert {name.split(":")[0] for name in opened} <= {"/dev/null", "socket", "pipe"} | {
        name for name in opened if "chinook" in name
    }


PROBES = """
import os, socket, sys, resource
from pathlib import Path
from gatebook_hub.sources.worker.confining import forbid_calls, forbid_files, limit_resources
from gatebook_hub.sources.worker.sqlite import SqliteServed
import subprocess, threading, ctypes
folder = Path(sys.argv[1])
limit_resources(1_000_000_000)
assert forbid_files(folder / "x.sqlite") and forbid_calls()
def refused(call):
    try:
        call()
    except (OSError, MemoryError):
        return
    raise SystemExit(f"not refused: {call}")
refused(lambda: open(f"/proc/{os.getppid()}/environ"))
refused(lambda: open("/etc/passwd"))
refused(lambda: open(sys.argv[2]))
refused(lambda: os.listdir("/"))
refused(lambda: open("/tmp/new", "w"))
refused(lambda: os.symlink("/etc/passwd", folder / "link"))
refused(lambda: os.fork())
refused(lambda: subprocess.run(["/bin/true"]))
refused(lambda: os.execv("/bin/true", ["true"]))
refused(lambda: socket.socket())
refused(lambda: socket.socket(socket.AF_UNIX))
refused(lambda: os.kill(os.getppid(), 0))
refused(lambda: bytearray(2_000_000_000))
libc = ctypes.CDLL(None)
assert libc.ptrace(16, os.getppid(), 0, 0) == -1
assert libc.syscall(425, 8, 0) == -1
machine = os.uname().machine
tgkill, tkill, prlimit = (234, 200, 302) if machine == "x86_64" else (131, 130, 261)
assert libc.syscall(tgkill, os.getppid(), os.getppid(), 0) == -1
assert libc.syscall(tkill, os.getppid(), 0) == -1
assert libc.syscall(prlimit, os.getppid(), 7, 0, 0) == -1
assert libc.syscall(tgkill, os.getpid(), threading.get_native_id(), 0) == 0
resource.setrlimit(resource.RLIMIT_CPU, (1000, resource.getrlimit(resource.RLIMIT_CPU)[1]))
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert libc.prctl(3, 0, 0, 0, 0) == 0
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
(folder / "journal").write_text("x"); (folder / "journal").unlink()
print("held")
"""


def test_a_worker_can_do_nothing_but_its_work(tmp_path: Path) -> None:
    """What a person who broke out of the engine would try next."""
    folder = tmp_path / "database"
    folder.mkdir()
    secret = tmp_path / "book.key"
    secret.write_text("secret")
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBES, folder, secret], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "held\n", done.stdout + done.stderr


ALONE = """
import sys, time
from pathlib import Path
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sql import Plan
source = SqliteSource("x", Path(sys.argv[1]))
plan = Plan(engine=Engine.SQLITE, sql="SELECT instr(replace(:a, 'a', :a), replace(:b, 'a', :a)) AS x",
            parameters=frozenset(), reads={})
source.read(plan, {"a": "a", "b": "b"}, Limits())
print(*source.process_ids, flush=True)
source.read(plan, {"a": "a" * 3000, "b": "a" * 1500 + "b"}, Limits())
"""


def test_a_worker_ends_with_its_gateway_even_in_the_middle_of_a_call(chinook_sqlite: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ALONE, chinook_sqlite], stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        process = int(gateway.stdout.readline())
        time.sleep(0.5)
        assert Path(f"/proc/{process}").exists()
        gateway.kill()
    until = time.monotonic() + 5
    while Path(f"/proc/{process}").exists() and time.monotonic() < until:
        if "Z" in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]:
            break  # whoever reaps orphans here has not looked yet
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{process}").exists()


def test_a_file_in_wal_mode_and_behind_a_link_is_read_and_written(chinook_sqlite: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(chinook_sqlite)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    link = tmp_path / "elsewhere" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to(chinook_sqlite)
    for path in (chinook_sqlite, link):
        source = SqliteSource("x", path)
        with source.writing(Limits()) as session:
            session.run("UPDATE genre SET name = :n WHERE genreid = 1", {"n": path.name})
            assert read(source, "SELECT count(*) AS n FROM genre") == [{"n": 25}]
            session.commit()
        assert read(source, "SELECT name FROM genre WHERE genreid = 1") == [{"name": path.name}]
        source.close()


def test_rows_that_are_larger_than_a_frame_are_refused_and_the_session_goes_on(sqlite_source: SqliteSource) -> None:
    with sqlite_source.writing(Limits()) as session:
        session.run("CREATE TABLE large (id integer primary key, a text)", {})
        for index in range(4):
            session.run("INSERT INTO large VALUES (:id, :a)", {"id": index, "a": "\u00e9" * 5_000_000})
        with pytest.raises(LimitExceeded):
            session.run("SELECT * FROM large", {})
        assert len(session.run("SELECT id FROM large", {})[0]) == 4
        session.commit()
    large = Plan(
        engine=Engine.SQLITE, sql="SELECT a FROM large", parameters=frozenset(), reads={"large": frozenset({"a"})}
    )
    stream = sqlite_source.read(large, {}, Limits())
    assert [len(row["a"]) for batch in stream for row in batch.to_pylist()] == [5_000_000] * 4
    stream.close()


def test_two_hundred_statements_leave_no_process_and_no_descriptor(source: Embedded) -> None:
    before_children = children()
    for _ in range(20):
        read(source, "SELECT 1 AS x")
    before = descriptors()
    for index in range(200):
        match index % 4:
            case 0:
                read(source, "SELECT name FROM main.genre")
            case 1:
                with pytest.raises(StatementFailed):
                    read(source, "SELECT nosuch FROM main.genre")
            case 2:
                source.read(plan("SELECT trackid FROM main.track"), {}, Limits()).close()
            case _:
                with source.writing(Limits()) as session:
                    session.run("UPDATE main.genre SET name = name WHERE genreid = 1", {})
    assert descriptors() <= before + 4
    assert len(source.process_ids) <= 2
    source.close()
    assert children() <= before_children
    assert descriptors() <= before


def test_an_ended_source_refuses_and_holds_nothing(source: Embedded) -> None:
    stream = source.read(plan("SELECT trackid FROM main.track"), {}, Limits())
    source.close()
    with suppress(StatementFailed):  # a short answer may have come whole
        list(stream)
    stream.close()
    with pytest.raises(SourceUnavailable):
        source.read(plan("SELECT 1 AS x"), {}, Limits())
    assert not source.process_ids


def test_a_source_that_is_forgotten_takes_its_processes_along(chinook_sqlite: Path) -> None:
    made = SqliteSource("x", chinook_sqlite)
    read(made, "SELECT 1 AS x")
    (process,) = made.process_ids
    del made
    until = time.monotonic() + 5
    while process in children() and time.monotonic() < until:
        gc.collect()  # who looks after workers may hold it just now
        time.sleep(0.05)
    assert process not in children()


def test_readers_go_on_while_a_write_waits(chinook_sqlite: Path, sqlite_source: SqliteSource) -> None:
    stop = threading.Event()
    wrong: list[str] = []

    def work() -> None:
        while not stop.is_set():
            try:
                if read(sqlite_source, "SELECT count(*) AS n FROM track") != [{"n": 3503}]:
                    wrong.append("another answer")
            except Exception as error:  # noqa: BLE001 - a thread tells what it met
                wrong.append(repr(error))

    with closing(sqlite3.connect(chinook_sqlite, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        readers = [threading.Thread(target=work) for _ in range(3)]
        for thread in readers:
            thread.start()
        written: list[int] = []

        def write() -> None:
            with sqlite_source.writing(Limits()) as session:
                written.append(session.run("UPDATE genre SET name = 'x' WHERE genreid = 1", {})[1])
                session.commit()

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(1)
        assert not written
        other.execute("ROLLBACK")
    writer.join(10)
    stop.set()
    for thread in readers:
        thread.join()
    assert written == [1]
    assert not wrong


def test_a_writer_of_duckdb_waits_for_readers_and_they_for_it(chinook_duckdb: Path) -> None:
    source = DuckdbSource("x", chinook_duckdb, lock_wait_s=0.5)
    stream = source.read(plan("SELECT a.trackid FROM main.track a, main.track b"), {}, Limits())
    batches = iter(stream)
    next(batches)
    with pytest.raises(SourceUnavailable), source.writing(Limits()):
        pass
    stream.close()
    with source.writing(Limits()) as session:
        session.run("UPDATE main.genre SET name = 'x' WHERE genreid = 1", {})
        with pytest.raises(SourceUnavailable):
            read(source, "SELECT 1 AS x")
        session.commit()
    assert read(source, "SELECT name FROM main.genre WHERE genreid = 1") == [{"name": "x"}]
    source.close()


def test_an_idle_gateway_lets_other_programs_write_a_duckdb_file(chinook_duckdb: Path) -> None:
    source = DuckdbSource("x", chinook_duckdb)
    read(source, "SELECT 1 AS x")
    with pytest.raises(duckdb.IOException):
        duckdb.connect(str(chinook_duckdb)).close()
    time.sleep(2)
    duckdb.connect(str(chinook_duckdb)).close()
    source.close()


def test_what_a_worker_sends_is_read_as_a_stranger_s() -> None:
    class Lying:
        """Stands where a worker that was taken over would stand."""

        is_answered = True
        data = b""

        def receive(self) -> tuple[bytes, Any]:
            return BATCH, self.data

    good = pa.record_batch({"a": ["x" * 10]})
    data = bytearray(good.serialize().to_pybytes())
    data[-64:] = b"\xff" * 64
    lying = Lying()
    lying.data = bytes(data)
    stream = WorkerStream(lying, lambda _: None)  # type: ignore[arg-type]
    stream.schema = good.schema
    with pytest.raises(StatementFailed):
        list(stream)
    for rows in (5, [[{"$type": "object", "value": "x"}]], [[{"a": 1}]], None):
        with pytest.raises(FrameError):
            unpack_rows(rows)
