"""People work with the tools that are shipped beside the customer desk: the editor, the figures, requests, the book.

A real Hub, gateway and tools service under the shipped rules, with four more that say what nobody may do. The person's
part in Chromium; the attacker's with the same browser's cookies, and with the token of the page's own kernel.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.stories.test_operations import forge, message
from tests.stories.test_widgets_page import choose
from tests.stories.tool_pages import Reviewer, ToolPages, named, press_all, shoot, states
from tests.stories.workspace import APP, Workspace

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LIVE_MS = 15_000
MORE = """
grants:
  - {id: a-tool-without-its-right, to: "group:operations", tools: [audit_for_managers, finance_month]}

protections:
  - {id: hidden-length, on: chinook.track.milliseconds, refuse: nobody may know}
"""
# The editor offers composers, and every genre: the rules here let neither all columns nor all rows be written.
SHIPPED = "    columns: [name, composer, unitprice]\n    allow: [update]\n"
NARROWER = "    columns: [name, unitprice]\n    where: genreid <> 2\n    allow: [update]\n"
JAZZ = 63
OPENED_BY = {
    "catalogue_editor": "ops",
    "finance_month": "reviewer",
    "my_requests": "analyst",
    "audit_for_managers": "auditor",
}


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    running = Workspace(services=("gateway", "tools"))
    policies = running.folder / "policies"
    shutil.copytree(APP / "policies", policies)
    shutil.rmtree(policies / "tests")
    grants = (policies / "grants.yaml").read_text()
    assert SHIPPED in grants
    (policies / "grants.yaml").write_text(grants.replace(SHIPPED, NARROWER))
    (policies / "more.yaml").write_text(MORE)
    running.settings = running.settings.model_copy(update={"policies": policies})
    with running:
        yield running


@pytest.fixture(scope="module")
def tools(browser: Browser, workspace: Workspace) -> ToolPages:
    return ToolPages(browser=browser, workspace=workspace)


@pytest.fixture(scope="module")
def reviewer(workspace: Workspace) -> Iterator[Reviewer]:
    with contextlib.closing(workspace.person("reviewer")) as person:
        yield Reviewer(workspace, person)


def price(tools: ToolPages, track: int) -> float:
    ((found,),) = tools.rows("select unitprice from track where trackid = ?", track)
    return float(found)


def find_track(page: Page, name: str) -> None:
    """Narrow the table to the tracks whose name holds this."""
    if not page.get_by_label("Only rows whose").is_visible():
        page.get_by_role("button", name="Sort, filter, columns").click()
    page.get_by_label("Only rows whose").select_option("Track")
    page.get_by_label("Comparison").select_option("contains")
    page.get_by_label("Value", exact=True).fill(name)
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_text(f"Only rows whose Track contains {name}")).to_be_visible()


def edit(page: Page, track: int, **values: str) -> None:
    """Choose a row, type, keep."""
    page.get_by_role("button", name=re.compile(rf"^Choose {track},")).click()
    page.get_by_role("heading", name=f"Change track {track}", exact=True).wait_for()
    for label, text in values.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Keep these values").click()


def send(page: Page, number: str, why: str = "prices of the year") -> None:
    """Say why, send, say yes."""
    page.get_by_label("Why?").first.fill(why)
    page.get_by_role("button", name=f"Send {number}").click()
    page.get_by_role("button", name="Yes, send it").first.click()


def request_on(page: Page) -> str:
    return page.locator(".gb-card code").first.inner_text()


# ── the catalogue editor ──


def test_prices_are_changed_as_one_request(tools: ToolPages, reviewer: Reviewer) -> None:
    """Found, sorted, edited, looked over, sent once; written when a reviewer approves, which the open page says."""
    before = price(tools, 3), price(tools, 5)
    with tools.opened("ops", "catalogue_editor") as page:
        page.get_by_role("button", name="Track", exact=True).click()
        expect(page.get_by_role("columnheader", name="Track")).to_have_attribute("aria-sort", "ascending")
        find_track(page, "Fast As")
        expect(page.locator(".gb-table-part tbody tr")).to_have_count(1)
        edit(page, 3, Price="1.49")
        expect(page.locator(".gb-form").first).to_be_in_viewport()
        find_track(page, "Princess of the")
        edit(page, 5, Price="1,59", Track="Princess of the Dusk")
        expect(page.locator(".gb-changes tbody tr")).to_have_count(3)
        expect(page.get_by_role("row", name="3 Price")).to_contain_text("1.49")
        shoot(page, "catalogue-editor-edits")
        send(page, "3 changes")
        card = page.locator(".gb-edits-part .gb-card")
        expect(card.get_by_text("Awaiting review")).to_be_visible()
        assert (price(tools, 3), price(tools, 5)) == before
        reviewer.decide(request_on(page), "approve")
        expect(card.get_by_text("Executed")).to_be_visible(timeout=LIVE_MS)
        expect(page.get_by_role("row", name=re.compile("Princess of the Dusk"))).to_contain_text(
            "1.59", timeout=LIVE_MS
        )
        shoot(page, "catalogue-editor-done")
    assert (price(tools, 3), price(tools, 5)) == (1.49, 1.59)
    assert tools.rows("select name from track where trackid = 5") == [("Princess of the Dusk",)]


def test_a_list_of_prices_with_a_wrong_row(tools: ToolPages, reviewer: Reviewer) -> None:
    """The wrong rows are told by their numbers and left out; the others wait, are rejected, and nothing is written."""
    before = price(tools, 7), price(tools, 8), price(tools, 9)
    with tools.opened("ops", "catalogue_editor") as page:
        page.get_by_role("button", name="Load prices").click()
        choose(page, "prices.csv", b"Number,Price\n7,1.19\n8,dear\n7,1.29\n9,1.39\n")
        expect(page.get_by_text("2 rows that fit, 2 rows not.")).to_be_visible()
        expect(page.get_by_text("Row 3: Unitprice has to be a number.")).to_be_visible()
        expect(page.get_by_text("Row 4: Has the same key as row 2.")).to_be_visible()
        expect(page.get_by_role("button", name="Send 2 rows")).to_be_disabled()
        page.get_by_label("If rows do not fit").select_option("leave them out")
        shoot(page, "catalogue-editor-prices")
        upload = page.locator(".gb-upload-part")
        upload.get_by_role("button", name="Send 2 rows").click()
        upload.get_by_role("button", name="Yes, send it").click()
        expect(upload.locator(".gb-card").get_by_text("Awaiting review")).to_be_visible()
        reviewer.decide(request_on(page), "reject")
        expect(upload.locator(".gb-card").get_by_text("Rejected", exact=True)).to_be_visible(timeout=LIVE_MS)
        choose(page, "prices.csv", b"trackid,albumid\n7,1\n")
        expect(upload.locator(".gb-status.gb-bad")).to_contain_text("albumid is none of track that can be loaded")
    assert (price(tools, 7), price(tools, 8), price(tools, 9)) == before


@pytest.mark.adversary
def test_what_the_rules_do_not_let_write_is_refused(tools: ToolPages) -> None:
    """A column and a row that the editor offers and the gateway does not: a sentence, no request; the page goes on."""
    before, requests = tools.rows("select * from track order by trackid"), tools.requests()
    with tools.opened("ops", "catalogue_editor") as page:
        told = page.locator(".gb-edits-part > .gb-status, .gb-edits-part .gb-status.gb-bad").first
        edit(page, 1, Composer="Somebody Else")
        send(page, "1 change")
        expect(told).to_contain_text("No grant lets you update these columns of track together")
        expect(told).to_contain_text("reference")
        shoot(page, "catalogue-editor-refused")
        page.get_by_role("button", name="Take it back").click()
        find_track(page, "Desafinado")
        edit(page, JAZZ, Price="9.99")
        send(page, "1 change")
        expect(told).to_contain_text("reference")
        page.get_by_role("button", name="Show all rows").click()
        expect(page.get_by_role("button", name=re.compile("^Choose 2,"))).to_be_visible()
    assert tools.rows("select * from track order by trackid") == before
    assert tools.requests() == requests


@pytest.mark.adversary
def test_forged_messages_of_the_editor(tools: ToolPages) -> None:
    """Places, columns, tables and widgets that the page does not have: nothing else is asked for, or written."""
    before, requests, known = (
        tools.rows("select * from track order by trackid"),
        tools.requests(),
        len(tools.book("user:ops")),
    )
    with tools.opened("ops", "catalogue_editor") as page, tools.behind(page, "ops") as channels:
        page.get_by_role("button", name="Choose 1,").click()
        page.get_by_role("button", name="Sort, filter, columns").click()
        assert "Milliseconds" not in page.get_by_label("Only rows whose").inner_text()
        found = states(channels)
        column, add = named(found, "DropdownModel", "Only rows whose"), named(found, "ButtonModel", "Filter")
        forge(channels, column, {"method": "update", "state": {"_options_labels": ["Milliseconds"], "index": 6}})
        forge(channels, add, {"method": "custom", "content": {"event": "click"}})
        typed, keep = named(found, "TextModel", "Price"), named(found, "ButtonModel", "Keep these values")
        forge(channels, typed, {"method": "update", "state": {"value": "1); drop table track"}})
        forge(channels, keep, {"method": "custom", "content": {"event": "click"}})
        expect(page.get_by_text("Price has to be a number.")).to_be_visible()
        made = {"_model_name": "ButtonModel", "_model_module": "@jupyter-widgets/controls", "_view_name": "ButtonView"}
        opening = {"comm_id": "mine", "target_name": "jupyter.widget", "data": {"state": made}}
        channels.send(json.dumps(message("comm_open", opening) | {"metadata": {"version": "2.0.0"}}))
        press_all(channels, found, source="other", table="customer", _table="customer", sql="select * from customer")
        assert len(states(channels)) >= len(found), "the page's kernel goes on"
    assert tools.rows("select * from track order by trackid") == before
    assert tools.requests() == requests
    uses = [use for event in tools.book("user:ops")[known:] for use in event.get("tables", ())]
    assert {use["table"] for use in uses} == {"track"}
    assert "milliseconds" not in {name for use in uses for name in use["columns"]}


# ── the month of finance ──


def figures(tools: ToolPages, month: str) -> tuple[int, str, int, str, str]:
    """Invoices, revenue, refunds, what was refunded, what remains: as SQL on the database says."""
    ((invoices, revenue),) = tools.rows(
        "select count(*), sum(total) from invoice where invoicedate like ?", f"{month}%"
    )
    ((number, refunded),) = tools.rows("select count(*), sum(amount) from refund where createdat like ?", f"{month}%")
    revenue, refunded = revenue or 0, refunded or 0
    return invoices, f"{revenue:.2f}", number, f"{refunded:.2f}", f"{revenue - refunded:.2f}"


def facts(page: Page) -> dict[str, str]:
    view = page.locator(".gb-record-part")
    return dict(zip(view.locator("dt").all_inner_texts(), view.locator("dd").all_inner_texts(), strict=True))


def test_a_month_is_chosen_and_its_figures_are_those_of_the_database(tools: ToolPages) -> None:
    """The newest month first; another is chosen, with its countries, its refunds, and a picture of all months."""
    with tools.opened("reviewer", "finance_month") as page:
        ((newest,),) = tools.rows("select max(substr(invoicedate, 1, 7)) from invoice")
        expect(page.get_by_label("Month", exact=True).locator("option:checked")).to_have_text(newest)
        page.get_by_label("Month", exact=True).select_option("2013-08")
        expect(page.locator(".gb-record-part").get_by_text("2013-08")).to_be_visible()
        shown = facts(page)
        invoices, revenue, refunds, refunded, remaining = figures(tools, "2013-08")
        assert refunds > 0
        assert shown == {
            "Month": "2013-08", "Invoices": str(invoices), "Revenue": revenue,
            "Refunds": str(refunds), "Refunded": refunded, "Remaining": remaining,
        }  # fmt: skip
        by_country = tools.rows(
            "select billingcountry, count(*), printf('%.2f', sum(total)) from invoice where invoicedate like '2013-08%'"
            " group by 1 order by sum(total) desc, 1"
        )
        rows = page.get_by_role("region", name="Revenue by country").locator("tbody tr")
        expect(rows).to_have_count(len(by_country))
        assert [row.split("\t") for row in rows.all_inner_texts()] == [[str(one) for one in row] for row in by_country]
        shoot(page, "finance-month")
        page.get_by_role("button", name="Refunds", exact=True).click()
        expect(page.get_by_role("region", name="Refunds").locator("tbody tr")).to_have_count(refunds)
        page.get_by_role("button", name="All months", exact=True).click()
        expect(
            page.get_by_role("img", name=re.compile("^Bar chart by Month, .*Revenue from .*Refunded from"))
        ).to_be_visible()
        shoot(page, "finance-month-all")
        page.get_by_label("Month", exact=True).select_option("2009-03")
        page.get_by_role("button", name="Refunds", exact=True).click()
        expect(page.get_by_text("No refund in this month.")).to_be_visible()


def test_a_months_file_has_its_invoices_and_no_formulas(workspace: Workspace, tools: ToolPages, tmp_path: Path) -> None:
    """What the file holds is what SQL says; a country that a spreadsheet would run stands behind an apostrophe."""
    formula = '=HYPERLINK("http://evil.example","USA")'
    (number,) = tools.rows("select invoiceid from invoice where invoicedate like '2012-05%' order by 1 limit 1")[0]
    with contextlib.closing(sqlite3.connect(workspace.settings.state / "databases" / "chinook.sqlite")) as connection:
        connection.execute("update invoice set billingcountry = ? where invoiceid = ?", (formula, number))
        connection.commit()
    with tools.opened("reviewer", "finance_month") as page:
        page.get_by_label("Month", exact=True).select_option("2012-05")
        page.get_by_role("button", name="Files", exact=True).click()
        page.get_by_role("button", name="Make CSV").first.click()
        with page.expect_download() as waited:
            page.get_by_role("link", name="Save invoices_of_the_month.csv").click()
        waited.value.save_as(tmp_path / "month.csv")
        shoot(page, "finance-month-files")
    read = list(csv.reader(io.StringIO((tmp_path / "month.csv").read_text("utf-8-sig"))))
    wanted = tools.rows(
        "select invoiceid, substr(invoicedate, 1, 10), billingcountry, total from invoice"
        " where invoicedate like '2012-05%' order by 1"
    )
    assert read[0] == ["invoiceid", "invoicedate", "billingcountry", "total"]
    assert [[one[0], one[1], float(one[3])] for one in read[1:]] == [[str(row[0]), row[1], row[3]] for row in wanted]
    assert {row[0]: row[2] for row in read[1:]}[str(number)] == f"'{formula}"
    assert not [cell for row in read for cell in row if re.match(r"[=+@\t\r]", cell)]


@pytest.mark.adversary
def test_forged_messages_of_the_month(tools: ToolPages) -> None:
    """A month that is not there, or SQL for one, changes no figure. Who has no grant of the tables sees why instead."""
    with tools.opened("reviewer", "finance_month") as page, tools.behind(page, "reviewer") as channels:
        before = facts(page)
        month = named(states(channels), "DropdownModel", "Month")
        for index in (9999, -1, "2013-08' or 1=1 --", {"a": 1}, None):
            forge(channels, month, {"method": "update", "state": {"index": index, "_options_labels": ["x"] * 100}})
        assert facts(page) == before
        forge(channels, month, {"method": "update", "state": {"index": True}})
        second = tools.rows("select distinct substr(invoicedate, 1, 7) from invoice order by 1 desc limit 2")[1][0]
        expect(page.locator(".gb-record-part").get_by_text(second)).to_be_visible()
    with tools.opened("ops", "finance_month") as page:
        expect(page.locator(".gb-choice-part .gb-status.gb-bad")).to_contain_text("reference")
        shoot(page, "finance-month-refused")
        assert page.locator(".gb-record-part dd:visible").count() == 0
        refused = tools.kernel("ops").post("query", source="chinook", sql="select sum(total) from invoice", params={})
        assert refused.json()["code"] == "GB-206", refused.text


# ── requests ──


def asked(tools: ToolPages, code: str) -> str:
    return tools.ask(f"update invoice set billingpostalcode = '{code}' where invoiceid = 1")


def test_a_request_is_followed_and_withdrawn(tools: ToolPages, reviewer: Reviewer) -> None:
    """What was asked for is listed, its state changes while one looks, and one that waits can be withdrawn."""
    first, second = asked(tools, "70177"), asked(tools, "70178")
    with tools.opened("analyst", "my_requests") as page:
        rows = page.get_by_role("region", name="You asked for").locator("tbody tr")
        row = {one: rows.filter(has=page.get_by_role("link", name=f"Open request {one}")) for one in (first, second)}
        expect(row[first]).to_contain_text("awaiting review")
        reviewer.decide(first, "reject")
        expect(row[first]).to_contain_text("rejected", timeout=LIVE_MS)
        page.get_by_role("button", name=f"Choose request {second}").click()
        card = page.locator(".gb-inbox-part .gb-card")
        expect(card).to_contain_text("70178")
        shoot(page, "my-requests")
        page.get_by_role("button", name="Withdraw", exact=True).click()
        page.get_by_role("button", name="Yes, withdraw it").click()
        expect(card.get_by_text("Withdrawn", exact=True)).to_be_visible()
        expect(row[second]).to_contain_text("withdrawn")
        link = row[first].get_by_role("link").get_attribute("href") or ""
        assert link == f"{tools.workspace.settings.portal_url}/changes/{first}"
    assert (tools.state_of(first), tools.state_of(second)) == ("rejected", "withdrawn")


@pytest.mark.adversary
def test_nobody_decides_in_the_tool(tools: ToolPages) -> None:
    """The reviewer's inbox lists it and leads to the portal. Forged messages and a kernel's own token move nothing."""
    waiting = asked(tools, "70179")
    with tools.opened("reviewer", "my_requests") as page, tools.behind(page, "reviewer") as channels:
        row = page.get_by_role("region", name="Waiting for you").get_by_role("row").filter(has_text="analyst")
        expect(row.first).to_contain_text("1 row would be changed in invoice")
        expect(page.get_by_role("link", name=f"Open request {waiting}")).to_be_visible()
        shoot(page, "my-requests-inbox")
        press_all(channels, states(channels), id=waiting, state="approved", verdict="approve")
        another = asked(tools, "70181")
        page.get_by_role("button", name="Look again").click()
        for one in (waiting, another):
            expect(page.get_by_role("link", name=f"Open request {one}")).to_be_visible()
        theirs = tools.kernel("reviewer")
        digest = theirs.get(f"changes/{waiting}").json()["digest"]
        assert theirs.post(f"changes/{waiting}/withdraw").status_code in {403, 404, 409}
        verdict = {"verdict": "approve", "digest": digest, "reason": "it is right"}
        assert theirs.post(f"changes/{waiting}/review", **verdict).status_code in {401, 403, 404}
    with tools.opened("analyst", "my_requests") as page:
        expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
        assert tools.kernel("analyst").post(f"changes/{waiting}/review", **verdict).status_code in {401, 403, 404}
    assert tools.state_of(waiting) == "awaiting_review"
    assert tools.rows("select count(*) from invoice where billingpostalcode = '70179'") == [(0,)]


# ── the book, for managers ──


def look_up(page: Page, label: str, text: str) -> None:
    page.get_by_label(label).fill(text)
    page.get_by_label(label).press("Enter")


def test_a_manager_sees_who_saw_and_changed_what(tools: ToolPages, reviewer: Reviewer) -> None:
    """By person, by table, with the entry's facts; a name that nobody has is told so."""
    change = tools.ask("update invoice set billingcity = 'Ulm' where invoiceid = 12", reason="moved")
    reviewer.decide(change, "approve")
    with tools.opened("auditor", "audit_for_managers") as page:
        look_up(page, "Name of a person", "reviewer")
        rows = page.get_by_role("region", name="What they did").locator("tbody tr")
        expect(rows.filter(has_text="reviewed a request").filter(has_text=change)).to_have_count(1)
        look_up(page, "Name of a person", "analyst")
        done = rows.filter(has_text=change).filter(has_text="asked for a change")
        expect(done).to_contain_text("update invoice (invoiceid, billingcity)")
        done.get_by_role("button", name=re.compile("^Choose")).click()
        expect(page.locator(".gb-record-part").get_by_text("moved")).to_be_visible()
        shoot(page, "audit")
        look_up(page, "Name of a person", "nobody")
        expect(page.get_by_text("The book has nothing of this person.")).to_be_visible()
        page.get_by_role("button", name="Tables", exact=True).click()
        look_up(page, "Table, such as chinook.customer", "chinook.invoice")
        used = page.get_by_role("region", name="Who used it").locator("tbody tr").filter(has_text="billingcity")
        expect(used.filter(has_text="analyst").first).to_contain_text("update invoice")
        shoot(page, "audit-tables")
        look_up(page, "Table, such as chinook.customer", "chinook.genre")
        expect(page.get_by_text("The book has nothing of this table.")).to_be_visible()
    read = [event for event in tools.book("user:auditor") if event["kind"] == "audit.read"]
    assert "user:analyst" in str(read), "that they looked is in the book too"


