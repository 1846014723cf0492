"""Which rows follow removed ones? The database removes them too, or changes them: by `on delete` of references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gatebook_hub.changes import RowChange
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import LimitExceeded
from gatebook_hub.model import Reference, Schema, Table
from gatebook_hub.services.by_key import Row, RowsByKey
from gatebook_hub.sources.source import WriteSession


@dataclass(frozen=True, slots=True)
class _Follower:
    """A row that follows one that is about to be removed."""

    table: Table
    key: Row
    before: Row


class Followers:
    """The rows that go, or change, with removed rows of a table, in an open transaction."""

    def __init__(self, session: WriteSession, schema: Schema, limit_rows: int) -> None:
        self._session = session
        self._schema = schema
        self._limit_rows = limit_rows
        self._found: dict[tuple[str, str], _Follower] = {}

    def look(self, table: Table, keys: Sequence[Row]) -> None:
        """Find and lock those of rows that are about to be removed; raises LimitExceeded."""
        waiting = [(table, list(keys))]
        removed = {repr(key) for key in keys}
        while waiting:
            parent, gone = waiting.pop()
            for child, reference in _following(self._schema, parent):
                rows = RowsByKey(self._session, child, self._schema)
                found = rows.following(reference, parent, gone, self._limit_rows)
                keyed = [(rows.key_of(row), row) for row in found] if child.key else []  # `Watch` counts the others
                new = [key for key, row in keyed if self._is_new(child, key, row, table, removed)]
                if reference.is_cascade and new:
                    waiting.append((child, new))

    def changes(self) -> Iterator[tuple[Table, list[RowChange]]]:
        """What became of them, by table; values are the driver's. Those that follow others come before them."""
        by_table: dict[str, list[_Follower]] = {}
        for one in reversed(self._found.values()):
            by_table.setdefault(one.table.name, []).append(one)
        for followers in by_table.values():
            table = followers[0].table
            now = RowsByKey(self._session, table, self._schema).read([one.key for one in followers])
            changes = (_change(one, after) for one, after in zip(followers, now, strict=True))
            yield table, [change for change in changes if change.is_change]

    def _is_new(self, child: Table, key: Row, row: Row, table: Table, removed: set[str]) -> bool:
        name = (child.name, repr(key))
        if name in self._found or (child.name == table.name and repr(key) in removed):
            return False
        if len(self._found) >= self._limit_rows:
            raise LimitExceeded(f"with the rows more than {self._limit_rows:,} others would go or change; narrow it")
        self._found[name] = _Follower(child, key, row)
        return True


def _following(schema: Schema, parent: Table) -> Iterator[tuple[Table, Reference]]:
    """The tables whose rows follow those of a parent, and by what."""
    for child in schema.tables.values():
        for reference in child.references:
            if reference.table == parent.name and not child.is_view and parent.key:
                yield child, reference


def _change(follower: _Follower, after: Row | None) -> RowChange:
    kind = RowKind.REMOVED if after is None else RowKind.CHANGED
    return RowChange(kind=kind, key=follower.key, before=follower.before, after=after, is_along=True)
