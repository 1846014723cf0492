"""Where do measured figures go? Each program writes its own section of one of two pages."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence

from services import ROOT

_FOLDER = ROOT / "docs" / "reference"
_FIGURES = """# Figures

What the gate costs, measured by the programs under `benchmarks/`. Absolute times say more about the machine than about
Gatebook; ratios travel better.
"""
_PERFORMANCE = """# The fast path, measured

Reading through the gate beside reading around it, on one machine in one run: medians, and ratios to the usual way. A
mask and a row filter are in force. Absolute times say more about the machine than about Gatebook.

## What is aimed at, and what stands in the way

| what | aim |
|---|---|
| a million rows of PostgreSQL over two hops | 5 times as fast as the usual way, 1.2 times as ADBC |
| the same of MariaDB, SQLite, DuckDB | 4, 3.5, 1.5 times as fast as the usual way |
| the first batch; memory of the gateway and of the extension above idle | 80 ms; 16 MB, 8 MB |
| a row by its key over two hops, p50 | 2 ms more than directly |
| the same beside two large reads, p99 | twice as long as directly |
| 32 clients, one hop, two hops | 2,500 and 1,300 statements a second |
| a tool: its first paint; its widgets, from a kernel that waited and without | 0.3 s; 1 s and 3 s |
| the next page of a table of a million rows | 150 ms |

* **PostgreSQL**: on two cores everything together is the limit. The server's process takes most of one (half of that
  is the mask and the text of numbers), the driver's decoding most of the other, and the second hop a fifth of one.
  Numbers as scaled integers cost the server more than their text does.
* **SQLite**: making Python's objects is most of it. Another driver's rows (apsw) or Arrow (ADBC) were faster by half,
  but bring a second SQLite of another version, whose values differ in places, and one of them knows no authorizer.
* **DuckDB**: the usual way is fast, so each copy counts: worker, gateway, extension, kernel.
* **Rows by key**: a statement costs the gateway about 3 ms of Python: a third of it HTTP, a fifth the durable intent,
  and the rest the decision, the driver and Arrow. One round trip in place of nine, one thread in place of two, and
  answers in one piece brought it down from 7 ms. A persistent connection in place of two HTTP hops is not built.
* **Tools**: half of the time until widgets can be used is the browser's own, which reads megabytes of their scripts. A
  table that is sorted by a column without an index is sorted by the database, anew for each page.
"""
_SECTIONS = {
    **{
        f"fence-{engine}": f"## The fence: {engine}\n\n`.venv/bin/python benchmarks/fence.py --engine {engine}`"
        for engine in ("sqlite", "postgresql", "mariadb")
    },
    "cost": "## The price of a decision\n\n`.venv/bin/python benchmarks/gate_cost.py`",
}
_FAST = {
    **{
        f"bulk-{engine}": f"## A million rows: {engine}\n\n`.venv/bin/python benchmarks/bulk.py --engine {engine}`"
        for engine in ("postgresql", "mariadb", "sqlite", "duckdb")
    },
    "points": "## Rows by key\n\n`.venv/bin/python benchmarks/points.py`",
    "changes": "## Change requests\n\n`.venv/bin/python benchmarks/changes.py`",
    "tools": "## Tools\n\n`.venv/bin/python benchmarks/tools.py`",
    "inbox": "## The inbox\n\n`.venv/bin/python benchmarks/changes.py --only inbox`",
}


def write(section: str, lines: Sequence[str]) -> None:
    """Replace one section; the others stay."""
    is_fast = section in _FAST
    page, title = (_FOLDER / "performance.md", _PERFORMANCE) if is_fast else (_FOLDER / "figures.md", _FIGURES)
    known = page.read_text() if page.exists() else ""
    parts = []
    for name, head in (_FAST if is_fast else _SECTIONS).items():
        found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", known, re.DOTALL)
        body = found.group(1) if found else ""
        if name == section:
            machine = (
                f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
            )
            body = "\n".join([head, "", f"Measured on {machine}.", "", *lines])
        if body:
            parts.append(f"<!-- {name} -->\n{body}\n<!-- end -->\n")
    page.write_text("\n".join([title, *parts]))
