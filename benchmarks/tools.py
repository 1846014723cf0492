"""How soon can a tool be used, how much memory does a viewer take, and how fast does a table of a million rows turn?

    .venv/bin/python benchmarks/tools.py [--only opening|memory|pages] [--runs 9] [--rows 1000000]

A whole workspace (Hub, proxy, gateway, tools service) with a PostgreSQL beside it, and Chromium before it. Started by
root, which reads the memory of other accounts' kernels. Writes medians of one run into `docs/reference/performance.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import desks
import sales
from desks import DESK, DESK_DRAWN, PEOPLE, PER_PERSON, SALES, SALES_DRAWN, Person, Workspace
from figures import write
from playwright.sync_api import Browser, Page
from serving import relaying, serving

from gatebook_widgets.keyset import Comparison, Filter
from gatebook_widgets.pages import Pages

_SEATS = 40
_GIB_MB = 4096
_SETTLE_MS = 2_000
_BETWEEN_MS = 300
_KEY = "the key"
_PAGES = ("by the key", "sorted by an indexed column", "sorted by a column without an index", "filtered")
_INDEX = "create index sale_paid_at on sale (paid_at, id)"
_NEVER = {"GATEBOOK_TOOLS_READY": "0", "GATEBOOK_TOOLS_SPARE": "0"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("opening", "memory", "pages"), help="measure a part; nothing is written")
    parser.add_argument("--runs", type=int, default=9, help="openings of each kind")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgresql", default=sales.POSTGRESQL, help="a server where a database may be made")
    given = parser.parse_args()
    os.environ.setdefault("GATEBOOK_CACHE", str(desks.ROOT / ".state" / "cache"))
    folder = Path(tempfile.mkdtemp(prefix="gatebook-benchmark-"))
    lines: list[str] = []

    def add(part: list[str]) -> None:
        print("\n".join(part), flush=True)
        lines.extend(part)

    try:
        with sales.postgresql(folder, given.rows, given.postgresql) as table, desks.chromium() as browser:
            if given.only in (None, "opening"):
                add(_opening(browser, table, given.runs))
            if given.only in (None, "memory"):
                add(_memory(browser, table))
            if given.only in (None, "pages"):
                add(_turning(browser, table, folder, given.rows, given.runs))
    finally:
        shutil.rmtree(folder)
    if given.only is None:
        write("tools", lines)


@contextlib.contextmanager
def _running(table: sales.Sales, **settings: str) -> Iterator[Workspace]:
    environment = {"GATEBOOK_TOOL_SLOTS": str(_SEATS), **settings}
    with desks.workspace(table, environment) as running:
        yield running


# ── opening ──


def _opening(browser: Browser, table: sales.Sales, runs: int) -> list[str]:
    found: dict[str, list[desks.Opened]] = {}
    with _running(table) as running:
        with contextlib.closing(Person(browser, running, "ops")) as person:
            found["warm"] = _openings(running, person, DESK, DESK_DRAWN, runs)
            found["with a value in its address"] = _openings(running, person, f"{DESK}?customer=12", DESK_DRAWN, runs)
            found["that reads a table as it opens"] = _openings(running, person, SALES, SALES_DRAWN, runs)
        found["warm, in a browser that was never here"] = _first_times(browser, running, runs)
    with _running(table, **_NEVER) as running, contextlib.closing(Person(browser, running, "ops")) as person:
        found["with no kernel in advance"] = _openings(running, person, DESK, DESK_DRAWN, runs)
    lines = ["| opening a tool | first paint ms | can be used ms |", "|---|---|---|"]
    for name, opened in found.items():
        painted, drawn = _span([one.painted for one in opened]), _span([one.drawn for one in opened])
        lines.append(f"| {name} | {painted} | {drawn} |")
    return [
        f"{runs} openings of each kind: medians, least and most, by the browser's own clock from the moment the page",
        "is asked for. What is painted first says that the tool opens; it can be used when its widgets are there and",
        "in touch with their kernel. The tool is the customer desk; the one with a table shows the rows below.",
        "",
        *lines,
        "",
    ]


def _openings(running: Workspace, person: Person, tool: str, drawn: str, runs: int) -> list[desks.Opened]:
    taken = []
    for turn in range(runs + 1):
        desks.rest(running)
        with person.at(tool, drawn) as (_page, opened):
            if turn:
                taken.append(opened)
    return taken


def _first_times(browser: Browser, running: Workspace, runs: int) -> list[desks.Opened]:
    taken = []
    for _ in range(runs):
        with contextlib.closing(Person(browser, running, "ops")) as person:
            desks.rest(running)
            with person.at(DESK, DESK_DRAWN) as (_page, opened):
                taken.append(opened)
    return taken


# ── memory ──


def _memory(browser: Browser, table: sales.Sales) -> list[str]:
    with _running(table) as running, contextlib.ExitStack() as stack:
        people = [stack.enter_context(contextlib.closing(Person(browser, running, name))) for name in PEOPLE]
        desks.rest(running)
        waiting = desks.kernels_of(running)
        idle_mb = statistics.median(desks.shares_mb(one)[0] for one in waiting)
        before = _services_mb(running)
        for person in people:
            for _ in range(PER_PERSON):
                page, _opened = stack.enter_context(person.at(DESK, DESK_DRAWN))
                _use(page)
        desks.rest(running)
        count = len(people) * PER_PERSON
        grown = max(0.0, _services_mb(running) - before) / count
        kernels = [desks.shares_mb(one) for one in desks.kernels_of(running)]
        # Those that wait are among them; the pages' own have drawn and answered, so they are the largest.
        used = sorted(kernels, reverse=True)[:count]
    proportional, unique = ([one[place] for one in used] for place in (0, 1))
    each = statistics.median(proportional) + grown
    return [
        f"{count} pages of the desk open at once, each after a search and a look at a customer: the kernel of a page",
        f"takes {_span(proportional)} MB (proportional; {_span(unique)} MB are its own), and gateway and tools service",
        f"grow by {grown:.1f} MB a page. {_GIB_MB / each:.0f} viewers fit into 4 GiB. A kernel that waits takes",
        f"{idle_mb:.0f} MB.",
        "",
    ]


def _use(page: Page) -> None:
    page.get_by_label("Name, number, whole e-mail or phone").fill("12")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Choose 12,").click(timeout=60_000)
    page.locator(".gb-record-part").get_by_text("Almeida").wait_for(timeout=60_000)


def _services_mb(running: Workspace) -> float:
    services = (desks.service_of(running), desks.gateway_of(running))
    return sum(desks.shares_mb(one)[0] for one in services)


# ── pages of a table ──


def _turning(browser: Browser, table: sales.Sales, folder: Path, rows: int, runs: int) -> list[str]:
    import psycopg

    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute(_INDEX)
        connection.execute("vacuum analyze sale")
    asked = _asked(table, folder, runs)
    drawn = _drawn(browser, table, runs)
    lines = ["| page of 50 rows | from request to answer ms | from press to drawn ms |", "|---|---|---|"]
    lines += [f"| {name} | {_span(asked[name])} | {_span(drawn[name])} |" for name in _PAGES]
    return [
        f"A table of {rows:,} rows on PostgreSQL, ten columns, turned page by page as the widget does it, by the key",
        "of the last row, with a mask and a row filter in force. The request comes from a program as it would from a",
        "kernel, over both hops, into a DataFrame; the press is on the button in the browser.",
        "",
        *lines,
    ]


def _asked(table: sales.Sales, folder: Path, runs: int) -> dict[str, list[float]]:
    with serving(folder / "state", table.policies(folder)) as gateway, relaying(gateway) as relay:
        os.environ |= {"GATEBOOK_URL": relay.url, "GATEBOOK_TOKEN": relay.token}
        pages = Pages("shop", "sale")
        found = {"by the key": _turns(pages, runs)}
        pages.sort("paid_at")
        found["sorted by an indexed column"] = _turns(pages, runs)
        pages.sort("price")
        found["sorted by a column without an index"] = _turns(pages, runs)
        pages.sort(None)
        pages.filter((Filter(column="city", comparison=Comparison.EQUALS, value="Wien"),))
        found["filtered"] = _turns(pages, runs)
    return found


def _turns(pages: Pages, runs: int) -> list[float]:
    pages.first()
    return [_timed(pages.next) for _ in range(runs * 2 + 1)][1:]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _drawn(browser: Browser, table: sales.Sales, runs: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with _running(table) as running, contextlib.closing(Person(browser, running, "ops")) as person:
        desks.rest(running)
        with person.at(SALES, SALES_DRAWN) as (page, _opened):
            found["by the key"] = _presses(page, runs)
            _sort(page, "Paid at")
            found["sorted by an indexed column"] = _presses(page, runs)
            _sort(page, "Price")
            found["sorted by a column without an index"] = _presses(page, runs)
            _sort(page, _KEY)
            page.get_by_label("Only rows whose").select_option("City")
            page.get_by_label("Comparison").select_option("equals")
            page.get_by_label("Value", exact=True).fill("Wien")
            page.get_by_role("button", name="Filter", exact=True).click()
            page.get_by_role("button", name="Show all rows").wait_for()
            page.wait_for_timeout(_SETTLE_MS)
            found["filtered"] = _presses(page, runs)
    return found


def _sort(page: Page, name: str) -> None:
    more = page.get_by_role("button", name="Sort, filter, columns")
    if not page.get_by_label("Sort by").is_visible():
        more.click()
    page.get_by_label("Sort by").select_option(name)
    sorted_by = page.locator("th[aria-sort]")
    if name == _KEY:
        sorted_by.wait_for(state="detached")
    else:
        sorted_by.filter(has_text=name).wait_for()
    page.wait_for_timeout(_SETTLE_MS)


def _presses(page: Page, runs: int) -> list[float]:
    button = page.get_by_role("button", name="Next")
    taken = []
    for _ in range(runs * 2 + 1):
        page.wait_for_timeout(_BETWEEN_MS)
        taken.append(desks.pressed(button, SALES_DRAWN))
    return taken[1:]


def _span(taken: Sequence[float]) -> str:
    return f"{statistics.median(taken):.0f} ({min(taken):.0f} to {max(taken):.0f})"


if __name__ == "__main__":
    main()
