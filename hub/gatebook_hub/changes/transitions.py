"""Who may move a request on, and where to?

awaiting review ─► approved ─► executing ─► executed ─► undone
       │              │            ├─► failed, drifted
       ├─► rejected   │
       └──────────────┴─► withdrawn, expired
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import fields, replace

from gatebook_hub.changes.digest import digest_of
from gatebook_hub.changes.outline import Standing
from gatebook_hub.changes.request import Broken, ChangeRequest, Comment, Draft, Review, RowDiff, State, Verdict
from gatebook_hub.errors import DigestMoved, InvalidInput, NotPermitted, PortalOnly, ReviewRefused, StateConflict
from gatebook_hub.model import Channel, Principal, PrincipalKind, Requirement, Seat

MAX_REASON = 2_000
MAX_COMMENTS = 200


def file(draft: Draft, request_id: str) -> ChangeRequest:
    """The request that a draft becomes."""
    kept = {item.name: getattr(draft, item.name) for item in fields(Draft)}
    unsigned = ChangeRequest(**kept, id=request_id, state=State.AWAITING_REVIEW, digest="")
    return open_request(replace(unsigned, digest=digest_of(unsigned)))


def open_request(request: ChangeRequest) -> ChangeRequest:
    """The first state: approved at once if nobody is needed, else awaiting review."""
    return replace(request, state=State.AWAITING_REVIEW if request.requirements else State.APPROVED)


def may_review(
    request: Standing, reviewer: Principal, hidden_columns: Iterable[str] = (), seats: Collection[Seat] = ()
) -> str | None:
    """Why this person may not review the request, or None if they may.

    `hidden_columns` are changed columns that the reviewer sees masked or not at all, `seats` are the places of people
    who are away and in whose place the reviewer is.
    """
    if not is_waiting(request):
        return _is(request)
    if reviewer.kind is not PrincipalKind.USER:
        return "a review comes from a person"
    if reviewer.id in own_people(request):
        return "nobody approves their own request"
    if any(known.reviewer == reviewer.id for known in _given(request)):
        return "you have already reviewed this request"
    if seat_of(request, reviewer, seats) is None:
        return _no_seat(request, seats)
    hidden = sorted(hidden_columns)
    if hidden:
        return f"you cannot see {', '.join(f'`{name}`' for name in hidden)}, which this request changes"
    return None


def is_waiting(request: Standing) -> bool:
    """Whether somebody has to look at it: before it is executed or, after a glass was broken, afterwards."""
    return request.state is State.AWAITING_REVIEW or bool(missing_after(request))


def seat_of(request: Standing, reviewer: Principal, seats: Collection[Seat] = ()) -> Seat | None:
    """The one place from which a person reviews the request, or None; `seats` are as in `may_review`.

    It is their own, unless the quorum misses only somebody in whose place they are. A place that is taken, and that of
    somebody whose request it is, is nobody else's.
    """
    free = [seat for seat in free_seats(request, seats) if seat.holder != reviewer.id]
    missing = [requirement for requirement, _ in missing_after(request) or missing_quorum(request)]
    for asked in (missing, _asked(request)):
        for seat in (Seat(holder=reviewer.id, groups=reviewer.groups), *free):
            if seat.groups & groups_in(asked):
                return seat
    return None


def usable_seats(request: Standing, seats: Collection[Seat]) -> tuple[Seat, ...]:
    """The places that count for the request: nobody approves their own request through whoever is in their place."""
    return tuple(
        seat for seat in seats if seat.holder not in own_people(request) and seat.groups & groups_in(_asked(request))
    )


def free_seats(request: Standing, seats: Collection[Seat]) -> tuple[Seat, ...]:
    """Those of them from which nobody has reviewed it yet."""
    taken = {known.seat for known in _given(request)}
    return tuple(seat for seat in usable_seats(request, seats) if seat.holder not in taken)


def _no_seat(request: Standing, seats: Collection[Seat]) -> str:
    taken = sorted({f"`{seat.holder.removeprefix('user:')}`" for seat in usable_seats(request, seats)})
    if taken:
        return f"the place of {' and '.join(taken)} is taken: there is a review by them, or in their place"
    return f"a review comes from {_any_of(groups_in(_asked(request)))}"


def _asked(request: Standing) -> tuple[Requirement, ...]:
    return _asked_after(request) if missing_after(request) else request.requirements


def _given(request: Standing) -> tuple[Review, ...]:
    return request.broken.reviews if request.broken is not None and missing_after(request) else request.reviews


def groups_in(requirements: Iterable[Requirement]) -> set[str]:
    """Every group whose members count."""
    return {group for requirement in requirements for group in requirement.groups}


def review(
    request: ChangeRequest,
    reviewer: Principal,
    *,
    verdict: Verdict,
    reason: str,
    digest: str,
    now: dt.datetime,
    hidden_columns: Iterable[str] = (),
    seats: Collection[Seat] = (),
    version: int | None = None,
) -> ChangeRequest:
    """Add a verdict; a rejection is final, approvals count until the quorum is met.

    After a glass was broken a verdict says what is thought of it, and changes nothing. `version` is the one that the
    reviewer looked at, if they say so. Raises PortalOnly, ReviewRefused, DigestMoved, StateConflict, InvalidInput.
    """
    if reviewer.channel is not Channel.PORTAL:
        raise PortalOnly("a review comes from a person at the portal, not from a token")
    refusal = may_review(request, reviewer, hidden_columns, seats)
    seat = seat_of(request, reviewer, seats)
    if refusal is not None or seat is None:
        raise ReviewRefused(refusal or _no_seat(request, seats))
    if digest != request.digest:
        raise DigestMoved("the request is not the one that you looked at; look again")
    _expect_version(request, version)
    if verdict is Verdict.REJECT and not reason.strip():
        raise InvalidInput("say why you reject the request")
    if len(reason) > MAX_REASON:
        raise InvalidInput(f"a reason has at most {MAX_REASON:,} characters")
    given = Review(
        reviewer=reviewer.id,
        groups=seat.groups,
        verdict=verdict,
        reason=reason.strip(),
        at=now,
        instead_of=seat.holder if seat.holder != reviewer.id else None,
    )
    if request.broken is not None and request.state is not State.AWAITING_REVIEW:
        return replace(request, broken=replace(request.broken, reviews=(*request.broken.reviews, given)))
    reviewed = replace(request, reviews=(*request.reviews, given))
    if verdict is Verdict.REJECT:
        return replace(reviewed, state=State.REJECTED, finished_at=now)
    return reviewed if missing_quorum(reviewed) else _approved(reviewed, now)


def _approved(request: ChangeRequest, now: dt.datetime) -> ChangeRequest:
    """An approval holds for so long; then the rows have to be looked at again."""
    hours = request.execution.valid_h
    expires_at = request.expires_at if hours is None else now + dt.timedelta(hours=hours)
    return replace(request, state=State.APPROVED, expires_at=expires_at)


def missing_quorum(request: Standing) -> tuple[tuple[Requirement, int], ...]:
    """The requirements that are not met yet, each with the number of approvals it has."""
    missing = []
    for requirement in request.requirements:
        given = approvals_for(request, requirement)
        if given < requirement.needed:
            missing.append((requirement, given))
    return tuple(missing)


def own_people(request: Standing) -> frozenset[str]:
    """Whose request it is: the requester, and whoever had a job ask."""
    return frozenset({request.requester.id, *request.behind})


def why_no_glass(request: ChangeRequest, principal: Principal) -> str | None:
    """Why this person may not have the request executed before its review, or None if they may."""
    if request.state is not State.AWAITING_REVIEW:
        return _is(request)
    if principal.kind is not PrincipalKind.USER or principal.id != request.requester.id:
        return "its requester alone may break the glass"
    if not request.glasses:
        return "no rule lets anybody break a glass for it"
    for glass in request.glasses:
        if not principal.groups & set(glass.groups):
            return f"{_any_of(set(glass.groups))} may break the glass"
    return None


def break_glass(
    request: ChangeRequest,
    principal: Principal,
    *,
    reason: str,
    digest: str,
    now: dt.datetime,
    version: int | None = None,
) -> ChangeRequest:
    """Approved without its quorum: others look at it afterwards. Raises what `review` raises."""
    if principal.channel is not Channel.PORTAL:
        raise PortalOnly("a glass is broken by a person at the portal, not by a token")
    refusal = why_no_glass(request, principal)
    if refusal is not None:
        raise ReviewRefused(refusal)
    if digest != request.digest:
        raise DigestMoved("the request is not the one that you looked at; look again")
    _expect_version(request, version)
    if not reason.strip():
        raise InvalidInput("say what the emergency is")
    if len(reason) > MAX_REASON:
        raise InvalidInput(f"a reason has at most {MAX_REASON:,} characters")
    return replace(request, state=State.APPROVED, broken=Broken(reason=reason.strip(), at=now))


def missing_after(request: Standing) -> tuple[tuple[Requirement, int], ...]:
    """Whose look is still missing after a glass was broken, each with the number of looks that there were."""
    broken = request.broken
    if broken is None or request.state not in {State.EXECUTED, State.UNDONE}:
        return ()
    missing = []
    for requirement in _asked_after(request):
        given = _counted(request, broken.reviews, requirement)
        if given < requirement.needed:
            missing.append((requirement, given))
    return tuple(missing)


def _asked_after(request: Standing) -> tuple[Requirement, ...]:
    return tuple(dict.fromkeys(requirement for glass in request.glasses for requirement in glass.review))


def comment(request: ChangeRequest, author: Principal, text: str, now: dt.datetime) -> ChangeRequest:
    """Add a comment; raises InvalidInput, and StateConflict while nothing may come between."""
    if request.state is State.EXECUTING:
        raise StateConflict("the request is being executed; comment when that is over")
    if not text.strip():
        raise InvalidInput("the comment is empty")
    if len(text) > MAX_REASON:
        raise InvalidInput(f"a comment has at most {MAX_REASON:,} characters")
    if len(request.comments) >= MAX_COMMENTS:
        raise InvalidInput(f"a request has at most {MAX_COMMENTS:,} comments")
    return replace(request, comments=(*request.comments, Comment(author=author.id, text=text.strip(), at=now)))


def approvals_for(request: Standing, requirement: Requirement) -> int:
    """How many distinct people of the requirement's groups have approved; the requester never counts."""
    approvals = [known for known in request.reviews if known.verdict is Verdict.APPROVE]
    return _counted(request, approvals, requirement)


