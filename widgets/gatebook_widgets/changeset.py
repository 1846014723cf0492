"""What has somebody changed of which rows, before anything is sent? A list of edits, and one statement of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gatebook import Change
from gatebook.model import Table
from gatebook_widgets.keyset import quoted
from gatebook_widgets.typing_in import typed_text

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One value of one row: as it was when it was looked at, and as it is to be."""

    key: Key
    label: str
    column: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """One statement, and for each row its values."""

    sql: str
    sets: tuple[Mapping[str, object], ...]


class ChangeSet:
    """The edits of one table. A later edit of the same value takes the place of the earlier one."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._edits: dict[tuple[Key, str], Edit] = {}

    def __iter__(self) -> Iterator[Edit]:
        return iter(tuple(self._edits.values()))

    def __len__(self) -> int:
        return len(self._edits)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The rows that change."""
        return tuple(dict.fromkeys(edit.key for edit in self._edits.values()))

    def put(self, record: Mapping[str, Any], column: str, after: object) -> None:
        """Change a value; the value that it had already takes the edit back."""
        key = self.key_of(record)
        known = self._edits.pop((key, column), None)
        before = known.before if known else record[column]
        if not is_same(before, after):
            label = ", ".join(str(value) for value in key)
            self._edits[key, column] = Edit(key=key, label=label, column=column, before=before, after=after)

    def after(self, record: Mapping[str, Any], column: str) -> object:
        """The value as it is to be."""
        edit = self._edits.get((self.key_of(record), column))
        return edit.after if edit else record[column]

    def take_back(self, place: int) -> None:
        """Forget one edit by its place in the list; one that is not there is none."""
        names = list(self._edits)
        if 0 <= place < len(names):
            del self._edits[names[place]]

    def clear(self) -> None:
        """Forget all of them."""
        self._edits.clear()

    def key_of(self, record: Mapping[str, Any]) -> Key:
        """What tells the row apart."""
        return tuple(record[name] for name in self._table.key)

    def statement(self, engine: str) -> Sets:
        """One update for all rows. Where rows change in different columns, the others keep what they hold by then."""
        columns = tuple(dict.fromkeys(edit.column for edit in self._edits.values()))
        edits = {(edit.key, edit.column): edit for edit in self}
        is_alike = all((key, column) in edits for key in self.keys for column in columns)
        names = {column: quoted(column, engine) for column in columns}
        terms = [
            f"{name} = :v{place}" if is_alike else f"{name} = case when :is{place} then :v{place} else {name} end"
            for place, name in enumerate(names.values())
        ]
        where = " and ".join(f"{quoted(name, engine)} = :k{place}" for place, name in enumerate(self._table.key))
        sets = []
        for key in self.keys:
            values: dict[str, object] = {f"k{place}": value for place, value in enumerate(key)}
            for place, column in enumerate(columns):
                edit = edits.get((key, column))
                values[f"v{place}"] = edit.after if edit else None
                if not is_alike:
                    values[f"is{place}"] = edit is not None
            sets.append(values)
        # Names of the schema, quoted, and numbered parameters: nothing else is in the text.
        sql = f"update {quoted(self._table.name, engine)} set {', '.join(terms)} where {where}"  # noqa: S608
        return Sets(sql=sql, sets=tuple(sets))

    def moved(self, change: Change) -> int:
        """How many rows were not any more as they had been looked at when the request was made."""
        diff = change.diff
        if diff is None:
            return 0
        seen = {(tuple(map(str, edit.key)), edit.column.lower()): edit for edit in self}
        moved = set()
        for row in diff.rows:
            for column, before in zip(diff.columns, row.before or (), strict=False):
                edit = seen.get((tuple(map(str, row.key)), column.lower()))
                if edit is not None and column not in diff.masked and not is_same(edit.before, before):
                    moved.add(row.key)
        return len(moved)


def is_same(one: object, other: object) -> bool:
    """Whether two values are one, whichever types an engine and a person tell them in."""
    if one is None or other is None or (isinstance(one, str) and isinstance(other, str)):
        return one == other
    try:
        return bool(one == other) or typed_text(one) == typed_text(other) or float(str(one)) == float(str(other))
    except (TypeError, ValueError):
        return False
