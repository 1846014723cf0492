"""What a reviewer needs to see before deciding on one change request."""

from dataclasses import dataclass
from datetime import datetime

from gatebook_hub.portal.pages.cells import Cell
from gatebook_hub.portal.pages.changes import Quorum
from gatebook_hub.portal.pages.diff import RowDiff
from gatebook_hub.portal.pages.frame import Downloads, FieldError, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whether the reader may do something now; `why_not` is the sentence that says why they may not."""

    is_allowed: bool
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A named value of a statement or of a run."""

    name: str
    value: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a reviewer said. `verdict` is `approve` or `reject`, `instead_of` who was away."""

    reviewer: str
    verdict: str
    reason: str
    at: datetime
    instead_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Who may review in place of somebody who is away."""

    person: str
    instead_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """That the requester had it executed at once: why, what others said afterwards, whose look is missing."""

    reason: str
    at: datetime
    reviews: tuple[Review, ...]
    missing: tuple[Quorum, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody wrote about it."""

    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """Something that happened to the change request, and when if that is known; `event_index` points into the book."""

    at: datetime | None
    sentence: str
    event_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the execution did. `is_linked` says that the reader may open the event."""

    rows_changed: int
    audit_index: int | None
    at: datetime
    is_linked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """One change request.

    `given_reason` is what the person typed before an error sent the form back, and `given_in` the id of its field.
    The forms carry `digest`, so that a decision binds what was on the screen, and `seen`, the moment that it shows;
    `news` is what happened since the moment that a refused form showed. `diffs` is empty where the change has no
    rows to show (an HTTP action); `beside` are rows that triggers write. `undoes` and `undone_by` are the ids of
    the requests that this one takes back, and that took this one back. A statement that is done once for each of
    several sets of values has the first of them in `sets`, and `sets_count` says how many there are.
    """

    frame: Frame
    id: str
    summary: str
    state: str
    source: str
    table: str | None
    operation: str
    statement: str
    parameters: tuple[Parameter, ...]
    requester: str
    reason: str | None
    created_at: datetime
    expires_at: datetime | None
    digest: str
    warnings: tuple[str, ...]
    diffs: tuple[RowDiff, ...]
    quorum: tuple[Quorum, ...]
    reviews: tuple[Review, ...]
    timeline: tuple[TimelineEntry, ...]
    review: Permission
    withdraw: Permission
    execute: Permission
    undo: Permission
    glass: Permission
    downloads: Downloads
    beside: tuple[RowDiff, ...] = ()
    execution: str = ""
    risk_points: int = 0
    risk_sentences: tuple[str, ...] = ()
    broken: Broken | None = None
    comments: tuple[Comment, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    undoes: str | None = None
    undone_by: str | None = None
    action: str | None = None
    outcome: Outcome | None = None
    failure: str | None = None
    errors: tuple[FieldError, ...] = ()
    given_reason: str = ""
    given_in: str = "reason"
    seen: str = ""
    news: tuple[TimelineEntry, ...] = ()
    sets: tuple[tuple[Parameter, ...], ...] = ()
    sets_count: int = 0

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that the statement writes, as far as the reader may know them."""
        named = tuple(diff.table for diff in self.diffs if diff.table is not None and not diff.is_along)
        return named or ((self.table,) if self.table is not None else ())

    def given(self, field: str) -> str:
        """What the person typed into that field before."""
        return self.given_reason if field == self.given_in else ""
