"""What is a change request? The exact rows that would change, who asks, and what was decided about it so far."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gatebook_hub.changes.risk import Risk
from gatebook_hub.model import Glass, Principal, Requirement, RuleRef
from gatebook_hub.windows import Execution


class State(StrEnum):
    """Where a request stands."""

    AWAITING_REVIEW = "awaiting_review"
    APPROVED = "approved"
    EXECUTING = "executing"
    EXECUTED = "executed"
    UNDONE = "undone"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    DRIFTED = "drifted"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self not in {State.AWAITING_REVIEW, State.APPROVED, State.EXECUTING}


# The operation of a request that calls another service.
CALL = "call"
# That of one that gives its requester access for a time.
ACCESS = "access"


class Verdict(StrEnum):
    """What a reviewer says."""

    APPROVE = "approve"
    REJECT = "reject"


class RowKind(StrEnum):
    """What happens to a row."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row before and after, values encoded as in `values.py`, in the order of the diff's columns.

    `place` is its turn among all rows of the change. The database itself changes one that goes along: by a reference to
    a row that is removed.
    """

    kind: RowKind
    key: tuple[Any, ...]
    before: tuple[Any, ...] | None
    after: tuple[Any, ...] | None
    place: int = 0
    is_along: bool = False

    @property
    def is_change(self) -> bool:
        """Whether it is another row after than before; not by `==`, for which 1.0 is 1.00."""
        return repr(self.before) != repr(self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """What is known of rows that are not kept one by one: how many of each kind, and the digest of them all.

    `columns` are those that may differ in them.
    """

    counts: Mapping[RowKind, int]
    digest: str
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDiff:
    """Every row that a write changes in one table. In added rows `assigned` columns get their values at execution.

    Where there is a `beyond`, the rows are a sample of what it counts, or none of them.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[RowChange, ...]
    assigned: frozenset[str] = frozenset()
    beyond: Beyond | None = None

    @property
    def total(self) -> int:
        """How many rows change, those that are not kept among them."""
        return len(self.rows) if self.beyond is None else sum(self.beyond.counts.values())

    @property
    def is_along(self) -> bool:
        """Whether the database itself changes all of them."""
        return bool(self.rows) and all(row.is_along for row in self.rows)

    @property
    def has_along(self) -> bool:
        """Whether the database itself changes some of them."""
        return any(row.is_along for row in self.rows)

    def assigned_in(self, row: RowChange) -> frozenset[str]:
        """The columns of this row that get their values at execution and are not compared."""
        return self.assigned if row.kind is RowKind.ADDED else frozenset()

    def changed_columns(self) -> frozenset[str]:
        """The columns whose values differ in any row, other than those assigned at execution."""
        changed: set[str] = set() if self.beyond is None else set(self.beyond.columns)
        for row in self.rows:
            for index, name in enumerate(self.columns):
                before = row.before[index] if row.before is not None else None
                after = row.after[index] if row.after is not None else None
                # As text, for which 0 is not 0.0: in a database they may be two values.
                if repr(before) != repr(after) and name not in self.assigned_in(row):
                    changed.add(name)
        return frozenset(changed)

    def count(self, kind: RowKind) -> int:
        """How many rows are of that kind."""
        if self.beyond is not None:
            return self.beyond.counts.get(kind, 0)
        return sum(row.kind is kind for row in self.rows)


