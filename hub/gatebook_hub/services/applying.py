"""How is a write carried out inside a transaction? Read keys and values, lock, write by keys, compare."""

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
from gatebook_hub.services.by_key import Row, RowsByKey, named, numbered
from gatebook_hub.services.statements import DecidedReturning, DecidedStep, DecidedWrite, RowScope, used
from gatebook_hub.sources.source import LEDGER, WriteSession
from gatebook_hub.sql import StatementKind, WriteStep
from gatebook_hub.sql.generating import bound, quote_for_driver
from gatebook_hub.values import decode, encode

# Characters of what a write returns, as JSON: it is an answer at once, not a stream.
_MOST_RETURNED = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A decided write with the sets of values that it binds, the gate's own among them."""

    decided: DecidedWrite
    sets: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a write changed, and what it returns of the rows that it wrote, as storable values."""

    diff: RowDiff
    returned: tuple[Row, ...]


def apply(
    session: WriteSession,
    decided: DecidedWrite,
    sets: Sequence[Mapping[str, Any]],
    schema: Schema,
    limit_rows: int,
    limits: Limits,
) -> Applied:
    """Carry out a write, for these sets of parameters at once, in an open transaction; what it changed.

    First all is read, then all is written: no set sees what another one wrote. The caller commits or rolls back.
    Raises WriteRefused when a written row leaves the caller's row scope, Drifted when a row vanished meanwhile.
    """
    write = decided.write
    width = len(write.table.key)
    table = RowsByKey(session, write.table, schema)
    found = [_found(session, step, sets, limit_rows) for step in decided.steps]
    if sum(map(len, found)) > limit_rows:
        raise LimitExceeded(f"the write concerns more than {limit_rows:,} rows; narrow it")
    _check_once(decided, found)
    for decided_step, rows in zip(decided.steps, found, strict=True):
        if decided_step.scope is not None and decided_step.step.kind is not StatementKind.INSERT:
            _check_scope(session, decided_step.scope, [row[:width] for row in rows], sets[0])
    changed: list[RowChange] = []
    left: list[Row] = []
    scoped: list[tuple[RowScope, list[Row]]] = []
    returned = _Returned(session, decided.returning, sets[0] if sets else {}, limits)
    for decided_step, rows in zip(decided.steps, found, strict=True):
        step = decided_step.step
        if step.kind is StatementKind.DELETE:
            returned.read([row[:width] for row in rows])
        written = _written(table, step, rows, width)
        if step.kind is not StatementKind.DELETE:
            left += [row.key for row in written]
        # Not by `==`, for which 1.0 is 1.00, and a list is one of other bounds.
        moved = [row for row in written if repr(row.before) != repr(row.after)]
        if decided_step.scope is not None and step.kind is not StatementKind.DELETE:
            scoped.append((decided_step.scope, [row.key for row in moved]))
        changed += moved
    for scope, keys in scoped:  # after the last write: a scope may look at other rows of the table
        _check_scope(session, scope, keys, sets[0])
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
    each = [apply(session, one.decided, one.sets, schema, limit_rows, limits) for one in writes]
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


def locked_rows(session: WriteSession, table: Table, keys: Sequence[Row], schema: Schema) -> list[Row | None]:
    """Rows as storable values, by their storable keys; they are locked, where rows are."""
    wanted = [tuple(decode(part, "key") for part in key) for key in keys]
    found = RowsByKey(session, table, schema).read(wanted, locked=True)
    return [None if row is None else tuple(encode(value) for value in row) for row in found]


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
            bindings = used({**self._parameters, **named(sql.RETURNED_KEY, key)}, plan)
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


def _found(
    session: WriteSession, decided: DecidedStep, sets: Sequence[Mapping[str, Any]], limit_rows: int
) -> list[Row]:
    """What a step is about to write, for all sets."""
    plan = decided.plan
    if len(sets) == 1:
        return session.select(plan, used(sets[0], plan), limit_rows)
    each = session.select_many(plan, [used(one, plan) for one in sets], limit_rows)
    return [row for rows in each for row in rows]


def _written(table: RowsByKey, step: WriteStep, rows: Sequence[Row], width: int) -> list[RowChange]:
    """Write the rows of one step; keys and values are raw here, `_encoded` makes them storable."""
    if not rows:
        return []
    if step.kind is StatementKind.INSERT:
        keys = table.add(step.columns, rows)
        if len(keys) < len(rows):
            raise WriteRefused("the database left out a row that was to be added (a trigger, or a rule of its own)")
        return [
            RowChange(kind=RowKind.ADDED, key=key, before=None, after=after)
            for key, after in zip(keys, table.read(keys), strict=True)
        ]
    keys = [row[:width] for row in rows]
    before = table.read(keys, locked=True)
    if None in before:
        raise Drifted("a row vanished while the write was prepared; send it again")
    if step.kind is StatementKind.DELETE:
        if table.remove(keys) < len(keys):
            raise WriteRefused("the database kept a row that was to be removed (a trigger, or a rule of its own)")
        return [
            RowChange(kind=RowKind.REMOVED, key=key, before=was, after=None)
            for key, was in zip(keys, before, strict=True)
        ]
    table.change(step.columns, rows)
    return [
        RowChange(kind=RowKind.CHANGED, key=key, before=was, after=now)
        for key, was, now in zip(keys, before, table.read(keys), strict=True)
    ]


def _check_scope(session: WriteSession, scope: RowScope, keys: Sequence[Row], parameters: Mapping[str, Any]) -> None:
    if unseen(session, scope, keys, parameters):
        raise WriteRefused("the write concerns rows outside of what you may see; nothing was written")


def unseen(
    session: WriteSession, scope: RowScope, keys: Sequence[Row], parameters: Mapping[str, Any]
) -> tuple[Row, ...]:
    """Those of the keys whose rows the caller may not see, or that have no row."""
    found: list[Row] = []
    size = next((size for size in RowScope.SIZES if size >= len(keys)), RowScope.SIZES[-1])
    plan = scope.plan(size)
    for start in range(0, len(keys), size):
        some = keys[start : start + size]
        padded = [*some, *([some[-1]] * (size - len(some)))]
        rows = session.select(plan, used({**parameters, **numbered(padded)}, plan), 2 * size)
        seen = {repr(row) for row in rows}
        found += [key for key in some if repr(key) not in seen]
    if size == 1 or not found:
        return tuple(found)
    # A key that is the same may look different in the answer.
    return tuple(key for key in found if unseen(session, scope, [key], parameters))


def _encoded(row: RowChange) -> RowChange:
    def values(raw: Row | None) -> Row | None:
        return None if raw is None else tuple(encode(value) for value in raw)

    return RowChange(
        kind=row.kind, key=tuple(encode(value) for value in row.key), before=values(row.before), after=values(row.after)
    )
