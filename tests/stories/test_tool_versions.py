"""What people with a tool see of its versions: the installation's, a newer one, one taken back; addresses; routes.

A real Hub, gateway and tools service. The notebook is published by the operator's command and approved at the
portal by a person who has signed in through the Hub.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_server.serverapp import JUPYTER_SERVICE_HANDLERS
from playwright.sync_api import Browser, Page, expect
from tests.stories.workspace import Person, Workspace
from websocket import WebSocketBadStatusException, create_connection

from gatebook_hub.front.accounts import may_isolate
from gatebook_server.tools.channels import kernel_routes
from gatebook_server.tools.handlers import page_routes

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]
isolated = pytest.mark.skipif(not may_isolate(), reason="trial mode: one Linux account for everything")

TOOLS = "/services/tools/"
DESK = f"{TOOLS}customer_desk"
SHOTS = os.environ.get("GBTEST_SHOTS")
CELL = """
from ipywidgets import HTML
import gatebook
found = gatebook.query("chinook", "select lastname from customer where customerid = :id", id=customer)
HTML(f"<p>{GREETING} {customer}</p>")
"""


def notebook(greeting: str) -> str:
    """A desk that says hello and looks at one customer, whose number may stand in the address."""
    cells = [
        {"source": f"GREETING = {greeting!r}", "metadata": {}},
        {"source": "customer = 1", "metadata": {"tags": ["parameters"]}},
        {"source": CELL, "metadata": {}},
    ]
    about = {
        "kind": "tool",
        "title": "Customer desk",
        "summary": "One customer.",
        "parameters": {"customer": {"type": "integer", "minimum": 1}},
    }
    whole = [
        {"cell_type": "code", "execution_count": None, "outputs": [], "id": str(place), **cell}
        for place, cell in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {"cells": whole, "metadata": {"gatebook": about, "kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    )


def version_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace(services=("gateway", "tools")) as running:
        yield running


@pytest.fixture(scope="module")
def ops(workspace: Workspace) -> Iterator[Person]:
    with contextlib.closing(workspace.person("ops")) as person:
        yield person


@pytest.fixture(scope="module")
def reviewer(workspace: Workspace) -> Iterator[Person]:
    """Somebody at the portal, through the Hub."""
    with contextlib.closing(workspace.person("reviewer")) as person:
        page = person.browser.get(f"{workspace.settings.portal_url}/inbox", follow_redirects=True)
        if "/sign-in" in str(page.url):
            form = {"xsrf": hidden(page.text, "xsrf"), "next": "/inbox"}
            origin = {"Origin": workspace.settings.portal_url}
            leads = person.browser.post(f"{workspace.settings.portal_url}/sign-in", data=form, headers=origin)
            person.browser.get(leads.headers["Location"], follow_redirects=True)
        yield person


def hidden(page: str, name: str) -> str:
    return page.split(f'name="{name}" value="', 1)[1].split('"', 1)[0]


def gatebook(workspace: Workspace, *arguments: str) -> str:
    """Run the operator's command with the workspace's settings."""
    settings = workspace.settings
    ours = {
        "GATEBOOK_STATE": str(settings.state),
        "GATEBOOK_POLICIES": str(settings.policies),
        "GATEBOOK_NOTEBOOKS": str(settings.notebooks),
        "GATEBOOK_GATEWAY_PORT": str(settings.gateway_port),
        "GATEBOOK_ACCOUNT_PREFIX": settings.account_prefix,
        "GATEBOOK_DEMO": "true",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEBOOK_", "JUPYTER"))}
    command = [sys.executable, "-m", "gatebook_hub.cli", *arguments]
    done = subprocess.run(command, env=kept | ours, cwd="/", capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def put_in_force(workspace: Workspace, reviewer: Person, folder: Path, content: str) -> str:
    """Publish and approve a version of the desk."""
    path = folder / "customer_desk.ipynb"
    path.write_text(content)
    about = ("--user", "analyst", "--groups", "analysts,operations", "--note", "another greeting")
    gatebook(workspace, "tool", "publish", str(path), *about)
    portal, version = workspace.settings.portal_url, version_of(content)
    place = f"{portal}/tool-versions/customer_desk/{version}"
    page = reviewer.browser.get(place)
    assert page.status_code == 200, page.text
    form = {
        "xsrf": hidden(page.text, "xsrf"),
        "seen": hidden(page.text, "seen"),
        "reason": "read and tried",
        "verdict": "approve",
    }
    answer = reviewer.browser.post(f"{place}/review", data=form, headers={"Origin": portal})
    assert answer.status_code == 303, answer.text
    return version


def claimed(workspace: Workspace) -> str:
    """The tool and version of the newest read in the book, as the book's own file has it."""
    import sqlite3

    path = workspace.settings.state / "book" / "book.sqlite"
    query = "select data from leaf join event using (idx) where kind = 'query.intent' order by idx desc limit 1"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return str(json.loads(connection.execute(query).fetchone()[0]).get("tool"))