def _counted(request: Standing, reviews: Iterable[Review], requirement: Requirement) -> int:
    """One vote for each person, and one for each place: who was away and whoever was in their place have one."""
    counted = [
        known
        for known in reviews
        if known.groups & set(requirement.groups) and own_people(request).isdisjoint({known.reviewer, known.seat})
    ]
    return min(len({known.reviewer for known in counted}), len({known.seat for known in counted}))


def withdraw(request: ChangeRequest, principal: Principal, now: dt.datetime) -> ChangeRequest:
    """The requester takes it back; raises StateConflict, ReviewRefused."""
    if principal.id != request.requester.id:
        raise ReviewRefused("only the requester may withdraw a request")
    _expect(request, State.AWAITING_REVIEW, State.APPROVED)
    return replace(request, state=State.WITHDRAWN, finished_at=now)


def expire(request: ChangeRequest, now: dt.datetime) -> ChangeRequest:
    """Past its time, an undecided request ends; otherwise it is returned as it is."""
    return replace(request, state=State.EXPIRED, finished_at=now) if is_over(request, now) else request


def is_over(request: Standing, now: dt.datetime) -> bool:
    """Whether nobody decided in time."""
    return request.state in {State.AWAITING_REVIEW, State.APPROVED} and now >= request.expires_at


