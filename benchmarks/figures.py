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