@pytest.mark.adversary
def test_who_may_not_read_the_book_sees_nothing_of_others(tools: ToolPages) -> None:
    """Without a grant of the tool it does not open; with one and without the right there is a sentence, no event."""
    with tools.opened("analyst", "audit_for_managers") as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Audit for managers is not open to you")
    with tools.opened("ops", "audit_for_managers") as page, tools.behind(page, "ops") as channels:
        told = page.locator(".gb-search-part .gb-status.gb-bad")
        found = states(channels)
        who, press = named(found, "TextModel", "Name of a person"), named(found, "ButtonModel", "Search")
        forge(channels, who, {"method": "update", "state": {"value": "auditor"}})
        forge(channels, press, {"method": "custom", "content": {"event": "click", "limit": 10**6}})
        expect(told.first).to_contain_text("You may read your own events only")
        expect(told.first).to_contain_text("reference")
        shoot(page, "audit-refused")
        assert page.get_by_role("region", name="What they did").count() == 0
        look_up(page, "Name of a person", "ops")
        expect(page.get_by_role("region", name="What they did").locator("tbody tr").first).to_be_visible()
        gate = tools.kernel("ops")
        for query in ({}, {"principal": "user:auditor"}, {"table": "customer"}, {"principal": "user:ops' or 1=1"}):
            assert gate.get("audit/events", **query).status_code == 403, query
        assert gate.get("audit/tile/entries/000").status_code in {403, 404}


