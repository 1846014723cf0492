"""The portal as people meet it: they get in and out, nobody presses for them, and every page works for everybody.

A real gateway without a Hub, real Chromium; the last story signs in through a real Hub.
"""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.stories.gateway import Gateway, PortalPerson, field
from tests.stories.workspace import Workspace

import gatebook
from gatebook.changes import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
HOME = "What do you want to do?"
FORMULA = '=HYPERLINK("http://evil.example","click")'
TRAP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with Gateway(
        tmp_path_factory.mktemp("portal"), chinook_template, environment={"GATEBOOK_LIMIT_REQUEST_BURST": "5000"}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def people(gateway: Gateway) -> Iterator[Callable[..., PortalPerson]]:
    """Who is signed in already: each person with their groups, once for all stories, by `people("name", "group")`."""
    with ExitStack() as stack:
        yield cache(lambda *who: stack.enter_context(gateway.person(*who)))


@pytest.fixture
def reviewer(people: Callable[..., PortalPerson]) -> PortalPerson:
    return people("reviewer", "reviewers")


@contextmanager
def signed_in(browser: Browser, person: PortalPerson, **more: Any) -> Iterator[Page]:
    """A browser of its own with the session of somebody who is signed in, on the first page."""
    with person.in_browser(browser, **more) as page:
        page.goto(person.gateway.url)
        expect(page.get_by_role("heading", level=1)).to_have_text(HOME)
        yield page


def ask(gateway: Gateway, city: str = "Kiel", *, reason: str | None = None, rows: int = 1) -> Change:
    """A request of the analyst's for the newest German invoices."""
    connection = gatebook.connect("chinook", url=gateway.url, token=gateway.token("analyst", "analysts"))
    found = gateway.rows("select invoiceid from invoice where billingcountry = 'Germany' order by invoiceid desc")
    change = connection.query(
        "update invoice set billingcity = :city, total = total + 1 where billingcountry = 'Germany' "
        "and invoiceid >= :first",
        city=city,
        first=found[rows - 1][0],
        reason=reason,
    )
    assert isinstance(change, Change)
    return change


@pytest.fixture(scope="module")
def run_id(gateway: Gateway) -> str:
    """A run of the nightly job that failed in a cell and kept a notebook full of traps; reported as the worker does."""
    analyst = {"Authorization": f"Bearer {gateway.token('analyst', 'analysts')}"}
    worker = {"Authorization": f"Bearer {gateway.command('token', 'issue', '--service', 'worker')}"}
    started = httpx.post(f"{gateway.url}/api/v1/jobs/nightly_revenue/runs", json={"parameters": {}}, headers=analyst)
    assert started.status_code == 201, started.text
    claimed = httpx.post(f"{gateway.url}/api/v1/runs/claim", headers=worker).json()
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": TRAP + "<b>bold answer</b>"}}
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"# Revenue\n{TRAP}"},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": "1/0", "execution_count": 1, "outputs": [output]},
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    error = {"cell": 2, "source": "1/0", "name": "ZeroDivisionError", "message": f"division by zero {TRAP}"}
    report = {"ok": False, "token": claimed["token"], "error": error, "notebook": json.dumps(notebook)}
    address = f"{gateway.url}/api/v1/runs/{claimed['run']['id']}"
    httpx.post(f"{address}/progress", json={"done": 1, "total": 2}, headers=worker)
    assert httpx.post(f"{address}/finish", json=report, headers=worker).status_code == 204
    return str(claimed["run"]["id"])


# ── in and out ──


@pytest.mark.parametrize("path", ["/", "/inbox?tab=mine", "/changes/0123456789abcdef", "/audit", "/access", "/pattern"])
def test_a_stranger_is_sent_to_sign_in_and_told_nothing(gateway: Gateway, path: str) -> None:
    """The address they wanted goes along; HEAD is answered like GET, and a download with a problem document."""
    for method in ("GET", "HEAD"):
        answer = httpx.request(method, gateway.url + path)
        assert answer.status_code == 303
        assert parse_qs(urlsplit(answer.headers["location"]).query) == {"next": [path]}
        assert answer.headers["location"].startswith("/sign-in?")
        assert answer.headers["cache-control"] == "no-store"
    for download in ("/inbox.json", "/audit.csv"):
        answer = httpx.get(gateway.url + download)
        assert (answer.status_code, answer.json()["code"]) == (401, "GB-101")


