"""Does a copy hold the same locks as any read, stop when it is told to, and leave nothing behind?"""

from __future__ import annotations

from typing import Any

import pgparse
import psycopg
import pytest
from tests.unit.sources.ways import begin, by_rows, check_same, copied, drained, plan_of, way

from gatebook_hub.errors import SourceChanged, StatementFailed
from gatebook_hub.model import Limits
from gatebook_hub.sources.arrow import BATCH_ROWS
from gatebook_hub.sources.arrow_batches import ArrowBatches
from gatebook_hub.sources.arrow_columns import Column, Way, outer
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.rows import RowBatches
from gatebook_hub.sources.source import ReadStream

pytestmark = pytest.mark.postgres


def test_a_copy_is_pinned_as_any_read(postgres_source: PostgresqlSource) -> None:
    names = (
        *("transaction_read_only", "search_path", "standard_conforming_strings", "statement_timeout", "lock_timeout"),
        *("idle_in_transaction_session_timeout", "row_security", "intervalstyle", "client_encoding"),
    )
    sql = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    (row,) = copied(postgres_source, sql, time_s=7).to_pylist()
    assert [row] == by_rows(postgres_source, sql, time_s=7).to_pylist()
    assert tuple(row.values()) == ("on", "pg_catalog", "on", "7s", "5s", "67s", "on", "postgres", "UTF8")


def test_a_copy_cannot_write(postgres_source: PostgresqlSource) -> None:
    with pytest.raises(StatementFailed, match="25006"):
        drained(begin(postgres_source, "SELECT * FROM public.genre FOR UPDATE"))
    with pytest.raises(StatementFailed):
        drained(begin(postgres_source, "WITH x AS (DELETE FROM public.genre RETURNING *) SELECT * FROM x"))
    assert copied(postgres_source, "SELECT count(*) AS n FROM public.genre")["n"].to_pylist() == [25]


def test_the_next_read_meets_nothing_of_the_last(postgres_source: PostgresqlSource) -> None:
    state = (
        "SELECT pg_backend_pid() AS p, current_setting('a.b', true) AS s, current_setting('work_mem') AS m, "
        "(SELECT count(*) FROM pg_prepared_statements WHERE name <> '') AS n, "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS l"
    )
    (first,) = copied(postgres_source, state).to_pylist()
    left = "SELECT set_config('a.b', 'left', false), set_config('work_mem', '64kB', false), pg_try_advisory_lock(7)"
    assert copied(postgres_source, left).num_rows == 1
    (second,) = copied(postgres_source, state).to_pylist()
    assert second == {**first, "s": second["s"]}
    assert second["p"] == first["p"]
    assert not second["s"]


def test_a_large_answer_comes_in_pieces_in_its_order(postgres_source: PostgresqlSource) -> None:
    sql = "SELECT n, n::numeric(12, 2) AS x FROM generate_series(1, 100000) n ORDER BY n DESC"
    stream = begin(postgres_source, sql)
    assert way(stream) is ArrowBatches
    batches = list(stream)
    stream.close()
    assert max(batch.num_rows for batch in batches) <= BATCH_ROWS
    assert max(batch.nbytes for batch in batches) <= 2_000_000
    assert [n for batch in batches for n in batch["n"].to_pylist()] == list(range(100_000, 0, -1))


def test_the_order_holds_where_the_server_works_in_parallel(fresh_chinook_postgres: str) -> None:
    url = fresh_chinook_postgres.replace("+psycopg", "")
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as admin:
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            admin.execute(f"alter database {name} set {setting} = 0".encode())
        admin.execute("create table public.many (n int, x numeric(12, 2))")
        admin.execute("insert into public.many select n, n * 7919 % 100003 from generate_series(1, 100000) n")
        admin.execute("analyze public.many")
    source = PostgresqlSource("x", fresh_chinook_postgres.replace("postgresql://", "postgresql+psycopg://"))
    try:
        sql = "SELECT n, x FROM public.many ORDER BY x DESC, n"
        assert copied(source, sql).equals(by_rows(source, sql))
    finally:
        source.close()


