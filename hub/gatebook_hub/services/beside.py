"""Which rows do triggers write beside a change? Those in which the writing transaction differs from what others see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatebook_hub import sql
from gatebook_hub.changes import Effect, RowChange, RowDiff
from gatebook_hub.changes.request import RowKind
from gatebook_hub.model import Engine, Schema, Table
from gatebook_hub.services.by_key import Row, RowsByKey, encoded
from gatebook_hub.sources.source import WriteSession

# A larger table of PostgreSQL is not read through for the rows that were written in it.
_MOST_BYTES = 64_000_000
_SIZE = "SELECT pg_catalog.pg_table_size(%(name)s::pg_catalog.regclass)"
_SELF = "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.xid::pg_catalog.text"
# Of a larger table of the other engines those rows are found that come after all that were there.
_MOST_COMPARED = 1_000
_TEXTS = {
    Engine.SQLITE: "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'",
    Engine.MARIADB: "SELECT event_object_table, action_statement FROM information_schema.triggers "
    "WHERE trigger_schema = %(namespace)s UNION ALL SELECT routine_name, routine_definition "
    "FROM information_schema.routines WHERE routine_schema = %(namespace)s AND routine_definition IS NOT NULL",
}
_WORD = re.compile(r"\w+")


def beside(session: WriteSession, schema: Schema, tables: Iterable[Table], limit_rows: int) -> Beside:
    """What finds the rows, to be made before the first write; `tables` are those that will be written."""
    written = {table.name: table for table in tables}
    if not any(table.triggers for table in written.values()):
        return Beside(session, schema, limit_rows)
    if schema.engine is Engine.POSTGRESQL:
        return _ByVersion(session, schema, limit_rows)
    kind = _Remembered if schema.engine is Engine.SQLITE else _Compared
    return kind(session, schema, limit_rows, tuple(_mentioned(session, schema, written)))


class Beside:
    """Finds nothing: where no trigger is, or none is known."""

    def __init__(self, session: WriteSession, schema: Schema, limit_rows: int) -> None:
        self._session = session
        self._schema = schema
        self._limit_rows = limit_rows

    def rows(self, effects: Sequence[Effect], diffs: Sequence[RowDiff]) -> tuple[RowDiff, ...]:
        """The rows of the effects that are found, as storable values, without those that the diffs have."""
        if not effects:
            return ()
        known = {(diff.table, json.dumps(row.key)) for diff in diffs for row in diff.rows}
        found = []
        for table in self._tables(effects):
            changes = [encoded(change) for change in self._changes(table) if change.is_change]
            changes = [change for change in changes if (table.name, json.dumps(change.key)) not in known]
            if changes and len(changes) <= self._limit_rows:
                columns = tuple(column.name for column in table.columns)
                found.append(RowDiff(table=table.name, key=table.key, columns=columns, rows=tuple(changes)))
        return tuple(found)

    def _tables(self, effects: Sequence[Effect]) -> Iterable[Table]:  # noqa: ARG002 - those that find have more
        """Where to look."""
        return ()

    def _changes(self, table: Table) -> Iterator[RowChange]:  # noqa: ARG002 - as above
        """The rows of a table that differ; values are the driver's."""
        yield from ()


