"""Every shipped notebook runs from top to bottom in a real kernel against a real gateway (nbval)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.stories.gateway import APP, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
# Whom the notebook runs as: its usual user, or for a tool somebody who may read the same tables outside of it.
PEOPLE = {"guides": ("analyst", "analysts"), "jobs": ("reviewer", "reviewers"), "tools": ("reviewer", "reviewers")}
NOTEBOOKS = sorted((APP / "notebooks").glob("*/*.ipynb"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("notebooks"), chinook_template) as running:
        yield running


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_runs(notebook: Path, gateway: Gateway, tmp_path: Path) -> None:
    """`pytest --nbval-lax` executes each cell; an error in any fails the notebook."""
    environment = os.environ | {
        "GATEBOOK_URL": gateway.url,
        "GATEBOOK_TOKEN": gateway.token(*PEOPLE[notebook.parent.name]),
    }
    words = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=90", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-p", "no:randomly", f"--rootdir={tmp_path}", str(notebook)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_there_are_notebooks_of_each_kind() -> None:
    """An empty folder would make the test above pass without having run."""
    assert {path.parent.name for path in NOTEBOOKS} == set(PEOPLE)
