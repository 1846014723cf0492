"""Which page of a table is shown, and how does one come to the next? By the last row of this one.

A page keeps the place that it was read from, so that it can be read again, and so that a row which somebody adds or
removes meanwhile moves no other row over the edge of a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

import gatebook
from gatebook.catalogue import engine_of, recent_schema
from gatebook.errors import InvalidInput, NotFound
from gatebook.model import Column, Table
from gatebook.rows import Rows
from gatebook_widgets.keyset import Filter, Statement, Wanted, statement, stretches
from gatebook_widgets.kinds import Kind, kind_of
from gatebook_widgets.parts import when_open

Mark = Mapping[str, object]
MOST_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page begins: behind a row, or before one if it was reached backwards."""

    mark: Mark | None = None
    is_forward: bool = True


class Pages:
    """The pages of one table; every method that moves reads one page."""

    def __init__(self, source: str, table: str, *, columns: tuple[str, ...] = (), rows: int = 50) -> None:
        self.source = source
        self.table = table_of(source, table)
        self.engine = engine_of(source)
        self.rows = max(1, min(rows, MOST_ROWS))
        shown = columns or tuple(one.name for one in self.columns)
        shown = tuple(self.column(name).name for name in shown)
        self.wanted = Wanted(table=self.table.name, columns=shown, key=checked_key(self.table))
        self.number = 0
        self.has_next = self.has_previous = False
        self.records: list[dict[str, Any]] = []
        self._place = Place()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that may be seen."""
        return tuple(one for one in self.table.columns if one.refused is None)

    def column(self, name: str) -> Column:
        """One of them; raises `NotFound`."""
        found = {one.name: one for one in self.columns}
        alike = [one for one in self.columns if one.name.lower() == name.lower()]
        if name in found or len(alike) == 1:
            return found.get(name) or alike[0]
        raise NotFound(f"there is no column `{name}` in `{self.table.name}` that you may see")

    @property
    def sortable(self) -> tuple[str, ...]:
        """The columns that rows can be sorted by."""
        return tuple(one.name for one in self.columns if self._has_order(one))

    def sort(self, name: str | None, *, is_descending: bool = False) -> None:
        """Have another order from the next first page on; None is the key's; raises `InvalidInput`."""
        column = None if name is None else self.column(name)
        if column is not None and column.name not in self.sortable:
            message = f"rows cannot be sorted by `{name}`"
            raise InvalidInput(message)
        name = column.name if column else None
        has_nulls = column is not None and name not in self.wanted.key and (column.nullable or column.mask is not None)
        self.wanted = replace(self.wanted, sort=name, is_descending=is_descending, has_nulls=has_nulls)

    def show(self, columns: tuple[str, ...]) -> None:
        """Have other columns from the next read on."""
        shown = tuple(self.column(name).name for name in columns)
        self.wanted = replace(self.wanted, columns=shown or self.wanted.columns)

    def filter(self, filters: tuple[Filter, ...]) -> None:
        """Have other rows from the next first page on."""
        for one in filters:
            self.column(one.column)
        self.wanted = replace(self.wanted, filters=filters)

    def first(self) -> pd.DataFrame:
        """The first page."""
        frame = self._read(Place())
        self.number, self.has_previous = 1, False
        return frame

    def next(self) -> pd.DataFrame:
        """The page behind this one; the first if there is none yet."""
        if not self.records:
            return self.first()
        frame = self._read(Place(mark=self._mark(self.records[-1])))
        self.number, self.has_previous = self.number + 1, True
        return frame

    def previous(self) -> pd.DataFrame:
        """The page before this one; the first where there are no more rows than fit on it."""
        if not self.records:
            return self.first()
        frame = self._read(Place(mark=self._mark(self.records[0]), is_forward=False))
        if len(self.records) < self.rows:
            return self.first()
        self.number, self.has_next = max(1, self.number - 1), True
        return frame

    def again(self) -> pd.DataFrame:
        """The same page as it is now; the first where nothing is left of it."""
        if self.number <= 1:
            return self.first()
        had_next, had_previous = self.has_next, self.has_previous
        frame = self._read(self._place)
        if not self.records:
            return self.first()
        if self._place.is_forward:
            self.has_previous = had_previous
        else:
            self.has_next = had_next
        return frame

    def _read(self, place: Place) -> pd.DataFrame:
        """Read one row more than is shown, which tells whether there are more."""
        wanted, found, outcome = self.wanted, [], None
        left = self.rows + 1
        for stretch in stretches(wanted, place.mark, is_forward=place.is_forward):
            rows = self._ask(statement(wanted, stretch, self.engine, left, is_forward=place.is_forward))
            outcome = rows.outcome
            found.append(rows.arrow())
            left -= len(rows)
            if left <= 0:
                break
        assert outcome is not None
        # The records as they came: what two reads have in common may be less exact.
        records = [record for part in found for record in part.to_pylist()][: self.rows]
        has_more, table = sum(map(len, found)) > self.rows, joined(found).slice(0, self.rows)
        if not place.is_forward:
            records.reverse()
            table = table.take(list(range(table.num_rows - 1, -1, -1)))
        if place.is_forward:
            self.has_next = has_more
        else:
            self.has_previous = has_more
        self._place = place
        self.records = records
        return Rows(table.select(list(wanted.columns)), outcome).df()

    def _ask(self, asked: Statement) -> Rows:
        return gatebook.connect(self.source).read(asked.sql, asked.params)

    def _mark(self, record: Mapping[str, object]) -> Mark:
        return {name: record[name] for name in self.wanted.order}

    def _has_order(self, column: Column) -> bool:
        # MariaDB tells numbers of four bytes rounded, so that the row itself would not be found again.
        is_rounded = self.engine in {"mariadb", "mysql"} and column.type.lower().startswith("float")
        return kind_of(column.type) is not Kind.OTHER and not is_rounded