class _ByVersion(Beside):
    """On PostgreSQL each row says which transaction made it, and which ended it; the latter to others alone."""

    def _tables(self, effects: Sequence[Effect]) -> Iterable[Table]:
        named = dict.fromkeys(effect.table for effect in effects if effect.table is not None)
        return [table for name in named if _is_keyed(table := self._schema.tables[name])]

    def _changes(self, table: Table) -> Iterator[RowChange]:
        if self._ask(_SIZE, {"name": sql.quoted_table(table, self._schema)})[0][0] > _MOST_BYTES:
            return
        most = 2 * self._limit_rows
        own = {"xid": self._ask(_SELF, {})[0][0], "most": most + 1}
        keys = self._ask(sql.select_keys_made(table, self._schema), own)
        with self._session.others() as others:
            keys += others.run(sql.select_keys_ended(table, self._schema), own)[0]
            if len(keys) > most:
                return
            keys = list({repr(key): key for key in keys}.values())
            before = RowsByKey(others, table, self._schema).read(keys)
        now = RowsByKey(self._session, table, self._schema).read(keys)
        for key, was, row in zip(keys, before, now, strict=True):
            yield _change(key, was, row)

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        return self._session.run(statement, parameters)[0]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The rows of a small table, by what tells them apart; of a larger one, the last key."""

    rows: Mapping[str, tuple[Row, Row]] = field(default_factory=dict)
    last: Any = None
    is_whole: bool = True


class _Compared(Beside):
    """Tables that the triggers mention, as they are here and as others see them, who may write there meanwhile."""

    def __init__(self, session: WriteSession, schema: Schema, limit_rows: int, tables: Sequence[Table]) -> None:
        super().__init__(session, schema, limit_rows)
        self._mentioned = tables

    def _tables(self, effects: Sequence[Effect]) -> Iterable[Table]:  # noqa: ARG002 - the engine names none
        return self._mentioned

    def _changes(self, table: Table) -> Iterator[RowChange]:
        seen = self._before(table)
        rows = self._now(table, seen)
        found = [
            _change(key, seen.rows[sign][1] if sign in seen.rows else None, rows[sign][1] if sign in rows else None)
            for sign, (key, _) in {**seen.rows, **rows}.items()
        ]
        yield from self._lasting(table, [change for change in found if change.is_change])

    def _now(self, table: Table, seen: _Seen) -> dict[str, tuple[Row, Row]]:
        """The rows as they are here, as far as they can be compared with those that were seen."""
        most = _MOST_COMPARED + self._limit_rows
        if seen.is_whole:
            found = self._session.run(sql.select_rows(table, self._schema), {"most": most + 1})[0]
        elif seen.last is not None:
            given = {"last": seen.last, "most": most + 1}
            found = self._session.run(sql.select_rows_after(table, self._schema), given)[0]
        else:
            found = []
        keyed = RowsByKey(self._session, table, self._schema)
        rows = {repr(key): (key, row) for row in found if (key := keyed.key_of(row))}
        return rows if len(found) <= most else dict(seen.rows)

    def _before(self, table: Table) -> _Seen:
        with self._session.others() as others:
            return _seen(others, table, self._schema)

    def _lasting(self, table: Table, changes: Sequence[RowChange]) -> Iterator[RowChange]:
        """Those of which others still see what they saw: what they wrote in between is theirs."""
        with self._session.others() as others:
            again = RowsByKey(others, table, self._schema).read([change.key for change in changes])
        for change, row in zip(changes, again, strict=True):
            if repr(change.before) == repr(row):
                yield change


class _Remembered(_Compared):
    """On SQLite nobody else writes meanwhile: what was there at the beginning is what others see."""

    def __init__(self, session: WriteSession, schema: Schema, limit_rows: int, tables: Sequence[Table]) -> None:
        super().__init__(session, schema, limit_rows, tables)
        self._were = {table.name: _seen(session, table, schema) for table in tables}

    def _before(self, table: Table) -> _Seen:
        return self._were[table.name]

    def _lasting(self, table: Table, changes: Sequence[RowChange]) -> Iterator[RowChange]:  # noqa: ARG002 - as it was
        yield from changes


def _seen(session: WriteSession, table: Table, schema: Schema) -> _Seen:
    found = session.run(sql.select_rows(table, schema), {"most": _MOST_COMPARED + 1})[0]
    if len(found) <= _MOST_COMPARED:
        keyed = RowsByKey(session, table, schema)
        return _Seen(rows={repr(key): (key, row) for row in found if (key := keyed.key_of(row))})
    if len(table.key) > 1:
        return _Seen(is_whole=False)
    return _Seen(last=session.run(sql.select_last_key(table, schema), {})[0][0][0], is_whole=False)


def _mentioned(session: WriteSession, schema: Schema, written: Mapping[str, Table]) -> Iterator[Table]:
    """The tables that triggers of written ones name, or what they call, or the triggers of those."""
    given = {} if schema.engine is Engine.SQLITE else {"namespace": schema.namespace}
    words: dict[str, set[str]] = {}
    for name, text in session.run(_TEXTS[schema.engine], given)[0]:
        words.setdefault(name.lower(), set()).update(_WORD.findall(text.lower()))
    waiting = [table.name.lower() for table in written.values() if table.triggers]
    reached: set[str] = set()
    named: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            named |= words.get(name, set())
            waiting += words.get(name, set()) & words.keys()
    for table in schema.tables.values():
        if table.name.lower() in named and _is_keyed(table):
            yield table


def _is_keyed(table: Table) -> bool:
    return bool(table.key) and not table.is_view


def _change(key: Row, was: Row | None, now: Row | None) -> RowChange:
    kind = RowKind.ADDED if was is None else RowKind.REMOVED if now is None else RowKind.CHANGED
    return RowChange(kind=kind, key=key, before=was, after=now, is_along=True)