def test_a_link_is_used_up_by_its_button_alone_and_once(gateway: Gateway) -> None:
    """Whoever looks at a link before its owner, a scanner for instance, does not use it up."""
    link = gateway.link("reviewer", "reviewers")
    for _ in range(3):
        assert httpx.get(link).status_code == 200
        assert httpx.head(link).status_code == 200
    person = PortalPerson(gateway, link)
    assert HOME in person.get("/").text
    again = httpx.Client(base_url=gateway.url)
    page = again.get(link).text
    fields = {"xsrf": field(page, "xsrf"), "code": field(page, "code")}
    refused = again.post("/sign-in", data=fields, headers={"Origin": gateway.url})
    assert refused.status_code == 403
    assert "used already" in refused.text
    assert "gatebook_session" not in refused.headers.get("set-cookie", "")
    person.close()
    again.close()


def test_nobody_is_signed_in_by_somebody_elses_page(gateway: Gateway) -> None:
    """A stranger's link can be sent to a victim, but only a page that the victim's own browser loaded presses it."""
    code = parse_qs(urlsplit(gateway.link("mallory", "analysts")).query)["code"][0]
    mallory, victim = httpx.Client(base_url=gateway.url), httpx.Client(base_url=gateway.url)
    xsrf = field(mallory.get(f"/sign-in?code={code}").text, "xsrf")
    fields, own = {"xsrf": xsrf, "code": code}, {"Origin": gateway.url}
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
        assert victim.post("/sign-in", data=fields, headers=headers).status_code == 403
    assert victim.post("/sign-in", data=fields, headers=own).status_code == 403
    victim.get(f"/sign-in?code={code}")
    assert victim.post("/sign-in", data=fields, headers=own).status_code == 403
    assert victim.get("/").status_code == 303
    assert mallory.post("/sign-in", data=fields, headers=own).status_code == 303
    mallory.close()
    victim.close()


def test_the_session_is_new_at_each_sign_in_and_gone_after_sign_out(gateway: Gateway) -> None:
    """A cookie that somebody planted never becomes a session, and the one before ends with the next."""
    link, planted = gateway.link("reviewer", "reviewers"), "planted-by-somebody-else"
    with httpx.Client(base_url=gateway.url, cookies={"gatebook_session": planted}) as client:
        page = client.get(link).text
        fields = {"xsrf": field(page, "xsrf"), "code": field(page, "code")}
        answer = client.post("/sign-in", data=fields, headers={"Origin": gateway.url})
    cookies = answer.headers.get_list("set-cookie")
    [given] = [one for one in cookies if one.startswith("gatebook_session=")]
    secret = given.split("=", 1)[1].split(";")[0]
    assert secret != planted
    assert len(secret) > 40
    assert {"httponly", "path=/", "samesite=lax"} <= {part.strip().lower() for part in given.split(";")}
    assert "domain" not in given.lower()
    first = {"gatebook_session": secret}
    assert httpx.get(gateway.url, cookies={"gatebook_session": planted}).status_code == 303
    assert httpx.get(gateway.url, cookies=first).status_code == 200
    with httpx.Client(base_url=gateway.url, cookies=first) as client:
        page = client.get(gateway.link("reviewer", "reviewers")).text
        fields = {"xsrf": field(page, "xsrf"), "code": field(page, "code")}
        answer = client.post("/sign-in", data=fields, headers={"Origin": gateway.url})
    assert httpx.get(gateway.url, cookies=first).status_code == 303
    second = {"gatebook_session": answer.cookies["gatebook_session"]}
    xsrf = field(httpx.get(gateway.url, cookies=second).text, "xsrf")
    left = httpx.post(f"{gateway.url}/sign-out", data={"xsrf": xsrf}, headers={"Origin": gateway.url}, cookies=second)
    assert (left.status_code, left.headers["location"]) == (303, "/signed-out")
    assert httpx.get(gateway.url, cookies=second).status_code == 303


