"""Does each engine give the right types, stop at its limits, and free what it holds?"""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pymysql
import pytest
from sqlalchemy import make_url

from gatebook_hub.errors import (
    LedgerMissing,
    LimitExceeded,
    NotFound,
    PolicyInvalid,
    SourceUnavailable,
    StatementFailed,
    StatementTimeout,
)
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.arrow import BATCH_ROWS, batch_of, schema_of
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.registry import open_sources
from gatebook_hub.sources.source import SeenMore, Source
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sql import Plan

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t"
SLOW = {
    Engine.SQLITE: ENDLESS,
    Engine.POSTGRESQL: "SELECT count(*) FROM generate_series(1, 100000000000)",
    Engine.MARIADB: "SELECT count(*) FROM track a, track b, track c, track d",
    Engine.DUCKDB: "SELECT count(*) FROM track a, track b, track c, track d WHERE a.name || b.name < c.name || d.name",
}


class Opened:
    """A source of one engine with a way to look at it from outside."""

    def __init__(self, engine: Engine, source: Source, run: Callable[[str], list[Any]]) -> None:
        self.engine = engine
        self.source = source
        self.run = run

    def plan(self, sql: str, reads: dict[str, frozenset[str]] | None = None) -> Plan:
        schema = self.source.schema()
        everything = {name: frozenset(column.name for column in table.columns) for name, table in schema.tables.items()}
        # `@track` is the table's full name: sessions on PostgreSQL look for nothing outside of the catalogue.
        sql = sql.replace("@", f"{schema.namespace}." if self.engine is Engine.POSTGRESQL else "")
        return Plan(engine=self.engine, sql=sql, parameters=frozenset(), reads=everything if reads is None else reads)

    def read(self, sql: str, parameters: dict[str, Any] | None = None, **limits: Any) -> pa.Table:
        stream = self.source.read(self.plan(sql), parameters or {}, Limits(**limits))
        try:
            return pa.Table.from_batches(list(stream), schema=stream.schema)
        finally:
            stream.close()

    def table(self, name: str) -> str:
        namespace = self.source.schema().namespace
        return f"{namespace}.{name}" if self.engine is not Engine.MARIADB else name


