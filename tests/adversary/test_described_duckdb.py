"""Does what a driver is told of DuckDB's tables tell of columns, values or tables that are hidden?"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adversary.stands import stand

from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary

SETUP = (
    "create table away (id integer primary key)",
    "create table kept (id integer primary key)",
    "create table person (id integer primary key, away integer references away (id), kept integer references kept (id), "
    "hidden varchar default 'secret', kind enum('rare', 'usual'), kinds enum('rare', 'usual')[], plain varchar, "
    "longer integer as (id + 4711), check (plain <> 'forbidden'), unique (plain, hidden), unique (plain))",
    "create index of_hidden on person (hidden)",
    "create index of_both on person (plain, (id + 4712))",
    "create index of_plain on person (plain)",
)
RULES = """
grants:
  - {id: p, to: "group:people", on: shop.person, allow: [select], columns: [id, away, kept, kind, kinds, plain, longer]}
  - {id: k, to: "group:people", on: shop.kept, allow: [select]}
protections:
  - {id: m, on: shop.person.kind, mask: hash}
  - {id: n, on: shop.person.kinds, mask: "null"}
"""


def test_a_table_that_is_seen_in_part_is_described_in_part(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with stand(request, Engine.DUCKDB, tmp_path, SETUP, RULES, sandbox=False) as made:
        _, details = made.cases.details.of_source(made.call, "shop")
        assert {table.name for table in details.tables} == {"person", "kept"}
        told = str(details.tables)
        for word in ("hidden", "secret", "rare", "4711", "4712", "forbidden", "referred_table': 'away"):
            assert word not in told, word
        (person,) = (table for table in details.tables if table.name == "person")
        assert [one["referred_table"] for one in person.references] == ["kept"]
        assert [one["column_names"] for one in person.unique] == [["plain"]]
        assert [one["name"] for one in person.indexes] == ["of_plain"]
