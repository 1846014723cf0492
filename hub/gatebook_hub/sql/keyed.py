"""What are the gate's own statements: writes by key with bound values, and the read that finds rows by their keys?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from gatebook_hub.model import Engine, Reference, Schema, Table
from gatebook_hub.sql.generating import bound, quote, quote_for_driver, without_replacing
from gatebook_hub.sql.parsing import Statement, StatementKind, statement_from

# One writer at a time has the whole database there.
_LOCKS_ALL = frozenset({Engine.SQLITE, Engine.DUCKDB})
# The engines whose types say what a list of their values is: what a statement with one value would make of it.
_LISTED = {
    "bigint": "bigint", "integer": "bigint", "smallint": "bigint", "boolean": "boolean", "date": "date",
    "double precision": "double precision", "numeric": "numeric", "text": "text", "timestamp": "timestamp",
    "uuid": "uuid", "varchar": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedStatements:
    """The gate's own statements for one table: bound by key, values as parameters `v0…`, keys as `k0…`."""

    select: str
    select_locked: str
    insert: str
    update: str
    delete: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStatements:
    """The same for many rows at once: each parameter is the list of what the rows have in that place.

    `types` are what the values of a key, and then of a row, must be for that: names of PostgreSQL's types.
    """

    statements: KeyedStatements
    key_types: tuple[str, ...]
    value_types: tuple[str, ...]


def keyed_statements(table: Table, columns: Sequence[str], schema: Schema) -> KeyedStatements:
    """Compose the keyed statements that write `columns` of `table`."""
    engine = schema.engine
    name = _named(table, schema)
    where = " AND ".join(
        f"{quote_for_driver(part, engine)} = {bound(f'k{i}', engine)}" for i, part in enumerate(table.key)
    )
    pairs = [(quote_for_driver(column, engine), bound(f"v{i}", engine)) for i, column in enumerate(columns)]
    select = f"SELECT {_everything(table, engine)} FROM {name} WHERE {where}"  # noqa: S608 - quoted names and bound values only
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


def listed_statements(table: Table, columns: Sequence[str], schema: Schema) -> ListedStatements | None:
    """The statements that take lists; None where the engine, or a type, has none that mean just the same."""
    key_types = tuple(_listed(table, name) for name in table.key)
    value_types = tuple(_listed(table, name) for name in columns)
    if schema.engine is not Engine.POSTGRESQL or not key_types or None in (*key_types, *value_types):
        return None
    engine, name = schema.engine, _named(table, schema)

    def quoted(names: Sequence[str]) -> list[str]:
        return [quote_for_driver(one, engine) for one in names]

    keys = [f"%(k{index})s::{kind}[]" for index, kind in enumerate(key_types)]
    values = [f"%(v{index})s::{kind}[]" for index, kind in enumerate(value_types)]
    names = [*(f"k{index}" for index in range(len(keys))), *(f"v{index}" for index in range(len(values)))]
    same = " AND ".join(f"gb_t.{part} = gb_n.k{index}" for index, part in enumerate(quoted(table.key)))
    by_key = f"unnest({', '.join(keys)}) AS gb_n({', '.join(names[: len(keys)])})"
    every = ", ".join(f"gb_t.{one}" for one in quoted([column.name for column in table.columns]))
    select = f"SELECT {every} FROM {name} AS gb_t JOIN {by_key} ON {same}"  # noqa: S608 - quoted names and bound values only
    into = ", ".join(quoted(columns))
    pairs = ", ".join(f"{one} = gb_n.v{index}" for index, one in enumerate(quoted(columns)))
    both = f"unnest({', '.join([*keys, *values])}) AS gb_n({', '.join(names)})"
    made = f"unnest({', '.join(values)})"
    statements = KeyedStatements(
        select=select,
        select_locked=f"{select} FOR UPDATE OF gb_t",
        insert=f"INSERT INTO {name} ({into}) SELECT * FROM {made} RETURNING {', '.join(quoted(table.key))}",  # noqa: S608
        update=f"UPDATE {name} AS gb_t SET {pairs} FROM {both} WHERE {same}",  # noqa: S608 - as above
        delete=f"DELETE FROM {name} AS gb_t USING {by_key} WHERE {same}",  # noqa: S608 - as above
    )
    return ListedStatements(
        statements=statements, key_types=tuple(map(str, key_types)), value_types=tuple(map(str, value_types))
    )


def select_any(table: Table, count: int, schema: Schema, *, locked: bool) -> str:
    """The rows that have one of so many keys, bound as `k0_0…`: first the number of the key, then that of its part."""
    engine = schema.engine
    keys = [quote_for_driver(part, engine) for part in table.key]
    where = _is_one_of(keys, count, engine)
    select = f"SELECT {_everything(table, engine)} FROM {_named(table, schema)} WHERE {where}"  # noqa: S608 - as above
    return f"{select} FOR UPDATE" if locked and engine not in _LOCKS_ALL else select


def _is_one_of(keys: Sequence[str], count: int, engine: Engine) -> str:
    """Whether the columns of a key, as they are written, have one of so many values."""
    marks = [[bound(f"k{row}_{index}", engine) for index in range(len(keys))] for row in range(count)]
    if len(keys) == 1:
        return f"{keys[0]} IN ({', '.join(mark for (mark,) in marks)})"
    each = (" AND ".join(f"{part} = {mark}" for part, mark in zip(keys, row, strict=True)) for row in marks)
    return " OR ".join(f"({one})" for one in each)


