"""In whose place is somebody now? What policy says, as far as the book knows those who are away."""

from __future__ import annotations

from dataclasses import replace

from gatebook_hub import changes as core
from gatebook_hub import policy
from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest
from gatebook_hub.model import Channel, Seat
from gatebook_hub.services.gate import Gate
from gatebook_hub.stores.book import EventFilter

_MOST_RECENT = 20
# Where the groups are those that the Hub names at that moment; an issued token has those of the day of its issue.
_MET = frozenset({Channel.PORTAL, Channel.HUB_TOKEN})


def seats(gate: Gate, person: str) -> tuple[Seat, ...]:
    """The places that a person takes now: of the groups that a rule names, those in which the absent one really is."""
    found = (
        replace(seat, groups=seat.groups & _last_groups(gate, seat.holder))
        for seat in policy.seats_of(gate.policy, person, gate.now())
    )
    return tuple(seat for seat in found if seat.groups)


def stand_ins(gate: Gate, request: ChangeRequest) -> tuple[tuple[str, str], ...]:
    """Who may be in whose place for a request that waits, each as `user:…`."""
    if not core.is_waiting(request):
        return ()
    return tuple(
        (person, seat.holder)
        for person in policy.stand_ins(gate.policy, gate.now())
        if person not in core.own_people(request)
        for seat in core.free_seats(request, seats(gate, person))
    )


def _last_groups(gate: Gate, person: str) -> frozenset[str]:
    """The groups in which a person was met last; none if that is not known."""
    for wanted in (
        EventFilter(principal=person, limit=_MOST_RECENT),
        EventFilter(principal=person, kind=EventKind.SESSION_OPENED, limit=1),
    ):
        for event in gate.book.find(wanted):
            # That a request expired is told in the name of its requester, with the groups of then.
            if event.content["kind"] != EventKind.CHANGE_EXPIRED and event.content.get("channel") in _MET:
                return frozenset(event.content.get("groups", ()))
    return frozenset()