@pytest.mark.parametrize("elsewhere", [
    "//evil.example", "/\\evil.example", "http://evil.example/", "https:evil.example", "javascript:alert(1)",
    "/%09/evil.example", "/\t/evil.example", "\\\\evil.example", "/sign-in?next=/sign-in", "/oauth_callback", " //evil",
])  # fmt: skip
def test_nobody_is_led_elsewhere_after_sign_in(reviewer: PortalPerson, elsewhere: str) -> None:
    """Only a path of the portal counts as a place to go on to."""
    location = reviewer.get("/sign-in", params={"next": elsewhere}).headers["location"]
    assert urlsplit(location).netloc == ""
    assert re.match(r"/(?![/\\])", location)
    assert not location.startswith("/sign-in")
    assert reviewer.get("/sign-in", params={"next": "/inbox?tab=mine"}).headers["location"] == "/inbox?tab=mine"


def test_a_session_counts_on_the_portals_own_host_alone(gateway: Gateway, reviewer: PortalPerson) -> None:
    """Another name for the same machine is another site: no session, or no answer."""
    cookies = dict(reviewer.http.cookies)
    for host, status in ((f"127.0.0.1:{gateway.port}", 200), ("127.0.0.1", 303), (f"127.0.0.1:{gateway.port + 1}", 303),
                         (f"localhost:{gateway.port}", 422), ("evil.example", 422)):  # fmt: skip
        answer = httpx.get(f"{gateway.url}/", headers={"Host": host}, cookies=cookies)
        assert answer.status_code == status, host


# ── presses ──


def test_no_other_page_presses_a_button(
    gateway: Gateway, people: Callable[..., PortalPerson], reviewer: PortalPerson
) -> None:
    """Wrong, missing or opaque Origin; missing, wrong or another person's token; another kind of body; a GET."""
    change = ask(gateway, "Pressed")
    path = f"/changes/{change.id}/review"
    verdict = {"verdict": "approve", "digest": str(change.digest)}
    for origin in ("http://evil.example", "null", None, f"http://127.0.0.1:{gateway.port + 1}",
                   f"http://localhost:{gateway.port}",
                   f"https://127.0.0.1:{gateway.port}", f"{gateway.url}/"):  # fmt: skip
        assert reviewer.press(path, origin=origin, **verdict).status_code == 403, origin
    for xsrf in ("", "wrong", "ä", people("second", "reviewers").xsrf):
        refused = reviewer.press(path, **verdict, xsrf=xsrf)
        assert refused.status_code == 403
        assert "The page was too old" in refused.text
    own = {"Origin": gateway.url}
    assert reviewer.http.post(path, data=verdict, headers=own).status_code == 403
    body = {**verdict, "xsrf": reviewer.xsrf}
    assert reviewer.http.post(path, json=body, headers=own).status_code == 422
    assert reviewer.http.post(path, files={"xsrf": (None, "x")}, headers=own).status_code == 422
    twice = f"xsrf={reviewer.xsrf}&verdict=reject&verdict=approve&digest={change.digest}"
    form = {**own, "Content-Type": "application/x-www-form-urlencoded"}
    assert reviewer.http.post(path, content=twice, headers=form).status_code == 422
    for address in (path, f"/changes/{change.id}/withdraw", "/sign-out"):
        answer = reviewer.get(address, params=body)
        assert answer.status_code == 405
        assert "<h1>" in answer.text
    assert httpx.post(gateway.url + path, data=body, headers=own).status_code == 401
    assert change.refresh().state == "awaiting_review"
    assert reviewer.press(path, **verdict).status_code == 303
    assert change.refresh().state == "executed"


