"""How is a write of more rows than are shown one by one previewed and carried out? Counted, bound by a digest, sampled.

Its preview reads, and writes nothing, so that production is not held up. What is bound of each row is how it is, and
the values that the statement gives it; what the database makes of those is its own.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gatebook_hub.changes import RowChange, RowDiff
from gatebook_hub.changes.request import Beyond, RowKind
from gatebook_hub.errors import Drifted, LimitExceeded
from gatebook_hub.model import Limits, Schema, Table
from gatebook_hub.services.applying import Applied, Applying, Prepared, encoded
from gatebook_hub.services.by_key import Row, RowsByKey, parts
from gatebook_hub.sources.source import WriteSession
from gatebook_hub.sql import StatementKind, WriteStep
from gatebook_hub.values import encode

_AT_ONCE = 1_000
_SAMPLE = 100
_KIND = {
    StatementKind.INSERT: RowKind.ADDED,
    StatementKind.UPDATE: RowKind.CHANGED,
    StatementKind.DELETE: RowKind.REMOVED,
}


def can_be_surveyed(writes: Sequence[Prepared]) -> bool:
    """Whether a write may be one of many rows: one statement, which returns nothing and takes no other rows along."""
    if len(writes) != 1 or len(writes[0].sets) != 1:
        return False
    decided = writes[0].decided
    return decided.returning is None and not decided.write.reached


class Survey:
    """One write of many rows, in an open transaction; raises LimitExceeded for too many."""

    def __init__(self, session: WriteSession, one: Prepared, schema: Schema, most_rows: int, limits: Limits) -> None:
        self._applying = Applying(session, one.decided, one.sets, schema, most_rows, limits)
        self._steps = one.decided.steps
        self._table = one.decided.write.table
        self._rows = RowsByKey(session, self._table, schema)
        self._found = self._applying.find()
        # Looked at before anything is written, as at the preview.
        self._most_of = self._applying.most_of(is_written=False)
        self._tally = _Tally(self._table, [step.step for step in self._steps], sum(map(len, self._found)))

    def outline(self) -> Applied:
        """How many rows of each kind; nothing else is known yet, but enough to ask the rules."""
        counts = Counter[RowKind]()
        for step, rows in zip(self._steps, self._found, strict=True):
            counts[_KIND[step.step.kind]] += len(rows)
        beyond = Beyond(counts=dict(counts), digest="")
        diff = RowDiff(table=self._table.name, key=self._table.key, columns=(), rows=(), beyond=beyond)
        return Applied((diff,), (), most_of=self._most_of)

    def preview(self) -> Applied:
        """What it would change, without a lock."""
        for decided, rows in zip(self._steps, self._found, strict=True):
            for some in parts(rows, _AT_ONCE):
                self._tally.add(decided.step, some, self._before(decided.step, some))
        return Applied((self._told(),), (), most_of=self._most_of)

    def carry_out(self) -> Applied:
        """Do it: the rows are locked as they are read, and each is told as it was."""
        left: list[list[Row]] = []
        for decided, rows in zip(self._steps, self._found, strict=True):
            keys: list[Row] = []
            for some in parts(rows, _AT_ONCE):
                written = self._applying.written(decided, some)
                self._tally.add(decided.step, some, [row.before for row in written])
                keys += [row.key for row in written if repr(row.before) != repr(row.after)]
            left.append(keys if decided.step.kind is not StatementKind.DELETE else [])
        for decided, keys in zip(self._steps, left, strict=True):
            self._applying.check_scope(decided, keys)
        return Applied((self._told(),), (), most_of=self._most_of)

    def _before(self, step: WriteStep, rows: Sequence[Row]) -> Sequence[Row | None]:
        if step.kind is StatementKind.INSERT:
            return [None] * len(rows)
        found = self._rows.read([row[: len(self._table.key)] for row in rows])
        if None in found:
            raise Drifted("a row vanished while the write was prepared; send it again")
        return found

    def _told(self) -> RowDiff:
        sampled = self._applying.diff(self._table, ())
        return self._tally.diff(sampled)


class _Tally:
    """What is bound of many rows, a line of which stays for each, and a sample of them, spread over all."""

    def __init__(self, table: Table, steps: Sequence[WriteStep], total: int) -> None:
        self._table = table
        self._steps = steps
        self._lines: list[bytes] = []
        self._counts = Counter[RowKind]()
        self._sample: list[RowChange] = []
        self._every = max(1, total // _SAMPLE)

    def add(self, step: WriteStep, rows: Sequence[Row], before: Sequence[Row | None]) -> None:
        """Rows of a step, each a key (not of one that is added) and the values that it gets."""
        kind = _KIND[step.kind]
        width = 0 if step.kind is StatementKind.INSERT else len(self._table.key)
        for row, was in zip(rows, before, strict=True):
            if len(self._lines) % self._every == 0 and len(self._sample) < _SAMPLE:
                self._sample.append(self._change(kind, step, row[:width], row[width:], was))
            bound = [kind, _encoded(row[:width]), None if was is None else _encoded(was), _encoded(row[width:])]
            self._lines.append(hashlib.sha256(json.dumps(bound).encode()).digest())
        self._counts[kind] += len(rows)

    def diff(self, empty: RowDiff) -> RowDiff:
        """All of it, as the diff of a table."""
        every = frozenset(empty.columns)
        written = [
            frozenset(step.columns) if step.kind is StatementKind.UPDATE else every - empty.assigned
            for step in self._steps
        ]
        digest = hashlib.sha256(b"".join(sorted(self._lines))).hexdigest()
        beyond = Beyond(counts=dict(self._counts), digest=digest, columns=frozenset().union(*written))
        return RowDiff(
            table=empty.table,
            key=empty.key,
            columns=empty.columns,
            rows=tuple(self._sample),
            assigned=empty.assigned,
            beyond=beyond,
        )

    def _change(self, kind: RowKind, step: WriteStep, key: Row, values: Row, was: Row | None) -> RowChange:
        given = dict(zip(step.columns, values, strict=True))
        names = [column.name for column in self._table.columns]
        after: Row | None = None
        match kind:
            case RowKind.ADDED:
                after = tuple(given.get(name) for name in names)
                key = tuple(given.get(name) for name in self._table.key)
            case RowKind.CHANGED:
                assert was is not None
                after = tuple(given.get(name, value) for name, value in zip(names, was, strict=True))
            case RowKind.REMOVED:
                after = None
        return encoded(RowChange(kind=kind, key=key, before=was, after=after))


def _encoded(values: Sequence[Any]) -> list[Any]:
    return [encode(value) for value in values]


def too_many(rows: int, most_shown: int) -> LimitExceeded:
    """Why a write of so many rows is refused where no rule takes a sample of them."""
    return LimitExceeded(
        f"the write concerns {rows:,} rows, and a request shows at most {most_shown:,}; narrow it, or have a rule with "
        "`sample: true`"
    )
