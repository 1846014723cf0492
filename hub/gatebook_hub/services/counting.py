"""What does the database write by itself in a transaction? Counted, where the engine tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gatebook_hub.changes import Effect
from gatebook_hub.changes.request import RowKind
from gatebook_hub.model import Engine, Schema
from gatebook_hub.sources.source import LEDGER, WriteSession

# By table and kind; None for what the engine does not tell.
Place = tuple[str | None, RowKind | None]
Counts = Mapping[Place, int]
_WRITTEN = """
SELECT schemaname = %(namespace)s, relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""
_KINDS = (RowKind.ADDED, RowKind.CHANGED, RowKind.REMOVED)
_HANDLED = {"handler_write": RowKind.ADDED, "handler_update": RowKind.CHANGED, "handler_delete": RowKind.REMOVED}
_HANDLERS = f"SHOW SESSION STATUS WHERE Variable_name IN ({', '.join(map(repr, _HANDLED))})"


class Watch:
    """Counts what is written in a transaction from now on."""

    def __init__(self, session: WriteSession, schema: Schema) -> None:
        self._session = session
        self._schema = schema
        self._before = self._counted()

    def effects(self, own: Counts, along: Mapping[tuple[str, RowKind], int]) -> tuple[Effect, ...]:
        """What was written beside the gate's own writes, and beside those that go along with them."""
        is_postgresql = self._schema.engine is Engine.POSTGRESQL
        if is_postgresql:
            self._session.run("SET CONSTRAINTS ALL IMMEDIATE", {})  # what waits for the commit is done now
        now = self._counted()
        if is_postgresql:
            self._session.run("SET CONSTRAINTS ALL DEFERRED", {})
        if self._schema.engine is not Engine.MARIADB:  # which does not count what goes along
            own = Counter(own)
            own.update(along)
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
            case Engine.MARIADB:
                rows, _ = self._session.run(_HANDLERS, {})
                found.update({(None, _HANDLED[name.lower()]): int(count) for name, count in rows})
            case _:
                pass
        return found

    def _is_part(self, name: str) -> bool:
        table = self._schema.tables.get(name)
        return table is None or table.is_view