def test_who_presses_too_late_sees_what_happened_since_they_looked(
    gateway: Gateway, people: Callable[..., PortalPerson], reviewer: PortalPerson, browser: Browser
) -> None:
    """Two reviewers have the page open: the second one's press is a conflict, whose page keeps what they typed."""
    change = ask(gateway, "Late")
    with signed_in(browser, people("second", "reviewers")) as page:
        page.goto(f"{gateway.url}/changes/{change.id}")
        seen = field(reviewer.get(f"/changes/{change.id}").text, "seen")
        form = {"digest": str(change.digest), "seen": seen}
        assert reviewer.press(f"/changes/{change.id}/comments", comment="seen the letter").status_code == 303
        page.get_by_label("Why do you approve or reject it?").fill("as agreed")
        with page.expect_response(f"**/changes/{change.id}/review") as answered:
            page.click("button[value=approve]")
        assert answered.value.status == 409
        expect(page.get_by_role("region", name="Since you looked")).to_contain_text("reviewer commented on it")
        expect(page.get_by_label("Why do you approve or reject it?")).to_have_value("as agreed")
        assert change.refresh().state == "awaiting_review"
        page.click("button[value=approve]")
        expect(page.locator("main")).to_contain_text("the change is executed")
    assert change.refresh().state == "executed"
    late = reviewer.press(f"/changes/{change.id}/review", verdict="approve", reason="me too", **form)
    assert late.status_code == 409
    for line in ("second approved it", "second had it executed", "You had written: me too"):
        assert line in late.text


class HostileSite(BaseHTTPRequestHandler):
    """Somebody else's page; it is told where the portal is by its query, as the attacker would know."""

    def do_GET(self) -> None:
        """A form that sends itself, a request by script, and the portal in a frame."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        action = f"{asked['portal']}/changes/{asked['change']}/review"
        fields = f'<input name="verdict" value="approve"><input name="digest" value="{asked["digest"]}">'
        match asked["way"]:
            case "form":
                body = f'<form id="f" method="post" action="{action}">{fields}</form><script>f.submit()</script>'
            case "script":
                body = f"""<p id="told"></p><script>
                  const said = [], ways = [["{asked["portal"]}/", {{}}], ["{action}", {{method: "POST",
                    headers: {{"Content-Type": "application/x-www-form-urlencoded"}},
                    body: "verdict=approve&digest={asked["digest"]}"}}]];
                  (async () => {{
                    for (const [url, more] of ways)
                      try {{ said.push((await fetch(url, {{credentials: "include", ...more}})).status) }}
                      catch (error) {{ said.push("unreadable") }}
                    told.textContent = said.join(" ")
                  }})()</script>"""
            case _:
                body = f'<iframe id="frame" src="{asked["portal"]}/changes/{asked["change"]}"></iframe>'
        content = f"<!DOCTYPE html><title>hostile</title>{body}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_parts: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def hostile_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), HostileSite) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_hostile_page_in_the_reviewers_browser_gets_nowhere(
    gateway: Gateway, reviewer: PortalPerson, browser: Browser, hostile_port: int, host: str
) -> None:
    """Not even one on the portal's own host name with another port, to which the browser counts the cookie."""
    change = ask(gateway, f"Hostile {host}")
    where = f"http://{host}:{hostile_port}/?portal={gateway.url}&change={change.id}&digest={change.digest}&way="
    with signed_in(browser, reviewer) as page:
        page.goto(where + "form")
        page.wait_for_url(f"{gateway.url}/**")
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Not permitted|Not authenticated"))
        page.goto(where + "script")
        expect(page.locator("#told")).to_have_text("unreadable unreadable")
        page.goto(where + "frame")
        page.wait_for_load_state("networkidle")
        assert "Approve" not in page.frames[-1].content()
        page.goto(change.url)
        expect(page.get_by_role("button", name="Approve")).to_be_visible()
    assert change.refresh().state == "awaiting_review"
    assert change.refresh().reviews == ()


# ── pages ──


