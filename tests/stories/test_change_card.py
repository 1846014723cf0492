"""The card of a change request in a notebook and in a tool: it follows its request, and its buttons move it on.

An analyst works in JupyterLab, a reviewer at the portal, operations in a tool. What a card's buttons send is refused
like everything else, if the person may not do it.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.stories.lab import Lab
from tests.stories.workspace import APP, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]
RULES = """
  - id: two-when-asked
    on: chinook.invoice
    when: rows > 1
    require: [{{groups: [reviewers], needed: 1}}]
    execute: by_requester

  - id: three-later
    on: chinook.invoice
    when: rows > 2
    require: [{{groups: [reviewers], needed: 1}}]
    execute: window
    window: {{hours: "{hours}"}}
"""
UPDATE = """%%sql chinook --into asked --reason "the customer moved"
update invoice set billingcity = '{}' where invoiceid in ({})"""
CITY = 'print(gatebook.query("chinook", "select billingcity from invoice where invoiceid = {}").iloc[0, 0])'
PATIENCE_MS = 40_000
FORGED = """
import ipywidgets
from ipywidgets.widgets.widget import _instances
for one in list(_instances.values()):
    if isinstance(one, ipywidgets.Button):
        one._handle_button_msg(one, {"event": "click"}, [])
""".strip()
LIE = "from gatebook.changes import Change, Step\nChange.steps = property(lambda _: tuple(Step))"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """With a rule that leaves the moment to the requester, and one with a window that is closed."""
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=11)
    hours = f"{later:%H:%M}-{later + dt.timedelta(hours=1):%H:%M}"
    running = Workspace(services=("gateway", "tools"))
    policies = running.folder / "policies"
    shutil.copytree(APP / "policies", policies)
    with (policies / "approvals.yaml").open("a") as approvals:
        approvals.write(RULES.format(hours=hours))
    running._environment["GATEBOOK_POLICIES"] = str(policies)
    with running:
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


def ask(analyst: Lab, city: str, *invoices: int) -> tuple[Locator, str]:
    """Run the write cell; its output and the request's id."""
    output = analyst.run(UPDATE.format(city, ", ".join(map(str, invoices))))
    expect(output).to_contain_text("would be changed in invoice")
    return output, analyst.run("print(asked.id)").inner_text().strip()


def press(output: Locator, name: str) -> None:
    output.get_by_role("button", name=name, exact=True).click()


def approve(reviewer: Lab, change_id: str) -> None:
    page = reviewer.page
    page.goto(f"{reviewer.workspace.settings.portal_url}/changes/{change_id}")
    page.click("button[value=approve]")
    expect(page.get_by_role("status")).to_contain_text("approv")


def test_a_request_is_withdrawn_on_its_card_after_a_second_thought(analyst: Lab) -> None:
    """One press asks, another leaves it, the keyboard alone does it in the end; the buttons go with it."""
    output, change_id = ask(analyst, "Ulm", 1)
    withdraw = output.get_by_role("button", name="Withdraw", exact=True)
    expect(output.get_by_role("button", name="Execute", exact=True)).to_be_hidden()
    shoot(analyst.page, "card-waits")
    withdraw.click()
    expect(output).to_contain_text("Withdraw this request?")
    shoot(analyst.page, "card-asks")
    press(output, "Keep it")
    expect(withdraw).to_be_focused()
    analyst.page.keyboard.press("Enter")
    expect(output.get_by_role("button", name="Keep it")).to_be_focused()
    analyst.page.keyboard.press("Shift+Tab")
    analyst.page.keyboard.press("Enter")
    expect(output.locator(".gb-card")).to_contain_text("Withdrawn")
    expect(withdraw).to_be_hidden()
    shoot(analyst.page, "card-withdrawn")
    expect(analyst.run(f'print(gatebook.change("{change_id}").state)')).to_have_text("withdrawn")


def test_the_card_turns_executed_by_itself_and_its_undo_is_a_card_below(analyst: Lab, reviewer: Lab) -> None:
    """Nothing is run again, though the gateway is away for a while: the card hears of both ends."""
    before = analyst.run(CITY.format(1)).inner_text()
    output, change_id = ask(analyst, "Genf", 1)
    end_gateway(analyst.workspace)
    approve(reviewer, change_id)
    card = output.locator(".gb-card").first
    expect(card).to_contain_text("Executed", timeout=PATIENCE_MS)
    shoot(analyst.page, "card-executed")
    press(output, "Undo")
    output.get_by_label("Why?").fill("the wrong customer")
    shoot(analyst.page, "card-undo-asks")
    press(output, "Yes, ask to undo it")
    undo = output.locator(".gb-card").nth(1)
    expect(undo).to_contain_text("Awaiting review")
    expect(undo).to_contain_text("Your reason: the wrong customer.")
    shoot(analyst.page, "card-undo")
    approve(reviewer, undo.locator("code").inner_text())
    expect(undo).to_contain_text("Executed", timeout=PATIENCE_MS)
    expect(card).to_contain_text("Undone")
    shoot(analyst.page, "card-undone")
    assert analyst.run(CITY.format(1)).inner_text() == before


