"""Is an SQLite file read whose last writer was killed, and a writer left alone that lives?"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gatebook_hub.errors import SourceUnavailable
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sql import Plan

# Its pages are more than it may hold back, so that some of them are in the file before the commit.
WRITE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size = 1")
connection.execute("begin immediate")
connection.execute("update kept set n = n + 1")
"""
KILLED = WRITE + "os.kill(os.getpid(), signal.SIGKILL)"
LIVING = WRITE + "print('written', flush=True); sys.stdin.read(); connection.execute('commit')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of some megabytes, whose journal is beside it."""
    made = tmp_path / "kept.sqlite"
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("create table kept (id integer primary key, n integer, pad text)")
        connection.executemany("insert into kept (n, pad) values (0, ?)", [("x" * 500,)] * 3_000)
        connection.commit()
    return made


def counted(source: SqliteSource) -> list[object]:
    plan = Plan(
        engine=Engine.SQLITE,
        sql="SELECT sum(n) AS n FROM kept",
        parameters=frozenset(),
        reads={"kept": frozenset({"n"})},
    )
    with closing(source.read(plan, {}, Limits())) as stream:
        return [row["n"] for batch in stream for row in batch.to_pylist()]


def noted(source: SqliteSource) -> object:
    return source.ledger(["a"])


@pytest.mark.parametrize("look", [SqliteSource.schema, counted, noted])
def test_what_a_killed_writer_left_is_undone_by_whoever_looks_next(
    path: Path, look: Callable[[SqliteSource], object]
) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("kept.sqlite-journal").exists()
    link = path.with_name("link.sqlite")
    link.symlink_to(path)
    with closing(SqliteSource("x", link)) as source:
        look(source)
        assert counted(source) == [0]


def test_the_journal_of_a_writer_that_lives_is_left_alone(path: Path) -> None:
    """A large write has the file to itself: a read waits for it, and then sees it."""
    with subprocess.Popen(
        [sys.executable, "-c", LIVING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        assert path.with_name("kept.sqlite-journal").exists()
        with closing(SqliteSource("x", path, lock_wait_s=0.1)) as source, pytest.raises(SourceUnavailable):
            counted(source)
        writer.communicate("", timeout=10)
    assert writer.returncode == 0
    with closing(SqliteSource("x", path)) as source:
        assert counted(source) == [3_000]
