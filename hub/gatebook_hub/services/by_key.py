"""How are many rows of a table read and written by their keys, with few ways to the database and back?

What a statement for each row would do is done to the letter; how many go at once depends on what the engine can.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from gatebook_hub import sql
from gatebook_hub.changes import RowChange
from gatebook_hub.errors import WriteRefused
from gatebook_hub.model import Engine, Reference, Schema, Table
from gatebook_hub.sources.source import WriteSession, within
from gatebook_hub.sql import KeyedStatements
from gatebook_hub.values import encode

Row = tuple[Any, ...]
T = TypeVar("T")
_LISTED_AT_ONCE = 2_000
_NAMED_AT_ONCE = 200
_FOLLOWED_AT_ONCE = 100
# What a list of PostgreSQL's type may be made of, for its values to mean what each of them would mean alone.
_FITTING: Mapping[str, tuple[type, ...]] = {
    "bigint": (int,),
    "boolean": (bool,),
    "date": (dt.date,),
    "double precision": (float,),
    "numeric": (Decimal, int),
    "text": (str,),
    "timestamp": (dt.datetime,),
    "uuid": (uuid.UUID,),
}
_MOST_BIGINT = 2**63


class RowsByKey:
    """The rows of one table in an open transaction; keys and values are the driver's."""

    def __init__(self, session: WriteSession, table: Table, schema: Schema) -> None:
        self._session = session
        self._table = table
        self._schema = schema
        self._width = len(table.key)
        names = [column.name for column in table.columns]
        self._places = [names.index(part) for part in table.key]
        self._keyed = sql.keyed_statements(table, (), schema)
        self._listed = sql.listed_statements(table, (), schema)

    def read(self, keys: Sequence[Row], *, locked: bool = False) -> list[Row | None]:
        """The row of each key, or None; raises WriteRefused where several rows have one key."""
        listed = self._listed
        if listed is not None and _fit(keys, listed.key_types):
            statement = _reading(listed.statements, locked=locked)
            return self._among(keys, _LISTED_AT_ONCE, lambda some: self._run(statement, _lists("k", some)))
        engine = self._schema.engine
        is_found_in_list = engine is Engine.MARIADB or (engine is Engine.DUCKDB and self._width == 1)
        if is_found_in_list and len(keys) > 1:
            return self._among(keys, _NAMED_AT_ONCE, lambda some: self._named(some, locked=locked))
        statement = _reading(self._keyed, locked=locked)
        return [_only(rows) for rows, _ in self._session.run_many(statement, [named("k", key) for key in keys])]

    def add(self, columns: Sequence[str], rows: Sequence[Row]) -> list[Row]:
        """Insert rows with these values; their keys, without those that the database left out."""
        listed = sql.listed_statements(self._table, columns, self._schema)
        if listed is not None and columns and _fit(rows, listed.value_types):
            insert = listed.statements.insert
            return [key for some in parts(rows, _LISTED_AT_ONCE) for key in self._run(insert, _lists("v", some))]
        insert = sql.keyed_statements(self._table, columns, self._schema).insert
        done = self._session.run_many(insert, [named("v", row) for row in rows], returns=True)
        return [key for found, _ in done for key in found]

    def change(self, columns: Sequence[str], rows: Sequence[Row]) -> int:
        """Update rows, each a key followed by the new values of these columns; how many the database says it wrote."""
        width = self._width
        listed = sql.listed_statements(self._table, columns, self._schema)
        if listed is not None and _fit(rows, (*listed.key_types, *listed.value_types)):
            count = 0
            for some in parts(rows, _LISTED_AT_ONCE):
                keys, values = [row[:width] for row in some], [row[width:] for row in some]
                count += self._session.run(listed.statements.update, {**_lists("k", keys), **_lists("v", values)})[1]
            return count
        update = sql.keyed_statements(self._table, columns, self._schema).update
        sets = [{**named("v", row[width:]), **named("k", row[:width])} for row in rows]
        return sum(count for _, count in self._session.run_many(update, sets))

    def remove(self, keys: Sequence[Row]) -> int:
        """Delete rows; how many there were, or fewer where the database kept some."""
        listed = self._listed
        if listed is not None and _fit(keys, listed.key_types):
            delete = listed.statements.delete
            return sum(self._session.run(delete, _lists("k", some))[1] for some in parts(keys, _LISTED_AT_ONCE))
        done = self._session.run_many(self._keyed.delete, [named("k", key) for key in keys])
        return sum(count > 0 for _, count in done)

    def count(self, most: int) -> int:
        """How many rows the table has, but not more than so many."""
        return int(self._run(sql.count_up_to(self._table, self._schema), {"most": most})[0][0])

    def key_of(self, row: Row) -> Row:
        """The key of a row of all columns."""
        return tuple(row[place] for place in self._places)

    def following(self, reference: Reference, parent: Table, keys: Sequence[Row], limit_rows: int) -> list[Row]:
        """The rows that refer to rows of a parent with these keys, locked; raises LimitExceeded."""
        found: list[Row] = []
        for some in parts(keys, _FOLLOWED_AT_ONCE):
            statement = sql.select_following(self._table, reference, parent, len(some), self._schema)
            found += self._run(statement, numbered(some))
            within(found, limit_rows)
        return found

    def _run(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        return self._session.run(statement, parameters)[0]

    def _named(self, keys: Sequence[Row], *, locked: bool) -> list[Row]:
        statement = sql.select_any(self._table, len(keys), self._schema, locked=locked)
        return self._run(statement, numbered(keys))

    def _among(self, keys: Sequence[Row], at_once: int, ask: Callable[[Sequence[Row]], list[Row]]) -> list[Row | None]:
        """The rows in the order of their keys, of answers in any order."""
        found: list[Row | None] = []
        for some in parts(keys, at_once):
            rows = ask(some)
            by_key = {_sign(self.key_of(row)): row for row in rows}
            if len(rows) > len(some) or len(by_key) < len(rows):
                raise WriteRefused(_SEVERAL)
            each = [by_key.get(_sign(key)) for key in some]
            if sum(row is not None for row in each) < len(rows):  # a key that is the same and looks different
                each = [self._alone(key) if row is None else row for key, row in zip(some, each, strict=True)]
            found += each
        return found

    def _alone(self, key: Row) -> Row | None:
        return _only(self._run(self._keyed.select, named("k", key)))


_SEVERAL = "several rows have the key, in tables that inherit from this one perhaps; write those"


def named(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    """The parameters of one row: `k0`, `k1` and so on."""
    return {f"{prefix}{index}": value for index, value in enumerate(values)}


def numbered(keys: Sequence[Row]) -> dict[str, Any]:
    """The parameters of many keys: `k0_0` is the first part of the first one."""
    return {f"k{row}_{index}": part for row, key in enumerate(keys) for index, part in enumerate(key)}


def _lists(prefix: str, rows: Sequence[Row]) -> dict[str, Any]:
    return {f"{prefix}{index}": list(values) for index, values in enumerate(zip(*rows, strict=True))}


def parts(items: Sequence[T], at_once: int) -> Iterator[Sequence[T]]:
    """So many of the items at a time."""
    for start in range(0, len(items), at_once):
        yield items[start : start + at_once]


def _reading(statements: KeyedStatements, *, locked: bool) -> str:
    return statements.select_locked if locked else statements.select


def _fit(rows: Iterable[Row], types: Sequence[str]) -> bool:
    """Whether each value is one of its list's type, to the letter: what is not goes alone, as the driver has it."""
    return all(
        value is None or (type(value) in _FITTING[kind] and _is_plain(value))
        for row in rows
        for value, kind in zip(row, types, strict=True)
    )


def _is_plain(value: Any) -> bool:
    match value:
        case int():
            return -_MOST_BIGINT <= value < _MOST_BIGINT
        case str():
            return "\0" not in value
        case _:
            return True


def _only(rows: Sequence[Row]) -> Row | None:
    if len(rows) > 1:
        raise WriteRefused(_SEVERAL)
    return rows[0] if rows else None


def _sign(key: Row) -> str:
    """What tells keys apart; not by `==`, for which a NaN is none."""
    return repr(key)


def encoded(row: RowChange) -> RowChange:
    """A change of a row as storable values."""

    def values(raw: Row | None) -> Row | None:
        return None if raw is None else tuple(encode(value) for value in raw)

    return replace(
        row, key=tuple(encode(value) for value in row.key), before=values(row.before), after=values(row.after)
    )
