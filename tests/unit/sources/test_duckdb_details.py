"""What a DuckDB file says of its tables comes as from an inspector, and under the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.duckdb_details import plain_type

SETUP = """
create sequence numbers;
create table "Shop" (id integer primary key default nextval('numbers'), "The Name" varchar not null unique);
create table item (
    id bigint, shop integer references "Shop" (id), price decimal(9, 2) default 1.5,
    twice decimal(11, 2) as (price * 2), check (price > 0), unique (id, shop)
);
create index by_name on "Shop" ("The Name");
create unique index by_both on item (shop, (price + 1));
create view cheap as select id from item;
comment on column item.price is 'in euros';
comment on table item is 'what is sold';
"""


@pytest.mark.parametrize(
    "text, name, arguments",
    [
        ("INTEGER", "INTEGER", {}),
        ("HUGEINT", "HUGEINT", {}),
        ("FLOAT", "REAL", {}),
        ("DECIMAL(18,3)", "DECIMAL", {"precision": 18, "scale": 3}),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP", {"timezone": True}),
        ("TIMESTAMP_NS", "TIMESTAMP", {}),
        ("VARCHAR[]", "ARRAY", {"item_type": {"type": {"name": "VARCHAR", "args": {}}}}),
        ("BLOB[3][]", "ARRAY", {"item_type": {"type": {"name": "BLOB", "args": {}}}, "dimensions": 2}),
        ("STRUCT(a INTEGER, b VARCHAR[])", "STRUCT", {}),
        ("MAP(INTEGER, VARCHAR)", "MAP", {}),
    ],
)
def test_a_type_is_a_class_with_arguments(text: str, name: str, arguments: dict[str, Any]) -> None:
    assert plain_type(text) == {"name": name, "args": arguments}


def test_an_enum_has_its_values() -> None:
    told = plain_type("ENUM('it''s', 'a, b', '')")
    assert told == {"name": "Enum", "args": {}, "values": ["it's", "a, b", ""]}
    assert plain_type("ENUM('[]', 'x')[]")["args"]["item_type"]["type"]["values"] == ["[]", "x"]


def test_keys_references_indexes_and_checks_are_told(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute(SETUP)
    source = DuckdbSource("x", tmp_path / "x.duckdb")
    try:
        tables = {table.name: table for table in source.details().tables}
    finally:
        source.close()
    assert {name: table.kind for name, table in tables.items()} == {"Shop": "table", "item": "table", "cheap": "view"}
    shop, item = tables["Shop"], tables["item"]
    assert [(column["name"], column["nullable"], column["default"]) for column in shop.columns] == [
        ("id", False, "nextval('numbers')"),
        ("The Name", False, None),
    ]
    assert shop.key["constrained_columns"] == ["id"]
    assert [one["column_names"] for one in shop.unique] == [["The Name"]]
    assert [(one["name"], one["column_names"], one["unique"]) for one in shop.indexes] == [
        ("by_name", ["The Name"], False)
    ]
    price, twice = item.columns[2:]
    assert (price["default"], price["comment"], item.comment) == ("1.5", "in euros", "what is sold")
    assert twice["default"] is None
    assert "price * 2" in twice["computed"]["sqltext"]
    assert item.key == {}
    assert [
        (one["constrained_columns"], one["referred_table"], one["referred_columns"]) for one in item.references
    ] == [(["shop"], "Shop", ["id"])]
    assert [one["column_names"] for one in item.unique] == [["id", "shop"]]
    assert [one["sqltext"] for one in item.checks] == ["(price > 0)"]
    assert [one["column_names"] for one in item.indexes] == [["shop", None]]