def why_no_execution(request: ChangeRequest, principal: Principal, now: dt.datetime) -> str | None:
    """Why this principal may not have the request carried out now, or None if they may."""
    try:
        check_execution(request, principal, now)
    except (NotPermitted, StateConflict) as refusal:
        return str(refusal)
    return None


def check_execution(request: ChangeRequest, principal: Principal, now: dt.datetime) -> None:
    """Raise NotPermitted for somebody who may not have it carried out, or not at this time, and StateConflict."""
    is_own = principal.id == request.requester.id
    if not (is_own or any(known.seat == known.reviewer == principal.id for known in request.reviews)):
        raise NotPermitted("the requester or a reviewer executes a request")
    _expect(request, State.APPROVED)
    if (request.execution.is_by_requester or request.broken is not None) and not is_own:
        raise NotPermitted("its requester says when it is executed")
    refusal = why_not_now(request, now)
    if refusal is not None:
        raise NotPermitted(refusal)


def why_not_now(request: ChangeRequest, now: dt.datetime) -> str | None:
    """Why the request is not carried out at this time by anybody, or None."""
    return (
        None if request.broken is not None or request.execution.is_open(now) else f"it is executed {request.execution}"
    )


def begin(request: ChangeRequest, now: dt.datetime) -> ChangeRequest:
    """The execution starts; raises StateConflict unless the quorum stands and its time has come."""
    _expect(request, State.APPROVED)
    if now >= request.expires_at:
        raise StateConflict("the request has expired")
    if missing_quorum(request) and request.broken is None:
        raise StateConflict("the quorum is not met")
    refusal = why_not_now(request, now)
    if refusal is not None:
        raise StateConflict(refusal)
    return replace(request, state=State.EXECUTING)


