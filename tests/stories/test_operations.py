"""Operations use a curated tool and nothing else: look up a customer, refund an invoice, reach nothing beyond.

`ops` may use the desk and its refund; `reviewer` may open the desk too and serves as the other viewer. A real Hub,
gateway and tools service; the person's part in Chromium, the attacker's over HTTP and websockets with the person's own
cookies.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.stories.workspace import Person, Workspace
from websocket import WebSocket, WebSocketBadStatusException, WebSocketException, create_connection

from gatebook_hub.front.accounts import may_isolate

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]
isolated = pytest.mark.skipif(not may_isolate(), reason="trial mode: one Linux account for everything")

DESK = "/services/tools/customer_desk"
SHOTS = os.environ.get("GBTEST_SHOTS")
CUSTOMER, INVOICE, LARGE_INVOICE = 12, 395, 166
BEFORE_DRAWN_MS = 30_000
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace(services=("gateway", "tools")) as running:
        yield running


@contextlib.contextmanager
def signed_in(browser: Browser, workspace: Workspace, name: str, **how: Any) -> Iterator[Page]:
    """Somebody's browser, at the tool's page."""
    context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    try:
        page = context.new_page()
        page.goto(workspace.settings.hub_url + DESK)
        page.fill("#username_input", name)
        page.fill("#password_input", workspace.password(name))
        page.click("#login_submit")
        yield page
    finally:
        context.close()


@pytest.fixture
def desk(browser: Browser, workspace: Workspace) -> Iterator[Page]:
    """The desk, drawn, with `ops` in front of it."""
    with signed_in(browser, workspace, "ops") as page:
        page.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=BEFORE_DRAWN_MS)
        yield page


@pytest.fixture(scope="module")
def ops(workspace: Workspace) -> Iterator[Person]:
    with contextlib.closing(workspace.person("ops")) as person:
        yield person


@pytest.fixture(scope="module")
def reviewer(workspace: Workspace) -> Iterator[Person]:
    with contextlib.closing(workspace.person("reviewer")) as person:
        yield person


def find(page: Page, name: str = "Alm", customer: int = CUSTOMER) -> None:
    page.get_by_label("Name, number, whole e-mail or phone").fill(name)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name=f"Choose {customer},").click()


def ask_for_refund(page: Page, invoice: int, amount: str, why: str = "charged twice") -> None:
    page.get_by_role("button", name=f"Choose {invoice},").click()
    form = page.locator(".gb-form").filter(has_text="Refund invoice")
    expect(form.get_by_text(str(invoice), exact=True)).to_be_visible()
    form.get_by_label("Amount").fill(amount)
    form.get_by_label("Why").fill(why)
    form.get_by_role("button", name="Refund invoice", exact=True).click()


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def refunds(workspace: Workspace, invoice: int) -> list[tuple[float, str]]:
    """What the database itself says."""
    path = workspace.settings.state / "databases" / "chinook.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "select amount, createdby from refund where invoiceid = ? order by refundid", (invoice,)
        ).fetchall()


# ── what works ──


def test_a_customer_is_found_and_their_data_arrive_masked(desk: Page) -> None:
    """Search, choose, look: the e-mail address is masked and says so."""
    find(desk)
    facts = desk.locator(".gb-record-part")
    expect(facts.get_by_text("Almeida")).to_be_visible()
    expect(facts.get_by_text("r***@riotur.gov.br")).to_be_visible()
    expect(facts.get_by_text("masked").first).to_be_visible()
    expect(desk.get_by_role("region", name="Invoices").get_by_role("row")).to_have_count(8)
    shoot(desk, "desk-customer")


def test_a_small_refund_is_done_at_once(workspace: Workspace, desk: Page) -> None:
    """One question, one press, one row; the table shows it."""
    before = refunds(workspace, INVOICE)
    find(desk)
    ask_for_refund(desk, INVOICE, "1.00")
    expect(desk.get_by_text(f"Refund 1.00 on invoice {INVOICE}?")).to_be_visible()
    shoot(desk, "desk-question")
    desk.get_by_role("button", name="Yes, refund invoice").click()
    expect(desk.get_by_text("Done: 1 row changed")).to_be_visible()
    expect(desk.get_by_role("row", name=re.compile(rf"Choose {INVOICE},"))).to_contain_text(f"{len(before) + 1}.00")
    assert refunds(workspace, INVOICE) == [*before, (1.0, "ops")]
    shoot(desk, "desk-done")


def test_a_large_refund_waits_for_a_reviewer(workspace: Workspace, desk: Page) -> None:
    """Above 5.00 nothing is written; the card says what it waits for and where."""
    find(desk)
    ask_for_refund(desk, LARGE_INVOICE, "6,00")
    desk.get_by_role("button", name="Yes, refund invoice").click()
    card = desk.locator(".gb-card")
    expect(card.get_by_text("Awaiting review")).to_be_visible()
    expect(card.get_by_text("approval by reviewers needed")).to_be_visible()
    link = card.get_by_role("link", name="Open its page").get_attribute("href") or ""
    assert link.startswith(workspace.settings.portal_url)
    assert refunds(workspace, LARGE_INVOICE) == []
    shoot(desk, "desk-card")


def test_what_does_not_fit_is_said_at_the_field(workspace: Workspace, desk: Page) -> None:
    """A wrong amount and a missing reason never leave the page."""
    before = refunds(workspace, INVOICE)
    find(desk)
    ask_for_refund(desk, INVOICE, "1.005", why="")
    expect(desk.get_by_text("Amount has to be a multiple of 0.01.")).to_be_visible()
    expect(desk.get_by_text("Why is missing.")).to_be_visible()
    expect(desk.get_by_role("button", name="Yes, refund invoice")).to_be_hidden()
    shoot(desk, "desk-wrong")
    assert refunds(workspace, INVOICE) == before


def test_what_the_gateway_refuses_is_a_sentence_with_a_reference(desk: Page) -> None:
    """More than is left of the invoice: the action's own words, and the number under which it is in the book."""
    find(desk)
    ask_for_refund(desk, 155, "4.99")
    complaint = desk.locator(".gb-form-part .gb-status.gb-bad")
    expect(complaint).to_contain_text(re.compile("above what is left", re.IGNORECASE))
    expect(complaint).to_contain_text("reference")
    shoot(desk, "desk-refused")


