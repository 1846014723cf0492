"""What does the database itself change with a write? Rows that follow removed ones, and what its triggers do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatebook_hub.changes import Effect, RowChange
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import LimitExceeded
from gatebook_hub.model import Engine, Reference, Schema, Table
from gatebook_hub.services.by_key import Row, RowsByKey
from gatebook_hub.sources.source import LEDGER, WriteSession

Place = tuple[str | None, RowKind | None]
# By table and kind.
Counts = Mapping[Place, int]
_WRITTEN = """
SELECT schemaname = %(namespace)s, relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""
_KINDS = (RowKind.ADDED, RowKind.CHANGED, RowKind.REMOVED)


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


class Watch:
    """Counts what the database writes in a transaction, where it tells, from now on."""

    def __init__(self, session: WriteSession, schema: Schema) -> None:
        self._session = session
        self._schema = schema
        self._before = self._counted()

    def effects(self, own: Counts) -> tuple[Effect, ...]:
        """What was written beside the gate's own writes, and beside what follows them."""
        is_postgresql = self._schema.engine is Engine.POSTGRESQL
        if is_postgresql:
            self._session.run("SET CONSTRAINTS ALL IMMEDIATE", {})  # what waits for the commit is done now
        now = self._counted()
        if is_postgresql:
            self._session.run("SET CONSTRAINTS ALL DEFERRED", {})
        found = []
        for (table, kind), count in now.items():
            known = own.get((table, kind), 0) if table is not None else self._hidden(own, now, kind)
            beside = count - self._before[table, kind] - known
            if beside > 0:
                told = table if table is not None and self._schema.knows(table) else None
                found.append(Effect(rows=beside, kind=kind, table=told))
        return tuple(sorted(found, key=lambda one: (one.table or "", str(one.kind))))

    def _hidden(self, own: Counts, now: Counts, kind: RowKind | None) -> int:
        """How many of the gate's own writes are counted under no name: of parts of tables, or where none is told."""
        return sum(
            count for (table, what), count in own.items() if kind is None or (what is kind and (table, what) not in now)
        )

    def _counted(self) -> Counter[Place]:
        found: Counter[Place] = Counter()
        match self._schema.engine:
            case Engine.POSTGRESQL:
                rows, _ = self._session.run(_WRITTEN, {"namespace": self._schema.namespace})
                for is_here, name, *counts in rows:
                    if name == LEDGER:
                        continue
                    # Rows of a part of a table are counted as the part's, and written as the whole's.
                    table = name if is_here and not self._is_part(name) else None
                    for kind, count in zip(_KINDS, counts, strict=True):
                        found[table, kind] += count
            case Engine.SQLITE:
                rows, _ = self._session.run("SELECT total_changes()", {})
                found[None, None] = rows[0][0]
            case _:
                pass
        return found

    def _is_part(self, name: str) -> bool:
        table = self._schema.tables.get(name)
        return table is None or table.is_view


def _following(schema: Schema, parent: Table) -> Iterator[tuple[Table, Reference]]:
    """The tables whose rows follow those of a parent, and by what."""
    for child in schema.tables.values():
        for reference in child.references:
            if reference.table == parent.name and not child.is_view and parent.key:
                yield child, reference


def _change(follower: _Follower, after: Row | None) -> RowChange:
    kind = RowKind.REMOVED if after is None else RowKind.CHANGED
    return RowChange(kind=kind, key=follower.key, before=follower.before, after=after, is_along=True)
