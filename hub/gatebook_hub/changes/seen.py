"""Which moment of a change request did somebody look at, and what happened to the request since?

A form carries the moment. Its version stops a decision that others have overtaken; the rest of it says what to show,
and whoever makes it up shows themselves something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatebook_hub.changes.request import ChangeRequest, Comment, Review, State

_TEXT = re.compile(r"(\d{1,9})\.([a-z_]{1,20})\.(\d{1,9})\.(\d{1,9}|-)\.(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A moment: how many reviews, looks after a broken glass (None: it was not broken) and comments there were."""

    version: int
    state: State
    reviews: int
    looks: int | None
    comments: int

    def __str__(self) -> str:
        looks = "-" if self.looks is None else self.looks
        return f"{self.version}.{self.state}.{self.reviews}.{looks}.{self.comments}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What is there now and was not at that moment; `was` is the state of then, None if it is the same."""

    was: State | None
    reviews: tuple[Review, ...]
    is_broken: bool
    looks: tuple[Review, ...]
    comments: tuple[Comment, ...]

    @property
    def is_moved(self) -> bool:
        """Whether anything happened that decides what may be done; comments do not."""
        return bool(self.was is not None or self.reviews or self.is_broken or self.looks)


def seen_of(request: ChangeRequest) -> Seen:
    """The moment that the request shows."""
    return Seen(
        version=request.version,
        state=request.state,
        reviews=len(request.reviews),
        looks=None if request.broken is None else len(request.broken.reviews),
        comments=len(request.comments),
    )


def read_seen(text: str) -> Seen | None:
    """A moment as `str` tells it, or None for anything else."""
    found = _TEXT.fullmatch(text)
    if found is None or found[2] not in set(State):
        return None
    return Seen(
        version=int(found[1]),
        state=State(found[2]),
        reviews=int(found[3]),
        looks=None if found[4] == "-" else int(found[4]),
        comments=int(found[5]),
    )


def since(seen: Seen, request: ChangeRequest) -> Since:
    """What happened to the request after that moment."""
    broken = request.broken
    return Since(
        was=seen.state if seen.state is not request.state else None,
        reviews=request.reviews[seen.reviews :],
        is_broken=broken is not None and seen.looks is None,
        looks=broken.reviews[seen.looks or 0 :] if broken is not None else (),
        comments=request.comments[seen.comments :],
    )
