"""Who may move a request on, and where to?

awaiting review ─► approved ─► executing ─► executed | failed | drifted
       ├─► rejected, withdrawn, expired
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import fields, replace

from gatebook_hub.changes.digest import digest_of
from gatebook_hub.changes.request import ChangeRequest, Draft, Review, State, Verdict
from gatebook_hub.errors import DigestMoved, InvalidInput, PortalOnly, ReviewRefused, StateConflict
from gatebook_hub.model import Channel, Principal, PrincipalKind, Requirement

MAX_REASON = 2_000


def file(draft: Draft, request_id: str) -> ChangeRequest:
    """The request that a draft becomes."""
    kept = {item.name: getattr(draft, item.name) for item in fields(Draft)}
    unsigned = ChangeRequest(**kept, id=request_id, state=State.AWAITING_REVIEW, digest="")
    return open_request(replace(unsigned, digest=digest_of(unsigned)))


def open_request(request: ChangeRequest) -> ChangeRequest:
    """The first state: approved at once if nobody is needed, else awaiting review."""
    return replace(request, state=State.AWAITING_REVIEW if request.requirements else State.APPROVED)


def may_review(request: ChangeRequest, reviewer: Principal, hidden_columns: Iterable[str] = ()) -> str | None:
    """Why this person may not review the request, or None if they may.

    `hidden_columns` are changed columns that the reviewer sees masked or not at all.
    """
    if request.state is not State.AWAITING_REVIEW:
        return f"the request is {request.state.replace('_', ' ')}"
    if reviewer.kind is not PrincipalKind.USER:
        return "a review comes from a person"
    if reviewer.id == request.requester.id:
        return "nobody approves their own request"
    wanted = {group for requirement in request.requirements for group in requirement.groups}
    if not wanted & reviewer.groups:
        return f"a review comes from {_any_of(wanted)}"
    if any(known.reviewer == reviewer.id for known in request.reviews):
        return "you have already reviewed this request"
    hidden = sorted(hidden_columns)
    if hidden:
        return f"you cannot see {', '.join(f'`{name}`' for name in hidden)}, which this request changes"
    return None


def review(
    request: ChangeRequest,
    reviewer: Principal,
    *,
    verdict: Verdict,
    reason: str,
    digest: str,
    now: dt.datetime,
    hidden_columns: Iterable[str] = (),
) -> ChangeRequest:
    """Add a verdict; a rejection is final, approvals count until the quorum is met.

    Raises PortalOnly, ReviewRefused, DigestMoved, InvalidInput.
    """
    if reviewer.channel is not Channel.PORTAL:
        raise PortalOnly("a review comes from a person at the portal, not from a token")
    refusal = may_review(request, reviewer, hidden_columns)
    if refusal is not None:
        raise ReviewRefused(refusal)
    if digest != request.digest:
        raise DigestMoved("the request is not the one that you looked at; look again")
    if verdict is Verdict.REJECT and not reason.strip():
        raise InvalidInput("say why you reject the request")
    if len(reason) > MAX_REASON:
        raise InvalidInput(f"a reason has at most {MAX_REASON:,} characters")
    given = Review(reviewer=reviewer.id, groups=reviewer.groups, verdict=verdict, reason=reason.strip(), at=now)
    reviewed = replace(request, reviews=(*request.reviews, given))
    if verdict is Verdict.REJECT:
        return replace(reviewed, state=State.REJECTED, finished_at=now)
    return reviewed if missing_quorum(reviewed) else replace(reviewed, state=State.APPROVED)


def missing_quorum(request: ChangeRequest) -> tuple[tuple[Requirement, int], ...]:
    """The requirements that are not met yet, each with the number of approvals it has."""
    missing = []
    for requirement in request.requirements:
        given = approvals_for(request, requirement)
        if given < requirement.needed:
            missing.append((requirement, given))
    return tuple(missing)


def approvals_for(request: ChangeRequest, requirement: Requirement) -> int:
    """How many distinct people of the requirement's groups have approved; the requester never counts."""
    people = {
        known.reviewer
        for known in request.reviews
        if known.verdict is Verdict.APPROVE
        and known.reviewer != request.requester.id
        and known.groups & set(requirement.groups)
    }
    return len(people)


def withdraw(request: ChangeRequest, principal: Principal, now: dt.datetime) -> ChangeRequest:
    """The requester takes it back; raises StateConflict, ReviewRefused."""
    if principal.id != request.requester.id:
        raise ReviewRefused("only the requester may withdraw a request")
    _expect(request, State.AWAITING_REVIEW, State.APPROVED)
    return replace(request, state=State.WITHDRAWN, finished_at=now)


def expire(request: ChangeRequest, now: dt.datetime) -> ChangeRequest:
    """Past its time, an undecided request ends; otherwise it is returned as it is."""
    if request.state in {State.AWAITING_REVIEW, State.APPROVED} and now >= request.expires_at:
        return replace(request, state=State.EXPIRED, finished_at=now)
    return request


def begin(request: ChangeRequest) -> ChangeRequest:
    """The execution starts; raises StateConflict unless the quorum stands."""
    _expect(request, State.APPROVED)
    if missing_quorum(request):
        raise StateConflict("the quorum is not met")
    return replace(request, state=State.EXECUTING)


def finish(request: ChangeRequest, *, rows: int, index: int | None, now: dt.datetime) -> ChangeRequest:
    """The write is committed."""
    _expect(request, State.EXECUTING)
    return replace(request, state=State.EXECUTED, outcome_rows=rows, outcome_index=index, finished_at=now)


def fail(request: ChangeRequest, *, sentence: str, is_drift: bool, now: dt.datetime) -> ChangeRequest:
    """The write was rolled back: the rows had moved, or the database refused."""
    _expect(request, State.EXECUTING)
    return replace(request, state=State.DRIFTED if is_drift else State.FAILED, failure=sentence, finished_at=now)


def _expect(request: ChangeRequest, *states: State) -> None:
    if request.state not in states:
        raise StateConflict(f"the request is {request.state.replace('_', ' ')}")


def _any_of(groups: set[str]) -> str:
    names = [f"`{name}`" for name in sorted(groups)]
    return f"a member of {' or '.join(names)}"
