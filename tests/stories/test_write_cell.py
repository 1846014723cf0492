"""An analyst's write becomes a change request; a reviewer looks at its rows and decides; exactly that is executed.

The gateway is a real process without a Hub, the analyst's side is the real client, the reviewer's a real Chromium.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.stories.gateway import Gateway, PortalPerson, field

import gatebook
from gatebook.changes import Change
from gatebook.errors import GatebookError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

CITY = "select billingcity from invoice where invoiceid = ?"
REASON = "Why do you approve or reject it?"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("write-cell"), chinook_template) as running:
        yield running


@pytest.fixture
def reviewer(gateway: Gateway, browser: Browser) -> Iterator[Page]:
    """The reviewer's browser, signed in with a link and looking at the first page."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(gateway.link("reviewer", "reviewers"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What do you want to do?")
    yield page
    context.close()


@pytest.fixture
def second(gateway: Gateway) -> Iterator[PortalPerson]:
    """Another reviewer, over plain HTTP."""
    with gateway.person("second", "reviewers") as person:
        yield person


def invoices(gateway: Gateway) -> list[int]:
    """Invoices that the analyst may see, newest first."""
    found = gateway.rows("select invoiceid from invoice where billingcountry = 'Germany' order by invoiceid desc")
    return [number for (number,) in found]


def ask(gateway: Gateway, place: int, city: str, *, reason: str | None = None) -> tuple[Change, int]:
    """The analyst's write of one invoice's city; each test has an invoice of its own, by `place`."""
    number = invoices(gateway)[place]
    connection = gatebook.connect("chinook", url=gateway.url, token=gateway.token("analyst", "analysts"))
    change = connection.query(
        "update invoice set billingcity = :city where invoiceid = :number", city=city, number=number, reason=reason
    )
    assert isinstance(change, Change)
    assert change.state == "awaiting_review"
    return change, number


def city_of(gateway: Gateway, number: int) -> str:
    [(city,)] = gateway.rows(CITY, number)
    return str(city)


def test_a_reviewer_sees_the_rows_and_approves_and_exactly_that_is_written(gateway: Gateway, reviewer: Page) -> None:
    """The request waits in the inbox, shows each value before and after, and the cell's card hears of its end."""
    change, number = ask(gateway, 0, "Kiel", reason="ticket 4711")
    before = gateway.rows("select * from invoice order by invoiceid")
    old = city_of(gateway, number)
    assert change.summary == "1 row would be changed in invoice"
    assert old != "Kiel"
    with ThreadPoolExecutor() as pool:
        card = pool.submit(change.wait, 60)
        reviewer.get_by_role("link", name="Inbox").click()
        reviewer.locator(f"a[href='/changes/{change.id}']").click()
        expect(reviewer.get_by_role("heading", level=1)).to_have_text("1 row would be changed in invoice")
        expect(reviewer.get_by_role("main")).to_contain_text("ticket 4711")
        row = reviewer.get_by_role("region", name="Rows before and after").locator("tbody tr")
        expect(row).to_have_count(1)
        expect(row.get_by_role("rowheader")).to_have_text(str(number))
        expect(row.locator("del")).to_have_text([f"before: {old}"])
        expect(row.locator("ins")).to_have_text(["after: Kiel"])
        assert city_of(gateway, number) == old
        reviewer.get_by_label(REASON).fill("agreed with finance")
        reviewer.get_by_role("button", name="Approve").click()
        expect(reviewer.get_by_role("status")).to_contain_text("the change is executed")
        expect(reviewer.get_by_role("heading", level=1)).to_have_text("1 row was changed in invoice")
        done = card.result(60)
    assert done.state == "executed"
    assert str(done.reviews[0]) == "approved by reviewer: agreed with finance"
    after = gateway.rows("select * from invoice order by invoiceid")
    assert [row for row in after if row not in before] == gateway.rows(
        "select * from invoice where invoiceid = ? and billingcity = 'Kiel'", number
    )
    assert len(after) == len(before)


