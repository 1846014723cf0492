"""Does a write reach rows that its writer may not see, by a common table expression that is called like its table?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adversary.stands import ENGINES, Stand, stand
from tests.adversary.worlds import Fortress, every

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import GatebookError

pytestmark = pytest.mark.adversary

SETUP = [
    "create table person (id integer primary key, country varchar(20), email varchar(50))",
    "insert into person values (1, 'DE', 'a@x'), (2, 'FR', 'secret@x'), (3, 'FR', 'hidden@x')",
    "create table genre (id integer primary key, name varchar(50))",
    "insert into genre values (1, 'Rock'), (2, 'Jazz')",
]
RULES = """
grants:
  - {id: people, to: "group:people", on: shop.person, allow: [select, insert, update, delete], where: country = 'DE'}
  - {id: genres, to: "group:people", on: shop.genre, allow: [select, insert, update, delete]}
"""
WRITES = """
with person as (select 2 as id) delete from person
with person as (select id + 0 as id from (select 1 as id union all select 2 union all select 3) s) delete from person where id < 100
with person as (select 3 as id) update person set country = 'DE', email = 'stolen'
with person as (select 2 as id, 'DE' as country) update person set email = 'stolen'
with p as (select 2 as id) delete from person where id in (select id from p)
with person as (select 2 as id) delete from person where id in (select id from person)
""".strip().splitlines()


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with stand(request, request.param, tmp_path, SETUP, RULES, sandbox=True) as made:
        yield made


def test_no_row_outside_of_the_scope_is_written(shop: Stand) -> None:
    hidden = shop.run("select id, country, email from person where id > 1 order by id")
    for sql in WRITES:
        try:
            answer = shop.ask(sql)
        except GatebookError:
            continue
        finally:
            assert shop.run("select id, country, email from person where id > 1 order by id") == hidden, sql
        assert not isinstance(answer, ChangeRequest) or all(row.key == (1,) for row in answer.diffs[0].rows), sql


def test_the_words_of_a_write_mean_the_table_and_those_of_its_queries_what_is_named(shop: Stand) -> None:
    shop.ask("with genre as (select 2 as id) update genre set name = 'Soul' where id in (select id from genre)")
    assert shop.run("select name from genre order by id") == [("Rock",), ("Soul",)]
    for sql in (
        "with genre as (select 'x' as name) insert into person (id, country, email) values (9, 'DE', (select max(name) from genre))",
        "with genre as (select 'x' as name) insert into person (id, country, email) select 10, 'DE', name from genre",
    ):
        try:
            shop.ask(sql)
        except GatebookError:
            continue
    found = shop.run("select email from person where id in (9, 10)")
    assert set(found) <= {("x",)}, "the base table was read in place of the expression"
    shop.refused(
        "with a as (select 1 as id) insert into person (id, country, email) "
        "with genre as (select 3 as id, 'y' as name) select id, 'DE', name from genre"
    )


def test_a_change_request_holds_no_row_of_others(walls: Fortress) -> None:
    def check(sql: str) -> None:
        try:
            request = walls.ask(sql)
        except GatebookError as error:
            walls.check_text(str(error), typed=sql)
            return
        assert isinstance(request, ChangeRequest)
        walls.check_text(repr(request.diffs), typed=sql)

    every(
        [
            "with support_ticket as (select 1 as ticketid) delete from support_ticket",
            "with support_ticket as (select 1 as ticketid) update support_ticket set subject = 'x'",
            "with support_ticket as (select ticketid + 0 as ticketid from (select 1 as ticketid union all select 2 union all select 3 union all select 4) s) delete from support_ticket where ticketid < 100",
        ],
        check,
    )
