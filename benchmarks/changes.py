"""What does a write cost as a change request, how long does it lock its rows, and how long does the inbox take?

    .venv/bin/python benchmarks/changes.py [--only writes|inbox] [--rows 200000] [--requests 10000]

PostgreSQL; a mask and a row filter in force. The preview is the answer to an `update`, the execution the press of
`Approve` that meets the quorum. A row counts as locked from the first time that a second connection, which tries again
and again, may not have it, until it has it. Writes medians of one run into `docs/reference/performance.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
import sales
from figures import write
from filed import fill
from serving import Served, serving

_SIZES = {1: 20, 1_000: 5, 100_000: 5}
_TABS = {"waiting": "Waiting for me", "mine": "My requests", "all": "All I may see", "done": "Done"}
_PAGES = {
    **{title: f"/inbox?tab={tab}" for tab, title in _TABS.items()},
    "the first page": "/",
    "the catalogue": "/catalogue",
    "a source with its tables": "/catalogue/shop",
    "what the palette knows": "/find/at-hand.json",
    "access, and why": "/access",
}
_LOOKS = 20
_PAUSE_S = 0.0002
_RULES = """
classification:
  pii.email: [shop.sale.email]
grants:
  - {id: analysts, to: 'group:analysts', on: shop.sale, allow: [select, update], where: "city <> 'hidden'"}
  - {id: reviewers, to: 'group:reviewers', on: shop.sale, allow: [select]}
protections:
  - {id: mask-email, tag: pii.email, mask: email}
approvals:
  - {id: many, on: shop.sale, require: [{groups: [reviewers], needed: 1}], sample: true}
"""


@dataclass(slots=True)
class Taken:
    """Milliseconds of one way, and how long it locked the first of its rows."""

    ms: list[float] = field(default_factory=list)
    locked_ms: list[float] = field(default_factory=list)
    above_idle_mb: float = 0.0


class Person:
    """Somebody with a portal session."""

    def __init__(self, gateway: Served, name: str, *groups: str) -> None:
        self._http = httpx.Client(base_url=gateway.url, timeout=300.0, headers={"Origin": gateway.url})
        link = gateway.command("portal-link", "--user", name, "--groups", ",".join(groups))
        page = self._http.get(link).text
        answer = self._http.post("/sign-in", data={"xsrf": _field(page, "xsrf"), "code": _field(page, "code")})
        assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
        self._xsrf = _field(self._http.get("/").text, "xsrf")

    def look(self, address: str) -> int:
        """A page; how many bytes it has."""
        answer = self._http.get(address)
        assert answer.status_code == httpx.codes.OK, answer.text
        return len(answer.content)

    def approve(self, change: Mapping[str, Any]) -> None:
        """Press `Approve` on what the request shows; it is executed then."""
        form = {"xsrf": self._xsrf, "verdict": "approve", "digest": change["digest"]}
        answer = self._http.post(f"/changes/{change['id']}/review", data=form)
        assert answer.status_code == httpx.codes.SEE_OTHER, answer.text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class Watch:
    """A second connection that wants one row, again and again."""

    def __init__(self, url: str, key: int) -> None:
        self._url = url
        self._query = f"select 1 from sale where id = {key} for update nowait".encode()  # noqa: S608 - a number
        self._end = threading.Event()
        self._tries: list[tuple[float, bool]] = []
        self._thread = threading.Thread(target=self._run)

    @property
    def locked_ms(self) -> float:
        """How long it could not have the row: from its first refusal until it had the row again."""
        refused = [at for at, is_refused in self._tries if is_refused]
        if not refused:
            return 0.0
        return (min(at for at, _ in self._tries if at > refused[-1]) - refused[0]) * 1000

    def __enter__(self) -> Self:
        self._thread.start()
        time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.05)  # a last time it has the row
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._end.wait(_PAUSE_S):
                try:
                    connection.execute(self._query)
                    is_refused = False
                except psycopg.errors.LockNotAvailable:
                    is_refused = True
                self._tries.append((time.perf_counter(), is_refused))


class Writes:
    """The same update by each way: around the gate, and as a request."""

    def __init__(self, table: sales.Sales, gateway: Served) -> None:
        self._url = table.url
        self._gateway = gateway
        self._bearer = {"Authorization": f"Bearer {gateway.token}"}
        self._http = httpx.Client(base_url=gateway.url, timeout=300.0, headers=self._bearer)
        self._direct = psycopg.connect(table.url)

    def measured(self, rows: int, runs: int, reviewer: Person) -> dict[str, Taken]:
        """So many rounds with the watch, and as many without."""
        found = {name: Taken() for name in ("the plain statement", "preview", "execution")}
        change: dict[str, Any] = {}

        def preview() -> None:
            change.clear()
            change.update(self._propose(rows))

        steps: dict[str, Callable[[], None]] = {
            "the plain statement": lambda: self._write(rows),
            "preview": preview,
            "execution": lambda: reviewer.approve(change),
        }
        idle_mb = self._gateway.forget_peak()
        for turn in range(2 * runs + 1):
            for name, step in steps.items():
                self._gateway.forget_peak()
                with Watch(self._url, 1) if turn <= runs else contextlib.nullcontext() as watch:
                    started = time.perf_counter()
                    step()
                    ms = (time.perf_counter() - started) * 1000
                taken = found[name]
                taken.above_idle_mb = max(taken.above_idle_mb, self._gateway.peak_mb - idle_mb)
                if watch is None:
                    taken.ms.append(ms)
                elif turn:  # the first one is not counted
                    taken.locked_ms.append(watch.locked_ms)
                if name == "execution":
                    self._check_executed(change["id"])
        return found

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._direct.close()

    def _write(self, rows: int) -> None:
        with self._direct.transaction():
            count = self._direct.execute(f"{_update(rows)} and city <> 'hidden'".encode()).rowcount
            assert count == rows, count

    def _check_executed(self, change_id: str) -> None:
        state = self._http.get(f"/api/v1/changes/{change_id}").json()["state"]
        assert state == "executed", state

    def _propose(self, rows: int) -> dict[str, Any]:
        answer = self._http.post("/api/v1/query", json={"source": "shop", "sql": _update(rows), "params": {}})
        told: dict[str, Any] = answer.json()
        assert answer.status_code == httpx.codes.ACCEPTED, told
        assert told["counts"]["changed"] == rows, told["counts"]
        return told


def writes(folder: Path, rows: int) -> list[str]:
    """Updates of each size."""
    lines = [
        "| rows | way | ms | times the plain statement | first row locked, ms | gateway above idle, MB |",
        "|---|---|---|---|---|---|",
    ]
    with opened(folder, rows) as (table, gateway), Person(gateway, "rita", "reviewers") as rita:
        gateway.command("source", "prepare", "shop")
        asked = Writes(table, gateway)
        try:
            for size, runs in _SIZES.items():
                found = asked.measured(size, runs, rita)
                plain = statistics.median(found["the plain statement"].ms)
                lines += [f"| {size:,} | {_row(name, taken, plain)} |" for name, taken in found.items()]
        finally:
            asked.close()
    counts = ", ".join(f"{runs} runs of {size:,}" for size, runs in _SIZES.items())
    return [
        f"One `update` of rows by their keys in a table of {rows:,} rows and 10 columns; medians of",
        f"{counts} rows. Of more rows than GATEBOOK_PREVIEW_ROWS (1,000) reviewers see a sample: the preview",
        "reads them, and writes and locks nothing.",
        "",
        *lines,
    ]


def inbox(folder: Path, requests: int, waiting: int) -> list[str]:
    """The reviewer's lists among many requests."""
    taken: dict[str, list[float]] = {title: [] for title in _PAGES}
    first: dict[str, float] = {}
    sizes: dict[str, int] = {}
    with opened(folder, 1_000) as (_, gateway):
        fill(folder / "state" / "gatebook.sqlite", requests, waiting)
        megabytes = (folder / "state" / "gatebook.sqlite").stat().st_size / 1e6
        with Person(gateway, "person1", "reviewers", "analysts") as reviewer:
            idle = gateway.forget_peak()
            for turn in range(_LOOKS + 1):
                for title, address in _PAGES.items():
                    started = time.perf_counter()
                    sizes[title] = reviewer.look(address)
                    ms = (time.perf_counter() - started) * 1000
                    if turn:
                        taken[title].append(ms)
                    else:
                        first[title] = ms
            above = gateway.peak_mb - idle
    return [
        f"{requests:,} requests of a year in the store ({megabytes:.0f} MB), {waiting} of them waiting; a reviewer's",
        f"pages, medians of {_LOOKS} looks; before them the first of a gateway that has just started. Every page",
        "counts what waits for whoever looks.",
        "",
        "| page | ms | first look, ms | KB |",
        "|---|---|---|---|",
        *(
            f"| {title} | {statistics.median(ms):.0f} | {first[title]:.0f} | {sizes[title] / 1000:.0f} |"
            for title, ms in taken.items()
        ),
        "",
        f"Above idle, the gateway peaks at {above:.0f} MB.",
    ]


