"""How is a write carried out inside a transaction? Read keys and values, lock, write by key, compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatebook_hub import sql
from gatebook_hub.changes import RowChange, RowDiff
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import Drifted, LimitExceeded, WriteRefused
from gatebook_hub.model import Limits, Schema, Table
from gatebook_hub.services.statements import DecidedReturning, DecidedWrite, used
from gatebook_hub.sources.source import LEDGER, WriteSession
from gatebook_hub.sql import KeyedStatements, Plan, StatementKind
from gatebook_hub.sql.generating import bound, quote_for_driver
from gatebook_hub.values import decode, encode

Row = tuple[Any, ...]
# Characters of what a write returns, as JSON: it is an answer at once, not a stream.
_MOST_RETURNED = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A decided write with the values that it binds, the gate's own among them."""

    decided: DecidedWrite
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a write changed, and what it returns of the rows that it wrote, as storable values."""

    diff: RowDiff
    returned: tuple[Row, ...]


def apply(
    session: WriteSession,
    decided: DecidedWrite,
    parameters: Mapping[str, Any],
    schema: Schema,
    limit_rows: int,
    limits: Limits,
) -> Applied:
    """Carry out a write in an open transaction and return what it changed; the caller commits or rolls back.

    Raises WriteRefused when a written row leaves the caller's row scope, Drifted when a row vanished meanwhile.
    """
    write = decided.write
    found = [session.select(step.plan, used(parameters, step.plan), limit_rows) for step in decided.steps]
    if sum(map(len, found)) > limit_rows:
        raise LimitExceeded(f"the write concerns more than {limit_rows:,} rows; narrow it")
    _check_once(decided, found)
    for decided_step, rows in zip(decided.steps, found, strict=True):
        if decided_step.scope is not None and decided_step.step.kind is not StatementKind.INSERT:
            for key in (row[: len(write.table.key)] for row in rows):
                _check_scope(session, decided_step.scope, key, parameters)
    changed: list[RowChange] = []
    scoped: list[tuple[Plan, RowChange]] = []
    left: list[Row] = []
    returned = _Returned(session, decided.returning, parameters, limits)
    for decided_step, rows in zip(decided.steps, found, strict=True):
        step = decided_step.step
        statements = sql.keyed_statements(write.table, step.columns, schema)
        if step.kind is StatementKind.DELETE:
            returned.read([row[: len(write.table.key)] for row in rows])
        written = [_one(session, statements, step.kind, write.table, row) for row in rows]
        if step.kind is not StatementKind.DELETE:
            left += [row.key for row in written]
        # Not by `==`, for which 1.0 is 1.00, and a list is one of other bounds.
        moved = [row for row in written if repr(row.before) != repr(row.after)]
        if decided_step.scope is not None and step.kind is not StatementKind.DELETE:
            scoped += [(decided_step.scope, row) for row in moved]
        changed += moved
    for scope, row in scoped:  # after the last write: a scope may look at other rows of the table
        _check_scope(session, scope, row.key, parameters)
    returned.read(left)
    every = tuple(column.name for column in write.table.columns)
    given = [set(step.step.columns) for step in decided.steps if step.step.kind is StatementKind.INSERT]
    diff = RowDiff(
        key=write.table.key,
        columns=every,
        rows=tuple(_encoded(row) for row in changed),
        assigned=frozenset().union(*(set(every) - columns for columns in given)),
    )
    return Applied(diff, tuple(returned.rows))


def apply_all(
    session: WriteSession, writes: Sequence[Prepared], schema: Schema, limit_rows: int, limits: Limits
) -> Applied:
    """Carry out several writes of one table, one after the other; raises as `apply` does."""
    each = [apply(session, one.decided, one.parameters, schema, limit_rows, limits) for one in writes]
    if len(each) == 1:
        return each[0]
    diffs = [one.diff for one in each]
    return Applied(
        RowDiff(
            key=diffs[0].key,
            columns=diffs[0].columns,
            rows=tuple(row for diff in diffs for row in diff.rows),
            assigned=frozenset().union(*(diff.assigned for diff in diffs)),
        ),
        (),
    )


def locked_row(session: WriteSession, table: Table, key: Row, schema: Schema) -> Row | None:
    """A row as storable values, by its storable key; it is locked, where rows are."""
    statements = sql.keyed_statements(table, (), schema)
    found = _read(session, statements.select_locked, tuple(decode(part, "key") for part in key))
    return None if found is None else tuple(encode(value) for value in found)


class Gathered:
    """Rows that a write returns, as storable values, up to a size."""

    def __init__(self, limits: Limits) -> None:
        self.rows: list[Row] = []
        self._most_rows = limits.rows
        self._most_bytes = min(limits.bytes or _MOST_RETURNED, _MOST_RETURNED)
        self._size = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows as storable values; raises LimitExceeded."""
        self.extend([tuple(encode(value) for value in row) for row in rows])

    def extend(self, rows: Sequence[Row]) -> None:
        """Keep rows of storable values; raises LimitExceeded."""
        for row in rows:
            self.rows.append(row)
            self._size += len(json.dumps(self.rows[-1]))
            if self._size > self._most_bytes:
                raise LimitExceeded(f"what is returned is larger than {self._most_bytes:,} characters; return less")
            if self._most_rows is not None and len(self.rows) > self._most_rows:
                raise LimitExceeded(f"the write returns more rows than {self._most_rows:,}; narrow it")