def test_a_page_that_waits_opens_fast_and_a_reload_gets_a_kernel_of_its_own(desk: Page) -> None:
    """Each page has one kernel, and the next is ready by then."""
    first = kernel_on(desk.content())
    desk.wait_for_timeout(4000)
    began = time.monotonic()
    desk.reload()
    desk.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=BEFORE_DRAWN_MS)
    assert kernel_on(desk.content()) != first
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_desk_is_accessible_wide_and_narrow_light_and_dark(
    browser: Browser, workspace: Workspace, axe_script: Path, scheme: str, width: int
) -> None:
    """Checked with axe, and nothing but tables scrolls sideways."""
    how = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with signed_in(browser, workspace, "ops", **how, bypass_csp=True) as page:
        page.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=BEFORE_DRAWN_MS)
        find(page)
        ask_for_refund(page, 34, "x")
        expect(page.get_by_text("Amount has to be a number.")).to_be_visible()
        shoot(page, f"desk-{scheme}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.add_script_tag(path=axe_script)
        found = page.evaluate("tags => axe.run(document, { runOnly: tags }).then(r => r.violations)", WCAG)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        page.goto(f"{workspace.settings.hub_url}/services/tools/")
        expect(page.get_by_role("link", name="Customer desk")).to_be_visible()
        shoot(page, f"index-{scheme}-{width}")


def test_the_other_viewer_has_the_tool_but_not_the_action(browser: Browser, workspace: Workspace) -> None:
    """The tool is open to reviewers; the refund is not, and the form says so."""
    with signed_in(browser, workspace, "reviewer") as page:
        page.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=BEFORE_DRAWN_MS)
        find(page)
        page.get_by_role("button", name=f"Choose {INVOICE},").click()
        told = page.locator(".gb-form-part .gb-status.gb-bad").filter(has_text="refund_invoice")
        expect(told).to_contain_text("is not granted to you here")
        expect(page.get_by_label("Amount")).to_have_count(0)


def test_who_has_no_grant_is_told_what_to_ask_for(browser: Browser, workspace: Workspace) -> None:
    """An auditor is known, but the desk is not theirs."""
    with signed_in(browser, workspace, "auditor") as page:
        expect(page.get_by_role("heading", name="Customer desk is not open to you")).to_be_visible()
        expect(page.get_by_text("Ask the tool's owner for a grant of the tool customer_desk")).to_be_visible()
        shoot(page, "desk-not-yours")
        page.get_by_role("link", name="All tools that are open to you").click()
        expect(page.get_by_role("link", name="Audit for managers")).to_be_visible()
        expect(page.get_by_role("link", name="Customer desk")).to_have_count(0)


