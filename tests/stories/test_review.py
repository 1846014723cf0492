"""Two people, two browsers, two hosts: the analyst's write cell waits until the reviewer has seen the rows.

The Hub is on one host name, the portal on another. What a notebook can do as the reviewer is tried, and is refused.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.stories.lab import Lab
from tests.stories.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]
UPDATE = """%%sql chinook --into asked --reason "the customer moved"
update invoice set billingcity = '{}' where invoiceid = {}"""
CITY = 'print(gatebook.query("chinook", "select billingcity from invoice where invoiceid = {}").iloc[0, 0])'


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace(services=("gateway",)) as running:
        yield running


def at_work(workspace: Workspace, browser: Browser, name: str) -> Lab:
    person = Lab(workspace, browser.new_context(viewport={"width": 1280, "height": 900}), name)
    person.log_in()
    return person


@pytest.fixture(scope="module")
def analyst(workspace: Workspace, browser: Browser) -> Iterator[Lab]:
    person = at_work(workspace, browser, "analyst")
    person.open_notebook()
    yield person
    person.page.context.close()


@pytest.fixture(scope="module")
def reviewer(workspace: Workspace, browser: Browser) -> Iterator[Lab]:
    person = at_work(workspace, browser, "reviewer")
    yield person
    person.page.context.close()


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("GBTEST_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def ask(analyst: Lab, city: str, invoice: int) -> str:
    """Run the write cell and return the request's id."""
    card = analyst.run(UPDATE.format(city, invoice))
    expect(card).to_contain_text("1 row would be changed in invoice")
    return analyst.run("print(asked.id)").inner_text().strip()


def test_the_reviewer_sees_the_rows_approves_and_the_card_says_so(analyst: Lab, reviewer: Lab) -> None:
    """From the cell to the inbox to the executed row, and back to the card, without reloading the notebook."""
    change_id = ask(analyst, "Ulm", 1)
    portal = reviewer.workspace.settings.portal_url
    page = reviewer.page
    page.goto(f"{portal}/inbox")
    shoot(page, "inbox")
    page.click(f"a[href*='{change_id}']")
    expect(page.locator("main")).to_contain_text("Stuttgart")
    expect(page.locator("main")).to_contain_text("Ulm")
    expect(page.locator("main")).to_contain_text("the customer moved")
    shoot(page, "change")
    page.fill("[name=reason]", "seen the letter")
    page.click("button[value=approve]")
    expect(page.locator("main")).to_contain_text("Executed", ignore_case=True)
    expect(analyst.page.locator(".jp-Notebook")).to_contain_text("Executed", timeout=40_000)
    shoot(analyst.page, "card-executed")
    found = analyst.run(CITY.format(1))
    expect(found).to_contain_text("Ulm")


def test_what_was_done_is_undone_by_a_request_of_its_own(analyst: Lab, reviewer: Lab) -> None:
    """The analyst asks for the rows as they were, in a cell; the reviewer sees what it takes back, and comments."""
    change_id = ask(analyst, "Genf", 1)
    portal, page = reviewer.workspace.settings.portal_url, reviewer.page

    def approve(request: str) -> None:
        page.goto(f"{portal}/changes/{request}")
        page.click("button[value=approve]")
        expect(page.locator("main")).to_contain_text("the change is executed")

    before = analyst.run(CITY.format(1)).inner_text()
    approve(change_id)
    expect(analyst.run(CITY.format(1))).to_contain_text("Genf")
    card = analyst.run(f'undo = gatebook.change("{change_id}").undo("the wrong customer")\nundo')
    expect(card).to_contain_text("Awaiting review", ignore_case=True)
    undo_id = analyst.run("print(undo.id)").inner_text().strip()
    page.goto(f"{portal}/changes/{undo_id}")
    expect(page.locator("main")).to_contain_text("takes back what an earlier change did")
    page.fill("[name=comment]", "seen, thank you")
    page.click("text=Send the comment")
    expect(page.locator("main")).to_contain_text("comment is there")
    approve(undo_id)
    shoot(page, "undo")
    assert analyst.run(CITY.format(1)).inner_text() == before
    page.goto(f"{portal}/changes/{change_id}")
    expect(page.locator("main")).to_contain_text("another request undid it")


