"""Do SQLAlchemy's dialects of the gate pass SQLAlchemy's own compliance suite, in a sandbox of each engine?

What is left out, and why, stands in `suite/exclusions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compliance.running import DIALECTS, run_suite, url_of
from tests.stories.alone import Alone
from tests.stories.sandboxes import opened

# Fewer would mean that the suite was not asked.
LEAST = 900
# Of DuckDB there is no dialect to compare with: SQLAlchemy brings none, and `duckdb-engine` makes no table with a key.
COMPARED = [engine for engine in DIALECTS if engine != "duckdb"]


@pytest.fixture(scope="module")
def gateway(
    chinook_template: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    yield from opened(request, tmp_path_factory.mktemp("compliance"), chinook_template)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", COMPARED)
def test_the_suite_of_sqlalchemy_passes(gateway: Alone, engine: str) -> None:
    token = gateway.token("ann", "builders", "analysts")
    ran = run_suite(url_of(engine, gateway.url, token, f"lab_{engine}"))
    told = "\n".join(f"{name}: {why[:200]}" for name, why in ran.failed.items())
    assert not ran.failed, f"{len(ran.failed)} failed\n{told}"
    assert len(ran.passed) > LEAST, ran.output
