"""How is a write carried out inside a transaction? Read keys and values, lock, write by keys, compare."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatebook_hub import changes as core
from gatebook_hub import sql
from gatebook_hub.changes import Effect, RowChange, RowDiff
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import Drifted, LimitExceeded, WriteRefused
from gatebook_hub.model import Limits, Schema, Table
from gatebook_hub.services.along import Followers
from gatebook_hub.services.beside import beside
from gatebook_hub.services.by_key import Row, RowsByKey, encoded, named, numbered, parts
from gatebook_hub.services.counting import Place, Watch
from gatebook_hub.services.statements import DecidedReturning, DecidedStep, DecidedWrite, Prepared, RowScope, used
from gatebook_hub.services.timed import TimedSession
from gatebook_hub.sources.source import LEDGER, WriteSession, within
from gatebook_hub.sql import StatementKind, WriteStep
from gatebook_hub.sql.generating import bound, quote_for_driver
from gatebook_hub.values import decode, encode

# Characters of what a write returns, as JSON: it is an answer at once, not a stream.
_MOST_RETURNED = 10_000_000
# Half of a small table is no news.
_FEW = 20
_SETS_AT_ONCE = 20
KINDS = {
    StatementKind.INSERT: RowKind.ADDED,
    StatementKind.UPDATE: RowKind.CHANGED,
    StatementKind.DELETE: RowKind.REMOVED,
}


@dataclass(frozen=True, slots=True)
class Applied:
    """What a write changed, what the database wrote beside it, and what it returned, as storable values.

    `steps` are what each step changed, before all of it became one diff for each table: what rules count. `most_of` are
    the tables of which it changes more than half of the rows, as far as its writer sees all of them. `beside` are rows
    that triggers wrote, as far as they were found.
    """

    diffs: tuple[RowDiff, ...]
    returned: tuple[Row, ...]
    effects: tuple[Effect, ...] = ()
    most_of: frozenset[str] = frozenset()
    steps: tuple[RowDiff, ...] = ()
    beside: tuple[RowDiff, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows the write itself changed."""
        return sum(diff.total for diff in self.diffs) - sum(core.along_rows(self.diffs).values())

    @property
    def touched(self) -> Mapping[str, int]:
        """How often a row was changed, by table: asked for or along, and again where a step changed it back."""
        found: dict[str, int] = {}
        for diff in self.steps or self.diffs:
            found[diff.table] = found.get(diff.table, 0) + diff.total
        return found

    @property
    def along(self) -> Mapping[tuple[str, RowKind], int]:
        """How often a row went along, by table and by what happened to it."""
        return core.along_rows(self.steps or self.diffs)


def apply_all(
    session: WriteSession, writes: Sequence[Prepared], schema: Schema, limit_rows: int, limits: Limits
) -> Applied:
    """Carry out several writes, one after the other, as one change; raises as `apply` does."""
    timed = TimedSession(session, limits)
    finder = beside(timed, schema, [one.decided.write.table for one in writes], limit_rows)
    watch = Watch(timed, schema)
    steps: list[RowDiff] = []
    own: Counter[Place] = Counter()
    returned: tuple[Row, ...] = ()
    most_of: set[str] = set()
    for one in writes:
        applying = Applying(timed, one.decided, one.sets, schema, limit_rows, limits)
        applied = applying.run()
        steps += applied.diffs
        own += applying.counts
        most_of |= applied.most_of
        returned = applied.returned
    diffs = core.together(steps)
    within(range(sum(diff.total for diff in diffs)), limit_rows)
    effects = watch.effects(own, core.along_rows(steps))
    return Applied(diffs, returned, effects, frozenset(most_of), tuple(steps), finder.rows(effects, diffs))


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
    return Applying(session, decided, sets, schema, limit_rows, limits).run()