def along_rows(diffs: Iterable[RowDiff]) -> dict[tuple[str, RowKind], int]:
    """How many rows go along, by table and by what happens to them."""
    found: dict[tuple[str, RowKind], int] = {}
    for diff in diffs:
        for row in diff.rows:
            if row.is_along:
                found[diff.table, row.kind] = found.get((diff.table, row.kind), 0) + 1
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Rows that the database itself writes beside those of the diffs (its triggers do): how many, no more is known.

    `kind` and `table` are None where the database does not tell, or where the requester may not know.
    """

    rows: int
    kind: RowKind | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKey:
    """Which row of which table."""

    table: str
    key: tuple[Any, ...]

    @property
    def sign(self) -> tuple[str, str]:
        """What tells rows apart: a part of a key may be no plain value."""
        return self.table, json.dumps(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What `returning` told of the written rows, as the requester saw them then; `sight` binds how that was."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    sight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A verdict that a person gave at the portal; `groups` are those for which it counts, as they were at that time.

    One that was given in place of somebody who was away (`instead_of`) counts for that person's groups alone.
    """

    reviewer: str
    groups: frozenset[str]
    verdict: Verdict
    reason: str
    at: dt.datetime
    instead_of: str | None = None

    @property
    def seat(self) -> str:
        """Whose place in the quorum it takes."""
        return self.instead_of or self.reviewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody wrote about a request; it decides nothing."""

    author: str
    text: str
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The requester had it executed before its review; `reviews` are what others said of it afterwards."""

    reason: str
    at: dt.datetime
    reviews: tuple[Review, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A write as it was previewed, which nobody filed. `parameters` are encoded values.

    The first of the `diffs` is that of the `table` that is written, or is written first. `sets` are the parameters of
    one statement that is done many times, in the place of `parameters`. `behind` are people who had the requester ask:
    who started the run of a job. One that undoes a change names it; `left` are its rows that have changed since, which
    stay as they are. `beside` are those rows of the `effects` that were found.
    """

    source: str
    table: str
    operation: str
    statement: str
    parameters: Mapping[str, Any]
    action: str | None
    requester: Principal
    reason: str | None
    created_at: dt.datetime
    expires_at: dt.datetime
    diffs: tuple[RowDiff, ...]
    warnings: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    rules: tuple[RuleRef, ...]
    schema_version: str
    purpose: str | None = None
    execution: Execution = field(default_factory=Execution)
    glasses: tuple[Glass, ...] = ()
    risks: tuple[Risk, ...] = ()
    behind: tuple[str, ...] = ()
    undoes: str | None = None
    left: tuple[RowKey, ...] = ()
    sets: tuple[Mapping[str, Any], ...] = ()
    effects: tuple[Effect, ...] = ()
    beside: tuple[RowDiff, ...] = ()

    @property
    def is_call(self) -> bool:
        """Whether it calls another service."""
        return self.operation == CALL

    @property
    def writes_rows(self) -> bool:
        """Whether it changes rows of a source, as all do but calls and requests for access."""
        return self.operation not in {CALL, ACCESS}

    @property
    def is_large(self) -> bool:
        """Whether its rows are too many to be kept one by one: the diff has a sample of them."""
        return any(diff.beyond is not None for diff in self.diffs)

    @property
    def rows(self) -> int:
        """How many rows change, in all tables."""
        return sum(diff.total for diff in self.diffs)

    def count(self, kind: RowKind) -> int:
        """How many rows are of that kind, in all tables."""
        return sum(diff.count(kind) for diff in self.diffs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest(Draft):
    """A write that waits, or waited, for its quorum; `digest` binds all of it.

    `image` is what the execution changed, which is what can be undone, `undone_by` the request that did.
    """

    id: str
    state: State
    digest: str
    reviews: tuple[Review, ...] = ()
    outcome_rows: int | None = None
    outcome_index: int | None = None
    finished_at: dt.datetime | None = None
    failure: str | None = None
    version: int = 0
    notes: Mapping[str, str] = field(default_factory=dict)
    returned: Returned | None = None
    image: tuple[RowDiff, ...] | None = None
    undone_by: str | None = None
    forgotten_at: dt.datetime | None = None
    broken: Broken | None = None
    comments: tuple[Comment, ...] = ()

    @property
    def can_have_image(self) -> bool:
        """Whether its rows may be needed to undo it: it is being done, or is done."""
        return self.forgotten_at is None and self.state in {State.EXECUTING, State.EXECUTED, State.UNDONE}