@contextlib.contextmanager
def opened(folder: Path, rows: int) -> Iterator[tuple[sales.Sales, Served]]:
    """A table and a gateway before it, under rules that let analysts write."""
    with sales.postgresql(folder, rows) as table:
        policies = table.policies(folder)
        (policies / "rules.yaml").write_text(_RULES)
        with serving(folder / "state", policies) as gateway:
            yield table, gateway


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("writes", "inbox"))
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--waiting", type=int, default=300, help="how many of the requests wait")
    given = parser.parse_args()
    parts: dict[str, Callable[[Path], list[str]]] = {
        "changes": lambda folder: writes(folder, given.rows),
        "inbox": lambda folder: inbox(folder, given.requests, given.waiting),
    }
    for section, part in parts.items():
        if given.only in {None, "inbox" if section == "inbox" else "writes"}:
            folder = Path(tempfile.mkdtemp(prefix="gatebook-benchmark-"))
            try:
                lines = part(folder)
            finally:
                shutil.rmtree(folder)
            print("\n".join(lines))
            write(section, lines)


def _update(rows: int) -> str:
    return f"update sale set price = price + 1 where id <= {rows}"  # noqa: S608 - a number


def _row(name: str, taken: Taken, plain: float) -> str:
    ms = statistics.median(taken.ms)
    memory = "" if name == "the plain statement" else f"{taken.above_idle_mb:.0f}"
    return f"{name} | {ms:.1f} | {ms / plain:.1f} | {statistics.median(taken.locked_ms):.1f} | {memory}"


def _field(page: str, name: str) -> str:
    return page.split(f'name="{name}" value="', 1)[1].split('"', 1)[0]


if __name__ == "__main__":
    main()