def end_gateway(workspace: Workspace) -> None:
    """Kill it; the Hub starts it again."""
    gateways = [one for one in workspace.processes() if {"serve"} <= set(one.cmdline())]
    assert gateways, [one.cmdline() for one in workspace.processes()]
    for one in gateways:
        one.kill()
    psutil.wait_procs(gateways, timeout=10)
    workspace._wait_for(f"{workspace.settings.portal_url}/healthz")


def test_the_requester_executes_what_is_theirs_to_execute(analyst: Lab, reviewer: Lab) -> None:
    """The button comes with the approval; where a window is closed, the card says when it opens."""
    output, change_id = ask(analyst, "Bonn", 12, 67)
    late, late_id = ask(analyst, "Kiel", 12, 67, 78)
    approve(reviewer, change_id)
    approve(reviewer, late_id)
    expect(output.get_by_role("button", name="Execute", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(late.locator(".gb-card")).to_contain_text("You cannot execute it now: it is executed", timeout=PATIENCE_MS)
    expect(late.get_by_role("button", name="Execute", exact=True)).to_be_hidden()
    expect(late.get_by_role("button", name="Withdraw", exact=True)).to_be_visible()
    shoot(analyst.page, "card-approved")
    press(output, "Execute")
    shoot(analyst.page, "card-execute-asks")
    press(output, "Yes, execute it")
    expect(output.locator(".gb-card")).to_contain_text("Executed")
    expect(analyst.run(CITY.format(12))).to_have_text("Bonn")
    press(late, "Withdraw")
    press(late, "Yes, withdraw it")
    expect(late.locator(".gb-card")).to_contain_text("Withdrawn")


@pytest.mark.adversary
def test_a_forged_press_on_somebody_elses_request_is_refused(analyst: Lab, reviewer: Lab) -> None:
    """The reviewer's kernel lies about what may be done: the buttons are there, and the gate refuses each of them."""
    _, change_id = ask(analyst, "Jena", 78)
    _, approved_id = ask(analyst, "Jena", 12, 67)
    approve(reviewer, approved_id)
    reviewer.open_notebook()
    honest = reviewer.run(f'found = gatebook.change("{change_id}")\nfound')
    expect(honest).to_contain_text("You cannot withdraw it: its requester alone may.")
    expect(honest.get_by_role("button", name="Withdraw", exact=True)).to_be_hidden()
    reviewer.run(FORGED)
    expect(honest.get_by_role("alert")).to_have_count(0)
    reviewer.run(LIE)
    for one, step, yes in ((change_id, "Withdraw", "Yes, withdraw it"), (approved_id, "Execute", "Yes, execute it")):
        output = reviewer.run(f"gatebook.change('{one}')")
        press(output, step)
        press(output, yes)
        complaint = output.get_by_role("alert").last
        expect(complaint).to_contain_text("requester")
        expect(complaint).to_contain_text("reference")
        shoot(reviewer.page, f"card-refused-{step.lower()}")
        tried = reviewer.run(
            f"try:\n    gatebook.change('{one}').{step.lower()}()\nexcept gatebook.GatebookError as error:\n"
            "    print(type(error).__name__)"
        )
        expect(tried).to_have_text("ChangeRefused" if step == "Withdraw" else "NotPermitted")
    states = f"print(*(gatebook.change(one).state for one in ('{change_id}', '{approved_id}')))"
    expect(analyst.run(states)).to_have_text("awaiting_review approved")


def test_a_tool_has_the_same_buttons(workspace: Workspace, browser: Browser) -> None:
    """A large refund waits for review; the one who asked for it takes it back on the tool's page."""
    context = browser.new_context(viewport={"width": 390, "height": 900})
    page = context.new_page()
    page.goto(f"{workspace.settings.hub_url}/services/tools/customer_desk")
    page.fill("#username_input", "ops")
    page.fill("#password_input", workspace.password("ops"))
    page.click("#login_submit")
    page.get_by_label("Name, number, whole e-mail or phone").fill("Alm")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Choose 12,").click()
    page.get_by_role("button", name="Choose 166,").click()
    page.get_by_label("Amount").fill("6")
    page.get_by_label("Why").fill("charged twice")
    page.get_by_role("button", name="Refund invoice", exact=True).click()
    page.get_by_role("button", name="Yes, refund invoice").click()
    expect(page.locator(".gb-card")).to_contain_text("Awaiting review")
    shoot(page, "tool-card")
    page.get_by_role("button", name="Withdraw", exact=True).click()
    shoot(page, "tool-card-asks")
    page.get_by_role("button", name="Yes, withdraw it").click()
    expect(page.locator(".gb-card")).to_contain_text("Withdrawn")
    context.close()