def test_the_requester_cannot_approve_their_own_and_is_told_why(gateway: Gateway) -> None:
    """Being a reviewer as well does not help, and neither does a form that the page does not have."""
    change, number = ask(gateway, 1, "Self")
    with gateway.person("analyst", "analysts", "reviewers") as analyst:
        page = analyst.get(f"/changes/{change.id}").text
        assert "Nobody approves their own request." in page
        assert f"/changes/{change.id}/review" not in page
        assert change.id not in analyst.get("/inbox").text
        forged = analyst.press(f"/changes/{change.id}/review", verdict="approve", digest=str(change.digest))
        assert forged.status_code == 403
        assert "Nobody approves their own request." in forged.text
    assert change.refresh().state == "awaiting_review"
    assert city_of(gateway, number) != "Self"


def test_no_token_approves_not_even_the_reviewers_own(gateway: Gateway, second: PortalPerson) -> None:
    """A cell that runs as the reviewer has a token at best; a portal session reviews, without any token beside it."""
    change, number = ask(gateway, 2, "Token")
    token = gateway.token("second", "reviewers")
    verdict = {"verdict": "approve", "digest": str(change.digest)}
    api, page = f"{gateway.url}/api/v1/changes/{change.id}/review", f"/changes/{change.id}/review"
    bearer = {"Authorization": f"Bearer {token}"}
    whole = {**verdict, "version": 0}
    by_token = httpx.post(api, json=whole, headers=bearer)
    assert (by_token.status_code, by_token.json()["code"]) == (403, "GB-103")
    proof = {"Origin": gateway.url, "Gatebook-XSRF": second.xsrf}
    by_both = second.http.post(api, json=whole, headers={**proof, **bearer})
    assert (by_both.status_code, by_both.json()["code"]) == (403, "GB-103")
    for scheme in (f"Bearer {token}", f"token {token}", "GateToken gbk_0", "Basic eDp5", ""):
        headers = {"Authorization": scheme, "Origin": gateway.url}
        answer = second.http.post(page, data={**verdict, "xsrf": second.xsrf}, headers=headers)
        assert answer.status_code == 403, scheme
        assert "GB-103" in answer.text
    assert httpx.post(f"{gateway.url}{page}", data=verdict, headers=bearer).status_code == 403
    assert change.refresh().state == "awaiting_review"
    assert city_of(gateway, number) != "Token"


def test_rows_that_changed_meanwhile_are_not_written(gateway: Gateway, reviewer: Page) -> None:
    """What the reviewer approved no longer is what would happen, so nothing happens."""
    change, number = ask(gateway, 3, "Drift")
    reviewer.goto(change.url)
    gateway.rows("update invoice set billingcity = 'Meanwhile' where invoiceid = ?", number)
    reviewer.get_by_role("button", name="Approve").click()
    main = reviewer.get_by_role("main")
    expect(main).to_contain_text("Drifted")
    expect(main).to_contain_text("The rows changed since they were approved; nothing was written, ask again.")
    expect(reviewer.get_by_role("status")).to_have_count(0)
    assert change.refresh().state == "drifted"
    assert city_of(gateway, number) == "Meanwhile"


def test_a_rejection_needs_a_reason_and_is_final(gateway: Gateway, reviewer: Page, second: PortalPerson) -> None:
    """Without a reason the page comes back and says so; with one the requester reads it."""
    change, number = ask(gateway, 4, "Reject")
    reviewer.goto(change.url)
    reviewer.get_by_role("button", name="Reject").click()
    assert reviewer.title().startswith("Error: ")
    expect(reviewer.get_by_role("alert")).to_contain_text("Say why you reject the request.")
    assert change.refresh().state == "awaiting_review"
    reviewer.get_by_role("link", name="Say why you reject the request.").click()
    reviewer.keyboard.type("wrong invoice")
    reviewer.get_by_role("button", name="Reject").click()
    expect(reviewer.get_by_role("status")).to_contain_text("Your rejection is recorded.")
    rejected = change.refresh()
    assert (rejected.state, rejected.reviews[0].reason) == ("rejected", "wrong invoice")
    late = second.press(f"/changes/{change.id}/review", verdict="approve", digest=str(change.digest))
    assert late.status_code == 403
    assert "The request is rejected." in late.text
    assert city_of(gateway, number) != "Reject"