@contextlib.contextmanager
def at_desk(browser: Browser, workspace: Workspace, query: str = "") -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    try:
        page = context.new_page()
        page.goto(workspace.settings.hub_url + DESK + query)
        page.fill("#username_input", "ops")
        page.fill("#password_input", workspace.password("ops"))
        page.click("#login_submit")
        yield page
    finally:
        context.close()


def test_versions_from_the_first_start_to_a_rollback(
    workspace: Workspace, browser: Browser, reviewer: Person, ops: Person, tmp_path: Path
) -> None:
    """The demo's desk works without a review; an approved one takes its place, is told of, and can be taken back."""
    shipped = (workspace.settings.notebooks / "tools" / "customer_desk.ipynb").read_text()
    with at_desk(browser, workspace) as page:
        page.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=60_000)
        assert f"{version_of(shipped)[:12]}  by installation" in gatebook(workspace, "tool", "list")
        first = put_in_force(workspace, reviewer, tmp_path, notebook("Good day"))
        expect(page.get_by_text("A newer version of this tool is there.")).to_be_visible(timeout=20_000)
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "newer-version.png")
        page.get_by_role("link", name="load it again").click()
        expect(page.get_by_text("Good day 1")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("A newer version of this tool is there.")).to_be_hidden()
        assert claimed(workspace) == f"customer_desk@{first}"
        page.goto(f"{workspace.settings.hub_url}{DESK}?customer=12")
        expect(page.get_by_text("Good day 12")).to_be_visible(timeout=60_000)
        put_in_force(workspace, reviewer, tmp_path, notebook("Good evening"))
        page.goto(workspace.settings.hub_url + DESK)
        expect(page.get_by_text("Good evening 1")).to_be_visible(timeout=60_000)
        assert first[:12] in gatebook(workspace, "tool", "rollback", "customer_desk")
        expect(page.get_by_text("A newer version of this tool is there.")).to_be_visible(timeout=20_000)
        page.reload()
        expect(page.get_by_text("Good day 1")).to_be_visible(timeout=60_000)

    addresses = {
        "?customer=0": "at least 1",
        "?customer=x": "whole number",
        "?customer=1&customer=2": "more than once",
        "?other=1": "takes no",
        "?customer=%ff": "no text",
        "?version=1": "takes no",
        "?customer=1;import%20os": "whole number",
    }
    for query, words in addresses.items():
        answer = ops.browser.get(ops.hub + DESK + query, follow_redirects=True)
        assert answer.status_code == 400, query
        assert words in answer.text


@pytest.mark.adversary
def test_no_address_leads_to_another_version(workspace: Workspace, ops: Person) -> None:
    """Neither to one that waits, nor to an old one, nor to what lies in the service's folder."""
    version = "0" * 64
    for path in (
        f"customer_desk@{version}", f"customer_desk/{version}", f"customer_desk/versions/{version}",
        f"versions/customer_desk-{version}.ipynb", f"static/customer_desk-{version}.ipynb", "versions", "in-force",
        "api/v1/tools/in-force", f"..%2fcustomer_desk-{version}.ipynb", "customer_desk%2f..%2fcustomer_desk",
    ):  # fmt: skip
        answer = ops.browser.get(f"{ops.hub}{TOOLS}{path}", follow_redirects=True)
        assert answer.status_code in {403, 404}, (path, answer.status_code)
    assert ops.browser.get(f"{workspace.settings.portal_url}/api/v1/tools/in-force").status_code == 401


@isolated
@pytest.mark.adversary
def test_no_kernel_reaches_the_private_copies(workspace: Workspace, ops: Person) -> None:
    """The folder is the service's own and closed; a kernel's account can neither read nor write it."""
    assert ops.browser.get(ops.hub + DESK, follow_redirects=True).status_code == 200
    prefix = workspace.settings.account_prefix
    services = [one for one in workspace.processes() if one.cmdline()[-1:] == ["gatebook_server.tools"]]
    assert services
    assert services[0].username() == f"{prefix}tools"
    folders = [path for path in Path("/tmp").glob("gatebook-tools-*") if path.owner() == f"{prefix}tools"]
    assert len(folders) == 1
    copies = list((folders[0] / "versions").glob("customer_desk-*.ipynb"))
    assert copies
    script = f"open({str(copies[0])!r}, 'ab')"
    for mode in (script, script.replace("'ab'", "'rb'"), f"__import__('os').unlink({str(copies[0])!r})"):
        done = subprocess.run(
            [sys.executable, "-I", "-m", "gatebook_server.process", f"{prefix}tool-0", sys.executable, "-c", mode],
            capture_output=True, text=True, cwd="/", check=False,
        )  # fmt: skip
        assert "PermissionError" in done.stderr, done.stderr


