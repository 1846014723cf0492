"""What is a change request? The exact rows that would change, who asks, and what was decided about it so far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
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
    """One row before and after, values encoded as in `values.py`, in the order of the diff's columns."""

    kind: RowKind
    key: tuple[Any, ...]
    before: tuple[Any, ...] | None
    after: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDiff:
    """Every row that a write changes. In added rows `assigned` columns get their values at execution."""

    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[RowChange, ...]
    assigned: frozenset[str] = frozenset()

    def assigned_in(self, row: RowChange) -> frozenset[str]:
        """The columns of this row that get their values at execution and are not compared."""
        return self.assigned if row.kind is RowKind.ADDED else frozenset()

    def changed_columns(self) -> frozenset[str]:
        """The columns whose values differ in any row, other than those assigned at execution."""
        changed: set[str] = set()
        for row in self.rows:
            for index, name in enumerate(self.columns):
                before = row.before[index] if row.before is not None else None
                after = row.after[index] if row.after is not None else None
                if before != after and name not in self.assigned_in(row):
                    changed.add(name)
        return frozenset(changed)

    def count(self, kind: RowKind) -> int:
        """How many rows are of that kind."""
        return sum(row.kind is kind for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What `returning` told of the written rows, as the requester saw them then; `sight` binds how that was."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    sight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A verdict that a person gave at the portal; `counts` names the reviewer's groups at that time."""

    reviewer: str
    groups: frozenset[str]
    verdict: Verdict
    reason: str
    at: dt.datetime


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

    `behind` are people who had the requester ask: who started the run of a job. One that undoes a change names it;
    `left` are the keys of its rows that have changed since, which stay as they are.
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
    diff: RowDiff
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
    left: tuple[tuple[Any, ...], ...] = ()


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
    image: RowDiff | None = None
    undone_by: str | None = None
    forgotten_at: dt.datetime | None = None
    broken: Broken | None = None
    comments: tuple[Comment, ...] = ()
