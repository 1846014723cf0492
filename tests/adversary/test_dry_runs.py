"""Attacks with dry runs: does one write, file something, or tell what a request would not?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.adversary.stands import ENGINES, Stand, stand

from gatebook_hub.errors import GatebookError
from gatebook_hub.services.previewing import Previewed
from gatebook_hub.services.queries import Answer, Question
from gatebook_hub.services.sandboxing import Done
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.views import draft_view

pytestmark = pytest.mark.adversary

SETUP = [
    "create table items (id integer primary key, owner varchar(20), name varchar(20), secret varchar(20))",
    "insert into items values (1, 'pat', 'a', 's-1'), (2, 'pat', 'b', 's-2'), (7, 'bob', 'c', 's-7')",
    "create table plain (id integer primary key, n integer)",
    "insert into plain values (1, 10), (2, 20)",
    "create table keyless (n integer)",
    "insert into keyless values (1)",
]
RULES = """
grants:
  - id: items
    to: "group:people"
    on: shop.items
    allow: [select, insert, update, delete]
    where: owner = 'pat'
  - {id: plain, to: "group:people", on: [shop.plain, shop.keyless], allow: [select, insert, update, delete, ddl]}
protections:
  - {id: mask, on: shop.items.secret, mask: redact}
"""
MERGE = (
    "merge into plain using (select 1 as id union all select 9) as s on plain.id = s.id "
    "when matched then update set n = 99 when not matched then insert (id, n) values (s.id, 99)"
)
WRITES = [
    "update items set name = 'x'",
    "update items set name = 'x' where id = 1 returning id, name",
    "delete from items where id = 2",
    "insert into items (id, owner, name) values (9, 'pat', 'z')",
    "update plain set n = n + 1",
    "delete from plain",
    "insert into plain (id, n) values (3, 30), (4, 40)",
    "insert into plain (id, n) select id + 100, n from plain",
    "update plain set n = (select count(*) from items)",
    MERGE,
]
REFUSED = [
    "update items set name = 'x' where id = 7",
    "update items set owner = 'bob' where id = 1",
    "update items set name = secret where id = 1",
    "insert into items (id, owner) values (7, 'pat')",
    "insert into items (id, owner) values (9, 'bob')",
    "insert into plain (id, n) values (1, 0)",
    "update plain set n = 1; drop table plain",
    "update plain set n = 1; select * from plain",
    "explain update plain set n = 1; delete from plain",
    "drop table plain",
    "create table more (id integer primary key)",
    "alter table plain add column m integer",
    "truncate table plain",
    "begin",
    "commit",
]
TABLES = ("items", "plain", "keyless")


def state(shop: Stand) -> list[list[tuple[Any, ...]]]:
    """Every row, past the gate."""
    return [sorted(shop.run(f"select * from {table}")) for table in TABLES]


def rehearsed(shop: Stand, sql: str, **more: Any) -> Any:
    """The answer of a dry run, or its refusal."""
    try:
        return shop.cases.queries.ask(
            shop.call, Question(source="shop", sql=sql, parameters={}, is_dry_run=True, **more)
        )
    except GatebookError as error:
        return error


@pytest.mark.parametrize("sandbox", [False, True], ids=["approved", "sandbox"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_dry_run_writes_nothing_files_nothing_and_is_in_the_book(
    request: pytest.FixtureRequest, engine: Any, tmp_path: Path, *, sandbox: bool
) -> None:
    rules = RULES if sandbox else RULES.replace(", ddl]", "]")
    with stand(request, engine, tmp_path, SETUP, rules, sandbox=sandbox) as shop:
        before = state(shop)
        principal, book = shop.call.principal, shop.cases.gate.book
        for sql in WRITES:
            answer = rehearsed(shop, sql)
            assert isinstance(answer, Previewed), (sql, answer)
            told = draft_view(shop.cases, principal, answer)
            assert told["diffs"][0]["rows"], sql
            assert "s-" not in repr(told), sql
            assert bool(told["quorum"]) != sandbox, sql
            outcome, intent = book.find(EventFilter())[:2]
            assert intent.content["extra"] == {"step": "dry_run"}
            assert (outcome.content["refers_to"], outcome.content["outcome"]) == (intent.index, "ok")
        for sql in REFUSED:
            answer = rehearsed(shop, sql)
            assert isinstance(answer, GatebookError), (sql, answer)
            assert answer.reference is not None, sql
            assert "s-" not in str(answer)
        for more in ({"transaction": "new"}, {"many": ({}, {})}):
            assert isinstance(rehearsed(shop, "update plain set n = 1", **more), GatebookError)
        assert isinstance(rehearsed(shop, "update keyless set n = 2"), GatebookError)
        assert shop.cases.changes.find(principal) == ()
        assert book.open_intents() == ()
        assert state(shop) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dry_run_tells_of_hidden_rows_no_more_than_a_request(
    request: pytest.FixtureRequest, engine: Any, tmp_path: Path
) -> None:
    with stand(request, engine, tmp_path, SETUP, RULES.replace(", ddl]", "]"), sandbox=False) as shop:
        for there, absent in (
            ("update items set name = 'x' where id = 7", "update items set name = 'x' where id = 8"),
            ("delete from items where secret = 's-1'", "delete from items where secret = 's-0'"),
            (
                "delete from plain where id in (select id from items where owner = 'bob')",
                "delete from plain where id = 7",
            ),
            (
                "insert into plain (id, n) select id + 5, 1 from items where owner = 'bob'",
                "insert into plain (id, n) select id + 5, 1 from items where owner = 'nobody'",
            ),
        ):
            told = [rehearsed(shop, sql) for sql in (there, absent)]
            assert [str(answer) for answer in told] == [str(shop.refused(there))] * 2, there


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dry_run_stays_out_of_a_transaction_that_goes_on(
    request: pytest.FixtureRequest, engine: Any, tmp_path: Path
) -> None:
    with stand(request, engine, tmp_path, SETUP, RULES, sandbox=True) as shop:
        write = Question(source="shop", sql="update plain set n = 5 where id = 1", parameters={}, transaction="new")
        begun = shop.cases.queries.ask(shop.call, write)
        assert isinstance(begun, Done)
        assert isinstance(rehearsed(shop, "delete from plain", transaction=begun.transaction), GatebookError)
        look = Question(
            source="shop", sql="select n from plain order by id", parameters={}, transaction=begun.transaction
        )
        answer = shop.cases.queries.ask(shop.call, look)
        assert isinstance(answer, Answer)
        assert [row for batch in answer.batches() for row in batch["n"].to_pylist()] == [5, 20]
        assert begun.transaction is not None
        shop.cases.transactions.control(shop.call, begun.transaction, "rollback", None)
