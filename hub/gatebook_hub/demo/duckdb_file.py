"""How does the demo become a DuckDB file? The same tables and rows, in DuckDB's own types; whole or not at all."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import Date, Integer, Numeric, Table
from sqlalchemy.types import DateTime

from gatebook_hub.demo.calendar import TODAY, move_calendar
from gatebook_hub.demo.desk import staff_desk
from gatebook_hub.demo.fixture import Rows
from gatebook_hub.demo.tables import METADATA


def build_duckdb(path: Path, rows: Rows, today: date = TODAY) -> bool:
    """Make the demo database in a new file and say whether it was made: one that is there is left as it is.

    Foreign keys are left out: DuckDB checks them against rows of the same transaction that are already gone.
    """
    if path.exists():
        return False
    stock = staff_desk(move_calendar(rows, today))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with duckdb.connect(str(fresh)) as connection:
        connection.begin()
        for table in METADATA.sorted_tables:
            connection.execute(_definition(table))
            names = [column.name for column in table.columns]
            columns = {name: [row.get(name) for row in stock[table.name]] for name in names}
            connection.from_arrow(pa.table(columns)).insert_into(table.name)
        connection.commit()
    fresh.chmod(0o600)
    fresh.rename(path)
    return True


def _definition(table: Table) -> str:
    columns = []
    for column in table.columns:
        match column.type:
            case Integer():
                kind = "INTEGER"
            case Numeric(precision=int(digits), scale=int(scale)):
                kind = f"DECIMAL({digits}, {scale})"
            case Date():
                kind = "DATE"
            case DateTime():
                kind = "TIMESTAMP"
            case _:
                kind = "VARCHAR"
        columns.append(f'"{column.name}" {kind}{"" if column.nullable else " NOT NULL"}')
    key = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    return f'CREATE TABLE "{table.name}" ({", ".join(columns)}, PRIMARY KEY ({key}))'
