"""Three people, each with a browser of their own, and one request between them: who asks, and who look at its rows.

A real gateway without a Hub over a small shop in SQLite, real Chromium. The rules name a group for each part of a
quorum, so that nobody is enough alone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sqlite3
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Locator, Page, expect
from tests.stories.gateway import APP, Gateway

import gatebook
import gatebook.dbapi
from gatebook.changes import Change
from gatebook.dbapi import ChangeRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Rows = list[tuple[object, ...]]
PREVIEW_ROWS, STOCK_ROWS = 50, 240
TABLES = f"""
create table orders (id integer primary key, customer text not null, state text not null);
create table item (id integer primary key, order_id integer not null, what text not null, pieces integer not null,
                   foreign key (order_id) references orders (id) on delete cascade);
create table price (what text primary key, cents integer not null);
create table stock (id integer primary key, place text not null, pieces integer not null);
insert into orders values (1, 'Alma', 'open'), (2, 'Bruno', 'open'), (3, 'Clara', 'sent');
insert into item values (1, 1, 'teapot', 1), (2, 1, 'cup', 6), (3, 2, 'kettle', 1), (4, 3, 'tray', 2);
insert into price values ('cup', 450), ('kettle', 3900), ('teapot', 2950), ('tray', 1200);
with recursive shelf (n) as (select 1 union all select n + 1 from shelf where n < {STOCK_ROWS})
insert into stock select n, 'shelf ' || (n % 12 + 1), n % 40 from shelf;
"""
SOURCE = """
source: shop
title: The shop
engine: sqlite
url: sqlite:///${state}/databases/shop.sqlite
default_quorum: [{groups: [sales]}]
"""
RULES = """
grants:
  - {{id: desk, to: "group:desk", on: shop.*, allow: [select, insert, update, delete]}}
  - {{id: look, to: ["group:sales", "group:finance", "group:staff"], on: shop.*, allow: [select]}}

approvals:
  - id: orders-need-both
    on: [shop.orders, shop.item, shop.price]
    require: [{{groups: [sales]}}, {{groups: [finance]}}]
    break_glass: {{groups: [desk], review: [{{groups: [sales]}}, {{groups: [finance]}}]}}
  - id: stock-by-sample
    on: shop.stock
    require: [{{groups: [finance]}}]
    sample: true

absences:
  - {{id: maria-now, who: "user:maria", for: [finance], instead: "user:tom", from: {first}, until: {last}}}
"""
SCRIPT = """update orders set state = 'paid' where id = 1;
insert into item (id, order_id, what, pieces) values (5, 1, 'saucer', 6)"""
GROUPS = {"ann": "desk", "rita": "sales", "fred": "finance", "maria": "finance", "tom": "staff", "otto": "auditors"}
REASON = "Why do you approve or reject it?"


class Shop(Gateway):
    """The gateway with the shop beside the demo's database, and what the shop's tables hold, past the gate."""

    def all_rows(self) -> dict[str, Rows]:
        """Every row of every table."""
        with contextlib.closing(sqlite3.connect(self.shop, timeout=10.0)) as connection:
            return {
                table: connection.execute(f"select * from {table} order by 1").fetchall()
                for table in ("orders", "item", "price", "stock")
            }

    @property
    def shop(self) -> Path:
        """The shop's database."""
        return self.database.with_name("shop.sqlite")

    def ask(self, sql: str, reason: str) -> Change:
        """The analyst's write, from a cell."""
        change = gatebook.connect("shop", url=self.url, token=self.token("ann", "desk")).query(sql, reason=reason)
        assert isinstance(change, Change)
        return change


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("three-people")
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    (policies / "sources" / "shop.yaml").write_text(SOURCE)
    today, day = dt.datetime.now(dt.UTC).date(), dt.timedelta(days=1)
    (policies / "shop.yaml").write_text(RULES.format(first=today - day, last=today + day))
    settings = {"GATEBOOK_PREVIEW_ROWS": str(PREVIEW_ROWS), "GATEBOOK_LIMIT_REQUEST_BURST": "5000"}
    made = Shop(folder, chinook_template, policies=policies, environment=settings)
    with contextlib.closing(sqlite3.connect(made.shop)) as connection:
        connection.executescript(TABLES)
    made.command("source", "prepare", "shop")
    with made:
        yield made


