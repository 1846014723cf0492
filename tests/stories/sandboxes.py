"""A gateway with an empty sandbox of each engine beside the demo, for drivers and dialects."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from tests.fixtures.labs import write_lab
from tests.stories.alone import Alone
from tests.stories.gateway import APP

ENGINES = ("sqlite", "postgresql", "mariadb", "duckdb")
PATIENT = {
    "GATEBOOK_LIMIT_REQUESTS_PER_S": "100000",
    "GATEBOOK_LIMIT_REQUEST_BURST": "100000",
    "GATEBOOK_LIMIT_CONCURRENT": "16",
}
_TICKETS = """
grants:
  - {id: lab-tickets, to: "group:lab", on: chinook.support_ticket, allow: [select, insert, update]}
"""


def opened(request: pytest.FixtureRequest, folder: Path, chinook: Path) -> Iterator[Alone]:
    """As a fixture has it, with databases of its own on the servers."""
    servers = {
        "postgresql": request.getfixturevalue("make_postgres")(),
        "mariadb": request.getfixturevalue("make_mariadb")(),
    }
    running = open_sandboxes(folder, chinook, servers)
    yield running
    running.stop()


def open_sandboxes(folder: Path, chinook: Path, servers: dict[str, str]) -> Alone:
    """Start it; `servers` has the URLs of empty databases by engine, files are made here."""
    urls = {
        "sqlite": f"sqlite:///{folder / 'lab.sqlite'}",
        "duckdb": f"duckdb:///{folder / 'lab.duckdb'}",
        **{engine: url.replace("mysql://", "mariadb+pymysql://") for engine, url in servers.items()},
    }
    sqlite3.connect(folder / "lab.sqlite").close()
    duckdb.connect(folder / "lab.duckdb").close()
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    for engine, url in urls.items():
        write_lab(policies, engine, url, "builders")
    (policies / "lab_tickets.yaml").write_text(_TICKETS)
    return Alone(folder, chinook, policies=policies, environment=PATIENT).start()