def joined(tables: list[pa.Table]) -> pa.Table:
    """Tables of the same columns as one. SQLite tells types by the values, so that a column of NULLs has another."""
    if len(tables) == 1:
        return tables[0]
    columns = []
    for place in range(tables[0].num_columns):
        parts = [table.column(place) for table in tables]
        kinds = {part.type for part in parts if part.null_count < len(part)} or {parts[0].type}
        kind = kinds.pop() if len(kinds) == 1 else pa.string()
        columns.append(pa.concat_arrays([chunk for part in parts for chunk in _chunks(part, kind)]))
    return pa.Table.from_arrays(columns, names=tables[0].column_names)


def _chunks(part: pa.ChunkedArray, kind: pa.DataType) -> list[pa.Array]:
    if part.null_count == len(part):
        return [pa.nulls(len(part), kind)]
    return list(part.cast(kind).chunks)


def table_of(source: str, name: str) -> Table:
    """The table as the gateway's schema has it; raises `NotFound`."""
    tables = when_open(lambda: recent_schema(source)).tables
    found = [one for one in tables if one.name == name] or [one for one in tables if one.name.lower() == name.lower()]
    if len(found) == 1:
        return found[0]
    raise NotFound(f"there is no table `{name}` in `{source}` that you may see")


def checked_key(table: Table) -> tuple[str, ...]:
    """The key by which rows are told apart; raises `InvalidInput` where there is none that you see in clear."""
    columns = {one.name: one for one in table.columns}
    if not table.key:
        message = f"`{table.name}` has no primary key, so its rows cannot be told apart"
        raise InvalidInput(message, ask="show a query's rows instead, with `load`")
    if any(columns[name].refused is not None or columns[name].mask is not None for name in table.key):
        message = f"the key of `{table.name}` is not yours to see, so its rows cannot be told apart"
        raise InvalidInput(message, ask="show a query's rows instead, with `load`")
    return table.key