@pytest.fixture(scope="module")
def people(shop: Shop, browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Each person's page in a browser context of its own, signed in once for all stories."""

    @cache
    def at_work(name: str) -> Page:
        context = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(shop.link(name, GROUPS[name]))
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What do you want to do?")
        return page

    yield at_work
    for context in browser.contexts:
        context.close()


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("GBTEST_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def look(page: Page, shop: Shop, change: Change | str) -> Locator:
    """Open the page of a request; its content."""
    page.goto(f"{shop.url}/changes/{change if isinstance(change, str) else change.id}")
    return page.get_by_role("main")


def press(page: Page, button: str, **fields: str) -> None:
    """Fill in fields by their ids, and press a button."""
    for name, text in fields.items():
        page.fill(f"#{name.replace('_', '-')}", text)
    page.get_by_role("button", name=button, exact=True).click()


def approved(page: Page, shop: Shop, change: Change | str) -> Locator:
    """Somebody opens the request and approves it; what the page says then."""
    look(page, shop, change)
    press(page, "Approve")
    return page.get_by_role("status")


def rows_of(page: Page, table: str) -> Locator:
    """The lines of a table's rows on the page of a request for several tables."""
    return page.get_by_role("region", name=f"Rows of {table} before and after").locator("tbody tr")


def test_two_tables_in_one_cell_are_one_request_of_both_groups_and_one_undo(
    shop: Shop, people: Callable[[str], Page]
) -> None:
    """One group is not enough, a page that is out of date decides nothing, and an undo puts both tables back."""
    ann, rita, fred = people("ann"), people("rita"), people("fred")
    before = shop.all_rows()
    change = shop.ask(SCRIPT, "order 1 is paid, and the saucers were forgotten")
    look(fred, shop, change)
    shoot(fred, "two-tables")
    expect(look(ann, shop, change)).to_contain_text("You cannot review it.")
    expect(ann.get_by_role("button", name="Approve")).to_have_count(0)
    expect(approved(rita, shop, change)).to_contain_text("others have to approve too")
    assert shop.all_rows() == before, "one of two groups"
    press(fred, "Approve", reason="as on the bill")
    expect(fred.get_by_role("region", name="Since you looked")).to_contain_text("rita approved it")
    assert shop.all_rows() == before, "what was out of date has decided nothing"
    expect(fred.get_by_label(REASON)).to_have_value("as on the bill")
    press(fred, "Approve")
    expect(fred.get_by_role("status")).to_contain_text("the change is executed")
    done = shop.all_rows()
    assert (1, "Alma", "paid") in done["orders"]
    assert (5, 1, "saucer", 6) in done["item"]

    look(ann, shop, change)
    expect(ann.get_by_role("heading", level=1)).to_have_text("1 row was changed in orders and 1 row was added to item")
    expect(rows_of(ann, "orders").locator("ins")).to_have_text(["after: paid"])
    expect(rows_of(ann, "item")).to_contain_text(["saucer"])
    press(ann, "Ask to undo it", undo_reason="it was order 2")
    expect(ann.get_by_role("status")).to_contain_text("asked for the rows as they were")
    undo = ann.url.split("/changes/")[1].split("?")[0]
    shoot(ann, "undo-request")
    assert shop.all_rows() == done, "an undo needs both groups too"
    expect(approved(rita, shop, undo)).to_contain_text("others have to approve too")
    expect(approved(fred, shop, undo)).to_contain_text("the change is executed")
    assert shop.all_rows() == before
    expect(look(ann, shop, change)).to_contain_text("The rows are back as they were")


def test_whoever_stands_in_reviews_in_the_place_of_who_is_away(shop: Shop, people: Callable[[str], Page]) -> None:
    """The page offers it to that person alone, and page and book say in whose place it was."""
    with shop.person("maria", "finance"):
        pass  # she signs in before she leaves
    rita, tom, otto = people("rita"), people("tom"), people("otto")
    change = shop.ask("update price set cents = 500 where what = 'cup'", "cups cost more from now on")
    expect(approved(rita, shop, change)).to_contain_text("others have to approve too")
    expect(rita.get_by_role("main")).to_contain_text("maria is away: tom may review in their place")
    tom.goto(f"{shop.url}/inbox")
    tom.locator(f"a[href='/changes/{change.id}']").click()
    expect(tom.get_by_role("main")).to_contain_text("maria is away: you may review in their place")
    shoot(tom, "stand-in")
    press(tom, "Approve", reason="maria would say yes")
    expect(tom.get_by_role("status")).to_contain_text("the change is executed")
    assert ("cup", 500) in shop.all_rows()["price"]
    expect(look(rita, shop, change)).to_contain_text("tom in place of maria approved it")
    otto.goto(f"{shop.url}/audit?kind=change.reviewed&source=shop&principal=user:tom")
    expect(otto.get_by_role("main")).to_contain_text("reviewed a change request: approve, in place of maria")


def test_a_broken_glass_stays_on_top_until_everybody_has_looked(shop: Shop, people: Callable[[str], Page]) -> None:
    """It is executed at once, comes before what is newer, and leaves each inbox with that group's look alone."""
    ann, rita, fred = people("ann"), people("rita"), people("fred")
    change = shop.ask("update orders set state = 'stopped' where id = 2", "Bruno's card was stolen")
    look(ann, shop, change)
    ann.get_by_text("It cannot wait for a review").click()
    press(ann, "Break the glass and execute now", glass_reason="the parcel leaves in ten minutes")
    expect(ann.get_by_role("status")).to_contain_text("change is executed, and others will look at it now")
    assert (2, "Bruno", "stopped") in shop.all_rows()["orders"]
    newer = shop.ask("update orders set customer = 'Clara B.' where id = 3", "she married")

    def first_of(page: Page) -> Locator:
        page.goto(f"{shop.url}/inbox")
        return page.locator(".card").first

    for person, verdict in ((rita, "It was right"), (fred, "It was wrong")):
        card = first_of(person)
        expect(card).to_contain_text("Glass broken")
        shoot(person, "broken-glass-inbox")
        card.get_by_role("link").click()
        expect(person.get_by_role("main")).to_contain_text("the parcel leaves in ten minutes")
        shoot(person, "broken-glass")
        press(person, verdict, reason="I called Bruno")
        expect(person.get_by_role("main")).to_contain_text("I called Bruno")
        expect(first_of(person).locator(f"a[href='/changes/{newer.id}']")).to_have_count(1)
        expect(person.locator(f"a[href='/changes/{change.id}']")).to_have_count(0)
    main = look(ann, shop, change)
    expect(main).to_contain_text("rita finds it right")
    expect(main).to_contain_text("fred finds it wrong")
    expect(ann.locator(".timeline li").last).to_contain_text("fred looked at it, and finds it wrong")
    assert (2, "Bruno", "stopped") in shop.all_rows()["orders"], "what they found changes no row"
    newer.withdraw()


def test_rows_that_follow_are_shown_with_a_word_and_go_together(shop: Shop, people: Callable[[str], Page]) -> None:
    """Who removes an order sees, as do both reviewers, which items the database removes with it; an undo has all."""
    ann, rita, fred = people("ann"), people("rita"), people("fred")
    before = shop.all_rows()
    change = shop.ask("delete from orders where id = 1", "Alma cancelled it")
    for person in (ann, rita, fred):
        look(person, shop, change)
        expect(person.get_by_role("heading", name="Rows of item: 2 removed")).to_contain_text(
            "go along with those of orders"
        )
        expect(rows_of(person, "orders")).to_have_count(1)
        expect(rows_of(person, "orders")).not_to_contain_text("goes along")
        expect(rows_of(person, "item")).to_contain_text(["goes along", "goes along"])
    shoot(fred, "along")
    expect(approved(rita, shop, change)).to_contain_text("others have to approve too")
    expect(approved(fred, shop, change)).to_contain_text("the change is executed")
    gone = {table: len(rows) - len(shop.all_rows()[table]) for table, rows in before.items()}
    assert gone == {"orders": 1, "item": 2, "price": 0, "stock": 0}
    undo = change.refresh().undo("she wants it after all")
    approved(rita, shop, undo)
    expect(approved(fred, shop, undo)).to_contain_text("the change is executed")
    assert shop.all_rows() == before


def test_more_rows_than_are_shown_are_a_sample_that_says_so(shop: Shop, people: Callable[[str], Page]) -> None:
    """Requester and reviewer see some of the rows and how many there are; a row outside of the sample is bound too."""
    ann, fred = people("ann"), people("fred")
    change = shop.ask("update stock set pieces = pieces + 1", "one crate of each was not counted")
    for person in (ann, fred):
        main = look(person, shop, change)
        expect(main).to_contain_text(f"a sample: 100 rows of {STOCK_ROWS}")
        expect(main).to_contain_text("The digest covers all of them")
        expect(person.get_by_role("region", name="Rows before and after").locator("tbody tr")).to_have_count(100)
    shoot(fred, "sample")
    shown = set(fred.get_by_role("region", name="Rows before and after").locator("tbody th").all_inner_texts())
    other = next(number for number in range(1, STOCK_ROWS + 1) if str(number) not in shown)
    with contextlib.closing(sqlite3.connect(shop.shop, timeout=10.0)) as connection, connection:
        connection.execute("update stock set pieces = 0 where id = ?", [other])
    press(fred, "Approve")
    expect(fred.get_by_role("main")).to_contain_text("The rows changed after this preview was made")
    again = shop.ask("update stock set pieces = 7", "counted anew")
    expect(approved(fred, shop, again)).to_contain_text("the change is executed")
    assert {pieces for *_, pieces in shop.all_rows()["stock"]} == {7}
    expect(look(ann, shop, again).get_by_role("button", name="Ask to undo it")).to_be_visible()


def test_many_sets_of_values_are_one_request_that_shows_the_first(shop: Shop, people: Callable[[str], Page]) -> None:
    """`executemany` and `to_sql` ask once: every row is there, the first sets of values, and how many there are."""
    rita, fred = people("rita"), people("fred")
    sets = [{"id": number, "what": f"spoon {number}"} for number in range(100, 130)]
    token = shop.token("ann", "desk")
    with gatebook.dbapi.connect("shop", shop.url, token, autocommit=True, reason="new spoons") as connection:
        cursor = connection.cursor()
        with pytest.raises(ChangeRequested) as asked:
            cursor.executemany("insert into item (id, order_id, what, pieces) values (:id, 3, :what, 1)", sets)
    change_id = str(asked.value.id)
    main = look(rita, shop, change_id)
    expect(main).to_contain_text("30 sets of values")
    expect(rita.get_by_role("region", name="Sets of values").locator("tbody tr")).to_have_count(20)
    expect(rita.get_by_role("region", name="Rows before and after").locator("tbody tr")).to_have_count(30)
    shoot(rita, "sets")
    approved(rita, shop, change_id)
    expect(approved(fred, shop, change_id)).to_contain_text("the change is executed")
    assert len([row for row in shop.all_rows()["item"] if row[1] == 3]) == 31

    address = f"gatebook+sqlite://:{token}@{shop.url.partition('://')[2]}/shop"
    frame = pd.DataFrame({"what": ["fork", "knife"], "cents": [300, 350]})
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with pytest.raises(pd.errors.DatabaseError, match="waits for review: 2 rows would be added") as wrapped:
        frame.to_sql("price", engine, if_exists="append", index=False)
    engine.dispose()
    request = wrapped.value.__cause__
    assert isinstance(request, sa.exc.DBAPIError)
    assert isinstance(request.orig, ChangeRequested)
    expect(look(rita, shop, str(request.orig.id))).to_contain_text("2 sets of values")
    expect(rita.get_by_role("heading", level=1)).to_have_text("2 rows would be added to price")