# ── for everybody ──


@pytest.mark.parametrize("tool", OPENED_BY)
def test_every_tool_is_usable_on_a_narrow_dark_page(tools: ToolPages, axe_script: Path, tool: str) -> None:
    """320 pixels, dark, checked with axe on every tab; nothing but tables and pictures scrolls sideways."""
    how: dict[str, Any] = {"viewport": {"width": 320, "height": 800}, "color_scheme": "dark", "bypass_csp": True}
    asked(tools, "70180")
    with tools.opened(OPENED_BY[tool], tool, **how) as page:
        if page.get_by_role("button", name=re.compile("^Choose ")).count():
            page.get_by_role("button", name=re.compile("^Choose ")).first.click()
            expect(page.get_by_role("button", name=re.compile("^Chosen ")).first).to_be_visible()
        if tool == "audit_for_managers":
            look_up(page, "Name of a person", "analyst")
            expect(page.get_by_role("region", name="What they did")).to_be_visible()
        page.add_script_tag(path=axe_script)
        tabs = page.locator(".gb-tabs button")
        for place in range(max(tabs.count(), 1)):
            if tabs.count():
                tabs.nth(place).click()
                expect(tabs.nth(place)).to_have_class(re.compile("mod-active"))
            shoot(page, f"{tool}-narrow-{place}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, place
            found = page.evaluate("tags => axe.run(document, { runOnly: tags }).then(r => r.violations)", WCAG)
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], place


def press_until(page: Page, selector: str) -> None:
    """Tab on until this has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"nobody comes to {selector} with the keyboard")


def test_a_price_is_sent_with_the_keyboard_alone(tools: ToolPages) -> None:
    """Choose, type, keep, send, say yes: with Tab, Enter and letters."""
    with tools.opened("ops", "catalogue_editor") as page:
        press_until(page, "button[data-gb-choose='6']")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Change track 6", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^Chosen 6,"))).to_be_focused()
        press_until(page, ".gb-field:last-child input[type=text]")
        page.keyboard.press("Control+a")
        page.keyboard.type("1.69")
        press_until(page, "button")
        page.keyboard.press("Enter")
        expect(page.get_by_role("row", name="6 Price")).to_be_visible()
        press_until(page, "button.gb-press")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Yes, send it").first).to_be_visible()
        press_until(page, "button.gb-press")
        page.keyboard.press("Enter")
        expect(page.locator(".gb-edits-part .gb-card").get_by_text("Awaiting review")).to_be_visible()
    assert price(tools, 6) == 0.99
