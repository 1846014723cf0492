"""What the archive holds, on which days, and what the help desk made of it."""

from __future__ import annotations

import copy
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from gatebook_hub.demo import CHINOOK, TODAY, Rows, load_rows
from gatebook_hub.demo.calendar import move_calendar
from gatebook_hub.demo.desk import staff_desk
from gatebook_hub.demo.errors import ArchiveNotGenuine
from gatebook_hub.demo.tables import METADATA


@pytest.fixture
def stock(chinook_rows: Rows) -> Rows:
    return staff_desk(move_calendar(chinook_rows))


def test_every_row_has_exactly_the_columns_of_its_table(stock: Rows) -> None:
    assert set(stock) == set(METADATA.tables)
    for name, rows in stock.items():
        columns = set(METADATA.tables[name].columns.keys())
        assert all(set(row) == columns for row in rows), name


def test_money_is_exact_and_invoices_are_the_sums_of_their_lines(chinook_rows: Rows) -> None:
    sums: dict[int, Decimal] = {}
    for line in chinook_rows["invoiceline"]:
        sums[line["invoiceid"]] = sums.get(line["invoiceid"], Decimal(0)) + line["unitprice"] * line["quantity"]
    assert sums == {invoice["invoiceid"]: invoice["total"] for invoice in chinook_rows["invoice"]}
    assert sum(sums.values()) == Decimal("2328.60")


def test_days_are_days_and_moments_have_no_zone(chinook_rows: Rows) -> None:
    assert chinook_rows["employee"][0]["birthdate"] == date(1962, 2, 18)
    assert chinook_rows["invoice"][0]["invoicedate"] == datetime(2007, 1, 1)  # noqa: DTZ001


def test_an_archive_that_is_not_the_pinned_one_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "other.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(ArchiveNotGenuine, match=CHINOOK.sha256):
        load_rows(tmp_path / "other.tar.gz")


@pytest.mark.parametrize(
    "invoice, day",
    [(1, "2009-01-01"), (98, "2010-03-11"), (195, "2011-05-06"), (316, "2012-10-27"), (412, "2013-12-22")],
)
def test_the_usual_calendar_is_that_of_the_sample_database(stock: Rows, invoice: int, day: str) -> None:
    assert stock["invoice"][invoice - 1]["invoicedate"].date().isoformat() == day


def test_the_calendar_moves_sales_and_desk_but_nobodys_birthday(chinook_rows: Rows, stock: Rows) -> None:
    given = copy.deepcopy(chinook_rows)
    later = staff_desk(move_calendar(chinook_rows, TODAY + timedelta(days=100)))
    assert chinook_rows == given, "the rows given are not changed"
    assert later["employee"] == stock["employee"]
    for table, column in (("invoice", "invoicedate"), ("refund", "createdat"), ("support_ticket", "openedat")):
        pairs = zip(stock[table], later[table], strict=True)
        assert {after[column] - before[column] for before, after in pairs} == {timedelta(days=100)}


def test_the_desk_is_the_same_every_time(chinook_rows: Rows, stock: Rows) -> None:
    assert staff_desk(move_calendar(copy.deepcopy(chinook_rows))) == stock


def test_a_refund_follows_its_invoice_and_never_exceeds_it(stock: Rows) -> None:
    invoices = {row["invoiceid"]: row for row in stock["invoice"]}
    assert len(stock["refund"]) == 12
    assert len({row["invoiceid"] for row in stock["refund"]}) == 12
    for row in stock["refund"]:
        invoice = invoices[row["invoiceid"]]
        assert 0 < row["amount"] <= invoice["total"]
        assert invoice["invoicedate"] < row["createdat"] < datetime.combine(TODAY, datetime.max.time())
        assert len(row["reason"]) <= 200


def test_some_refunds_are_above_five_and_some_below(stock: Rows) -> None:
    assert {row["amount"] > 5 for row in stock["refund"]} == {True, False}


def test_tickets_are_complete_letters_in_a_sensible_state(stock: Rows) -> None:
    tickets = stock["support_ticket"]
    assert [row["ticketid"] for row in tickets] == list(range(1, 41))
    assert tickets == sorted(tickets, key=lambda row: row["openedat"])
    assert Counter(row["status"] for row in tickets) == {"closed": 30, "open": 7, "pending": 3}
    for row in tickets:
        assert "{" not in row["subject"] + row["body"]
        assert len(row["subject"]) <= 200
        assert (row["closedat"] is not None) == (row["status"] == "closed")
        assert row["openedat"] < (row["closedat"] or datetime.combine(TODAY, datetime.max.time()))
        assert row["assignee"] or row["status"] == "open"


def test_a_letter_speaks_of_its_own_customer(stock: Rows) -> None:
    customers = {row["customerid"]: row for row in stock["customer"]}
    for row in stock["support_ticket"]:
        assert customers[row["customerid"]]["firstname"] in row["body"]
