"""Is a statement that needs more memory than one may have told so, and is the next one answered?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatebook_hub.errors import MemoryExceeded
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.worker.sqlite import translate
from gatebook_hub.sql import Plan

HUGE = "SELECT list(a.trackid) AS x FROM main.track a, main.track b, main.genre c"


def read(source: DuckdbSource, sql: str) -> list[dict[str, Any]]:
    reads = {"track": frozenset({"trackid"}), "genre": frozenset({"genreid", "name"})}
    stream = source.read(Plan(engine=Engine.DUCKDB, sql=sql, parameters=frozenset(), reads=reads), {}, Limits())
    try:
        return [row for batch in stream for row in batch.to_pylist()]
    finally:
        stream.close()


def test_a_statement_of_duckdb_that_needs_too_much_is_stopped_alone(chinook_duckdb: Path) -> None:
    source = DuckdbSource("x", chinook_duckdb)
    with pytest.raises(MemoryExceeded, match="narrow it"):
        read(source, HUGE)
    assert read(source, "SELECT count(*) AS x FROM main.genre") == [{"x": 25}]
    source.close()


def test_sqlite_without_memory_is_told_the_same() -> None:
    assert isinstance(translate(MemoryError()), MemoryExceeded)
