"""How does a benchmark have a whole workspace, and people who open its tools in a browser?

The tests' own way to start a Hub, with its gateway and tools service, and a Chromium that notes in the page when what
is waited for has been drawn.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright
from sales import Sales
from services import ROOT, services

sys.path.insert(0, str(ROOT))
from tests.stories.workspace import APP, Workspace

TOOLS = "/services/tools/"
DESK = "customer_desk"
SALES = "sales_table"
# What shows that a tool can be used: the search's field, the first row of a table.
DESK_DRAWN = ".gb-search-part input"
SALES_DRAWN = ".gb-table-part tbody tr"
PEOPLE = ("ops", "reviewer", "analyst", "auditor", "admin")
PER_PERSON = 2
_GROUPS = '["group:operations", "group:reviewers", "group:analysts", "group:auditors", "group:operators"]'
_OF_DESK = "[chinook.customer, chinook.invoice, chinook.invoiceline, chinook.refund, chinook.support_ticket]"
_RULES = f"""
grants:
  - {{id: everybody-tools, to: {_GROUPS}, tools: [{DESK}, {SALES}]}}
  - {{id: everybody-finds, to: {_GROUPS}, entities: [customer]}}
  - {{id: everybody-desk, to: {_GROUPS}, on: {_OF_DESK}, allow: [select], via: {DESK}}}
  - {{id: everybody-sales, to: {_GROUPS}, on: shop.sale, allow: [select], where: "city <> 'hidden'"}}
classification:
  pii.email: [shop.sale.email]
"""
_ABOUT = {"kind": "tool", "owner": "operations", "sources": ["shop"], "summary": "All sales.", "title": "Sales"}
_CELLS = (
    "from gatebook_widgets import RecordTable, Tool",
    'Tool("Sales", "All sales, page by page.", RecordTable("Sales", "shop", table="sale"))',
)
_LONGEST_S = 90
_REST_S, _REST_CPU_S = 1.0, 0.08
# Notes when what is waited for can be seen, in milliseconds since the page was asked for.
_NOTING = """
(() => {
  const seen = () => [...document.querySelectorAll(SELECTOR)].some(one => one.checkVisibility());
  const look = new MutationObserver(() => {
    if (!seen()) return;
    look.disconnect();
    requestAnimationFrame(() => { window.benchDrawn = performance.now(); });
  });
  look.observe(document, { childList: true, subtree: true });
})()
"""
# Presses, and says after how many milliseconds the text of what is watched is another one.
_PRESSING = """
(button, selector) => new Promise(done => {
  const text = () => document.querySelector(selector)?.innerText;
  const before = text(), began = performance.now();
  const look = new MutationObserver(() => {
    const now = text();
    if (now === undefined || now === before) return;
    look.disconnect();
    requestAnimationFrame(() => done(performance.now() - began));
  });
  look.observe(document, { childList: true, subtree: true, characterData: true });
  button.click();
})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """How long a page took, in milliseconds since it was asked for."""

    painted: float
    drawn: float


def workspace(sales: Sales, environment: Mapping[str, str]) -> Workspace:
    """A workspace whose people may all open the desk, and a table of the sales; not started yet."""
    made = Workspace(services=("gateway", "tools"), environment=environment)
    policies, notebooks = made.folder / "policies", made.folder / "notebooks"
    shutil.copytree(APP / "policies", policies)
    shutil.rmtree(policies / "tests")
    shutil.copytree(APP / "notebooks", notebooks)
    (policies / "sources" / "shop.yaml").write_text(sales.source)
    (policies / "everybody.yaml").write_text(_RULES)
    (notebooks / "tools" / f"{SALES}.ipynb").write_text(_notebook(_CELLS))
    made.settings = made.settings.model_copy(update={"policies": policies, "notebooks": notebooks})
    return made


