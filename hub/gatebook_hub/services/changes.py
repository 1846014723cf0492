"""How does a write become a change request, and who moves it on?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from gatebook_hub import changes as core
from gatebook_hub import policy
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.changes import ChangeRequest, Outline, Place, Returned, Standing, State, Verdict
from gatebook_hub.errors import GatebookError, NotFound
from gatebook_hub.model import Limits, NoticeKind, Principal, Seat
from gatebook_hub.policy import Action
from gatebook_hub.services import standing_in
from gatebook_hub.services.calling import preview_call
from gatebook_hub.services.executing import Executing
from gatebook_hub.services.expiring import fresh
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.services.lending import end, preview_access
from gatebook_hub.services.previewing import Asked, Previewed, preview, preview_undo
from gatebook_hub.services.showing import Sights
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.stores.outlines import Viewer

MOST_WAITING = 1_000
_AT_ONCE = 250
_WAIT_AT_MOST_S = 30.0


Filed = Callable[[ChangeRequest], None]


def _nothing(_: ChangeRequest) -> None:
    """Nobody wants to know."""


class Changes:
    """Propose, look, review, execute, withdraw."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._executing = Executing(gate)

    @under_one_set
    def propose(
        self,
        call: Call,
        source_name: str,
        asked: Asked,
        action: Action | None = None,
        filed: Filed = _nothing,
    ) -> ChangeRequest:
        """Preview a write and keep it as a request; one that needs nobody is executed at once.

        `filed` is told of the request before it is: whatever happens then, it is there.
        """
        return self._file(call, preview(self._gate, call, source_name, asked, action), filed)

    @under_one_set
    def propose_call(
        self, call: Call, action: Action, given: Mapping[str, Any], filed: Filed = _nothing
    ) -> ChangeRequest:
        """Keep the call of another service as a request; one that needs nobody is made at once.

        Raises TooManyRequests where its caller waits for as many answers of the service as one may.
        """
        limits = Limits(concurrent=self._gate.settings.limit_concurrent)
        with self._gate.places.taken(call.principal.id, action.place, limits):
            return self._file(call, preview_call(self._gate, call, action, given, is_dry_run=False), filed)

    @under_one_set
    def undo(self, call: Call, change_id: str) -> ChangeRequest:
        """Ask for the rows of an executed change as they were: a write like any other, which needs whom it needs."""
        request = self.get(call.principal, change_id)
        with self._refusals(call, change_id, "undo"):
            core.check_undo(request)
            previewed = preview_undo(self._gate, call, request)
        return self._file(call, previewed)

    def _file(self, call: Call, previewed: Previewed, filed: Filed = _nothing) -> ChangeRequest:
        gate = self._gate
        request = core.file(previewed.draft, gate.new_id())
        # The book first: a request that nobody could prove must not be there.
        gate.book.append(
            gate.event(
                EventKind.CHANGE_PROPOSED,
                call,
                source=request.source,
                change=request.id,
                action=request.action,
                refers_to=previewed.index,
                outcome=Outcome.OK,
                rows=request.rows,
                rules=tuple(item.id for item in request.rules),
                extra={"digest": request.digest, "state": request.state, **_calls(request)},
            )
        )
        gate.changes.add(request)
        filed(request)
        if request.state is State.AWAITING_REVIEW:
            gate.notices.tell(NoticeKind.REQUESTED, request)
        return self._executing.if_due(call, request)

    @under_one_set
    def propose_access(self, call: Call, grant: str, hours: float) -> ChangeRequest:
        """Ask for a grant that is given for a time."""
        with self._refusals(call, grant, "access"):
            previewed = preview_access(self._gate, call, grant, hours)
        return self._file(call, previewed)

    @under_one_set
    def end_access(self, call: Call, change_id: str) -> None:
        """End access before its time."""
        request = self.get(call.principal, change_id)
        with self._refusals(call, change_id, "end access"):
            end(self._gate, call, request)

    @under_one_set
    def rehearse(self, call: Call, source_name: str, asked: Asked, action: Action | None = None) -> Previewed:
        """What `propose` would show, and no more: nothing is kept, and nothing is executed."""
        return self._rehearsed(call, preview(self._gate, call, source_name, asked, action, is_dry_run=True))

    @under_one_set
    def rehearse_call(self, call: Call, action: Action, given: Mapping[str, Any]) -> Previewed:
        """What `propose_call` would show, and no more."""
        return self._rehearsed(call, preview_call(self._gate, call, action, given, is_dry_run=True))

    def _rehearsed(self, call: Call, previewed: Previewed) -> Previewed:
        gate, draft = self._gate, previewed.draft
        gate.book.append(
            gate.event(
                EventKind.QUERY_OUTCOME,
                call,
                source=draft.source,
                refers_to=previewed.index,
                outcome=Outcome.OK,
                rows=draft.rows,
                rules=tuple(item.id for item in draft.rules),
                detail="a dry run: nothing was filed, and nothing was changed",
            )
        )
        return previewed

    @under_one_set
    def get(self, principal: Principal, change_id: str) -> ChangeRequest:
        """A request that this principal may see; raises NotFound."""
        request = fresh(self._gate, self._gate.changes.get(change_id))
        if not self._may_see(principal, request, standing_in.seats(self._gate, principal.id)):
            raise NotFound("there is no such change request")
        return request

    @under_one_set
    def look(self, call: Call, change_id: str) -> ChangeRequest:
        """A request whose rows are shown to somebody: that is in the book."""
        request = self.get(call.principal, change_id)
        gate = self._gate
        event = gate.event(
            EventKind.CHANGE_READ, call, source=request.source, change=request.id, outcome=Outcome.OK,
            rows=request.rows,
        )  # fmt: skip
        gate.book.append(event)
        return request

    def wait(self, principal: Principal, change_id: str, state: State, timeout_s: float) -> ChangeRequest:
        """The request once its state is another one, or after the time."""
        self.get(principal, change_id)
        self._gate.changes.wait(change_id, state, min(timeout_s, _WAIT_AT_MOST_S))
        return self.get(principal, change_id)

    @under_one_set
    def find(
        self,
        principal: Principal,
        *,
        state: State | None = None,
        is_mine: bool = False,
        before: Place | None = None,
        limit: int = 100,
    ) -> tuple[ChangeRequest, ...]:
        """Requests that this principal may see, newest first; their rows are for those who ask for one of them."""
        listed = self.listed(principal, states=(state,) if state else (), is_mine=is_mine, before=before, limit=limit)
        return self.opened(principal, listed)

    @under_one_set
    def listed(
        self,
        principal: Principal,
        *,
        states: Collection[State] = (),
        is_mine: bool = False,
        before: Place | None = None,
        limit: int = 100,
    ) -> tuple[Outline, ...]:
        """So many outlines of what this principal may see, newest first."""
        return self._seen(
            principal,
            self._gate.changes.outlines.find(
                viewer=None if self._reads_book(principal) else self._viewer(principal),
                states=states,
                requester=principal.id if is_mine else None,
                before=before,
                limit=limit,
            ),
        )

    @under_one_set
    def opened(self, principal: Principal, outlines: Sequence[Outline]) -> tuple[ChangeRequest, ...]:
        """The requests of a list."""
        found = self._gate.changes.several([outline.id for outline in outlines])
        requests = (fresh(self._gate, request) for request in found)
        return tuple(request for request in requests if self._may_see(principal, request))

    @under_one_set
    def inbox(
        self,
        principal: Principal,
        *,
        sights: Sights | None = None,
        before: Place | None = None,
        limit: int = MOST_WAITING,
    ) -> tuple[Outline, ...]:
        """What waits for this person; first, unless `before` is given, what was executed without anybody's review."""
        sights = sights or self.sights(principal)
        unsettled = self._waiting(principal, None, is_unsettled=True) if before is None else ()
        waiting = chain(unsettled, self._waiting(principal, before, states=(State.AWAITING_REVIEW,)))
        return tuple(islice((outline for outline in waiting if sights.why_no_review(outline) is None), limit))

    def _waiting(self, principal: Principal, before: Place | None, **kind: Any) -> Iterator[Outline]:
        """Of one kind, what names one of the person's groups, as far as it is asked for."""
        viewer = self._viewer(principal)
        while True:
            found = self._gate.changes.outlines.find(viewer=viewer, before=before, limit=_AT_ONCE, **kind)
            yield from self._seen(principal, found)
            if len(found) < _AT_ONCE:
                return
            before = core.place_of(found[-1])

    def sights(self, principal: Principal) -> Sights:
        """What this principal sees, for one visit or one answer."""
        return Sights(self._gate, principal)

    @under_one_set
    def stand_ins(self, request: ChangeRequest) -> tuple[tuple[str, str], ...]:
        """Who may review a request that waits in whose place, each as `user:…`."""
        return standing_in.stand_ins(self._gate, request)

    @under_one_set
    def review(
        self, call: Call, change_id: str, *, verdict: Verdict, reason: str, digest: str, version: int | None = None
    ) -> ChangeRequest:
        """A person's verdict on what they looked at; the last approval executes the request."""
        gate = self._gate
        request = self.get(call.principal, change_id)
        sights = self.sights(call.principal)
        with self._refusals(call, change_id, "review"):
            reviewed = core.review(
                request,
                call.principal,
                verdict=verdict,
                reason=reason,
                digest=digest,
                now=gate.now(),
                hidden_columns=sights.hidden(request),
                seats=sights.seats,
                version=version,
            )
        seat = core.seat_of(request, call.principal, sights.seats)
        # The book first: a review that nobody could prove must not count.
        event = gate.event(
            EventKind.CHANGE_REVIEWED,
            replace(call, reason=reason or None),
            source=request.source,
            change=request.id,
            outcome=Outcome.OK,
            rules=(seat.rule,) if seat is not None and seat.rule else (),
            extra={
                "verdict": verdict,
                "digest": digest,
                **({"step": "after"} if request.broken else {}),
                **(_told_of(seat) if seat is not None and seat.rule else {}),
            },
        )
        moved = self._move_told(call, reviewed, gate.book.append(event), "review")
        if moved.state is State.REJECTED:
            gate.notices.tell(NoticeKind.REJECTED, moved)
        elif moved.state is State.APPROVED and not moved.execution.is_at_once:
            gate.notices.tell(NoticeKind.APPROVED, moved)
        return self._executing.if_due(call, moved)

    @under_one_set
    def break_glass(
        self, call: Call, change_id: str, *, reason: str, digest: str, version: int | None = None
    ) -> ChangeRequest:
        """The requester has it executed at once; an alarm says so, and others look at it afterwards."""
        gate = self._gate
        request = self.get(call.principal, change_id)
        with self._refusals(call, change_id, "break_glass"):
            broken = core.break_glass(
                request, call.principal, reason=reason, digest=digest, now=gate.now(), version=version
            )
        told = {"source": request.source, "change": request.id, "outcome": Outcome.OK, "extra": {"digest": digest}}
        index = gate.book.append(gate.event(EventKind.CHANGE_BROKEN, replace(call, reason=reason), **told))
        detail = f"{call.principal.id} had the change {request.id} executed before anybody reviewed it"
        gate.book.append(gate.event(EventKind.ALARM, call, source=request.source, change=request.id, detail=detail))
        moved = self._move_told(call, broken, index, "break_glass")
        gate.notices.tell(NoticeKind.BREAK_GLASS, moved)
        return self._executing.execute(call, moved)

    def comment(self, call: Call, change_id: str, text: str) -> ChangeRequest:
        """Write a comment; who may see a request may comment on it."""
        gate = self._gate
        commented = core.comment(self.get(call.principal, change_id), call.principal, text, gate.now())
        told = {"source": commented.source, "change": change_id, "outcome": Outcome.OK}
        index = gate.book.append(gate.event(EventKind.CHANGE_COMMENTED, call, **told))
        return self._move_told(call, commented, index, "comment")

    def withdraw(self, call: Call, change_id: str) -> ChangeRequest:
        """The requester takes it back."""
        gate = self._gate
        request = self.get(call.principal, change_id)
        with self._refusals(call, change_id, "withdraw"):
            withdrawn = core.withdraw(request, call.principal, gate.now())
        told = {"source": withdrawn.source, "change": change_id}
        index = gate.book.append(gate.event(EventKind.CHANGE_WITHDRAWN, call, **told))
        moved = self._move_told(call, withdrawn, index, "withdraw")
        gate.notices.tell(NoticeKind.WITHDRAWN, moved)
        return moved

    @under_one_set
    def execute(self, call: Call, change_id: str) -> ChangeRequest:
        """Carry out an approved request, if its rows are still those that were approved."""
        gate = self._gate
        request = fresh(gate, gate.changes.get(change_id))
        with self._refusals(call, change_id, "execute"):
            core.check_execution(request, call.principal, gate.now())
        # Who has lost a right since asking has it executed no more.
        is_own = call.principal.id == request.requester.id
        groups = call.principal.groups if is_own else request.requester.groups
        return self._executing.execute(call, request, replace(request.requester, groups=groups))

    def executor(self, request: ChangeRequest) -> str | None:
        """Who had it executed, as the book has it, or None if nobody had."""
        if request.state not in {State.EXECUTING, State.EXECUTED, State.DRIFTED, State.FAILED}:
            return None
        found = self._gate.book.find(EventFilter(kind=EventKind.CHANGE_INTENT, change=request.id, limit=1))
        return str(found[0].content["principal"]) if found else None

    def _move_told(self, call: Call, request: ChangeRequest, index: int, step: str) -> ChangeRequest:
        """What the book has of a step comes to pass; where another step was faster, the book says that it did not."""
        with self._refusals(call, request.id, step, refers_to=index):
            return self._gate.changes.move(request)

    @contextmanager
    def _refusals(self, call: Call, change_id: str, step: str, **more: Any) -> Iterator[None]:
        """Have a refusal of the step in the book, unless it is there already; the error refers to it."""
        try:
            yield
        except GatebookError as error:
            if error.reference is None:
                told = {"change": change_id, "extra": {"step": step}, **more}
                error.reference = self._gate.refuse(EventKind.CHANGE_REFUSED, call, error, **told)
            raise

    @under_one_set
    def execute_due(self, call: Call) -> int:
        """Carry out what waits for its window, once that is open; how many requests that were."""
        return self._executing.all_due(call)

    def recover(self, call: Call) -> int:
        """End what a crash, or a source that was away, has left executing; how many requests that were."""
        return self._executing.recover(call)

    def expire_overdue(self) -> int:
        """End the requests that nobody decided in time; how many those were."""
        overdue = self._gate.changes.overdue(self._gate.now())
        return sum(fresh(self._gate, request).state is State.EXPIRED for request in overdue)

    def forget(self, call: Call) -> int:
        """Drop the values of rows of requests that ended long enough ago; how many requests that were."""
        gate = self._gate
        since = gate.now() - dt.timedelta(days=gate.settings.image_days)
        old = [
            request
            for request in gate.changes.ended_before(since)
            if (request.finished_at or request.created_at) < since
        ]
        for request in old:
            gate.book.append(gate.event(EventKind.CHANGE_FORGOTTEN, call, source=request.source, change=request.id))
            gate.changes.move(core.forget(request, gate.now()))
        return len(old)

    def returned_to(self, principal: Principal, request: ChangeRequest) -> Returned | None:
        """What an executed request returned, for the one who asked, if it would be shown in the same way today."""
        return self.sights(principal).returned_to(request)

    def _seen(self, principal: Principal, outlines: Iterable[Outline]) -> tuple[Outline, ...]:
        """Those that the principal may see, whatever the columns of the store say; what is over by now is expired."""
        now, seats = self._gate.now(), standing_in.seats(self._gate, principal.id)
        return tuple(
            replace(outline, state=State.EXPIRED) if core.is_over(outline, now) else outline
            for outline in outlines
            if self._may_see(principal, outline, seats)
        )

    def _may_see(self, principal: Principal, request: Standing, seats: Sequence[Seat] | None = None) -> bool:
        wanted = core.groups_of(request)
        is_party = principal.id == request.requester.id or bool(wanted & principal.groups)
        if is_party or self._reads_book(principal):
            return True
        seats = standing_in.seats(self._gate, principal.id) if seats is None else seats
        if core.is_waiting(request) and core.usable_seats(request, seats):
            return True
        # Whoever reviewed in somebody's place sees what came of it, while they are in that place.
        given = (*request.reviews, *(request.broken.reviews if request.broken else ()))
        places = {known.seat for known in given if known.reviewer == principal.id}
        return any(seat.holder in places and seat.groups & wanted for seat in seats)

    def _reads_book(self, principal: Principal) -> bool:
        return policy.may_read_book(self._gate.policy, principal, self._gate.circumstances())

    def _viewer(self, principal: Principal) -> Viewer:
        """What the store may list; requests in whose place somebody is are looked at once more, one by one."""
        places = (seat.groups for seat in standing_in.seats(self._gate, principal.id))
        return Viewer(id=principal.id, groups=principal.groups.union(*places))


def _told_of(seat: Seat) -> dict[str, str]:
    """What the book says of a review in somebody's place, so that it can be counted from the book alone."""
    return {"instead_of": seat.holder, "instead_in": ", ".join(sorted(seat.groups))}


def _calls(request: ChangeRequest) -> dict[str, str]:
    """How many calls of an action a request stands for, where that is more than one: its rates count them."""
    return {"calls": str(len(request.sets))} if request.action and request.sets else {}
