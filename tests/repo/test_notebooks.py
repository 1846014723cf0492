"""Are the curated notebooks clean: no outputs, described, little logic?"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
KINDS = {"tools": "tool", "jobs": "job", "guides": "guide"}
MAX_CELL_LINES = 10
SQL_FROM_STRINGS = re.compile(
    r"""(?ix) f["']{1,3} \s* (select|insert|update|delete) \b   # an f-string
            | \b (select|update|delete) \b .* ["'] \s* [%+] \s* \w   # a sum of strings"""
)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def python_of(path: Path) -> list[str]:
    """The code of each cell that is Python, not SQL."""
    return [source for cell in cells(path) if not (source := "".join(cell["source"])).startswith("%%sql")]


@each_notebook
def test_no_outputs_are_committed(path: Path) -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(path))


@each_notebook
def test_metadata_describes_the_notebook(path: Path) -> None:
    described = json.loads(path.read_text())["metadata"].get("gatebook", {})
    assert {"title", "summary", "owner", "kind", "sources"} <= set(described)
    assert described["kind"] == KINDS[path.relative_to(ROOT / "notebooks").parts[0]]


@each_notebook
def test_one_import_cell_and_at_most_one_parameters_cell(path: Path) -> None:
    imports = [source for source in python_of(path) if re.search(r"(?m)^(import|from)\s", source)]
    parameters = [cell for cell in cells(path) if "parameters" in cell["metadata"].get("tags", [])]
    assert len(imports) <= 1
    assert len(parameters) <= 1


@each_notebook
def test_cells_are_short(path: Path) -> None:
    for source in python_of(path):
        lines = [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert len(lines) <= MAX_CELL_LINES, source


@each_notebook
def test_sql_is_not_built_from_strings(path: Path) -> None:
    for source in python_of(path):
        assert not SQL_FROM_STRINGS.search(source), source


def test_there_are_notebooks() -> None:
    assert {path.relative_to(ROOT / "notebooks").parts[0] for path in NOTEBOOKS} >= {"tools", "jobs"}


def test_the_rule_on_sql_finds_what_it_is_for() -> None:
    assert SQL_FROM_STRINGS.search("gb.query('chinook', f'select * from {table}')")
    assert SQL_FROM_STRINGS.search("'select * from customer where id = ' + name")
    assert not SQL_FROM_STRINGS.search("gb.query('chinook', 'select a + b from t where c = :c', c=1)")