# ── every route and websocket ──


def concrete(pattern: str) -> str:
    """A path that the pattern of a route matches."""
    text = pattern.removesuffix("$").removeprefix("^")
    while (changed := re.sub(r"\((?:\?P<\w+>|\?:)?[^()]*\)[?*+]?(?:\{\d+\})?", "GROUP", text)) != text:
        text = changed
    text = re.sub(r"(?:GROUP)+", "x", re.sub(r"kernels/GROUP", "kernels/" + KERNEL, text))
    text = re.sub(r"(?<=kernels/)x", KERNEL, text).replace("shutdown/x", f"shutdown/{KERNEL}")
    return (
        re.sub(r"\[[^\]]*\][*+]?", "x", text).replace("\\", "").replace(".*", "x").replace(".+", "x").replace("?", "")
    )


KERNEL = "00000000-0000-4000-8000-000000000000"


class Nowhere:
    """Stands where the routing table names a desk: its patterns are wanted, nothing is called."""

    prefix = TOOLS


def own_patterns() -> dict[str, str]:
    """Every route of this service's application, with its handler's name."""
    nowhere: Any = Nowhere()
    assets: dict[str, Any] = {"static": ["/"], "voila/static": ["/"], "voila/labextensions": ["/"]}
    return {str(route[0]): route[1].__name__ for route in (*kernel_routes(nowhere), *page_routes(nowhere, assets))}


def foreign_paths() -> set[str]:
    """A path for every route that Jupyter's own server would have below this prefix, and Voila's."""
    patterns: set[str] = set()
    for names in JUPYTER_SERVICE_HANDLERS.values():
        for name in names or ():
            module = importlib.import_module(name)
            patterns |= {str(route[0]) for route in getattr(module, "default_handlers", ())}
    paths = {concrete(pattern).lstrip("/") for pattern in patterns}
    voila = {"voila/tree", "voila/render/customer_desk.ipynb", "voila/files/x", "voila/templates/base/static/voila.js",
             "voila/api/themes/x", f"voila/query/{KERNEL}", f"voila/execution/{KERNEL}"}  # fmt: skip
    lab = {"lab", "lab/api/settings", "lab/api/workspaces", "lsp/ws/python", "terminals/websocket/1", "api/terminals"}
    assert len(paths) > 20
    return paths | voila | lab | {"metrics", "api/events/subscribe", "gatebook/api/v1/me"}


def websocket_status(person: Person, path: str) -> int:
    url = f"{person.hub}{path}"
    cookies = httpx.Request("GET", url, cookies=person.browser.cookies).headers.get("Cookie", "")
    try:
        opened = create_connection(url.replace("http", "ws", 1), timeout=20, cookie=cookies, origin=person.hub)
    except WebSocketBadStatusException as error:
        return int(error.status_code)
    opened.close()
    return 101


@pytest.mark.adversary
def test_every_route_and_websocket_but_those_listed_is_refused(ops: Person) -> None:
    """Signed in, without the notebook right: each route of the application, and of those it is made of."""
    ops.browser.get(ops.hub + DESK, follow_redirects=True)
    allowed = {
        "IndexHandler": {"GET": {200}},
        "ToolHandler": {"GET": {404}},
        "AssetHandler": {"GET": {404}, "HEAD": {404}},
        "KernelHandler": {"GET": {404}},
        "ShutdownHandler": {"POST": {403, 404}},
        "ChannelsHandler": {"GET": {403, 404}},
        "CallbackHandler": {"GET": {400, 403}},
    }
    methods = {"AssetHandler", "CallbackHandler"}  # these two are others' classes, and say which methods they have
    own = own_patterns()
    assert set(own.values()) == {*allowed, "LogoutHandler"}
    token = next((one.value for one in ops.browser.cookies.jar if one.path == TOOLS and one.name == "_xsrf"), "") or ""
    paths = {concrete(pattern): handler for pattern, handler in own.items() if handler != "LogoutHandler"}
    paths = dict.fromkeys((f"{TOOLS}{path}" for path in foreign_paths()), "") | paths
    for path, handler in sorted(paths.items()):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            answer = ops.browser.request(method, f"{ops.hub}{path}", headers={"X-XSRFToken": token})
            expected = allowed.get(handler, {}).get(method, {403, 404, 405} if handler in methods else {403, 404})
            assert answer.status_code in expected, (handler, method, path, answer.status_code)
        assert websocket_status(ops, path) in ({200, 400, 403, 404} if handler else {403, 404}), path
