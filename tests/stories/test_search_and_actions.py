"""One search over everything, a palette, what somebody marked and used last, a page for each action; and attacks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect
from tests.stories.alone import Alone
from tests.stories.gateway import APP, PortalPerson, field

GRANTS = """
grants:
  - id: clerks-refund
    to: group:clerks
    actions: [refund_invoice]
  - id: clerks-read
    to: group:clerks
    on: [chinook.refund, chinook.invoice]
    allow: [select]
"""
SHOTS = os.environ.get("GBTEST_SHOTS")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Alone]:
    folder = tmp_path_factory.mktemp("searching")
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    (policies / "clerks.yaml").write_text(GRANTS)
    (folder / "gateway").mkdir()
    with Alone(folder / "gateway", chinook_template, policies=policies) as running:
        yield running


@pytest.fixture(scope="module")
def clerk(gateway: Alone) -> Iterator[PortalPerson]:
    with gateway.person("kim", "clerks") as person:
        yield person


@pytest.fixture
def fay(gateway: Alone) -> Iterator[PortalPerson]:
    """Somebody who has marked nothing yet."""
    with gateway.person("fay", "clerks") as person:
        yield person


def things(person: PortalPerson) -> list[dict[str, Any]]:
    answer = person.get("/find/at-hand.json")
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["things"]
    return found


# ── actions ──


def refund(person: PortalPerson, step: str, **changes: str) -> Any:
    page = person.get("/actions/refund_invoice").text
    fields = {"key": field(page, "key"), "p-invoice_id": "98", "p-amount": "1.50", "p-reason": "scratched disc"}
    return person.press(f"/actions/refund_invoice/{step}", **{**fields, **changes})


def test_an_action_is_tried_done_once_and_refused_with_a_sentence(gateway: Alone, clerk: PortalPerson) -> None:
    """The form says what it would do, a second press of the same form is the same press, wrong values are named."""
    before = gateway.rows("select count(*) from refund")
    tried = refund(clerk, "try")
    assert tried.status_code == 200
    assert "1 row would be added to refund" in tried.text
    assert "scratched disc" in tried.text
    assert gateway.rows("select count(*) from refund") == before
    key = "0123456789abcdef"
    pressed = [refund(clerk, "call", key=key) for _ in range(2)]
    assert {answer.status_code for answer in pressed} == {303}
    assert len({answer.headers["location"] for answer in pressed}) == 1
    assert gateway.rows("select count(*) from refund") == [(before[0][0] + 1,)]
    assert "1 row was changed" in clerk.get(pressed[0].headers["location"]).text
    wrong = {"p-amount": "1000", "p-invoice_id": "x"}
    for name, value in wrong.items():
        answer = refund(clerk, "call", **{name: value})
        assert answer.status_code == 422
        assert f'id="{name}-error"' in answer.text
        assert "scratched disc" in answer.text
    assert refund(clerk, "call", **{"p-amount": "99"}).status_code in {409, 422}
    assert refund(clerk, "call", key="").status_code == 422
    assert refund(clerk, "call", key=key, **{"p-amount": "2"}).status_code in {409, 422}


def test_a_page_says_what_an_action_takes_and_how_it_is_called(clerk: PortalPerson) -> None:
    page = clerk.get("/actions/refund_invoice?p-invoice_id=7").text
    assert 'value="7"' in page
    assert "a multiple of 0.01" in page
    assert "insert into refund" in page
    assert "gatebook.action(&#39;refund_invoice&#39;, invoice_id=1" in page
    listed = clerk.get("/actions.json").json()["actions"]
    assert [one["name"] for one in listed] == ["refund_invoice"]
    assert "refund_invoice" in clerk.get("/actions.csv").text


def test_an_action_of_a_tool_is_described_and_not_called(gateway: Alone) -> None:
    """Operations have it in their desk alone: the page says so, and a form that they make up is refused."""
    with gateway.person("ops", "operations") as ops:
        page = ops.get("/actions/refund_invoice")
        assert page.status_code == 200
        assert 'name="key"' not in page.text
        assert "this gateway runs without one" in page.text
        before = gateway.rows("select count(*) from refund")
        fields = {"key": "0" * 32, "p-invoice_id": "98", "p-amount": "1", "p-reason": "made up"}
        for step in ("try", "call"):
            assert ops.press(f"/actions/refund_invoice/{step}", **fields).status_code == 403
        assert gateway.rows("select count(*) from refund") == before
    with gateway.person("aud", "auditors") as auditor:
        assert auditor.get("/actions/refund_invoice").status_code == 404
        assert auditor.press("/actions/refund_invoice/call", key="0" * 32).status_code == 404


def test_no_other_page_calls_an_action(gateway: Alone, clerk: PortalPerson) -> None:
    before = gateway.rows("select count(*) from refund")
    assert refund(clerk, "call", origin="https://elsewhere.example").status_code == 403
    assert refund(clerk, "call", xsrf="0" * 43).status_code == 403
    assert clerk.get("/actions/refund_invoice/call?p-amount=1").status_code in {404, 405}
    assert gateway.rows("select count(*) from refund") == before


# ── what is kept ──


def test_what_is_marked_stands_first_and_is_nobody_elses(gateway: Alone, fay: PortalPerson) -> None:
    """Marked, shown first, unmarked; what cannot be opened any more is not shown; nothing leads elsewhere."""
    mark = {"kind": "action", "name": "refund_invoice", "mark": "yes", "next": "/actions"}
    answer = fay.press("/favourites", **mark)
    assert answer.headers["location"] == "/actions"
    assert "Your favourites" in fay.get("/").text
    assert next(one for one in things(fay) if one["is_first"])["title"] == "Refund invoice"
    with gateway.person("ana", "analysts") as analyst:
        assert "Your favourites" not in analyst.get("/").text
        # Marking something is no way to learn that it is there, and gives no right.
        analyst.press("/favourites", **mark)
        assert "Refund invoice" not in analyst.get("/").text
        assert "Refund invoice" not in json.dumps(things(analyst))
        assert analyst.get("/actions/refund_invoice").status_code == 404
    fay.press("/favourites", **{**mark, "mark": "no"})
    assert "Your favourites" not in fay.get("/").text
    for elsewhere in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example"):
        assert fay.press("/favourites", **{**mark, "mark": "no", "next": elsewhere}).headers["location"] == "/"
    assert fay.press("/favourites", **{**mark, "kind": "password"}).status_code == 422
    assert fay.press("/favourites", **{**mark, "name": "x" * 161}).status_code == 422
    assert fay.press("/favourites", **{**mark, "name": ""}).status_code == 422
    assert fay.press("/favourites", origin="https://elsewhere.example", **mark).status_code == 403


def test_there_are_not_more_favourites_than_somebody_reads(gateway: Alone) -> None:
    with gateway.person("hoarder", "analysts") as person:
        answers = [
            person.press("/favourites", kind="table", name=f"chinook.t{number}", mark="yes").status_code
            for number in range(101)
        ]
    assert answers == [303] * 100 + [422]


def test_what_was_used_last_is_at_hand(gateway: Alone) -> None:
    with gateway.person("uma", "analysts") as person:
        assert "What you used last" not in person.get("/").text
        headers = {"Authorization": f"Bearer {gateway.token('uma', 'analysts')}"}
        body = {"source": "chinook", "sql": "select name from genre"}
        assert person.http.post("/api/v1/query", json=body, headers=headers).status_code == 200
        page = person.get("/").text
        assert "What you used last" in page
        assert "/catalogue/chinook#table-genre" in page


# ── search ──


def test_one_search_finds_names_requests_and_records_that_one_may_see(gateway: Alone) -> None:
    with gateway.person("rea", "reviewers", "operations") as person:
        page = person.press("/find", text="invoice").text
        for title in ("invoice", "invoice.total", "Refund invoice"):
            assert f">{title}</a>" in page, title
        assert "What was paid, in dollars" in person.press("/find", text="invoice total").text
        assert "Almeida" in person.press("/find", text="almeida").text
        assert person.get("/find?text=almeida").text.count("Almeida") == 0
        assert "Not searched" not in page


def test_names_at_hand_are_only_those_of_the_person(gateway: Alone, clerk: PortalPerson) -> None:
    """Neither tables, nor requests, nor actions of others; and nothing for who has not signed in."""
    refund(clerk, "call", key="fedcba9876543210", **{"p-amount": "0.01"})
    kinds = {one["kind"] for one in things(clerk)}
    assert {"action", "source", "table", "request"} <= kinds
    assert "employee" not in {one["title"] for one in things(clerk)}
    with gateway.person("ana", "analysts") as analyst:
        seen = things(analyst)
        assert "request" not in {one["kind"] for one in seen}
        assert "scratched disc" not in json.dumps(seen)
    assert httpx.get(f"{gateway.url}/find/at-hand.json").status_code == 401


@pytest.mark.browser
@pytest.mark.slow
def test_the_palette_leads_there_by_keyboard_alone(clerk: PortalPerson, browser: Browser) -> None:
    """Ctrl+K, some letters, Enter; Escape leaves; a text of somebody's is text; what is typed is in no address."""
    with clerk.in_browser(browser, viewport={"width": 1000, "height": 800}) as page:
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda told: said.append(told.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{clerk.gateway.url}/inbox")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox", name="What do you look for?")).to_be_focused()
        expect(page.get_by_role("option", name="Catalogue")).to_be_visible()
        page.keyboard.type("refund inv")
        expect(page.get_by_role("option").first).to_contain_text("Refund invoice")
        expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "palette.png")
        page.keyboard.press("Enter")
        page.wait_for_url("**/actions/refund_invoice")
        page.get_by_label("Invoice", exact=True).fill("98")
        page.get_by_label("Amount").fill("0.5")
        page.get_by_label("Why", exact=True).fill("late")
        page.get_by_role("button", name="Show what it would do").click()
        expect(page.get_by_role("heading", name="What it would do")).to_be_visible()
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "action.png", full_page=True)
        page.keyboard.press("Control+k")
        page.keyboard.type("<img src=x onerror=alert(1)>")
        expect(page.get_by_role("option").last).to_contain_text("Search everything for “<img src=x onerror=alert(1)>”")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.keyboard.press("/")
        page.keyboard.type("nobody@example.org")
        page.keyboard.press("Enter")
        page.wait_for_url("**/find")
        expect(page.get_by_role("main")).to_contain_text("Nothing that you may see is found by this")
        assert not [url for url in asked if "nobody" in url]
        assert said == []


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("scheme,width", [("light", 1280), ("dark", 320)])
def test_pages_of_search_and_actions_are_accessible(
    clerk: PortalPerson, browser: Browser, axe_script: Path, scheme: Any, width: int
) -> None:
    clerk.press("/favourites", kind="table", name="chinook.invoice", mark="yes")
    wanted = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
    wrong = []
    with clerk.in_browser(browser, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        for path in ("/", "/actions", "/actions/refund_invoice", "/find", "/catalogue/chinook", "palette"):
            if path == "palette":
                page.get_by_role("link", name="Search", exact=False).first.click()
                page.keyboard.type("invoice")
                expect(page.get_by_role("option").first).to_be_visible()
            else:
                page.goto(clerk.gateway.url + path)
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"{scheme}{path.replace('/', '-')}.png")
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wrong.append(f"{path} is wider than {width} px")
            page.evaluate(axe_script.read_text(encoding="utf-8"))
            report = page.evaluate("options => axe.run(document, options)", wanted)
            wrong += [f"{path}: {one['id']}: {one['nodes'][0]['html'][:160]}" for one in report["violations"]]
    assert wrong == []