@pytest.fixture(scope="module")
def addresses(gateway: Gateway, run_id: str) -> list[str]:
    """Every page with real content behind it."""
    change = ask(gateway, "Köln <b>&", reason=FORMULA, rows=5)
    return [
        "/", "/inbox", "/inbox?tab=mine", "/inbox?tab=all", "/inbox?tab=done", f"/changes/{change.id}",
        f"/changes/{change.id}?notice=approved", "/catalogue", "/catalogue?q=email", "/catalogue?q=nothing+has+this",
        "/catalogue/chinook", "/actions", "/actions/no_such_action", "/find",
        "/audit", "/audit?kind=query.intent", "/audit?since=nonsense", "/audit/2", "/runs",
        "/runs?job=nightly_revenue&state=failed", f"/runs/{run_id}", "/access", "/saved", "/saved?tab=mine&q=none",
        "/saved/new", "/saved/0000000000000000", "/pattern", "/sign-in?code=x",
        "/no-such-page", "/changes/0000000000000000", "/changes/withdraw/review",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("scheme,width", [("light", 1280), ("dark", 320)])
def test_every_page_with_real_content_is_accessible(
    people: Callable[..., PortalPerson],
    addresses: list[str],
    browser: Browser,
    axe_script: Path,
    scheme: str,
    width: int,
) -> None:
    """Axe finds nothing, nothing scrolls sideways, and the content security policy has nothing to complain about."""
    axe, wrong = axe_script.read_text(encoding="utf-8"), []
    more = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    person = people("everything", "analysts", "reviewers", "auditors")
    with signed_in(browser, person, **more) as page:
        page.on(
            "console", lambda said: wrong.append(f"{page.url}: {said.text}") if "status of 4" not in said.text else 0
        )
        for path in addresses:
            page.goto(person.gateway.url + path)
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wrong.append(f"{path} is wider than {width} px")
            page.evaluate(axe)
            report = page.evaluate("options => axe.run(document, options)", WCAG)
            wrong += [
                f"{path}: {found['id']}: {found['help']}: {node['html'][:160]}"
                for found in report["violations"]
                for node in found["nodes"]
            ]
    assert wrong == []


@pytest.mark.parametrize("who", [("analyst", "analysts"), ("reviewer", "reviewers"), ("ops", "operations"),
                                 ("auditor", "auditors"), ("admin", "operators"), ("nobody", "")])  # fmt: skip
def test_every_page_answers_everybody_without_a_fault(
    gateway: Gateway, people: Callable[..., PortalPerson], addresses: list[str], who: tuple[str, str]
) -> None:
    """Whatever somebody may see, a page says it or says why not; headers forbid framing, sniffing and keeping."""
    person = people(*who)
    for path in addresses:
        answer = person.get(path)
        assert answer.status_code < 500, path
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.text.count("<script") == answer.text.count('<script src="/static/palette.js?v=') <= 1
        assert person.http.head(path).status_code == answer.status_code
    assert "Traceback" not in gateway.tail(1000)


def test_a_reviewer_approves_with_the_keyboard_alone(
    gateway: Gateway, reviewer: PortalPerson, browser: Browser
) -> None:
    """From the first page to the notice, with Tab, Enter and letters."""
    change = ask(gateway, "Keyboard")

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.locator(":focus").evaluate("(one, wanted) => one.matches(wanted)", selector):
                return
        pytest.fail(f"the keyboard does not reach {selector} on {page.url}")

    with signed_in(browser, reviewer) as page:
        tab_to("nav a[href='/inbox']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/inbox")
        tab_to(f"main a[href='/changes/{change.id}']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/changes/*")
        tab_to("textarea")
        page.keyboard.type("typed, not clicked")
        tab_to("button[value=approve]")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("the change is executed")
    assert change.refresh().reviews[0].reason == "typed, not clicked"


def test_everything_works_without_scripts(gateway: Gateway, browser: Browser) -> None:
    """Sign in, search, filter, reject, sign out."""
    change = ask(gateway, "No script")
    context = browser.new_context(java_script_enabled=False)
    with closing(context):
        page = context.new_page()
        page.goto(gateway.link("reviewer", "reviewers", "auditors"))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Search tools, tables, requests").fill("birthday cake")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("main")).to_contain_text("Nothing that you may see is found by this")
        page.get_by_label("Search tools, tables, requests").fill("billingcity")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="invoice.billingcity").click()
        page.wait_for_url("**/catalogue/chinook#table-invoice")
        page.goto(change.url)
        page.get_by_label("Why do you approve or reject it?").fill("no")
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("status")).to_contain_text("Your rejection is recorded.")
        page.get_by_role("link", name="Audit").click()
        page.get_by_label("Kind").select_option("change.reviewed")
        page.get_by_role("button", name="Show events").click()
        expect(page.get_by_role("region", name="Events")).to_contain_text("reviewed a change request: reject")
        page.get_by_role("region", name="Events").get_by_role("rowheader").first.get_by_role("link").press("Enter")
        expect(page.get_by_role("main")).to_contain_text("Yes. It is one of the")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")


