"""Is a request over because nobody decided in time?"""

from __future__ import annotations

from gatebook_hub import changes as core
from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import BookUnavailable, StateConflict
from gatebook_hub.model import NoticeKind
from gatebook_hub.services.gate import Call, Gate


def fresh(gate: Gate, request: ChangeRequest) -> ChangeRequest:
    """The request, expired if its time is over; the book and those whom it concerns are told."""
    expired = core.expire(request, gate.now())
    if expired is request:
        return request
    call = Call(principal=request.requester)
    event = gate.event(EventKind.CHANGE_EXPIRED, call, source=request.source, change=request.id)
    try:
        gate.book.append(event)
        moved = gate.changes.move(expired)
    except BookUnavailable:
        return expired  # it is over all the same; the next look tells the book
    except StateConflict:
        return gate.changes.get(request.id)
    gate.notices.tell(NoticeKind.EXPIRED, moved)
    return moved