class Applying:
    """One write under way."""

    def __init__(
        self,
        session: WriteSession,
        decided: DecidedWrite,
        sets: Sequence[Mapping[str, Any]],
        schema: Schema,
        limit_rows: int,
        limits: Limits,
    ) -> None:
        self._session = session
        self._decided = decided
        self._sets = sets
        self._schema = schema
        self._limit_rows = limit_rows
        self._own: Mapping[str, Any] = sets[0] if sets else {}
        self._table = decided.write.table
        self._width = len(self._table.key)
        self._rows = RowsByKey(session, self._table, schema)
        self._returned = _Returned(session, decided.returning, self._own, limits)
        self._along: list[RowDiff] = []
        self.found: Counter[RowKind] = Counter()
        # What was written, as the database counts it.
        self.counts: Counter[Place] = Counter()

    def find(self) -> list[list[Row]]:
        """What each step is about to write: keys and values; raises LimitExceeded, WriteRefused."""
        decided = self._decided
        found = [_found(self._session, step, self._sets, self._limit_rows) for step in decided.steps]
        within(range(sum(map(len, found))), self._limit_rows)
        _check_once(decided, found)
        for step, rows in zip(decided.steps, found, strict=True):
            self.found[KINDS[step.step.kind]] += len(rows)
        return found

    def run(self) -> Applied:
        """All of its steps."""
        decided, width = self._decided, self._width
        found = self.find()
        diffs: list[RowDiff] = []
        left: list[Row] = []
        scoped: list[tuple[DecidedStep, list[Row]]] = []
        for step, rows in zip(decided.steps, found, strict=True):
            is_deleting = step.step.kind is StatementKind.DELETE
            if is_deleting:
                self._returned.read([row[:width] for row in rows])
            written = self.written(step, rows)
            moved = [row for row in written if row.is_change]
            if not is_deleting:
                left += [row.key for row in written]
                scoped.append((step, [row.key for row in moved]))
            diffs += [*self._along, self.diff(self._table, moved, step.step)]
            self._along.clear()
        for step, keys in scoped:  # after the last write: a scope may look at other rows of the table
            self.check_scope(step, keys)
        self._returned.read(left)
        return Applied(tuple(diffs), tuple(self._returned.rows), most_of=self.most_of(self.found, is_written=True))

    def most_of(self, found: Mapping[RowKind, int], *, is_written: bool) -> frozenset[str]:
        """The table, if more than half of its rows are concerned; who does not see all of them is not told."""
        added, removed = found.get(RowKind.ADDED, 0), found.get(RowKind.REMOVED, 0)
        concerned = found.get(RowKind.CHANGED, 0) + removed
        if concerned <= _FEW or any(step.scope is not None for step in self._decided.steps):
            return frozenset()
        rows = self._rows.count(2 * concerned + added)
        before = rows - added + removed if is_written else rows
        return frozenset({self._table.name}) if 2 * concerned > before else frozenset()

    def written(self, decided: DecidedStep, rows: Sequence[Row]) -> list[RowChange]:
        """Write the rows of one step; keys and values are raw here, `encoded` makes them storable.

        They were found among those that may be seen; now that they are locked, they are looked at once more.
        """
        if not rows:
            return []
        step = decided.step
        if step.kind is StatementKind.INSERT:
            return self._added(step, rows)
        keys = [row[: self._width] for row in rows]
        before = self.before(keys, locked=True)
        self.check_scope(decided, keys)
        if step.kind is StatementKind.DELETE:
            return self._removed(keys, before)
        self.counts[self._table.name, RowKind.CHANGED] += self._rows.change(step.columns, rows)
        return [
            RowChange(kind=RowKind.CHANGED, key=key, before=was, after=now)
            for key, was, now in zip(keys, before, self._rows.read(keys), strict=True)
        ]

    def before(self, keys: Sequence[Row], *, locked: bool) -> list[Row]:
        """The rows as they are; raises Drifted."""
        found = [row for row in self._rows.read(keys, locked=locked) if row is not None]
        if len(found) < len(keys):
            raise Drifted("a row vanished while the write was prepared; send it again")
        return found

    def _added(self, step: WriteStep, rows: Sequence[Row]) -> list[RowChange]:
        keys = self._rows.add(step.columns, rows)
        if len(keys) < len(rows):
            raise WriteRefused("the database left out a row that was to be added (a trigger, or a rule of its own)")
        self.counts[self._table.name, RowKind.ADDED] += len(keys)
        return [
            RowChange(kind=RowKind.ADDED, key=key, before=None, after=after)
            for key, after in zip(keys, self._rows.read(keys), strict=True)
        ]

    def _removed(self, keys: Sequence[Row], before: Sequence[Row]) -> list[RowChange]:
        followers = Followers(self._session, self._schema, self._limit_rows)
        followers.look(self._table, keys)
        if self._rows.remove(keys) < len(keys):
            raise WriteRefused("the database kept a row that was to be removed (a trigger, or a rule of its own)")
        self.counts[self._table.name, RowKind.REMOVED] += len(keys)
        for table, changes in followers.changes():
            if changes:
                self._along.append(self.diff(table, changes))
        return [
            RowChange(kind=RowKind.REMOVED, key=key, before=was, after=None)
            for key, was in zip(keys, before, strict=True)
        ]

    def diff(self, table: Table, changes: Sequence[RowChange], step: WriteStep | None = None) -> RowDiff:
        """Changes of rows of a table as storable values, by a step or by the database itself."""
        every = tuple(column.name for column in table.columns)
        is_insert = step is not None and step.kind is StatementKind.INSERT
        return RowDiff(
            table=table.name,
            key=table.key,
            columns=every,
            rows=tuple(map(encoded, changes)),
            assigned=frozenset(every) - set(step.columns) if step is not None and is_insert else frozenset(),
        )

    def check_scope(self, step: DecidedStep, keys: Sequence[Row]) -> None:
        """Look whether rows are such as the caller may see: before they are written, and after."""
        if step.scope is not None and keys and unseen(self._session, step.scope, keys, self._own):
            raise WriteRefused("the write concerns rows outside of what you may see; nothing was written")


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
    signs: set[str] = set()  # a NaN is not equal to itself
    for step, rows in zip(decided.steps, found, strict=True):
        if step.step.kind is StatementKind.INSERT:
            continue
        for row in rows:
            key = row[:width]
            if key in seen or repr(key) in signs:
                raise WriteRefused("the statement would write one row several times; make its condition pick one")
            seen.add(key)
            signs.add(repr(key))


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
    found: list[Row] = []
    for some in parts(sets, _SETS_AT_ONCE):
        for rows in session.select_many(plan, [used(one, plan) for one in some], limit_rows):
            found += rows
        within(found, limit_rows)
    return found


def unseen(
    session: WriteSession, scope: RowScope, keys: Sequence[Row], parameters: Mapping[str, Any]
) -> tuple[Row, ...]:
    """Those of the keys whose rows the caller may not see, or that have no row."""
    found: list[Row] = []
    size = next((size for size in scope.sizes if size >= len(keys)), scope.sizes[-1])
    plan = scope.plan(size)
    for some in parts(keys, size):
        padded = [*some, *([some[-1]] * (size - len(some)))]
        rows = session.select(plan, used({**parameters, **numbered(padded)}, plan), 2 * size)
        seen = {repr(row) for row in rows}
        found += [key for key in some if repr(key) not in seen]
    if size == 1 or not found:
        return tuple(found)
    # A key that is the same may look different in the answer.
    return tuple(key for key in found if unseen(session, scope, [key], parameters))
