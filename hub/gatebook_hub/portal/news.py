"""What happened to a change request: so far, and since somebody looked at it? One sentence each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from gatebook_hub.changes import ChangeRequest, Review, Since, State, Verdict
from gatebook_hub.portal.filters import plural
from gatebook_hub.portal.pages.change import TimelineEntry

_REVIEWED = {Verdict.APPROVE: "approved it", Verdict.REJECT: "rejected it"}
_LOOKED = {Verdict.APPROVE: "finds it right", Verdict.REJECT: "finds it wrong"}


def timeline(request: ChangeRequest, view: Mapping[str, Any]) -> tuple[TimelineEntry, ...]:
    """All that the request tells of itself, oldest first."""
    entries = [TimelineEntry(at=request.created_at, sentence=f"{view['requester']} asked for the change")]
    entries += [
        TimelineEntry(at=known.at, sentence=f"{_who(known)} {_REVIEWED[known.verdict]}") for known in request.reviews
    ]
    if request.broken is not None:
        broken = f"{view['requester']} broke the glass: it was executed before its review"
        entries.append(TimelineEntry(at=request.broken.at, sentence=broken))
    endings = {
        State.EXECUTED: f"the change was executed: {plural(request.outcome_rows or 0, 'row')}",
        State.UNDONE: f"the change was executed: {plural(request.outcome_rows or 0, 'row')}; it has been undone since",
        State.WITHDRAWN: f"{view['requester']} withdrew it",
        State.EXPIRED: "it expired: nobody had decided in time",
        State.DRIFTED: "nothing was written: the rows had changed",
        State.FAILED: "nothing was written: the write failed",
    }
    if request.finished_at is not None and request.state in endings:
        entries.append(TimelineEntry(at=request.finished_at, sentence=endings[request.state]))
    entries += [
        TimelineEntry(at=look.at, sentence=f"{_who(look)} looked at it, and {_LOOKED[look.verdict]}")
        for look in (request.broken.reviews if request.broken is not None else ())
    ]
    return tuple(entries)


def _who(known: Review) -> str:
    person = known.reviewer.removeprefix("user:")
    return f"{person}, in place of {known.instead_of.removeprefix('user:')}," if known.instead_of else person


def news(request: ChangeRequest, happened: Since, viewer: str, executor: str | None) -> tuple[TimelineEntry, ...]:
    """What happened since the viewer looked, oldest first; `executor` is who had it executed."""

    def who(principal: str) -> str:
        return "you" if principal == viewer else principal.removeprefix("user:")

    def told() -> Iterator[TimelineEntry]:
        for review in happened.reviews:
            yield TimelineEntry(at=review.at, sentence=f"{who(review.reviewer)} {_REVIEWED[review.verdict]}")
        if happened.is_broken and request.broken is not None:
            sentence = f"{who(request.requester.id)} broke the glass"
            yield TimelineEntry(at=request.broken.at, sentence=sentence)
        for look in happened.looks:
            yield TimelineEntry(at=look.at, sentence=f"{who(look.reviewer)} looked at it, and {_LOOKED[look.verdict]}")
        for comment in happened.comments:
            yield TimelineEntry(at=comment.at, sentence=f"{who(comment.author)} commented on it")

    entries = sorted(told(), key=lambda entry: entry.at or request.created_at)
    if happened.was is not None:
        path = f"from {_words(happened.was)} to {_words(request.state)}"
        by = {
            State.WITHDRAWN: f"{who(request.requester.id)} withdrew it",
            State.EXPIRED: "nobody decided in time",
            State.UNDONE: "another request put the rows back",
        }
        did = f"{who(executor)} had it executed" if executor is not None else by.get(request.state)
        sentence = f"{did}: it went {path}" if did else f"it went {path}"
        entries.append(TimelineEntry(at=_moved_at(request), sentence=sentence))
    return tuple(entries)


def _words(state: State) -> str:
    return f"`{state.replace('_', ' ')}`"


def _moved_at(request: ChangeRequest) -> dt.datetime | None:
    """When it came to its state, as far as it tells."""
    if request.state is State.APPROVED:
        return request.broken.at if request.broken is not None else request.reviews[-1].at if request.reviews else None
    return None if request.state is State.UNDONE else request.finished_at