# ── what must not work: other doors ──


def test_operations_reach_no_notebook_server(workspace: Workspace, ops: Person) -> None:
    """Neither a server of their own nor anybody else's, nor its JupyterLab, terminals or contents."""
    assert ops.hub_api("POST", "users/ops/server").status_code in {403, 404}
    for path in ("/user/ops/lab", "/user/analyst/lab", "/user/analyst/api/contents", "/user/analyst/api/terminals"):
        answer = ops.browser.get(ops.hub + path, follow_redirects=True)
        assert answer.status_code in {403, 404, 424, 503}, path
    assert ops.hub_api("POST", "users/ops/tokens", json={}).status_code in {403, 404}
    assert not [process for process in workspace.processes() if "gatebook_server.singleuser" in str(process.cmdline())]


@pytest.mark.parametrize(
    "path",
    [
        "lab", "tree", "api/contents", "api/contents/customer_desk.ipynb", "api/kernels", "api/sessions",
        "api/terminals",
        "api/kernelspecs", "terminals/1", "files/x", "voila/tree", "voila/render/customer_desk.ipynb",
        "voila/files/customer_desk.ipynb", "voila/api/contents", "customer_desk.ipynb", "gatebook/api/v1/me",
        "static/../templates/layout.html", "static/%2e%2e/service.py", "voila/static/..%2f..%2f..%2fapp.py",
    ],
)  # fmt: skip
@pytest.mark.adversary
def test_the_service_has_no_other_doors(ops: Person, path: str) -> None:
    """Signed in or not: what is no page of a tool is not there."""
    open_desk(ops)
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = ops.browser.request(method, f"{ops.hub}/services/tools/{path}", headers={"X-XSRFToken": xsrf(ops)})
        assert answer.status_code in {403, 404, 405}, (method, answer.status_code, answer.text[:200])


@pytest.mark.adversary
def test_a_token_is_no_way_in(workspace: Workspace) -> None:
    """No header, no query: only a login makes a session."""
    for headers in ({"Authorization": "token x"}, {"Authorization": "Bearer x"}, {"Authorization": "GateToken gbk_x"}):
        answer = httpx.get(workspace.settings.hub_url + DESK, headers=headers, params={"token": "x"})
        assert answer.status_code == 302
        assert "/hub/api/oauth2/authorize" in answer.headers["Location"]


@pytest.mark.adversary
def test_a_script_of_the_same_origin_cannot_open_a_tool(browser: Browser, workspace: Workspace) -> None:
    """A page of the same origin, as a notebook's is, gets neither the tool's page nor a window it can touch."""
    with signed_in(browser, workspace, "ops") as page:
        page.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=BEFORE_DRAWN_MS)
        page.goto(f"{workspace.settings.hub_url}/hub/static/favicon.ico")
        assert page.evaluate("url => fetch(url).then(answer => answer.status)", DESK) == 403
        framed = page.evaluate(
            """url => new Promise(done => {
                const frame = document.createElement('iframe');
                frame.onload = () => { try { done(frame.contentDocument.body.innerText); } catch { done('closed'); } };
                frame.src = url; document.body.append(frame); setTimeout(() => done('closed'), 5000);
            })""",
            DESK,
        )
        assert "Name, number, whole e-mail or phone" not in framed
        seen = page.evaluate(
            """url => new Promise(done => {
                const opened = window.open(url);
                setTimeout(() => { try { done(opened.document.body.innerText); } catch { done('closed'); } }, 5000);
            })""",
            DESK,
        )
        assert "Name, number, whole e-mail or phone" not in seen


# ── what must not work: kernels ──


@dataclass(frozen=True, kw_only=True)
class OpenDesk:
    """A page of the desk, and who opened it."""

    person: Person
    kernel: str


def kernel_on(html: str) -> str:
    found = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert found is not None, html[:2000]
    return str(json.loads(found[1])["kernelId"])


def open_desk(person: Person) -> OpenDesk:
    page = person.browser.get(person.hub + DESK, follow_redirects=True)
    assert page.status_code == 200, page.text
    return OpenDesk(person=person, kernel=kernel_on(page.text))