def test_a_notice_is_told_only_if_it_is_true(gateway: Gateway, reviewer: PortalPerson) -> None:
    """The address may come from anybody, so it cannot make the page say what did not happen."""
    change = ask(gateway, "Notice")
    for notice in ("approved", "rejected", "executed", "withdrawn", "Your account is blocked"):
        page = reviewer.get(f"/changes/{change.id}", params={"notice": notice}).text
        assert 'class="box good"' not in page
        assert "blocked" not in page


def test_downloads_are_data_and_never_formulas(gateway: Gateway, people: Callable[..., PortalPerson]) -> None:
    """A reason that a spreadsheet would run arrives as text; JSON has it as it was typed."""
    change = ask(gateway, "Download", reason=FORMULA)
    person = people("everything", "analysts", "reviewers", "auditors")
    inbox = person.get("/inbox.csv?tab=all")
    assert inbox.headers["content-disposition"].startswith("attachment;")
    assert inbox.headers["content-type"] == "text/csv; charset=utf-8"
    [ours] = [row for row in csv.DictReader(io.StringIO(inbox.text.lstrip("\ufeff"))) if row["id"] == change.id]
    assert ours["reason"] == f"'{FORMULA}"
    [same] = [row for row in person.get("/inbox.json?tab=all").json()["changes"] if row["id"] == change.id]
    assert same["reason"] == FORMULA
    for name in ("audit", "runs", "catalogue", "access"):
        text = person.get(f"/{name}.csv").text.lstrip("\ufeff")
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert len(cells) > 4
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "-", "\t"))]
        assert person.get(f"/{name}.json").json()


def test_the_book_is_searched_by_pages_and_proves_its_events(
    gateway: Gateway, people: Callable[..., PortalPerson], reviewer: PortalPerson
) -> None:
    """Filters are links, an older page follows the newer, and an event's page holds its inclusion proof."""
    auditor = people("auditor", "auditors")
    for _ in range(60):
        reviewer.get("/catalogue/chinook")
    ask(gateway, "Searched", reason="find me")  # what a look leaves behind is written with the next event that must be
    first = auditor.get("/audit?kind=schema.read").text
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    numbers = re.findall(r"Event </span>(\d+)", first)
    assert len(numbers) == 50
    following = re.findall(r"Event </span>(\d+)", auditor.get(older[1].replace("&amp;", "&")).text)
    assert following
    assert max(map(int, following)) < min(map(int, numbers))
    by_name = auditor.get("/audit.json?principal=analyst&table=invoice").json()["events"]
    assert {one["principal"] for one in by_name} == {"user:analyst"}
    assert by_name[0]["reason"] == "find me"
    page = auditor.get(f"/audit/{by_name[0]['index']}").text
    assert "Yes. It is one of the" in page
    assert auditor.get("/audit/checkpoint").text.startswith("gatebook")
    assert reviewer.get(f"/audit/{by_name[0]['index']}").status_code == 404
    assert reviewer.get("/audit?principal=user:analyst").status_code == 403
    own = {one["principal"] for one in reviewer.get("/audit.json").json()["events"]}
    assert own == {"user:reviewer"}


def test_a_runs_notebook_is_shown_without_running_anything(
    gateway: Gateway, people: Callable[..., PortalPerson], run_id: str, browser: Browser
) -> None:
    """Its scripts do not run, it has no origin, and strangers to the job do not see it."""
    with signed_in(browser, people("analyst", "analysts")) as page:
        page.goto(f"{gateway.url}/runs/{run_id}")
        expect(page.get_by_role("heading", name="Cell 2 failed")).to_be_visible()
        expect(page.get_by_role("main")).to_contain_text("ZeroDivisionError")
        with page.expect_response(f"**/runs/{run_id}/notebook") as caught:
            page.get_by_role("link", name="Read the executed notebook").click()
        policy = caught.value.headers["content-security-policy"]
        assert policy.startswith("sandbox;")
        assert "allow-" not in policy
        assert "'none'" in policy
        expect(page.get_by_text("bold answer")).to_be_visible()
        assert page.title() != "owned"
        page.goto(f"{gateway.url}/runs/{run_id}")
        with page.expect_download() as download:
            page.get_by_role("link", name="download it").click()
        assert download.value.suggested_filename == f"{run_id}.ipynb"
    for path in (f"/runs/{run_id}", f"/runs/{run_id}/notebook", f"/runs/{run_id}/notebook.ipynb"):
        assert people("ops", "operations").get(path).status_code == 404


