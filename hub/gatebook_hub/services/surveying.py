"""How is a write of more rows than are shown one by one previewed and carried out? Counted, bound by a digest, sampled.

Its preview reads, and writes nothing, so that production is not held up. What is bound of each row is how it is, and
the values that the statement gives it; what the database makes of those is its own.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gatebook_hub.changes import RowChange, RowDiff
from gatebook_hub.changes.request import Beyond, RowKind
from gatebook_hub.errors import LimitExceeded
from gatebook_hub.model import Limits, Schema, Table
from gatebook_hub.services.applying import KINDS, Applied, Applying
from gatebook_hub.services.by_key import Row, encoded, parts
from gatebook_hub.services.statements import DecidedStep, Prepared, used
from gatebook_hub.services.timed import TimedSession
from gatebook_hub.sources.source import WriteSession, within
from gatebook_hub.sql import StatementKind, WriteStep
from gatebook_hub.values import encode

_AT_ONCE = 1_000
_SAMPLE = 100


def can_be_surveyed(writes: Sequence[Prepared]) -> bool:
    """Whether a write may be one of many rows: one statement, which returns nothing and takes no other rows along."""
    if len(writes) != 1 or len(writes[0].sets) != 1:
        return False
    decided = writes[0].decided
    return decided.returning is None and not decided.write.reached


class Survey:
    """One write of many rows, in an open transaction; raises LimitExceeded for too many."""

    def __init__(
        self, session: WriteSession, writes: Sequence[Prepared], schema: Schema, most_rows: int, limits: Limits
    ) -> None:
        first = writes[0]
        timed = TimedSession(session, limits)
        self._applying = Applying(timed, first.decided, first.sets, schema, most_rows, limits)
        self._steps = [step for one in writes for step in one.decided.steps]
        self._table = first.decided.write.table
        self._session = timed
        self._sets = first.sets
        self._most_rows = most_rows
        self._tally = _Tally(self._table, [step.step for step in self._steps])
        self._most_of: frozenset[str] = frozenset()

    def outline(self) -> Applied:
        """How many rows of each kind; nothing else is known yet, but enough to ask the rules."""
        counts = self._counts()
        within(range(sum(counts.values())), self._most_rows)
        beyond = Beyond(counts=dict(counts), digest="")
        diff = RowDiff(table=self._table.name, key=self._table.key, columns=(), rows=(), beyond=beyond)
        return Applied((diff,), (), most_of=self._applying.most_of(counts, is_written=False))

    def _counts(self) -> Counter[RowKind]:
        counts = Counter[RowKind]()
        for step in self._steps:
            counts[KINDS[step.step.kind]] += self._count(step)
        return counts

    def _count(self, step: DecidedStep) -> int:
        """How many rows a step is about to write, without any of their values."""
        plan = step.plan
        most = int(self._most_rows) + 1
        some = f"SELECT 1 AS gb_row FROM ({plan.sql}) AS gb_all LIMIT {most}"  # noqa: S608 - the plan's own text
        counted = replace(plan, sql=f"SELECT COUNT(*) FROM ({some}) AS gb_rows")  # noqa: S608 - as above
        return int(self._session.select(counted, used(self._sets[0], plan), 1)[0][0])

    def _pieces(self, *, locked: bool) -> Iterator[tuple[DecidedStep, Sequence[Row]]]:  # noqa: ARG002 - for ways back
        """What each step is about to write, some rows at a time: keys and values."""
        found = self._applying.find()
        self._most_of = self._applying.most_of(self._applying.found, is_written=False)
        for decided, rows in zip(self._steps, found, strict=True):
            for some in parts(rows, _AT_ONCE):
                yield decided, some

    def preview(self) -> Applied:
        """What it would change, without a lock."""
        for decided, some in self._pieces(locked=False):
            self._tally.add(decided.step, some, self._before(decided.step, some))
        return Applied((self._told(),), (), most_of=self._most_of)

    def carry_out(self, keep: Callable[[Sequence[RowChange]], None]) -> Applied:
        """Do it: the rows are locked as they are read, each is told as it was, and is kept as it was and as it is."""
        left: list[tuple[DecidedStep, list[Row]]] = []
        for decided, some in self._pieces(locked=True):
            written = self._applying.written(decided, some)
            self._tally.add(decided.step, some, [row.before for row in written])
            keep([encoded(row) for row in written])
            if decided.step.kind is not StatementKind.DELETE:
                left.append((decided, [row.key for row in written if row.is_change]))
        for decided, keys in left:
            self._applying.check_scope(decided, keys)
        return Applied((self._told(),), (), most_of=self._most_of)

    def _before(self, step: WriteStep, rows: Sequence[Row]) -> Sequence[Row | None]:
        if step.kind is StatementKind.INSERT:
            return [None] * len(rows)
        return self._applying.before([row[: len(self._table.key)] for row in rows], locked=False)

    def _told(self) -> RowDiff:
        insert = next((step.step for step in self._steps if step.step.kind is StatementKind.INSERT), None)
        return self._tally.diff(self._applying.diff(self._table, (), insert))


class _Tally:
    """What is bound of many rows, a line of which stays for each, and a sample of them, drawn by lot."""

    def __init__(self, table: Table, steps: Sequence[WriteStep]) -> None:
        self._table = table
        self._steps = steps
        self._lines: list[bytes] = []
        self._counts = Counter[RowKind]()
        # Those whose lines come first under a key that nobody knows before: no statement can choose them.
        self._nonce = secrets.token_bytes(16)
        self._sample: list[tuple[int, int, RowChange]] = []

    def add(self, step: WriteStep, rows: Sequence[Row], before: Sequence[Row | None]) -> None:
        """Rows of a step, each a key (not of one that is added) and the values that it gets."""
        kind = KINDS[step.kind]
        width = 0 if step.kind is StatementKind.INSERT else len(self._table.key)
        for row, was in zip(rows, before, strict=True):
            bound = [kind, _encoded(row[:width]), None if was is None else _encoded(was), _encoded(row[width:])]
            line = hashlib.sha256(json.dumps(bound).encode()).digest()
            lot = -int.from_bytes(hmac.digest(self._nonce, line, "sha256"))
            if len(self._sample) < _SAMPLE or lot > self._sample[0][0]:
                drawn = (lot, len(self._lines), self._change(kind, step, row[:width], row[width:], was))
                (heapq.heappush if len(self._sample) < _SAMPLE else heapq.heapreplace)(self._sample, drawn)
            self._lines.append(line)
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
            rows=tuple(row for _, _, row in sorted(self._sample, key=lambda drawn: drawn[1])),
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