def xsrf(person: Person) -> str:
    found = [one.value for one in person.browser.cookies.jar if one.name == "_xsrf" and one.path == "/services/tools/"]
    return found[0] or "" if found else ""


@contextlib.contextmanager
def connect(person: Person, kernel: str, **more: Any) -> Iterator[WebSocket]:
    """Open the kernel's websocket as this person's page would."""
    url = f"{person.hub}/services/tools/api/kernels/{kernel}/channels"
    cookies = httpx.Request("GET", url, cookies=person.browser.cookies).headers.get("Cookie", "")
    address = (person.workspace.settings.hub_host, person.workspace.settings.hub_port)
    # A socket of our own, since the library leaves its open when it is refused or cut off.
    with contextlib.closing(socket.create_connection(address, timeout=20)) as raw:
        options = {"timeout": 20, "cookie": cookies, "origin": person.hub, "socket": raw, **more}
        channels = create_connection(f"{url.replace('http', 'ws', 1)}?session_id={uuid.uuid4().hex}", **options)
        with contextlib.closing(channels):
            yield channels


def message(kind: str, content: dict[str, Any], channel: str = "shell") -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "username": "",
        "session": "s",
        "date": "",
        "version": "5.3",
    }
    return {
        "channel": channel,
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "buffers": [],
    }


def answers(channels: WebSocket, sent: dict[str, Any], until: str, *, timeout_s: float = 20.0) -> list[dict[str, Any]]:
    """Send a message; return all that arrives up to the first answer of this kind."""
    channels.send(json.dumps(sent))
    deadline, found = time.monotonic() + timeout_s, []
    while True:
        channels.settimeout(max(deadline - time.monotonic(), 0.1))
        raw = channels.recv()
        if not raw:
            message_text = "the service closed the websocket"
            raise ConnectionError(message_text)
        if isinstance(raw, bytes):
            # Answers with buffers come in Jupyter's binary form: a table of offsets, then the JSON.
            start, end = int.from_bytes(raw[4:8], "big"), int.from_bytes(raw[8:12], "big")
            raw = raw[start : end or None].decode()
        found.append(json.loads(raw))
        if found[-1]["msg_type"] == until:
            return found


@pytest.mark.adversary
def test_another_viewers_kernel_is_not_found(ops: Person, reviewer: Person) -> None:
    """Its websocket, its description, its shutdown: closed to the other viewer, who has the same tool open."""
    mine, theirs = open_desk(ops), open_desk(reviewer)
    assert mine.kernel != theirs.kernel
    with connect(ops, mine.kernel) as own:
        assert answers(own, message("kernel_info_request", {}), "kernel_info_reply")
        with pytest.raises(WebSocketBadStatusException) as refused, connect(reviewer, mine.kernel):
            pass
        assert refused.value.status_code == 404
        for method, path in (("GET", f"api/kernels/{mine.kernel}"), ("POST", f"voila/api/shutdown/{mine.kernel}")):
            answer = reviewer.browser.request(
                method, f"{reviewer.hub}/services/tools/{path}", headers={"X-XSRFToken": xsrf(reviewer)}
            )
            assert answer.status_code == 404, path
        assert answers(own, message("kernel_info_request", {}), "kernel_info_reply")


@pytest.mark.adversary
def test_another_session_of_the_same_person_is_another_viewer(workspace: Workspace, ops: Person) -> None:
    """A kernel belongs to the browser that it was handed out to."""
    mine = open_desk(ops)
    with contextlib.closing(workspace.person("ops")) as elsewhere:
        open_desk(elsewhere)
        with pytest.raises(WebSocketBadStatusException) as refused, connect(elsewhere, mine.kernel):
            pass
        assert refused.value.status_code == 404


@pytest.mark.adversary
@pytest.mark.parametrize("origin", ["http://127.0.0.1:1", "http://evil.example", "null", ""])
def test_pages_of_other_origins_open_no_websocket(ops: Person, origin: str) -> None:
    """Nor does a client that does not say where it comes from."""
    mine = open_desk(ops)
    more: dict[str, Any] = {"origin": origin} if origin else {"suppress_origin": True}
    with pytest.raises(WebSocketBadStatusException) as refused, connect(ops, mine.kernel, **more):
        pass
    assert refused.value.status_code == 403