class Remembered:
    """A memory of identities that a test looks into."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def recall(self, source: str) -> str | None:
        return self.known.get(source)

    def remember(self, source: str, identity: str) -> None:
        self.known[source] = identity

    def alarm(self, source: str, sentence: str) -> None:
        """Nobody listens."""


def test_each_new_connection_asks_who_the_server_is(postgres_source: PostgresqlSource) -> None:
    memory = Remembered()
    postgres_source.pin.hold(memory)
    copied(postgres_source, "SELECT 1 AS x")
    assert memory.known["x"] == postgres_source.identity()
    held = begin(postgres_source, "SELECT 2 AS x")  # the next one takes a connection of its own
    memory.known["x"] = "postgresql:1:1"
    postgres_source.pin.hold(memory)
    with pytest.raises(SourceChanged):
        postgres_source._links.lend(Limits())
    held.close()
    for sql in ("SELECT 1 AS x", "SELECT 3 AS x"):
        with pytest.raises(SourceChanged):
            begin(postgres_source, sql)


def test_connections_are_few_and_those_that_find_none_go_row_by_row(postgres_source: PostgresqlSource) -> None:
    sql = "SELECT generate_series(1, 100000) AS x, repeat('x', 1000) AS y"
    held: list[ReadStream] = [begin(postgres_source, sql) for _ in range(7)]
    assert [way(stream) for stream in held] == [ArrowBatches] * 6 + [RowBatches]
    for stream in held:
        stream.close()
    assert postgres_source._links._pool.checkedout() == 0
    assert copied(postgres_source, "SELECT 1 AS x").num_rows == 1


def test_what_is_large_is_copied_and_what_is_small_is_not(postgres_source: PostgresqlSource) -> None:
    """As it was the last time, or as it begins; the planner, who would tell, is not asked."""

    def read(sql: str, **values: Any) -> type:
        stream = postgres_source.read(plan_of(sql), values, Limits())
        drained(stream)
        return way(stream)

    large = "SELECT n FROM generate_series(1, 50000) n"
    assert [read(large), read(large)] == [ArrowBatches, ArrowBatches]
    assert read("SELECT count(*) AS n FROM generate_series(1, 50000) n") is RowBatches
    grows = "SELECT n FROM generate_series(1, %(a)s) n"
    found = [read(grows, a=count) for count in (10, 50_000, 50_000, 10, 10)]
    assert found == [RowBatches, RowBatches, ArrowBatches, ArrowBatches, RowBatches]


def test_a_table_that_changed_is_described_anew(fresh_chinook_postgres: str) -> None:
    source = PostgresqlSource("x", fresh_chinook_postgres.replace("postgresql://", "postgresql+psycopg://"))
    sql = "SELECT x FROM public.changing"
    with psycopg.connect(fresh_chinook_postgres.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute("create table public.changing (x numeric(6, 1))")
        admin.execute("insert into public.changing values (1.5), (null)")
        try:
            for kind in ("numeric(8, 4)", "numeric(30, 10)", "numeric", "text", "float4", "numeric(4, 2)"):
                admin.execute(f"alter table public.changing alter x type {kind} using x::{kind}".encode())
                check_same(source, sql)
        finally:
            source.close()


def test_a_table_cannot_change_between_the_look_at_it_and_the_copy(
    postgres_source: PostgresqlSource, chinook_postgres: str
) -> None:
    lent = postgres_source._links.lend(Limits())
    assert lent is not None
    assert lent.link.describe("SELECT name FROM public.genre").names == ["name"]
    with psycopg.connect(chinook_postgres.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            admin.execute("alter table public.genre alter name type varchar(300)")
    lent.give_back(is_clean=True)


def without_places(tree: Any) -> Any:
    """A tree of the parser without where its nodes stand in the text."""
    if isinstance(tree, dict):
        return {name: without_places(value) for name, value in tree.items() if name != "location"}
    return [without_places(value) for value in tree] if isinstance(tree, list) else tree


def test_the_text_that_is_sent_reads_what_the_plan_reads() -> None:
    """One statement, of the plan's own relations, with the plan's tree unchanged inside of it."""
    columns = [Column(name=str(way), way=way, type=None) for way in Way]
    for sql in (
        "SELECT 1, 2, 3",
        'SELECT "a" AS "x""y", \')\' , $$)$$ FROM "public"."t" ORDER BY 1 LIMIT 3',
        'WITH "gb_out" AS (SELECT 1 FROM "public"."u") SELECT "gb_0", 2, 3 FROM "gb_out"',
        'SELECT * FROM "public"."t" UNION ALL (SELECT * FROM "public"."u")',
    ):
        sent = outer(sql, columns)
        (statement,) = pgparse.parse(sent)
        (inner,) = pgparse.parse(sql)
        (only,) = statement["stmt"]["SelectStmt"]["fromClause"]
        statement = {"stmt": only["RangeSubselect"]["subquery"]}
        assert without_places(statement) == without_places({"stmt": inner["stmt"]})


def test_where_no_copy_is_to_be_had_rows_are_read(postgres_source: PostgresqlSource) -> None:
    postgres_source._links._arguments["port"] = "1"
    for _ in range(2):
        stream = begin(postgres_source, "SELECT 1 AS x")
        assert way(stream) is RowBatches
        assert drained(stream)["x"].to_pylist() == [1]


def test_a_database_that_is_not_in_utf8_is_read_row_by_row(postgres_server: str, postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"drop database {name}".encode())
        locale = "encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0"
        admin.execute(f"create database {name} {locale}".encode())
    source = PostgresqlSource("x", postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        stream = begin(source, "SELECT chr(233) AS x, %(a)s AS y", {"a": "é"})
        assert way(stream) is RowBatches
        assert drained(stream).to_pylist() == [{"x": "é", "y": "é"}]
    finally:
        source.close()


def test_the_first_read_of_a_large_answer_is_begun_anew_and_copied(postgres_source: PostgresqlSource) -> None:
    sql = "SELECT n FROM generate_series(1, 20000) n"
    begun: list[ReadStream] = []
    stream = postgres_source.read(plan_of(sql), {}, Limits(), begun=begun.append)
    assert way(stream) is ArrowBatches
    assert drained(stream)["n"].to_pylist() == list(range(1, 20_001))
    assert len(begun) == 2
    assert stream is begun[1]
    assert postgres_source._database.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_what_takes_its_time_is_not_asked_twice(postgres_source: PostgresqlSource) -> None:
    sql = "SELECT n, pg_sleep(0.0005)::text AS t FROM generate_series(1, 1500) n"
    begun: list[ReadStream] = []
    stream = postgres_source.read(plan_of(sql), {}, Limits(), begun=begun.append)
    assert way(stream) is RowBatches
    assert drained(stream).num_rows == 1_500
    assert len(begun) == 1


def test_who_leaves_while_it_begins_anew_leaves_nothing_behind(postgres_source: PostgresqlSource) -> None:
    sql = "SELECT n FROM generate_series(1, 30000) n"
    begun: list[ReadStream] = []

    def leave(stream: ReadStream) -> None:
        begun.append(stream)
        if len(begun) == 2:
            stream.close()

    with pytest.raises(StatementFailed, match="cancelled"):
        postgres_source.read(plan_of(sql), {}, Limits(), begun=leave)
    assert postgres_source._database.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert copied(postgres_source, sql).num_rows == 30_000