@pytest.fixture(
    params=[
        pytest.param(Engine.SQLITE, id="sqlite"),
        pytest.param(Engine.DUCKDB, id="duckdb"),
        pytest.param(Engine.POSTGRESQL, id="postgresql", marks=pytest.mark.postgres),
        pytest.param(Engine.MARIADB, id="mariadb", marks=pytest.mark.mariadb),
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """A source over the demo database; tests leave it as it was."""
    engine: Engine = request.param
    source: Source
    match engine:
        case Engine.SQLITE:
            path = Path(shutil.copy2(request.getfixturevalue("chinook_template"), tmp_path / "x.sqlite"))
            source = SqliteSource("chinook", path)

            def run(sql: str) -> list[Any]:
                with closing(sqlite3.connect(path)) as connection:
                    return connection.execute(sql).fetchall()
        case Engine.DUCKDB:
            path = Path(shutil.copy2(request.getfixturevalue("chinook_duckdb_template"), tmp_path / "x.duckdb"))
            source = DuckdbSource("chinook", path)

            def run(sql: str) -> list[Any]:
                with duckdb.connect(str(path), read_only=True) as connection:
                    return connection.execute(sql).fetchall()
        case Engine.POSTGRESQL:
            url: str = request.getfixturevalue("chinook_postgres")
            source = PostgresqlSource("chinook", url.replace("postgresql://", "postgresql+psycopg://"))

            def run(sql: str) -> list[Any]:
                with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                    return connection.execute(sql).fetchall()
        case _:
            url = request.getfixturevalue("chinook_mariadb")
            source = MariadbSource("chinook", url)
            parsed = make_url(url)

            def run(sql: str) -> list[Any]:
                connection = pymysql.connect(
                    host=parsed.host or "",
                    port=parsed.port or 3306,
                    user=parsed.username or "root",
                    database=parsed.database,
                )
                with closing(connection), connection.cursor() as cursor:
                    cursor.execute(sql)
                    return list(cursor.fetchall())

    yield Opened(engine, source, run)
    source.close()


def test_columns_have_the_types_of_their_database(opened: Opened) -> None:
    found = opened.read("SELECT invoiceid, invoicedate, billingcity, total FROM @invoice ORDER BY invoiceid LIMIT 3")
    types = {item.name: item.type for item in found.schema}
    assert pa.types.is_integer(types["invoiceid"])
    assert pa.types.is_string(types["billingcity"])
    assert float(found["total"][0].as_py()) == 1.98
    if opened.engine is not Engine.SQLITE:
        assert types["invoicedate"] == pa.timestamp("us")
        assert types["total"] == pa.decimal128(10, 2) or pa.types.is_decimal(types["total"])
        assert isinstance(found["total"][0].as_py(), Decimal)
    found = opened.read("SELECT birthdate, hiredate FROM @employee ORDER BY employeeid LIMIT 1")
    expected = "1962-02-18" if opened.engine is Engine.SQLITE else dt.date(1962, 2, 18)
    assert found["birthdate"][0].as_py() == expected


def test_an_empty_answer_has_its_columns(opened: Opened) -> None:
    found = opened.read("SELECT genreid, name FROM @genre WHERE genreid < 0")
    assert found.num_rows == 0
    assert found.column_names == ["genreid", "name"]


def test_a_large_answer_comes_in_batches(opened: Opened) -> None:
    stream = opened.source.read(opened.plan("SELECT a.trackid FROM @track a CROSS JOIN @genre b"), {}, Limits())
    try:
        sizes = [batch.num_rows for batch in stream]
    finally:
        stream.close()
    assert sum(sizes) == 3503 * 25
    assert max(sizes) <= BATCH_ROWS


def test_a_statement_that_runs_long_is_stopped(opened: Opened) -> None:
    started = time.monotonic()
    with pytest.raises(StatementTimeout):
        opened.read(SLOW[opened.engine], time_s=0.5)
    assert time.monotonic() - started < 15
    assert opened.read("SELECT 1 AS x")["x"].to_pylist() == [1]


def _is_running(opened: Opened) -> bool:
    if opened.engine is Engine.POSTGRESQL:
        query = (
            "select 1 from pg_stat_activity where state = 'active' and datname = current_database() "
            "and pid <> pg_backend_pid() and query like '%track d%'"
        )
    else:
        query = (
            "select 1 from information_schema.processlist where db = database() and id <> connection_id() "
            "and info like '%track d%'"
        )
    return bool(opened.run(query))


def test_a_close_from_another_thread_frees_the_database(opened: Opened) -> None:
    """The reader is in the middle of a long answer; the other thread ends it, and nothing goes on in the database."""
    many = {
        Engine.SQLITE: "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t",
        Engine.POSTGRESQL: "SELECT a.trackid FROM @track a, @track b, @track c, @track d",
        Engine.MARIADB: "SELECT a.trackid FROM track a, track b, track c, track d",
        Engine.DUCKDB: "SELECT a.trackid FROM track a, track b, track c, track d",
    }
    stream = opened.source.read(opened.plan(many[opened.engine]), {}, Limits(time_s=60))
    ended = threading.Event()

    def consume() -> None:
        with suppress(Exception):
            for _ in stream:
                pass
        ended.set()

    reader = threading.Thread(target=consume)
    reader.start()
    time.sleep(0.3)
    stream.close()
    stream.close()
    assert ended.wait(20)
    reader.join()
    if opened.engine in {Engine.POSTGRESQL, Engine.MARIADB}:
        until = time.monotonic() + 10
        while _is_running(opened) and time.monotonic() < until:
            time.sleep(0.1)
        assert not _is_running(opened)
    assert opened.read("SELECT 1 AS x")["x"].to_pylist() == [1]


def test_many_broken_and_abandoned_reads_hold_nothing(opened: Opened) -> None:
    """More than the pool has."""
    for _ in range(20):
        with pytest.raises(StatementFailed):
            opened.read("SELECT nosuch FROM @genre")
        stream = opened.source.read(opened.plan("SELECT trackid FROM @track"), {}, Limits())
        stream.close()
    assert opened.read("SELECT 1 AS x")["x"].to_pylist() == [1]


def test_a_failed_read_does_not_end_its_neighbours(opened: Opened) -> None:
    """A connection that went back to the pool belongs to somebody else."""
    stop = threading.Event()
    wrong: list[str] = []

    def fail() -> None:
        while not stop.is_set():
            with suppress(StatementFailed):
                opened.read("SELECT nosuch FROM @genre")

    def work() -> None:
        for _ in range(25):
            try:
                if opened.read("SELECT count(*) AS n FROM @track")["n"].to_pylist() != [3503]:
                    wrong.append("another answer")
            except Exception as error:  # noqa: BLE001 - a thread tells what it met
                wrong.append(repr(error))

    failing = threading.Thread(target=fail)
    working = [threading.Thread(target=work) for _ in range(2)]
    failing.start()
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    stop.set()
    failing.join()
    assert not wrong


def test_a_read_cannot_write(opened: Opened) -> None:
    table = opened.table("genre")
    for sql in (
        f"DELETE FROM {table}",
        f"INSERT INTO {table} (genreid, name) VALUES (99, 'x')",
        "CREATE TABLE stolen (a int)",
    ):
        with pytest.raises(StatementFailed):
            opened.read(sql)
    assert opened.run("select count(*) from genre")[0][0] == 25


def test_sqlite_reports_what_the_analysis_did_not_name(chinook_sqlite: Path) -> None:
    opened = Opened(Engine.SQLITE, SqliteSource("chinook", chinook_sqlite), lambda _: [])
    reads = {"customer": frozenset({"customerid", "lastname"})}
    for sql in (
        "SELECT email FROM customer",
        "SELECT count(*) FROM customer WHERE email = 'x'",
        "SELECT * FROM @employee",
        "SELECT * FROM sqlite_master",
        "SELECT load_extension('x')",
        "SELECT randomblob(10)",
        "PRAGMA table_info(customer)",
        "ATTACH DATABASE ':memory:' AS x",
        "SELECT * FROM pragma_table_info('customer')",
    ):
        with pytest.raises(SeenMore):
            opened.source.read(opened.plan(sql, reads), {}, Limits())
    stream = opened.source.read(opened.plan("SELECT count(*) FROM customer WHERE lastname > 'A'", reads), {}, Limits())
    stream.close()


def test_a_write_is_kept_only_if_it_is_committed(opened: Opened) -> None:
    table = opened.table("genre")
    with opened.source.writing(Limits()) as session:
        assert session.run(f"UPDATE {table} SET name = 'x' WHERE genreid = 1", {})[1] == 1
    assert opened.run("select name from genre where genreid = 1")[0][0] == "Rock"
    with pytest.raises(RuntimeError), opened.source.writing(Limits()) as session:  # noqa: PT012 - what is left midway
        session.run(f"UPDATE {table} SET name = 'x' WHERE genreid = 1", {})
        session.commit()
        raise RuntimeError
    assert opened.run("select name from genre where genreid = 1")[0][0] == "Rock"
    with opened.source.writing(Limits()) as session:
        session.run(f"UPDATE {table} SET name = 'Rock' WHERE genreid = 1", {})
        session.commit()


def test_a_write_of_too_many_rows_is_refused(opened: Opened) -> None:
    plan = opened.plan(f"SELECT trackid FROM {opened.table('track')}")
    with opened.source.writing(Limits()) as session:
        with pytest.raises(LimitExceeded):
            session.select(plan, {}, 100)
        assert len(session.select(plan, {}, 4_000)) == 3503


def test_errors_of_writes_are_in_our_words(opened: Opened) -> None:
    genre, invoice = opened.table("genre"), opened.table("invoice")
    statements = [(f"INSERT INTO {genre} (genreid, name) VALUES (1, 'secret-value')", "breaks a rule")]
    if opened.engine is not Engine.DUCKDB:  # its demo has no foreign keys
        statements.append((f"UPDATE {invoice} SET customerid = 99999 WHERE invoiceid = 1", "breaks a rule"))
    for sql, word in statements:
        with pytest.raises(StatementFailed, match=word) as caught, opened.source.writing(Limits()) as session:
            session.run(sql, {})
        assert "secret-value" not in str(caught.value)
        assert "99999" not in str(caught.value)


def test_the_ledger_is_made_once_and_asked(opened: Opened) -> None:
    opened.source.prepare()
    opened.source.prepare()
    assert opened.source.ledger(["nosuch"]) == frozenset()
    assert "gatebook_ledger" not in opened.source.schema().tables


def test_values_are_bound_as_what_they_are(opened: Opened) -> None:
    mark = {Engine.SQLITE: ":v", Engine.DUCKDB: "$v"}.get(opened.engine, "%(v)s")
    for value in (1, 2**40, 1.5, "it's %s :v", None):
        cast = {str: "text", int: "bigint", float: "double precision"}.get(type(value), "text")
        sql = f"SELECT CAST({mark} AS {cast}) AS x" if opened.engine is Engine.POSTGRESQL else f"SELECT {mark} AS x"
        plan = Plan(engine=opened.engine, sql=sql, parameters=frozenset({"v"}), reads={})
        stream = opened.source.read(plan, {"v": value}, Limits())
        found = [row for batch in stream for row in batch.column(0).to_pylist()]
        stream.close()
        assert found == [value] or float(found[0]) == value
    sql = f"SELECT count(*) AS n FROM @invoice WHERE total <= {mark} AND total >= {mark}"
    assert opened.read(sql, {"v": Decimal("1.98")})["n"].to_pylist()[0] > 10


def test_a_database_that_is_down_is_unavailable(tmp_path: Path) -> None:
    sources = [
        PostgresqlSource("x", "postgresql+psycopg://nobody@127.0.0.1:9/none"),
        MariadbSource("x", "mysql+pymysql://nobody@127.0.0.1:9/none"),
        SqliteSource("x", tmp_path / "nosuch.sqlite"),
        DuckdbSource("x", tmp_path / "nosuch.duckdb"),
    ]
    for source in sources:
        plan = Plan(engine=Engine.SQLITE, sql="SELECT 1", parameters=frozenset(), reads={})
        with pytest.raises(SourceUnavailable):
            source.schema()
        with pytest.raises(SourceUnavailable):
            source.read(plan, {}, Limits())
        with pytest.raises(SourceUnavailable), source.writing(Limits()):
            pass
        source.close()


def test_a_busy_sqlite_file_is_unavailable_and_not_lost(chinook_sqlite: Path) -> None:
    source = SqliteSource("x", chinook_sqlite, lock_wait_s=0.1)
    with source.writing(Limits()) as session:
        with pytest.raises(SourceUnavailable), source.writing(Limits()):
            pass
        session.run("UPDATE genre SET name = 'x' WHERE genreid = 1", {})
    with pytest.raises(LedgerMissing), source.writing(Limits()) as session:
        session.run("INSERT INTO gatebook_ledger VALUES ('a', 'b', 'c')", {})


def test_names_of_sqlite_are_read_in_lower_case(tmp_path: Path) -> None:
    path = tmp_path / "mixed.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('create table "Customer" ("CustomerId" integer primary key, "Email" text)')
        connection.execute("insert into customer values (1, 'x')")
        connection.commit()
    source = SqliteSource("x", path)
    table = source.schema().tables["customer"]
    assert [column.name for column in table.columns] == ["customerid", "email"]
    assert table.key == ("customerid",)
    plan = Plan(
        engine=Engine.SQLITE,
        sql="SELECT email FROM customer",
        parameters=frozenset(),
        reads={"customer": frozenset({"email"})},
    )
    stream = source.read(plan, {}, Limits())
    assert [batch.to_pylist() for batch in stream] == [[{"Email": "x"}]]
    stream.close()


def test_sources_are_opened_by_their_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBTEST_SECRET", "pass")
    (tmp_path / "secret").write_text("word\n")
    sources = open_sources(
        {
            "a": (Engine.SQLITE, "sqlite:///${state}/a.sqlite"),
            "b": (Engine.POSTGRESQL, "postgresql://u:${env:GBTEST_SECRET}@h/d"),
            "c": (Engine.MARIADB, f"mysql://u:${{file:{tmp_path}/secret}}@h/d"),
            "d": (Engine.DUCKDB, "duckdb:///${state}/d.duckdb"),
        },
        tmp_path,
    )
    assert list(sources) == ["a", "b", "c", "d"]
    with pytest.raises(NotFound):
        sources.get("e")
    sources.close()
    for engine, url in (
        (Engine.SQLITE, "x"),
        (Engine.DUCKDB, "sqlite:///x"),
        (Engine.POSTGRESQL, "::"),
        (Engine.POSTGRESQL, "postgresql://${env:GBTEST_NOSUCH}@h/d"),
        (Engine.MARIADB, "mysql://${file:/nosuch}@h/d"),
    ):
        with pytest.raises(PolicyInvalid):
            open_sources({"x": (engine, url)}, tmp_path)


def test_rows_become_arrow() -> None:
    rows = [
        (1, 1.5, "a", b"b", None, Decimal("1.50"), dt.date(2024, 1, 1), True),
        (2, 2, None, None, None, Decimal(2), None, None),
    ]
    names = list("abcdefgh")
    schema = schema_of(names, [None] * 8, rows)
    assert [str(item.type) for item in schema] == [
        "int64", "double", "string", "binary", "string", "decimal128(38, 2)", "date32[day]", "bool"
    ]  # fmt: skip
    assert batch_of(schema, rows).to_pylist()[1]["f"] == Decimal("2.00")
    with pytest.raises(StatementFailed, match="mixes"):
        schema_of(["a"], [None], [(1,), ("x",)])
    with pytest.raises(StatementFailed, match="`a`"):
        batch_of(schema_of(["a"], [None], [(1,)]), [("x",)])
    with pytest.raises(StatementFailed):
        batch_of(schema_of(["a"], [None], [(1,)]), [(2**70,)])
