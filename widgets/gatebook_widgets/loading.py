"""What would become of the rows of a file? Those that fit its columns, why others do not, and the statement.

Adding rows, changing rows by their key, or whichever of both fits: one statement with a set of values for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gatebook.errors import InvalidInput, NotPermitted
from gatebook.model import Column, Table
from gatebook_widgets import kinds
from gatebook_widgets.changeset import Sets
from gatebook_widgets.fields import NotFitting
from gatebook_widgets.keyset import quoted
from gatebook_widgets.kinds import Kind, kind_of
from gatebook_widgets.sheets import Sheet


class Mode(StrEnum):
    """What the rows of a file are for."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"

    @property
    def words(self) -> str:
        """What a person reads."""
        return {
            "insert": "Add rows",
            "update": "Change rows that are there",
            "upsert": "Change rows that are there, add the others",
        }[self]

    @property
    def needs(self) -> tuple[str, ...]:
        """What one must be permitted."""
        return ("insert", "update") if self is Mode.UPSERT else (self.value,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What does not fit: in which row of the file, and why."""

    number: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The rows that fit, as values of the columns, and those that do not."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...]
    wrong: tuple[Wrong, ...]


def load(sheet: Sheet, table: Table, allowed: Sequence[Column], labels: Mapping[str, str], mode: Mode) -> Loaded:
    """Read a sheet; raises `InvalidInput`, `NotPermitted` where none of its rows can be meant."""
    for word in mode.needs:
        if word not in table.may:
            raise NotPermitted(f"you may not {word} rows of `{table.name}`", ask=f"a grant to {word} `{table.name}`")
    columns = tuple(_column(name, table, allowed, labels) for name in sheet.header)
    if len({one.name for one in columns}) < len(columns):
        raise InvalidInput("two columns of the file are the same column of the table")
    names = {one.name for one in columns}
    if mode is not Mode.INSERT:
        missing = [name for name in table.key if name not in names]
        if missing or not table.key:
            message = f"the file has no column `{(*missing, 'key')[0]}`, which tells the rows apart"
            raise InvalidInput(message)
        if not names - set(table.key):
            raise InvalidInput("the file has nothing but the key, so there is nothing to change")
    return _read(sheet, table, columns)


def statement(table: Table, loaded: Loaded, engine: str, mode: Mode) -> Sets:
    """One statement for all rows that fit. Names come from the schema and are quoted; values are parameters."""
    names = [quoted(one.name, engine) for one in loaded.columns]
    target = quoted(table.name, engine)
    key = [quoted(name, engine) for name in table.key]
    values = {name: f":v{place}" for place, name in enumerate(names)}
    rest = [name for name in names if name not in key]
    insert = f"insert into {target} ({', '.join(names)}) values ({', '.join(values.values())})"  # noqa: S608 - see above
    match mode:
        case Mode.INSERT:
            sql = insert
        case Mode.UPDATE:
            terms = ", ".join(f"{name} = {values[name]}" for name in rest)
            sql = f"update {target} set {terms} where {' and '.join(f'{name} = {values[name]}' for name in key)}"  # noqa: S608
        case Mode.UPSERT if engine in {"mariadb", "mysql"}:
            sql = f"{insert} on duplicate key update {', '.join(f'{name} = values({name})' for name in rest)}"
        case Mode.UPSERT:
            terms = ", ".join(f"{name} = excluded.{name}" for name in rest)
            sql = f"{insert} on conflict ({', '.join(key)}) do update set {terms}"
    return Sets(sql=sql, sets=tuple({f"v{place}": value for place, value in enumerate(row)} for row in loaded.rows))


def _column(name: str, table: Table, allowed: Sequence[Column], labels: Mapping[str, str]) -> Column:
    wanted = name.lower()
    found = [one for one in allowed if wanted in {one.name.lower(), labels.get(one.name, one.name).lower()}]
    if len(found) == 1:
        return found[0]
    message = f"the file's column `{name}` is none of `{table.name}` that can be loaded"
    raise InvalidInput(message, ask=f"use these names in the first row: {', '.join(one.name for one in allowed)}")


def _read(sheet: Sheet, table: Table, columns: tuple[Column, ...]) -> Loaded:
    rows, wrong = [], []
    seen: dict[tuple[object, ...], int] = {}
    for number, texts in zip(sheet.numbers, sheet.rows, strict=True):
        try:
            row = _row(columns, texts)
            key = tuple(value for column, value in zip(columns, row, strict=True) if column.name in table.key)
            if len(key) == len(table.key) and key and seen.setdefault(key, number) != number:
                raise NotFitting(f"has the same key as row {seen[key]}")  # noqa: TRY301 - said like the others
        except NotFitting as error:
            wrong.append(Wrong(number=number, why=str(error)))
        else:
            rows.append(row)
    return Loaded(columns=columns, rows=tuple(rows), wrong=tuple(wrong))


def _row(columns: tuple[Column, ...], texts: tuple[str, ...]) -> tuple[object, ...]:
    if len(texts) > len(columns):
        raise NotFitting(f"has {len(texts)} values for {len(columns)} columns")
    row, why = [], []
    for column, text in zip(columns, texts, strict=True):
        try:
            row.append(_value(column, text))
        except NotFitting as error:
            why.append(f"{column.name} {error}")
    if why:
        raise NotFitting("; ".join(why))
    return tuple(row)


def _value(column: Column, text: str) -> object:
    if text.strip():
        return kinds.read(column, text)
    if column.nullable:
        return None
    raise NotFitting("is missing")


def loadable(table: Table, names: Sequence[str]) -> tuple[Column, ...]:
    """The columns that a file may have: those named, or all that are seen in clear and can be typed."""
    fitting = [
        one for one in table.columns if one.refused is None and one.mask is None and kind_of(one.type) is not Kind.OTHER
    ]
    if not names:
        return tuple(fitting)
    found = {one.name.lower(): one for one in fitting}
    wanted = [found.get(name.lower()) for name in names]
    if None in wanted:
        message = f"`{names[wanted.index(None)]}` is no column of `{table.name}` that can be loaded"
        raise InvalidInput(message)
    return tuple(one for one in wanted if one is not None)
