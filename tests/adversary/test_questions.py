"""What do `show tables`, `describe` and `explain` tell? What the principal may see, and nothing of the rows."""

from __future__ import annotations

import pytest
from tests.adversary.worlds import ANALYST, Fortress, every

from gatebook_hub.errors import GatebookError
from gatebook_hub.model import PrincipalKind
from gatebook_hub.stores.book import EventFilter

pytestmark = pytest.mark.adversary


def test_show_tables_names_what_may_be_seen(walls: Fortress) -> None:
    found = walls.read("show tables")
    assert found.names == ("table", "may", "rows")
    tables = {row[0]: row[1:] for row in found.rows}
    assert {"customer", "invoice", "refund", "support_ticket"} <= tables.keys()
    assert not {"invoiceline", "playlist", "gatebook_ledger"} & tables.keys()
    assert tables["genre"] == ("select", None)
    assert "Germany" in tables["customer"][1]


@pytest.mark.parametrize(
    "text", ["describe customer", "DESC `customer`;", 'describe "customer"', "show full columns from customer"]
)
def test_describe_tells_masks_and_keys(walls: Fortress, text: str) -> None:
    columns = {row[0]: row for row in walls.read(text).rows}
    assert columns["email"][4:] == ("masked: email", "mask-email")
    assert columns["customerid"][3] == "yes"
    assert columns["lastname"][4] == "as it is"


def test_describe_tells_why_a_column_is_refused(walls: Fortress) -> None:
    columns = {row[0]: row for row in walls.read("describe employee").rows}
    assert columns["birthdate"][4].endswith("birth dates are for the people team alone")
    assert columns["birthdate"][5] == "no-birthdates"


def test_explain_tells_the_decision_and_runs_nothing(walls: Fortress) -> None:
    found = walls.read("explain select email from customer where lastname = 'Gonçalves'")
    steps = {(row[0], row[1]): row[2] for row in found.rows}
    assert steps["table", "customer"] == "select email, lastname"
    assert steps["mask", "customer.email"] == "email"
    assert ("rows", "customer") in steps
    write = walls.read("explain delete from support_ticket")
    assert ("review", "reviewers", "1 must approve") in {row[:3] for row in write.rows}
    found = walls.cases.gate.book.find(EventFilter(principal=f"{PrincipalKind.USER}:{ANALYST.name}", limit=2))
    assert {event.content["kind"] for event in found} == {"query.explained"}


NEVER = [
    "explain analyze select * from customer",
    "explain analyse select 1",
    "explain (analyze) select * from customer",
    "explain verbose select * from customer",
    "explain format=json select * from customer",
    "explain extended select * from customer",
    "explain explain select 1",
    "explain select * from invoiceline",
    "explain select birthdate from employee",
    "explain select pg_sleep(10)",
    "explain select 1; select 2",
    "explain",
    "explain query plan",
    "describe invoiceline",
    "describe nosuch",
    "describe sqlite_master",
    "describe gatebook_ledger",
    "describe customer email",
    "describe customer; select 1",
    "desc select * from customer",
    "show tables from mysql",
    "show tables like '%'",
    "show columns from mysql.user",
    "show columns from customer where 1 = 1",
    "show full processlist",
    "show index from customer",
    "show tables; select 1",
]


def test_what_is_asked_otherwise_is_refused(walls: Fortress) -> None:
    def check(text: str) -> None:
        assert isinstance(walls.refused(text), GatebookError)

    every(NEVER, check)


def test_a_question_about_an_unknown_table_is_in_the_book(walls: Fortress) -> None:
    assert walls.refused("describe nosuch").reference is not None
