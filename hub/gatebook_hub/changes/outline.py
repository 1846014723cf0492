"""What does a list need of a change request, and who may see it? Nothing of a row: no key, no value."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gatebook_hub.changes.request import Broken, ChangeRequest, Review, RowDiff, RowKind, State
from gatebook_hub.changes.risk import score
from gatebook_hub.errors import InvalidInput
from gatebook_hub.model import Glass, Principal, Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """What changes in one table: how many rows of each kind, and which columns.

    Of the rows some (`has_along`) or all (`is_along`) are changed by the database itself.
    """

    table: str
    counts: tuple[tuple[RowKind, int], ...]
    columns: frozenset[str]
    has_along: bool = False
    is_along: bool = False

    @property
    def total(self) -> int:
        """How many rows change."""
        return sum(count for _, count in self.counts)

    def count(self, kind: RowKind) -> int:
        """How many rows are of that kind."""
        return dict(self.counts).get(kind, 0)

    def changed_columns(self) -> frozenset[str]:
        """The columns whose values differ in any row."""
        return self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A change request without its rows; `warnings` is a count, and `risk` the points together."""

    id: str
    state: State
    source: str
    table: str
    operation: str
    action: str | None
    requester: Principal
    behind: tuple[str, ...]
    purpose: str | None
    created_at: dt.datetime
    expires_at: dt.datetime
    touched: tuple[Touched, ...]
    warnings: int
    risk: int
    requirements: tuple[Requirement, ...]
    glasses: tuple[Glass, ...]
    reviews: tuple[Review, ...]
    broken: Broken | None
    version: int


# What tells where a request stands.
Standing = ChangeRequest | Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a list, newest first: after the request of that id and that time of creation."""

    created_at: str
    id: str = ""

    def __str__(self) -> str:
        return f"{self.created_at},{self.id}"


def outline_of(request: ChangeRequest) -> Outline:
    """The outline of a request as it is now."""
    return Outline(
        id=request.id,
        state=request.state,
        source=request.source,
        table=request.table,
        operation=request.operation,
        action=request.action,
        requester=request.requester,
        behind=request.behind,
        purpose=request.purpose,
        created_at=request.created_at,
        expires_at=request.expires_at,
        touched=tuple(map(_touched, request.diffs)),
        warnings=len(request.warnings) + len(request.effects),
        risk=score(request.risks),
        requirements=request.requirements,
        glasses=request.glasses,
        reviews=request.reviews,
        broken=request.broken,
        version=request.version,
    )


def _touched(diff: RowDiff) -> Touched:
    return Touched(
        table=diff.table,
        counts=tuple((kind, diff.count(kind)) for kind in RowKind),
        columns=diff.changed_columns(),
        has_along=diff.has_along,
        is_along=diff.is_along,
    )


def place_of(outline: Outline) -> Place:
    """Where the requests that are older begin."""
    return Place(created_at=outline.created_at.isoformat(), id=outline.id)


def read_place(text: str) -> Place:
    """A place as `str` tells it, or before a time alone; raises InvalidInput."""
    created_at, _, change_id = text.partition(",")
    try:
        dt.datetime.fromisoformat(created_at)
    except ValueError as error:
        raise InvalidInput("`before` is not a time") from error
    return Place(created_at=created_at, id=change_id)


def groups_of(request: Standing) -> frozenset[str]:
    """The groups whose members may see the request: those who are asked, before it is done or after a broken glass."""
    after = [requirement for glass in request.glasses for requirement in glass.review] if request.broken else []
    return frozenset(group for requirement in (*request.requirements, *after) for group in requirement.groups)
