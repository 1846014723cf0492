"""Where do measured figures go? Each program writes its own section of `docs/reference/figures.md`."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence

from services import ROOT

PAGE = ROOT / "docs" / "reference" / "figures.md"
_HEAD = """# Figures

What the gate costs, measured by the programs under `benchmarks/`. Absolute times say more about the machine than about
Gatebook; ratios travel better.
"""
_SECTIONS = {
    **{
        f"fence-{engine}": f"## The fence: {engine}\n\n`.venv/bin/python benchmarks/fence.py --engine {engine}`"
        for engine in ("sqlite", "postgresql", "mariadb")
    },
    "cost": "## The price of a decision\n\n`.venv/bin/python benchmarks/gate_cost.py`",
}


def write(section: str, lines: Sequence[str]) -> None:
    """Replace one section; the others stay."""
    known = PAGE.read_text() if PAGE.exists() else ""
    parts = []
    for name, head in _SECTIONS.items():
        found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", known, re.DOTALL)
        body = found.group(1) if found else ""
        if name == section:
            machine = (
                f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
            )
            body = "\n".join([head, "", f"Measured on {machine}.", "", *lines])
        if body:
            parts.append(f"<!-- {name} -->\n{body}\n<!-- end -->\n")
    PAGE.write_text("\n".join([_HEAD, *parts]))
