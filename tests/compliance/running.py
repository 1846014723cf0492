"""How is SQLAlchemy's compliance suite run against one database, and what came of it?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

SUITE = Path(__file__).with_name("suite")
OWN_FAILURES = SUITE / "own_failures.txt"
LONGEST_S = 900
# The suite names its classes after the engine, the driver and its version.
_CONFIGURED = re.compile(r"_(?:sqlite|postgresql|mariadb|duckdb)\+\w+$")
DIALECTS = {engine: f"{engine}+gatebook" for engine in ("sqlite", "postgresql", "mariadb", "duckdb")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The tests by what came of them, as `Class::test[…]`, each with what it said."""

    passed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    output: str = ""


def url_of(engine: str, address: str, token: str, source: str) -> str:
    """A source behind the gate, under the name by which the suite's helpers know the engine."""
    return f"{DIALECTS[engine]}://:{token}@{address.partition('://')[2]}/{source}"


def run_suite(url: str) -> Ran:
    """Run it in a process of its own, which SQLAlchemy's plugin needs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryDirectory(prefix="gbtest-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-c", "setup.cfg", "--rootdir", ".", "--dburi", url]
        done = subprocess.run(
            [*command, "--quiet", f"--junitxml={report}", "-o", "junit_family=xunit2"],
            cwd=SUITE,
            env={**kept, "PYTHONPATH": str(SUITE), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        ran = Ran(output=done.stdout[-4_000:] + done.stderr[-4_000:])
        if report.exists():
            _read(report, ran)
    return ran


def _read(report: Path, ran: Ran) -> None:
    for case in ET.parse(report).iter("testcase"):
        owner = _CONFIGURED.sub("", str(case.get("classname")).rpartition(".")[2])
        name = f"{owner}::{case.get('name')}"
        told = {child.tag: str(child.get("message") or "") for child in case}
        if "failure" in told or "error" in told:
            ran.failed[name] = told.get("failure") or told.get("error") or ""
        elif "skipped" in told:
            ran.skipped[name] = told["skipped"]
        elif name not in ran.failed:
            ran.passed[name] = ""
    for name in ran.failed:  # one that passed, and whose tables could not be dropped
        ran.passed.pop(name, None)