WAS_HERE = Path("/tmp/gatebook-story-was-here")
RUN = {"code": f"open('{WAS_HERE}', 'w').close()", "silent": False, "store_history": False,
       "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}  # fmt: skip


REFUSED = {
    "execute_request": RUN,
    "complete_request": {"code": "im", "cursor_pos": 2},
    "inspect_request": {"code": "open", "cursor_pos": 2, "detail_level": 1},
    "history_request": {"output": True, "raw": True, "hist_access_type": "tail", "n": 10},
    "debug_request": {"type": "request", "seq": 1, "command": "initialize", "arguments": {}},
    "create_subshell_request": {},
    "interrupt_request": {},
    "shutdown_request": {"restart": True},
    "input_reply": {"value": "x"},
}


@pytest.mark.adversary
@pytest.mark.parametrize("channel", ["shell", "control", "stdin", "iopub"])
def test_no_message_but_a_widgets_reaches_a_kernel(ops: Person, channel: str) -> None:
    """Not on any channel: the kernel answers what comes after, and nothing came of it."""
    mine = open_desk(ops)
    with connect(ops, mine.kernel) as channels:
        for kind, content in REFUSED.items():
            sent = message(kind, content, channel)
            channels.send(json.dumps(sent))
            came = answers(channels, message("kernel_info_request", {}), "kernel_info_reply")
            came += answers(channels, message("comm_info_request", {}), "comm_info_reply")
            assert not [one for one in came if one["parent_header"].get("msg_id") == sent["header"]["msg_id"]], kind
    assert not WAS_HERE.exists()


def widgets(channels: WebSocket) -> dict[str, dict[str, Any]]:
    """The state of every widget of the page, as its own scripts ask for it."""
    comm = uuid.uuid4().hex
    opening = {"comm_id": comm, "target_name": "jupyter.widget.control", "data": {}}
    channels.send(json.dumps(message("comm_open", opening) | {"metadata": {"version": "1.0.0"}}))
    asked = message("comm_msg", {"comm_id": comm, "data": {"method": "request_states"}})
    for one in answers(channels, asked, "comm_msg"):
        states = one["content"].get("data", {}).get("states")
        if states:
            return {name: found["state"] for name, found in states.items()}
    message_text = "no states"
    raise AssertionError(message_text)


def forge(channels: WebSocket, comm: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    channels.send(json.dumps(message("comm_msg", {"comm_id": comm, "data": data})))
    return answers(channels, message("kernel_info_request", {}), "kernel_info_reply")


@pytest.mark.adversary
def test_forged_widget_messages_lead_to_nothing(workspace: Workspace, ops: Person) -> None:
    """Buttons that are not shown, places that are not there, models nobody made: no refund, and the kernel lives."""
    mine = open_desk(ops)
    state = workspace.settings.state / "databases" / "chinook.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        before = connection.execute("select count(*), sum(amount) from refund").fetchone()
    with connect(ops, mine.kernel) as channels:
        found = widgets(channels)
        buttons = [name for name, one in found.items() if one.get("_model_name") == "ButtonModel"]
        assert len(buttons) >= 3
        for name, one in found.items():
            match one.get("_model_name"):
                case "ButtonModel":
                    forge(channels, name, {"method": "update", "state": {"disabled": False}})
                    forge(channels, name, {"method": "custom", "content": {"event": "click"}})
                case "DropdownModel":
                    for index in (99, -1, "1", None):
                        forge(channels, name, {"method": "update", "state": {"index": index}})
                case "HTMLModel":
                    forge(channels, name, {"method": "update", "state": {"value": "<p>Done: 1 row changed</p>"}})
                case "VBoxModel":
                    forge(channels, name, {"method": "update", "state": {"children": ["IPY_MODEL_nothing"]}})
        for name in buttons:
            forge(channels, name, {"method": "custom", "content": {"event": "click"}})
        forge(channels, buttons[0], {"method": "no_such_method"})
        forge(channels, "no-such-comm", {"method": "custom", "content": {"event": "click"}})
        assert answers(channels, message("kernel_info_request", {}), "kernel_info_reply")
        channels.send("this is no message")
    with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        assert connection.execute("select count(*), sum(amount) from refund").fetchone() == before


def kernels(workspace: Workspace) -> list[psutil.Process]:
    found = []
    for one in workspace.processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # one that ends while it is looked at is none
            if "ipykernel_launcher" in " ".join(one.cmdline()):
                found.append(one)
    return found


def call(process: psutil.Process, path: str) -> tuple[int, Any]:
    """Call the relay with the gate token of this very kernel."""
    environment = process.environ()
    request = urllib.request.Request(
        f"{environment['GATEBOOK_URL']}/api/v1/{path}",
        headers={"Authorization": f"GateToken {environment['GATEBOOK_TOKEN']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.adversary
def test_a_kernel_speaks_for_its_viewer_and_a_waiting_one_for_nobody(workspace: Workspace, ops: Person) -> None:
    """Of all kernels that run, those that were handed out call as their viewer; the one that waits gets GB-605."""
    open_desk(ops)
    deadline = time.monotonic() + 30
    said: list[tuple[int, Any]] = []
    while time.monotonic() < deadline:
        said = []
        for one in kernels(workspace):
            with contextlib.suppress(psutil.NoSuchProcess):
                said.append(call(one, "me"))
        if {status for status, _ in said} == {200, 401}:
            break
        time.sleep(0.5)
    assert {body["name"] for status, body in said if status == 200} <= {"ops", "reviewer"}
    assert "ops" in {body["name"] for status, body in said if status == 200}
    assert {body["code"] for status, body in said if status == 401} == {"GB-605"}


@pytest.mark.adversary
def test_a_tools_kernel_holds_a_gate_token_and_no_other_secret(workspace: Workspace, ops: Person) -> None:
    """Neither the service's token nor a viewer's is in any kernel's environment."""
    open_desk(ops)
    running = kernels(workspace)
    assert running
    for one in running:
        names = set(one.environ())
        assert "GATEBOOK_TOKEN" in names
        assert not [name for name in names if re.search(r"JUPYTERHUB|JPY_|SECRET|PASSW|CONFIGPROXY", name)]


@isolated
@pytest.mark.adversary
def test_each_kernel_runs_under_an_account_of_its_own(workspace: Workspace, ops: Person, reviewer: Person) -> None:
    """Not the service's, and not another kernel's."""
    open_desk(ops), open_desk(reviewer)
    owners = [one.username() for one in kernels(workspace)]
    prefix = workspace.settings.account_prefix
    assert all(owner.startswith(f"{prefix}tool-") for owner in owners)
    assert len(set(owners)) == len(owners) >= 2
    services = [one for one in workspace.processes() if "gatebook_server.tools" in " ".join(one.cmdline())]
    assert {one.username() for one in services} == {f"{prefix}tools"}


def test_a_third_page_closes_the_first(workspace: Workspace, ops: Person) -> None:
    """Nobody can take every seat."""
    opened = [open_desk(ops).kernel for _ in range(4)]
    url = f"{workspace.settings.hub_url}/services/tools/api/kernels/"
    found = [ops.browser.get(url + kernel, headers={"X-XSRFToken": xsrf(ops)}).status_code for kernel in opened]
    assert found == [404, 404, 200, 200]


def test_signing_out_ends_the_pages_kernel_and_the_session(workspace: Workspace) -> None:
    """The kernel is gone, and the cookie opens nothing any more."""
    with contextlib.closing(workspace.person("ops")) as person:
        mine = open_desk(person)
        kept = httpx.Request("GET", person.hub + DESK, cookies=person.browser.cookies).headers["Cookie"]
        with connect(person, mine.kernel) as channels:
            assert person.browser.get(f"{person.hub}/services/tools/logout").status_code == 302
            with pytest.raises((WebSocketException, OSError)):
                answers(channels, message("kernel_info_request", {}), "kernel_info_reply")
        answer = httpx.get(person.hub + DESK, headers={"Cookie": kept})
        assert answer.status_code == 302
        assert "/hub/api/oauth2/authorize" in answer.headers["Location"]


@pytest.mark.adversary
def test_no_page_holds_a_token(ops: Person) -> None:
    """Neither the viewer's nor the service's: not in the page, not in a cookie that can be decoded."""
    page = ops.browser.get(ops.hub + DESK, follow_redirects=True)
    config = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page.text, re.DOTALL)[1])  # type: ignore[index]
    assert not config.get("token")
    for cookie in ops.browser.cookies.jar:
        if cookie.path == "/services/tools/" and cookie.name != "_xsrf":
            assert "HttpOnly" in cookie._rest or "httponly" in cookie._rest
