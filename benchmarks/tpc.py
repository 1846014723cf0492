"""How do TPC-H and TPC-DS come to an engine? Their tables and queries are made by DuckDB's extensions, then copied."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steps import Script, Step

PACKAGES = ("duckdb==1.5.5", "duckdb-extension-tpch==1.5.5", "duckdb-extension-tpcds==1.5.5")
SCALE = 0.01
_TITLES = {"tpch": "TPC-H", "tpcds": "TPC-DS"}
_TIME_S = 60


def tpc_scripts(cache: Path) -> dict[str, tuple[Path, Script]]:
    """For each suite, the file that its script is made of, and the script: tables, rows, then the queries."""
    found = {}
    for name, title in _TITLES.items():
        path = cache / "tpc" / f"{name}.json"
        if not path.exists():
            _make(cache / "tpc")
        steps = lambda _, path=path: _steps(json.loads(path.read_text()))  # noqa: E731 - bound to its path
        found[title] = (path, Script(corpus=title, name=title, steps=steps, time_s=_TIME_S))
    return found


def _make(folder: Path) -> None:
    """In an environment of its own, since this DuckDB is not the one that is governed."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "env" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    maker = Path(__file__).with_name("tpc_make.py")
    subprocess.run([python, maker, folder, str(SCALE)], check=True)


def _steps(suite: dict[str, Any]) -> Iterator[Step]:
    for table in suite["tables"]:
        columns = ", ".join(f"{name} {kind}" for name, kind in table["columns"])
        yield Step(sql=f"CREATE TABLE {table['name']} ({columns})", is_read=False)
        yield Step(sql=f"COPY {table['name']} FROM STDIN (FORMAT csv)", data=table["csv"], is_read=False)
        if table["name"] == "lineitem":
            # Without it TPC-H 20 takes minutes on a planner that does not decorrelate.
            yield Step(sql="CREATE INDEX lineitem_part ON lineitem (l_partkey, l_suppkey)", is_read=False)
    yield Step(sql="ANALYZE", is_read=False)
    for query in suite["queries"]:
        yield Step(sql=query.strip().removesuffix(";"))
