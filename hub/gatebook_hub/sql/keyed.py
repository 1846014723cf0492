"""What are the gate's own statements: writes by key with bound values, and the read that finds a row by its key?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from gatebook_hub.model import Engine, Schema, Table
from gatebook_hub.sql.generating import bound, quote_for_driver, without_replacing
from gatebook_hub.sql.parsing import Statement, StatementKind, statement_from

# One writer at a time has the whole database there.
_LOCKS_ALL = frozenset({Engine.SQLITE, Engine.DUCKDB})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedStatements:
    """The gate's own statements for one table: bound by key, values as parameters `v0…`, keys as `k0…`."""

    select: str
    select_locked: str
    insert: str
    update: str
    delete: str


def keyed_statements(table: Table, columns: Sequence[str], schema: Schema) -> KeyedStatements:
    """Compose the keyed statements that write `columns` of `table`."""
    engine = schema.engine
    name = f"{quote_for_driver(schema.namespace or '', engine)}.{quote_for_driver(table.name, engine)}"
    where = " AND ".join(
        f"{quote_for_driver(part, engine)} = {bound(f'k{i}', engine)}" for i, part in enumerate(table.key)
    )
    everything = ", ".join(quote_for_driver(column.name, engine) for column in table.columns)
    pairs = [(quote_for_driver(column, engine), bound(f"v{i}", engine)) for i, column in enumerate(columns)]
    select = f"SELECT {everything} FROM {name} WHERE {where}"  # noqa: S608 - quoted names and bound values only
    into = f"({', '.join(column for column, _ in pairs)}) VALUES ({', '.join(value for _, value in pairs)})"
    returning = f" RETURNING {', '.join(quote_for_driver(part, engine) for part in table.key)}"
    insert = f"INSERT INTO {name} {into}{returning}"
    update = f"UPDATE {name} SET {', '.join(f'{column} = {value}' for column, value in pairs)} WHERE {where}"  # noqa: S608
    return KeyedStatements(
        select=select,
        select_locked=select if engine in _LOCKS_ALL else f"{select} FOR UPDATE",
        insert=without_replacing(insert, engine),
        update=without_replacing(update, engine),
        delete=f"DELETE FROM {name} WHERE {where}",  # noqa: S608 - as above
    )


def keyed_lookup(table: Table, schema: Schema) -> Statement:
    """The read that finds a row by its key, as parameters `k0…`; the gate's own, governed like any other."""
    keys = [exp.column(exp.to_identifier(part, quoted=True)) for part in table.key]
    conditions = [exp.EQ(this=key.copy(), expression=exp.Placeholder(this=f"k{i}")) for i, key in enumerate(keys)]
    tree = exp.select(*keys).from_(exp.Table(this=exp.to_identifier(table.name, quoted=True))).where(*conditions)
    return statement_from(tree, kind=StatementKind.READ, text="", engine=schema.engine)