def is_followed_exactly(table: Table, reference: Reference, schema: Schema) -> bool:
    """Whether `select_following` finds all rows that follow by a reference, whatever the types of its columns are."""
    parent = schema.tables.get(reference.table)
    if parent is None or parent.is_view:
        return False
    if schema.engine is not Engine.POSTGRESQL:
        return True
    # What compares values of other types may be an operator of the owner's own, which the gate's search path hides.
    pairs = [*((table, name) for name in reference.columns), *((parent, name) for name in reference.key)]
    return all(_listed(one, name) is not None for one, name in pairs)


def select_following(table: Table, reference: Reference, parent: Table, count: int, schema: Schema) -> str:
    """The rows that refer to one of so many rows of a parent by its keys, bound as `k0_0…`, compared as its key is."""
    engine = schema.engine
    # On SQLite the left side says how texts compare, and a `+` leaves the type of a column to the other side.
    follows = "+gb_t" if engine is Engine.SQLITE else "gb_t"
    pairs = " AND ".join(
        f"gb_p.{quote_for_driver(there, engine)} = {follows}.{quote_for_driver(here, engine)}"
        for here, there in zip(reference.columns, reference.key, strict=True)
    )
    where = _is_one_of([f"gb_p.{quote_for_driver(part, engine)}" for part in parent.key], count, engine)
    every = ", ".join(f"gb_t.{quote_for_driver(column.name, engine)}" for column in table.columns)
    found = f"SELECT {every} FROM {_named(table, schema)} AS gb_t JOIN {_named(parent, schema)} AS gb_p ON {pairs}"  # noqa: S608 - as above
    locked = "" if engine in _LOCKS_ALL else " FOR UPDATE OF gb_t" if engine is Engine.POSTGRESQL else " FOR UPDATE"
    return f"{found} WHERE {where}{locked}"


def count_up_to(table: Table, schema: Schema) -> str:
    """How many rows there are, but not more than are asked about, as `most`."""
    name, most = _named(table, schema), bound("most", schema.engine)
    return f"SELECT COUNT(*) FROM (SELECT 1 AS gb_row FROM {name} LIMIT {most}) AS gb_rows"  # noqa: S608 - as above


def select_rows(table: Table, schema: Schema) -> str:
    """All rows, but not more than `most`."""
    return f"SELECT {_everything(table, schema.engine)} FROM {_named(table, schema)}{_at_most(schema)}"  # noqa: S608 - as above


def select_rows_after(table: Table, schema: Schema) -> str:
    """The rows whose key, of one column, comes after `last`, but not more than `most`."""
    key = quote_for_driver(table.key[0], schema.engine)
    where = f"{key} > {bound('last', schema.engine)} ORDER BY {key}"
    return f"SELECT {_everything(table, schema.engine)} FROM {_named(table, schema)} WHERE {where}{_at_most(schema)}"  # noqa: S608 - as above


def select_last_key(table: Table, schema: Schema) -> str:
    """The key, of one column, that comes last."""
    key = quote_for_driver(table.key[0], schema.engine)
    return f"SELECT MAX({key}) FROM {_named(table, schema)}"  # noqa: S608 - as above


def select_keys_made(table: Table, schema: Schema) -> str:
    """The keys of the rows of PostgreSQL that the transaction `xid` has made, but not more than `most`."""
    return _keys_of_version("xmin", table, schema)


def select_keys_ended(table: Table, schema: Schema) -> str:
    """The keys of the rows that `xid` has ended or locked, as others see them, but not more than `most`."""
    return _keys_of_version("xmax", table, schema)


def _keys_of_version(column: str, table: Table, schema: Schema) -> str:
    keys = ", ".join(quote_for_driver(part, schema.engine) for part in table.key)
    where = f"{column} = %(xid)s::pg_catalog.xid"
    return f"SELECT {keys} FROM {_named(table, schema)} WHERE {where}{_at_most(schema)}"  # noqa: S608 - as above


def _at_most(schema: Schema) -> str:
    return f" LIMIT {bound('most', schema.engine)}"


def quoted_table(table: Table, schema: Schema) -> str:
    """The name of a table as a statement of its engine has it."""
    engine = schema.engine
    return f"{quote(schema.namespace or '', engine)}.{quote(table.name, engine)}"


def keyed_lookup(table: Table, schema: Schema, count: int = 1) -> Statement:
    """The read that finds rows by so many keys, as parameters `k0_0…`; the gate's own, governed like any other."""
    keys = [exp.column(exp.to_identifier(part, quoted=True)) for part in table.key]
    each: list[exp.Expr] = [
        exp.and_(
            *(
                exp.EQ(this=key.copy(), expression=exp.Placeholder(this=f"k{row}_{index}"))
                for index, key in enumerate(keys)
            )
        )
        for row in range(count)
    ]
    tree = exp.select(*keys).from_(exp.Table(this=exp.to_identifier(table.name, quoted=True)))
    return statement_from(_where(tree, keys, each), kind=StatementKind.READ, text="", engine=schema.engine)


def _where(tree: exp.Select, keys: Sequence[exp.Column], each: Sequence[exp.Expr]) -> exp.Select:
    if len(keys) > 1 or len(each) == 1:
        return tree.where(exp.or_(*each))
    marks = [exp.Placeholder(this=f"k{row}_0") for row in range(len(each))]
    return tree.where(exp.In(this=keys[0].copy(), expressions=marks))


def _named(table: Table, schema: Schema) -> str:
    engine = schema.engine
    return f"{quote_for_driver(schema.namespace or '', engine)}.{quote_for_driver(table.name, engine)}"


def _everything(table: Table, engine: Engine) -> str:
    return ", ".join(quote_for_driver(column.name, engine) for column in table.columns)


def _listed(table: Table, name: str) -> str | None:
    column = table.column(name)
    is_plain = column is not None and not column.is_enumeration
    return _LISTED.get(column.type.partition("(")[0].strip()) if column is not None and is_plain else None