def test_files_are_kept_and_asked_about_again(gateway: Gateway) -> None:
    """The style sheet's address names its version, so it may be kept; elsewhere its tag answers for it."""
    page = httpx.get(f"{gateway.url}/sign-in").text
    [address] = re.findall(r'href="(/static/gatebook\.css\?v=\w+)"', page)
    full = httpx.get(gateway.url + address)
    assert full.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = f"{gateway.url}/static/gatebook.css"
    assert httpx.get(plain).headers["cache-control"] == "public, max-age=300"
    again = httpx.get(plain, headers={"If-None-Match": full.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("..%2froutes.py", "%2e%2e/routes.py", "nothing.css"):
        assert httpx.get(f"{gateway.url}/static/{name}").status_code == 404


# ── with a Hub ──


@pytest.mark.hub
@pytest.mark.slow
def test_people_sign_in_at_the_hub_and_lose_the_portal_with_it(browser: Browser) -> None:
    """OAuth with PKCE; the way back works once and in that browser alone; after log-out at the Hub no button works."""
    with Workspace(services=("gateway",)) as workspace:
        portal, hub = workspace.settings.portal_url, workspace.settings.hub_url
        context = browser.new_context()
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{portal}/inbox?tab=all")
        page.locator("#username_input").fill("reviewer")
        page.locator("#password_input").fill(workspace.password("reviewer"))
        page.locator("#login_submit").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Inbox")
        assert page.url == f"{portal}/inbox?tab=all"
        expect(page.get_by_role("contentinfo")).to_contain_text("reviewers")
        [authorize] = [url for url in asked if url.startswith(f"{hub}/hub/api/oauth2/authorize")][:1]
        sent = parse_qs(urlsplit(authorize).query)
        assert sent["code_challenge_method"] == ["S256"]
        assert len(sent["code_challenge"][0]) == 43
        session = [cookie for cookie in context.cookies() if "gatebook" in cookie.get("name", "")]
        assert [(one.get("name"), one.get("domain")) for one in session] == [("gatebook_session", "127.0.0.1")]
        assert not [one for one in context.cookies(hub) if "gatebook" in one.get("name", "")]
        [back] = [url for url in asked if url.startswith(f"{portal}/oauth_callback")]
        assert page.goto(back).status == 401
        _check_login_needs_its_browser(workspace, portal)
        assert httpx.get(f"{portal}/sign-in?code=x").headers["location"].startswith(f"{hub}/hub/api/oauth2/authorize")
        page.goto(f"{portal}/inbox")
        xsrf = str(page.locator("input[name=xsrf]").first.get_attribute("value"))
        page.goto(f"{hub}/hub/logout")
        pressed = httpx.post(
            f"{portal}/sign-out",
            data={"xsrf": xsrf},
            headers={"Origin": portal},
            cookies={"gatebook_session": session[0].get("value", "")},
        )
        assert pressed.status_code == 401
        page.goto(f"{portal}/inbox")
        expect(page.locator("#login_submit")).to_be_visible()
        context.close()


def _check_login_needs_its_browser(workspace: Workspace, portal: str) -> None:
    """Mallory logs in and hands the way back to a victim, whose browser never began it."""
    mallory = workspace.person("analyst")
    mallory.browser.follow_redirects = False
    location = mallory.browser.get(f"{portal}/sign-in?next=//evil.example").headers["location"]
    while not location.startswith(f"{portal}/oauth_callback"):
        location = str(httpx.URL(location) if "://" in location else httpx.URL(workspace.settings.hub_url + location))
        location = mallory.browser.get(location).headers["location"]
    victim = httpx.get(location)
    assert victim.status_code == 401
    assert "gatebook_session" not in victim.headers.get("set-cookie", "")
    late = mallory.browser.get(location)
    assert (late.status_code, late.headers["location"]) == (303, "/")
    assert mallory.browser.get(location).status_code == 401
    mallory.close()