def _notebook(texts: tuple[str, ...]) -> str:
    cells = [
        {"cell_type": "code", "execution_count": None, "id": str(place), "metadata": {}, "outputs": [], "source": text}
        for place, text in enumerate(texts)
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"gatebook": _ABOUT, "kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        path = services().chromium()
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-quic"])
        yield started
        started.close()


class Person:
    """Somebody who has signed in to the tools, in a browser of their own."""

    def __init__(self, browser: Browser, running: Workspace, name: str) -> None:
        self.name = name
        self._url = running.settings.hub_url + TOOLS
        self._context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 900})
        page = self._context.new_page()
        page.goto(self._url)
        page.fill("#username_input", name)
        page.fill("#password_input", running.password(name))
        page.click("#login_submit")
        page.get_by_role("link", name="Customer desk").wait_for(timeout=_LONGEST_S * 1000)
        page.close()

    @contextlib.contextmanager
    def at(self, tool: str, drawn: str) -> Iterator[tuple[Page, Opened]]:
        """Open a tool (with what follows its name in the address), wait until it can be used; close it at the end."""
        page = self._context.new_page()
        try:
            page.add_init_script(_NOTING.replace("SELECTOR", json.dumps(drawn)))
            page.goto(self._url + tool, wait_until="commit")
            yield page, _opened(page)
        finally:
            # As a person closes it: the page says so, and its kernel ends.
            page.close(run_before_unload=True)

    def close(self) -> None:
        """Close the browser."""
        self._context.close()


def _opened(page: Page) -> Opened:
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        drawn, paints = page.evaluate(
            "[window.benchDrawn ?? null, performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)]"
        )
        if drawn is not None and paints:
            return Opened(painted=paints[0], drawn=drawn)
        page.wait_for_timeout(20)
    message = f"the page was not drawn:\n{page.inner_text('body')}"
    raise TimeoutError(message)


def pressed(button: Locator, watched: str) -> float:
    """Press, and return the milliseconds until the text of what is watched is drawn anew."""
    taken: float = button.evaluate(_PRESSING, watched)
    return taken


def service_of(running: Workspace) -> psutil.Process:
    """The tools service."""
    found = [one for one in running.processes() if _command(one)[-1:] == ["gatebook_server.tools"]]
    return found[-1]


def gateway_of(running: Workspace) -> psutil.Process:
    """The gateway."""
    found = [one for one in running.processes() if _command(one)[-2:] == ["gatebook_hub.cli", "serve"]]
    return found[-1]


def kernels_of(running: Workspace) -> list[psutil.Process]:
    """Every kernel that runs, with a viewer or without."""
    return [one for one in running.processes() if "ipykernel_launcher" in " ".join(_command(one))]


def _command(one: psutil.Process) -> list[str]:
    try:
        return one.cmdline()
    except psutil.NoSuchProcess:
        return []


def rest(running: Workspace) -> None:
    """Wait until the tools service and its kernels have nothing to do: what is made ready is ready then."""
    deadline = time.monotonic() + _LONGEST_S
    before, quiet = _spent(running), 0
    while time.monotonic() < deadline:
        time.sleep(_REST_S)
        now = _spent(running)
        quiet = quiet + 1 if now - before < _REST_CPU_S else 0
        if quiet >= 2:
            return
        before = now
    message = "the tools service does not come to rest"
    raise TimeoutError(message)


def _spent(running: Workspace) -> float:
    total = 0.0
    for one in (service_of(running), *kernels_of(running)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:2])
    return total


def shares_mb(process: psutil.Process) -> tuple[float, float]:
    """Proportional and unique memory of a process, in MB."""
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    found: dict[str, Any] = {
        name: int(kb) / 1024 for name, kb in re.findall(r"^(Pss|Private_\w+): +(\d+) kB$", text, re.MULTILINE)
    }
    unique = sum(mb for name, mb in found.items() if name.startswith("Private_") and name != "Private_Hugetlb")
    return found["Pss"], unique