def test_the_requester_finds_no_button_and_a_forged_press_is_refused(analyst: Lab) -> None:
    """The analyst signs in to the portal too, sees why they may not review, and cannot by force."""
    change_id = ask(analyst, "Bonn", 12)
    portal = analyst.workspace.settings.portal_url
    page = analyst.page.context.new_page()
    page.goto(f"{portal}/changes/{change_id}")
    expect(page.locator("main")).to_contain_text("own request")
    assert page.locator("button[value=approve]").count() == 0
    digest, xsrf = "0" * 64, page.locator("input[name=xsrf]").first.get_attribute("value")
    form = {"digest": digest, "xsrf": xsrf or "", "verdict": "approve", "reason": "me"}
    answer = page.request.post(f"{portal}/changes/{change_id}/review", form=form, headers={"Origin": portal})
    assert answer.status == 403
    page.close()


def test_a_cell_executed_as_the_reviewer_cannot_approve(analyst: Lab, reviewer: Lab) -> None:
    """A shared notebook that the reviewer runs tries the relay, the gateway and the portal: 403 and nothing moves."""
    change_id = ask(analyst, "Kiel", 67)
    portal = reviewer.workspace.settings.portal_url
    reviewer.open_notebook()
    code = f"""
import os, urllib.error, urllib.request, json
def press(url, token):
    body = json.dumps({{"verdict": "approve", "reason": "", "version": 0,
                       "digest": gatebook.change("{change_id}").digest}}).encode()
    head = {{"Authorization": token, "Content-Type": "application/json", "Origin": "{portal}"}}
    try:
        return urllib.request.urlopen(urllib.request.Request(url, body, head, method="POST")).status
    except urllib.error.HTTPError as error:
        return error.code
gate = "GateToken " + os.environ["GATEBOOK_TOKEN"]
print("codes", press(os.environ["GATEBOOK_URL"] + "/api/v1/changes/{change_id}/review", gate),
      press("{portal}/api/v1/changes/{change_id}/review", gate),
      press("{portal}/changes/{change_id}/review", gate), gatebook.change("{change_id}").state)
"""
    output = reviewer.run(code.strip()).inner_text()
    *codes, state = output.removeprefix("codes").split()
    assert set(codes) <= {"401", "403", "404"}, output
    assert codes[0] == "403", "the relay refuses to carry a review"
    assert state == "awaiting_review"


def test_a_script_in_a_notebook_page_presses_nothing_at_the_portal(analyst: Lab, reviewer: Lab) -> None:
    """JavaScript on the Hub's host posts to the portal with the reviewer's browser: no cookie goes along."""
    change_id = ask(analyst, "Jena", 78)
    portal = reviewer.workspace.settings.portal_url
    reviewer.page.context.new_page().goto(f"{portal}/inbox")
    script = f"""async () => {{
        const form = {{method: "POST", mode: "no-cors", credentials: "include",
                      headers: {{"Content-Type": "application/x-www-form-urlencoded"}},
                      body: "verdict=approve&reason=x&digest=x&xsrf=x"}};
        try {{ await fetch("{portal}/changes/{change_id}/review", form); }} catch (error) {{ }}
        try {{ return await (await fetch("{portal}/changes/{change_id}", {{credentials: "include"}})).text(); }}
        catch (error) {{ return "unreadable"; }}
    }}"""
    reviewer.page.goto(f"{reviewer.workspace.settings.hub_url}/hub/home")
    assert reviewer.page.evaluate(script) == "unreadable"
    state = analyst.run("print(asked.refresh().state)")
    expect(state).to_contain_text("awaiting_review")


def test_a_users_server_receives_no_portal_cookie(reviewer: Lab) -> None:
    """With a live portal session in the browser, what goes to the user's server carries no cookie of the portal."""
    page = reviewer.page.context.new_page()
    page.goto(f"{reviewer.workspace.settings.portal_url}/inbox")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.all_headers().get("cookie", "")))
    page.goto(f"{reviewer.workspace.settings.hub_url}/user/reviewer/lab")
    page.wait_for_timeout(1_000)
    assert any("jupyterhub" in cookie for cookie in sent), "the page did talk to the server with its own cookies"
    assert not any("gatebook_session" in cookie for cookie in sent)
    page.close()


def test_rows_that_moved_are_not_overwritten(analyst: Lab, reviewer: Lab) -> None:
    """Somebody changes the row after the preview: execution refuses and asks again."""
    change_id = ask(analyst, "Trier", 6)
    other = ask(analyst, "Mainz", 6)
    page = reviewer.page.context.new_page()
    for one, expected in ((other, "Executed"), (change_id, "rows changed")):
        page.goto(f"{reviewer.workspace.settings.portal_url}/changes/{one}")
        page.fill("[name=reason]", "ok")
        page.click("button[value=approve]")
        expect(page.locator("main")).to_contain_text(expected, ignore_case=True)
    shoot(page, "drifted")
    found = analyst.run(CITY.format(6))
    expect(found).to_contain_text("Mainz")
