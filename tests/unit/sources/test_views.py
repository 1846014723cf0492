"""Are views known as such, and does one that is broken keep the rest of the source?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest

from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.source import SeenMore
from gatebook_hub.sources.sqlite import SqliteSource
from gatebook_hub.sql import Plan


def _source(folder: Path) -> SqliteSource:
    path = folder / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table Item (Id integer primary key, ItemName text, secret text)")
        connection.execute("insert into Item values (1, 'a', 'canary')")
        connection.execute("create view names as select ItemName from Item")
        connection.execute("create view longer as select ItemName || '!' as n from names")
        connection.execute("create table gone (x int)")
        connection.execute("create view broken as select x from gone")
        connection.execute("drop table gone")
    connection.close()
    return SqliteSource("shop", path)


def test_a_view_is_told_from_a_table_and_a_broken_one_is_left_out(tmp_path: Path) -> None:
    source = _source(tmp_path)
    tables = source.schema().tables
    assert {name: table.is_view for name, table in tables.items()} == {"item": False, "names": True, "longer": True}
    assert [(column.name, column.declared) for column in tables["item"].columns] == [
        ("id", "Id"),
        ("itemname", "ItemName"),
        ("secret", None),
    ]
    source.close()


def test_a_view_of_duckdb_is_told_from_a_table_and_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("create table Item (Id integer primary key, ItemName varchar, secret varchar)")
        connection.execute("insert into Item values (1, 'a', 'canary')")
        connection.execute("create view Names as select ItemName, upper(ItemName) as n from Item")
    source = DuckdbSource("shop", path)
    try:
        tables = source.schema().tables
        assert {name: table.is_view for name, table in tables.items()} == {"item": False, "names": True}
        assert [(column.name, column.declared) for column in tables["names"].columns] == [
            ("itemname", "ItemName"),
            ("n", None),
        ]
        text = 'select n from "main"."names"'
        plan = Plan(engine=Engine.DUCKDB, sql=text, parameters=frozenset(), reads={"names": frozenset({"n"})})
        stream = source.read(plan, {}, Limits())
        assert [row for batch in stream for row in batch.to_pylist()] == [{"n": "A"}]
    finally:
        source.close()


def test_a_view_on_a_view_is_read_and_what_is_below_is_not(tmp_path: Path) -> None:
    source = _source(tmp_path)

    def read(text: str, reads: dict[str, frozenset[str]], views: set[str]) -> list[tuple[object, ...]]:
        plan = Plan(engine=Engine.SQLITE, sql=text, parameters=frozenset(), reads=reads, views=frozenset(views))
        stream = source.read(plan, {}, Limits())
        return [tuple(row.values()) for batch in stream for row in batch.to_pylist()]

    both = {"names", "longer"}
    assert read("select n from longer", {"longer": frozenset({"n"})}, both) == [("a!",)]
    for text in ("select secret from item", "select l.n, i.secret from longer l, item i"):
        with pytest.raises(SeenMore) as refused:
            read(text, {"longer": frozenset({"n"})}, both)
        assert "canary" not in str(refused.value)
    source.close()