def test_the_requester_takes_a_request_back(gateway: Gateway, second: PortalPerson) -> None:
    """From the notebook or from the page; nobody else can, and nobody approves it afterwards."""
    from_cell, _ = ask(gateway, 5, "Withdraw")
    assert from_cell.withdraw().state == "withdrawn"
    change, number = ask(gateway, 6, "Withdraw")
    digest = str(change.digest)
    assert second.press(f"/changes/{change.id}/withdraw", digest=digest).status_code == 403
    assert change.refresh().state == "awaiting_review"
    with gateway.person("analyst", "analysts") as analyst:
        answer = analyst.press(f"/changes/{change.id}/withdraw", digest=digest)
        assert answer.status_code == 303
        assert "Your request is withdrawn." in analyst.get(answer.headers["location"]).text
    refused = second.press(f"/changes/{change.id}/review", verdict="approve", digest=digest)
    assert refused.status_code == 403
    assert change.refresh().state == "withdrawn"
    assert city_of(gateway, number) != "Withdraw"


def test_a_decision_binds_what_was_on_the_screen(gateway: Gateway, second: PortalPerson) -> None:
    """A verdict on another digest is not taken; the page comes back with what was typed."""
    change, number = ask(gateway, 7, "Digest")
    other, _ = ask(gateway, 8, "Other")
    for digest in (str(other.digest), "", "0" * 64):
        answer = second.press(f"/changes/{change.id}/review", verdict="approve", digest=digest, reason="my <reason>")
        assert answer.status_code == 409
        assert "not the one that you looked at" in answer.text
        assert ">\nmy &lt;reason&gt;</textarea>" in answer.text
        assert field(answer.text.split("/review", 1)[1], "digest") == change.digest
    assert change.refresh().state == "awaiting_review"
    assert city_of(gateway, number) != "Digest"


def test_nobody_executes_what_is_not_approved(gateway: Gateway, second: PortalPerson) -> None:
    """Neither the requester, through any door, nor a reviewer."""
    change, number = ask(gateway, 9, "Execute")
    with pytest.raises(GatebookError):
        change.execute()
    with gateway.person("analyst", "analysts") as analyst:
        for person in (analyst, second):
            answer = person.press(f"/changes/{change.id}/execute", digest=str(change.digest))
            assert answer.status_code in (403, 409)
    assert change.refresh().state == "awaiting_review"
    assert city_of(gateway, number) != "Execute"


def test_who_may_see_the_request_but_not_its_rows_does_not_see_them(gateway: Gateway) -> None:
    """An auditor reads that there is a request; invoices are not granted to auditors, so its rows are left out."""
    change, number = ask(gateway, 10, "Secret city")
    old = city_of(gateway, number)
    with gateway.person("auditor", "auditors") as auditor:
        page = auditor.get(f"/changes/{change.id}").text
        assert "The rows of this change (1) are left out, because you may not see them." in page
        assert "A review comes from a member of <code>reviewers</code>." in page
        rows = page.split('id="rows"')[1].split('id="statement"')[0]
        assert old not in rows
        assert "Secret city" not in page
        answer = auditor.press(f"/changes/{change.id}/review", verdict="approve", digest=str(change.digest))
        assert answer.status_code == 403
    with gateway.person("ops", "operations") as outsider:
        assert outsider.get(f"/changes/{change.id}").status_code == 404
        answer = outsider.press(f"/changes/{change.id}/review", verdict="approve", digest=str(change.digest))
        assert answer.status_code == 404
    assert change.refresh().state == "awaiting_review"


def test_each_step_is_in_the_book(gateway: Gateway, second: PortalPerson) -> None:
    """Proposal, verdict, intent and outcome, each by whom it was; a refused verdict too, whose page shows the rows."""
    change, _ = ask(gateway, 11, "Booked")
    second.press(f"/changes/{change.id}/review", verdict="approve", digest="0" * 64)
    second.press(f"/changes/{change.id}/review", verdict="approve", digest=str(change.digest))
    with gateway.person("auditor", "auditors") as auditor:
        events = auditor.get("/audit.json").json()["events"]
        ours = [(one["kind"], one["principal"]) for one in reversed(events) if one.get("change") == change.id]
    assert ours == [
        ("change.proposed", "user:analyst"),
        ("change.refused", "user:second"),
        ("change.read", "user:second"),
        ("change.reviewed", "user:second"),
        ("change.intent", "user:second"),
        ("change.outcome", "user:second"),
    ]