class _Returned(Gathered):
    """What a write returns, row by row; nothing without a `returning`."""

    def __init__(
        self,
        session: WriteSession,
        returning: DecidedReturning | None,
        parameters: Mapping[str, Any],
        limits: Limits,
    ) -> None:
        super().__init__(limits)
        self._session = session
        self._returning = returning
        self._parameters = parameters

    def read(self, keys: Sequence[Row]) -> None:
        """Read the rows with these keys; raises LimitExceeded."""
        if self._returning is None:
            return
        plan = self._returning.plan
        for key in keys:
            bindings = used({**self._parameters, **_named(sql.RETURNED_KEY, key)}, plan)
            self.add(self._session.select(plan, bindings, 1))


def _check_once(decided: DecidedWrite, found: Sequence[Sequence[Row]]) -> None:
    """A row is written once: which of several values would last is not for the database to choose."""
    width = len(decided.write.table.key)
    seen: set[Row] = set()
    for step, rows in zip(decided.steps, found, strict=True):
        if step.step.kind is StatementKind.INSERT:
            continue
        for row in rows:
            if row[:width] in seen:
                raise WriteRefused("the statement would write one row several times; make its condition pick one")
            seen.add(row[:width])


def note_in_ledger(session: WriteSession, schema: Schema, change_id: str, digest: str, at: str) -> None:
    """Write the change into the source's ledger, in the change's own transaction: exactly once, across a crash."""
    engine = schema.engine
    name = f"{quote_for_driver(schema.namespace or '', engine)}.{quote_for_driver(LEDGER, engine)}"
    values = ", ".join(bound(field, engine) for field in ("change_id", "digest", "executed_at"))
    statement = f"INSERT INTO {name} (change_id, digest, executed_at) VALUES ({values})"  # noqa: S608 - constants
    session.run(statement, {"change_id": change_id, "digest": digest, "executed_at": at})


def _one(session: WriteSession, statements: KeyedStatements, kind: StatementKind, table: Table, row: Row) -> RowChange:
    """Write one row; keys and values are raw here, `_encoded` makes them storable."""
    width = len(table.key)
    if kind is StatementKind.INSERT:
        returned, _ = session.run(statements.insert, _named("v", row), returns=True)
        if not returned:
            raise WriteRefused("the database left out a row that was to be added (a trigger, or a rule of its own)")
        key = returned[0]
        return RowChange(kind=RowKind.ADDED, key=key, before=None, after=_read(session, statements.select, key))
    key, values = row[:width], row[width:]
    before = _read(session, statements.select_locked, key)
    if before is None:
        raise Drifted("a row vanished while the write was prepared; send it again")
    if kind is StatementKind.DELETE:
        _, count = session.run(statements.delete, _named("k", key))
        if count == 0:
            raise WriteRefused("the database kept a row that was to be removed (a trigger, or a rule of its own)")
        return RowChange(kind=RowKind.REMOVED, key=key, before=before, after=None)
    session.run(statements.update, {**_named("v", values), **_named("k", key)})
    return RowChange(kind=RowKind.CHANGED, key=key, before=before, after=_read(session, statements.select, key))


def _read(session: WriteSession, statement: str, key: Row) -> Row | None:
    rows, _ = session.run(statement, _named("k", key))
    if len(rows) > 1:
        raise WriteRefused("several rows have the key, in tables that inherit from this one perhaps; write those")
    return rows[0] if rows else None


def _check_scope(session: WriteSession, scope: Plan, key: Row, parameters: Mapping[str, Any]) -> None:
    """Look whether a row is one that the caller may see: before it is written, and after."""
    bindings = used({**parameters, **_named("k", key)}, scope)
    if not session.select(scope, bindings, 2):
        raise WriteRefused("the write concerns rows outside of what you may see; nothing was written")


def _named(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{prefix}{index}": value for index, value in enumerate(values)}


def _encoded(row: RowChange) -> RowChange:
    def values(raw: Row | None) -> Row | None:
        return None if raw is None else tuple(encode(value) for value in raw)

    return RowChange(
        kind=row.kind, key=tuple(encode(value) for value in row.key), before=values(row.before), after=values(row.after)
    )
