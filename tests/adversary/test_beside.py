"""What triggers write beside a change: is it shown, bound, and hidden from those who may not see it?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.adversary.stands import REVIEWER, Stand, stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.model import Engine
from gatebook_hub.web.views import change_view

pytestmark = pytest.mark.adversary

TABLES = [
    "create table invoice (id integer primary key, total integer)",
    "create table line (id integer primary key, invoice integer, price integer)",
    "create table journal (id integer primary key, note varchar(40))",
    "create table stale (id integer primary key, note varchar(40))",
    "insert into invoice values (1, 30), (2, 5)",
    "insert into line values (1, 1, 10), (2, 1, 20), (3, 2, 5)",
    "insert into journal values (1, 'first')",
    "insert into stale values (1, 'gone soon'), (3, 'stays')",
]
DOES = (
    "update {at}invoice set total = total - old.price + new.price where id = new.invoice; "
    "insert into {at}journal (id, note) values (1000 + new.id + {nth}, 'price'); "
    "delete from {at}stale where id = new.id;"
)
NTH = "(select count(*) from {at}journal)"
TRIGGERS = {
    Engine.SQLITE: [
        "create trigger follows after update on line begin "
        + DOES.format(at="", nth=NTH.format(at="")).replace("insert into", "insert into")
        + " end",
    ],
    Engine.MARIADB: [
        "create procedure booked(was integer, now_is integer, which integer, line integer) begin "
        "update invoice set total = total - was + now_is where id = which; end",
        "create trigger follows after update on line for each row begin "
        "call booked(old.price, new.price, new.invoice, new.id); "
        "insert into journal (id, note) values (1000 + new.id + (select count(*) from journal j), 'price'); "
        "delete from stale where id = new.id; end",
    ],
    Engine.POSTGRESQL: [
        "create function follow() returns trigger language plpgsql as $$ begin "
        + DOES.format(at="public.", nth=NTH.format(at="public."))
        + " return new; end $$",
        "create trigger follows after update on line for each row execute function follow()",
    ],
}
RULES = """
grants:
  - {id: a, to: "group:people", on: [shop.line, shop.journal, shop.stale], allow: [select, update]}
  - {id: b, to: ["group:people", "group:reviewers"], on: shop.invoice, allow: [select]}
  - {id: c, to: "group:reviewers", on: [shop.line, shop.journal], allow: [select]}
  - {id: d, to: "group:reviewers", on: shop.stale, allow: [select], where: "id > 100"}
protections:
  - {id: m, on: shop.journal.note, mask: redact, unless: ["group:people"]}
"""


@pytest.fixture(params=TRIGGERS, ids=str)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with stand(request, request.param, tmp_path, TABLES + TRIGGERS[request.param], RULES, sandbox=False) as made:
        yield made


def shown(shop: Stand, asked: ChangeRequest, principal: Any = None) -> dict[str, list[tuple[Any, Any, Any]]]:
    """The rows beside a change as somebody sees them, by table."""
    view = change_view(shop.cases, principal or shop.call.principal, asked)
    return {
        diff["table"]: [(row["kind"], row["before"], row["after"]) for row in diff["rows"]] for diff in view["beside"]
    }


def test_rows_that_triggers_write_are_shown_under_each_readers_own_rules(shop: Stand) -> None:
    asked = shop.proposed("update line set price = 12 where id = 1")
    mine = shown(shop, asked)
    assert mine["invoice"] == [("changed", [1, 30], [1, 32])]
    assert mine["stale"] == [("removed", [1, "gone soon"], None)]
    assert mine["journal"] == [("added", None, [1002, "price"])]
    theirs = shown(shop, asked, REVIEWER)
    assert theirs["invoice"] == mine["invoice"]
    assert "stale" not in theirs, "rows of which one sees some alone"
    assert "price" not in str(theirs["journal"]), "a column that is protected"
    told = " ".join(change_view(shop.cases, REVIEWER, asked)["warnings"])
    assert "which were found" in told
    assert shop.run("select id, total from invoice order by id") == [(1, 30), (2, 5)]


def test_the_same_rows_are_written_and_other_ones_are_drift(shop: Stand) -> None:
    asked = shop.proposed("update line set price = 12 where id = 1")
    other = shop.proposed("update line set price = 13 where id = 2")
    shop.run("update invoice set total = 100 where id = 1")  # a total that others write too: no other rows
    shop.executed(asked)
    assert shop.run("select total from invoice where id = 1") == [(102,)]
    assert shop.run("select id from stale order by id") == [(3,)]
    shop.run("insert into stale values (2, 'appears')")
    drifted = shop.approved(other)
    assert drifted.state is State.DRIFTED
    assert shop.run("select id from stale order by id") == [(2,), (3,)]
    assert shop.run("select price from line where id = 2") == [(20,)]


def test_another_row_of_as_many_is_drift(shop: Stand) -> None:
    asked = shop.proposed("update line set price = 12 where id = 1")
    # The trigger adds to the invoice of the line as it is: the change binds that row of `line`, and its own.
    shop.run("delete from stale where id = 1")
    assert shop.approved(asked).state is State.DRIFTED


def test_rows_that_others_write_meanwhile_are_not_taken_for_those_of_triggers(shop: Stand) -> None:
    if shop.engine is Engine.SQLITE:
        pytest.skip("nobody else writes while one does")
    sessions = type(shop.cases.gate.in_force.sources.get("shop"))
    told = []

    def others(source: Any) -> Any:
        shop.run("update invoice set total = total + 1 where id = 2")
        told.append(1)
        return real(source)

    real = sessions._others
    sessions._others = others
    try:
        asked = shop.proposed("update line set price = 12 where id = 1")
    finally:
        sessions._others = real
    assert told
    assert [row[1][0] for row in shown(shop, asked)["invoice"]] == [1]


def test_a_trigger_that_writes_the_table_itself_is_shown(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table address (id integer primary key, person integer, is_main integer)",
        "insert into address values (1, 1, 1), (2, 1, 0), (3, 2, 1)",
        "create trigger one after update of is_main on address when new.is_main = 1 begin "
        "update address set is_main = 0 where person = new.person and id <> new.id; end",
    ]
    rules = 'grants:\n  - {id: a, to: "group:people", on: shop.address, allow: [select, update]}\n'
    with stand(request, Engine.SQLITE, tmp_path, setup, rules, sandbox=False) as shop:
        asked = shop.proposed("update address set is_main = 1 where id = 2")
        assert shown(shop, asked)["address"] == [("changed", [1, 1, 1], [1, 1, 0])]


def test_appended_rows_of_a_large_table_are_found(shop: Stand) -> None:
    if shop.engine is Engine.POSTGRESQL:
        numbers = "select n, 'old' from generate_series(2, 3000) n"
    else:
        numbers = (
            "with recursive s(n) as (select 2 union all select n + 1 from s where n < 3000) select n, 'old' from s"
        )
        shop.run("set max_recursive_iterations = 5000") if shop.engine is Engine.MARIADB else None
    shop.run(f"insert into journal {numbers}")
    asked = shop.proposed("update line set price = 12 where id = 1")
    assert shown(shop, asked)["journal"] == [("added", None, [4001, "price"])]