def finish(request: ChangeRequest, *, rows: int, index: int | None, now: dt.datetime) -> ChangeRequest:
    """The write is committed."""
    _expect(request, State.EXECUTING)
    return replace(request, state=State.EXECUTED, outcome_rows=rows, outcome_index=index, finished_at=now)


def fail(request: ChangeRequest, *, sentence: str, is_drift: bool, now: dt.datetime) -> ChangeRequest:
    """The write was rolled back: the rows had moved, or the database refused."""
    _expect(request, State.EXECUTING)
    return replace(request, state=State.DRIFTED if is_drift else State.FAILED, failure=sentence, finished_at=now)


def keep_image(request: ChangeRequest, image: tuple[RowDiff, ...]) -> ChangeRequest:
    """What is about to be committed, kept before it is."""
    _expect(request, State.EXECUTING)
    return replace(request, image=image)


def why_no_undo(request: ChangeRequest) -> str | None:
    """Why the change cannot be undone, or None if it can, as far as the request tells."""
    if request.state is not State.EXECUTED:
        return _is(request)
    if request.is_call:
        return "it called another service, where it has to be taken back"
    if not request.writes_rows:
        return "access ends by itself, or is ended"
    if request.image is None or request.forgotten_at is not None:
        return "what the rows were before is no longer kept"
    return None


def check_undo(request: ChangeRequest) -> None:
    """Raise StateConflict unless the change can still be undone."""
    refusal = why_no_undo(request)
    if refusal is not None:
        raise StateConflict(f"this cannot be undone: {refusal}")


def undone(request: ChangeRequest, by: str) -> ChangeRequest:
    """Another request has put its rows back; raises StateConflict."""
    _expect(request, State.EXECUTED)
    return replace(request, state=State.UNDONE, undone_by=by)


def forget(request: ChangeRequest, now: dt.datetime) -> ChangeRequest:
    """The request without any value of a row: who, when, how many and the digest stay."""

    def bare(diff: RowDiff) -> RowDiff:
        rows = tuple(replace(row, key=(), before=None, after=None) for row in diff.rows)
        return replace(diff, rows=rows)

    return replace(
        request,
        diffs=tuple(map(bare, request.diffs)),
        beside=tuple(map(bare, request.beside)),
        image=None,
        returned=None,
        parameters=dict.fromkeys(request.parameters),
        sets=tuple(dict.fromkeys(one) for one in request.sets),
        left=tuple(replace(one, key=()) for one in request.left),
        forgotten_at=now,
    )


def _expect(request: ChangeRequest, *states: State) -> None:
    if request.state not in states:
        raise StateConflict(_is(request))


def _expect_version(request: Standing, version: int | None) -> None:
    """What others said since is read before one decides."""
    if version is not None and version != request.version:
        raise StateConflict("the request has moved on since you looked at it; see what happened, and decide again")


def _is(request: Standing) -> str:
    return f"the request is {request.state.replace('_', ' ')}"


def _any_of(groups: set[str]) -> str:
    names = [f"`{name}`" for name in sorted(groups)]
    return f"a member of {' or '.join(names)}"
