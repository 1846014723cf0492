"""A real Hub whose tools people open in Chromium, and what an attacker does with the same browser's cookies.

desk = ToolPages(browser, workspace)
with desk.opened("ops", "catalogue_editor") as page, desk.behind(page, "ops") as channels: ...
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser, Page, StorageState, expect
from tests.stories.test_operations import answers, connect, forge, kernel_on, kernels, message
from tests.stories.test_tool_versions import gatebook, hidden
from tests.stories.test_widgets_page import forged
from tests.stories.workspace import Person, Workspace
from websocket import WebSocket

from gatebook_hub.stores.tables import change

BEFORE_DRAWN_MS = 60_000
SHOTS = os.environ.get("GBTEST_SHOTS")


@dataclass(kw_only=True)
class ToolPages:
    """The pages of one workspace's tools; everybody signs in once."""

    browser: Browser
    workspace: Workspace
    _kept: dict[str, StorageState] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def opened(self, name: str, tool: str, **how: Any) -> Iterator[Page]:
        """Somebody's browser at a tool, once it is drawn; its kernel ends with the page."""
        how = {"viewport": {"width": 1280, "height": 900}, "storage_state": self._kept.get(name), **how}
        context = self.browser.new_context(**how)
        try:
            page = context.new_page()
            page.goto(f"{self.workspace.settings.hub_url}/services/tools/{tool}")
            if page.locator("#login_submit").count():
                page.fill("#username_input", name)
                page.fill("#password_input", self.workspace.password(name))
                page.click("#login_submit")
            page.get_by_role("heading", level=1).wait_for(timeout=BEFORE_DRAWN_MS)
            expect(page.locator("main[aria-busy], #tool[aria-busy]")).to_have_count(0, timeout=BEFORE_DRAWN_MS)
            self._kept[name] = context.storage_state()
            yield page
            page.goto("about:blank")
        finally:
            context.close()

    @contextlib.contextmanager
    def behind(self, page: Page, name: str) -> Iterator[WebSocket]:
        """Another websocket of the page's kernel, which a script with this browser's cookies could open."""
        with contextlib.closing(Person(self.workspace, name)) as person:
            for cookie in page.context.cookies():
                person.browser.cookies.set(cookie["name"], cookie["value"], path=cookie["path"])
            with connect(person, kernel_on(page.content())) as channels:
                yield channels

    def kernel(self, name: str) -> GateOfKernel:
        """What the code of somebody's page could call the gate with: the newest kernel that speaks for them."""
        for process in sorted(kernels(self.workspace), key=lambda one: -one.create_time()):
            gate = GateOfKernel(process)
            answer = gate.get("me")
            if answer.status_code == 200 and answer.json()["name"] == name:
                return gate
        text = f"no kernel speaks for {name}"
        raise AssertionError(text)

    def token(self, name: str, groups: str) -> str:
        """A person's token for programs."""
        if name not in self._tokens:
            told = gatebook(self.workspace, "token", "issue", "--user", name, "--groups", groups)
            self._tokens[name] = told.strip()
        return self._tokens[name]

    def ask(
        self, sql: str, *, name: str = "analyst", groups: str = "analysts", reason: str = "a digit was wrong"
    ) -> str:
        """A change request of somebody's program; its id."""
        answer = httpx.post(
            f"{self.workspace.settings.portal_url}/api/v1/query",
            headers={"Authorization": f"Bearer {self.token(name, groups)}"},
            json={"source": "chinook", "sql": sql, "params": {}, "reason": reason},
            timeout=30.0,
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def state_of(self, change_id: str) -> str:
        """What the gateway's own database says of a request."""
        with self._reading(self.workspace.settings.state / "gatebook.sqlite") as connection:
            found = connection.execute(f"select state from {change.name} where id = ?", (change_id,)).fetchone()
        return str(found[0])

    def requests(self) -> int:
        """How many change requests there are."""
        with self._reading(self.workspace.settings.state / "gatebook.sqlite") as connection:
            return int(connection.execute(f"select count(*) from {change.name}").fetchone()[0])

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What the governed database itself says."""
        with self._reading(self.workspace.settings.state / "databases" / "chinook.sqlite") as connection:
            return connection.execute(sql, values).fetchall()

    def book(self, principal: str) -> list[dict[str, Any]]:
        """What the book has of somebody, past the gate."""
        with self._reading(self.workspace.settings.state / "book" / "book.sqlite") as connection:
            found = [json.loads(data) for (data,) in connection.execute("select data from leaf order by idx")]
        return [event for event in found if event["principal"] == principal]

    @staticmethod
    @contextlib.contextmanager
    def _reading(path: Path) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)) as connection:
            yield connection


class GateOfKernel:
    """The relay, called with one kernel's own gate token."""

    def __init__(self, process: psutil.Process) -> None:
        environment = process.environ()
        self._url = f"{environment['GATEBOOK_URL']}/api/v1/"
        self._headers = {"Authorization": f"GateToken {environment['GATEBOOK_TOKEN']}"}

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Read something of the gate."""
        return httpx.get(self._url + path, params=query, headers=self._headers, timeout=30.0)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Ask the gate for something."""
        return httpx.post(self._url + path, json=body, headers=self._headers, timeout=30.0)


class Reviewer:
    """Somebody at the portal, signed in through the Hub, who looks at a request and presses a button."""

    def __init__(self, workspace: Workspace, person: Person) -> None:
        self._portal, self._http = workspace.settings.portal_url, person.browser
        page = self._http.get(f"{self._portal}/inbox", follow_redirects=True)
        if "/sign-in" in str(page.url):
            form = {"xsrf": hidden(page.text, "xsrf"), "next": "/inbox"}
            leads = self._http.post(f"{self._portal}/sign-in", data=form, headers={"Origin": self._portal})
            self._http.get(leads.headers["Location"], follow_redirects=True)

    def decide(self, change_id: str, verdict: str) -> None:
        """Look at the request and decide."""
        page = self._http.get(f"{self._portal}/changes/{change_id}")
        assert page.status_code == 200, page.text
        form = {"reason": "as agreed", "verdict": verdict}
        form |= {
            name: hidden(page.text, name)
            for name in ("xsrf", "digest", "seen")
            if f'name="{name}" value="' in page.text
        }
        answer = self._http.post(
            f"{self._portal}/changes/{change_id}/review", data=form, headers={"Origin": self._portal}
        )
        assert answer.status_code == 303, answer.text


def states(channels: WebSocket) -> dict[str, dict[str, Any]]:
    """The state of every widget of the page; what else the kernel sends meanwhile is passed over."""
    comm = uuid.uuid4().hex
    opening = message("comm_open", {"comm_id": comm, "target_name": "jupyter.widget.control", "data": {}})
    channels.send(json.dumps(opening | {"metadata": {"version": "1.0.0"}}))
    asked = message("comm_msg", {"comm_id": comm, "data": {"method": "request_states"}})
    while True:
        for one in answers(channels, asked, "comm_msg"):
            found = one["content"].get("data", {}).get("states")
            if found:
                return {name: each["state"] for name, each in found.items()}
        asked = message("kernel_info_request", {})


def named(found: Mapping[str, Mapping[str, Any]], model: str, description: str) -> str:
    """The id of the widget of this kind and description, the first of several."""
    return next(
        name for name, one in found.items() if (one.get("_model_name"), one.get("description")) == (model, description)
    )


def press_all(channels: WebSocket, found: Mapping[str, Mapping[str, Any]], **more: Any) -> None:
    """Send the page's widgets what it never sends, and press every button, also those that are not shown.

    Not its texts: what they say on the attacker's own page is theirs to change.
    """
    for name, one in found.items():
        if one.get("_model_name") != "HTMLModel":
            for state in [*forged(str(one.get("_model_name"))), more]:
                data = {"method": "update", "state": state}
                channels.send(json.dumps(message("comm_msg", {"comm_id": name, "data": data})))
            forge(channels, name, {"method": "custom", "content": {"event": "click", **more}})


def shoot(page: Page, name: str) -> None:
    """Keep a picture, if somebody wants pictures."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
