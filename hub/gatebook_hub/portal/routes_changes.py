"""What does a reviewer see of a change request, and press?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from gatebook_hub.changes import ChangeRequest, State, Verdict, read_seen, seen_of, since
from gatebook_hub.errors import (
    DigestMoved,
    GatebookError,
    InvalidInput,
    NotFound,
    NotPermitted,
    PortalOnly,
    ReviewRefused,
    StateConflict,
)  # fmt: skip
from gatebook_hub.model import Channel
from gatebook_hub.portal.cards import quorums_of
from gatebook_hub.portal.news import news as news_of
from gatebook_hub.portal.news import timeline
from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.change import (
    Broken,
    ChangePage,
    Comment,
    Outcome,
    Parameter,
    Permission,
    Review,
    StandIn,
    TimelineEntry,
)
from gatebook_hub.portal.pages.diff import row_diff_of
from gatebook_hub.portal.pages.frame import Downloads, FieldError, address
from gatebook_hub.portal.visits import Visit, leave_for, shown
from gatebook_hub.web.views import change_view

SETS_SHOWN = 20
_UNDECIDED = (State.AWAITING_REVIEW,)
# What a press meets that came too late.
_MOVED_ON = (ReviewRefused, NotPermitted, StateConflict, DigestMoved)


def change(visit: Visit) -> Response:
    """GET /changes/{id}."""
    request = visit.cases.changes.look(visit.call, visit.request.path_params["id"])
    return shown(change_page(visit, request, notice=_notice(visit, request)))


def review(visit: Visit) -> Response:
    """POST /changes/{id}/review: approve or reject what was on the page."""
    if visit.principal.channel is not Channel.PORTAL:
        raise PortalOnly("a review comes from a person at the portal")
    reason = visit.form.get("reason", "").replace("\r\n", "\n").strip()
    digest = visit.form.get("digest", "")

    def step(change_id: str) -> str:
        try:
            verdict = Verdict(visit.form.get("verdict", ""))
        except ValueError as error:
            raise InvalidInput("press `Approve` or `Reject`") from error
        visit.cases.changes.review(
            visit.call, change_id, verdict=verdict, reason=reason, digest=digest, version=_version(visit)
        )
        return "approved" if verdict is Verdict.APPROVE else "rejected"

    return _moved(visit, step, reason)


def execute(visit: Visit) -> Response:
    """POST /changes/{id}/execute: carry out an approved request that was on the page."""

    def step(change_id: str) -> str:
        _same_digest(visit, change_id)
        visit.cases.changes.execute(visit.call, change_id)
        return "executed"

    return _moved(visit, step)


def withdraw(visit: Visit) -> Response:
    """POST /changes/{id}/withdraw: the requester takes it back."""

    def step(change_id: str) -> str:
        _same_digest(visit, change_id)
        visit.cases.changes.withdraw(visit.call, change_id)
        return "withdrawn"

    return _moved(visit, step)


def break_glass(visit: Visit) -> Response:
    """POST /changes/{id}/break-glass: have one's own request executed before its review."""
    reason = visit.form.get("reason", "").replace("\r\n", "\n").strip()

    def step(change_id: str) -> str:
        digest = visit.form.get("digest", "")
        visit.cases.changes.break_glass(visit.call, change_id, reason=reason, digest=digest, version=_version(visit))
        return "broken"

    return _moved(visit, step, reason, "glass-reason")


def comment(visit: Visit) -> Response:
    """POST /changes/{id}/comments: say something about it."""
    text = visit.form.get("comment", "").replace("\r\n", "\n")

    def step(change_id: str) -> str:
        visit.cases.changes.comment(visit.call, change_id, text)
        return "commented"

    return _moved(visit, step, text, "comment")


def undo(visit: Visit) -> Response:
    """POST /changes/{id}/undo: ask for the rows as they were; leads to the request that asks for it."""
    change_id = visit.request.path_params["id"]
    reason = visit.form.get("reason", "").replace("\r\n", "\n").strip()
    visit.cases.changes.get(visit.principal, change_id)
    try:
        _same_digest(visit, change_id)
        asked = visit.cases.changes.undo(replace(visit.call, reason=reason or None), change_id)
    except NotFound:
        raise
    except GatebookError as error:
        return _refused(visit, change_id, error, reason, "undo-reason")
    return leave_for(address(f"/changes/{asked.id}", notice="asked"))


def _moved(visit: Visit, step: Callable[[str], str], given_reason: str = "", field: str = "reason") -> Response:
    """Take a step and lead back to the page; if it is refused, the page comes back as it is now and says why."""
    change_id = visit.request.path_params["id"]
    visit.cases.changes.get(visit.principal, change_id)
    try:
        notice = step(change_id)
    except NotFound:
        raise
    except GatebookError as error:
        return _refused(visit, change_id, error, given_reason, field)
    return leave_for(address(f"/changes/{change_id}", notice=notice))


def _refused(visit: Visit, change_id: str, error: GatebookError, given: str, field: str) -> Response:
    """The page as it is now, with what happened since the form was shown; a conflict, if that is why it is refused."""
    request = visit.cases.changes.look(visit.call, change_id)
    errors = (_field_error(error, field),)
    seen = read_seen(visit.form.get("seen", ""))
    if seen is None:
        return shown(change_page(visit, request, errors=errors, given_reason=given, given_in=field), error.status)
    happened = since(seen, request)
    executor = visit.cases.changes.executor(request) if happened.was is not None else None
    told = news_of(request, happened, visit.principal.id, executor)
    page = change_page(visit, request, errors=errors, given_reason=given, given_in=field, news=told)
    is_overtaken = happened.is_moved and isinstance(error, _MOVED_ON)
    return shown(page, HTTPStatus.CONFLICT if is_overtaken else error.status)


def _version(visit: Visit) -> int | None:
    """The version of the request that the form was shown with, if it says so."""
    seen = read_seen(visit.form.get("seen", ""))
    return None if seen is None else seen.version


def _same_digest(visit: Visit, change_id: str) -> None:
    request = visit.cases.changes.get(visit.principal, change_id)
    if visit.form.get("digest") != request.digest:
        raise DigestMoved("the request is not the one that you looked at; look again")


def _field_error(error: GatebookError, field: str) -> FieldError:
    ask = f"; ask for {error.ask}" if error.ask else ""
    return FieldError(message=f"{error}{ask}", field=field if isinstance(error, InvalidInput) else None)


def _notice(visit: Visit, request: ChangeRequest) -> str | None:
    """What has just been done, told only if it is so: the address may come from anybody."""
    after = request.broken.reviews if request.broken is not None else ()
    own = [known.verdict for known in (*request.reviews, *after) if known.reviewer == visit.principal.id]
    is_own = request.requester.id == visit.principal.id
    match visit.asked("notice"):
        case "broken" if is_own and request.broken is not None:
            return "the change is executed, and others will look at it now; the book has an alarm"
        case "commented" if any(known.author == visit.principal.id for known in request.comments):
            return "your comment is there"
        case "approved" if Verdict.APPROVE in own and request.state is State.APPROVED:
            return f"your approval was the last one needed; it is executed {request.execution}"
        case "approved" if Verdict.APPROVE in own and request.state is State.EXECUTED:
            return "your approval was the last one needed, and the change is executed"
        case "approved" if Verdict.APPROVE in own and request.state is State.AWAITING_REVIEW:
            return "your approval is recorded; others have to approve too"
        case "rejected" if Verdict.REJECT in own:
            return "your rejection is recorded"
        case "executed" if request.state is State.EXECUTED:
            return "the change is executed"
        case "asked" if is_own and request.undoes is not None and request.state is State.AWAITING_REVIEW:
            return "you asked for the rows as they were; now others have to approve it"
        case "withdrawn" if is_own and request.state is State.WITHDRAWN:
            return "your request is withdrawn"
        case _:
            return None


def change_page(
    visit: Visit,
    request: ChangeRequest,
    *,
    notice: str | None = None,
    errors: tuple[FieldError, ...] = (),
    given_reason: str = "",
    given_in: str = "reason",
    news: tuple[TimelineEntry, ...] = (),
) -> ChangePage:
    """The page of a change request under the person's own masks."""
    view = change_view(visit.cases, visit.principal, request, sights=visit.sights)
    may, outcome = view["may"], view["outcome"]
    broken = view["broken"]
    is_waiting = request.state in _UNDECIDED or bool(broken and broken["missing"])
    # A refusal to review says nothing once there is nothing to review.
    why_not = view["why_not"].get("review") if is_waiting else None
    return ChangePage(
        frame=visit.frame(notice),
        id=view["id"],
        summary=view["summary"],
        state=str(view["state"]),
        source=view["source"],
        table=view["table"],
        operation=view["operation"],
        action=view["action"],
        statement=view["statement"],
        parameters=_parameters(view["params"]),
        sets=tuple(map(_parameters, view["sets"][:SETS_SHOWN])),
        sets_count=len(view["sets"]),
        requester=view["requester"],
        reason=view["reason"],
        created_at=request.created_at,
        expires_at=request.expires_at if not request.state.is_final else None,
        digest=view["digest"],
        warnings=tuple(view["warnings"]),
        diffs=tuple(map(row_diff_of, view["diffs"])),
        beside=tuple(map(row_diff_of, view["beside"])),
        quorum=quorums_of(view["quorum"]),
        reviews=tuple(map(_review_of, view["reviews"])),
        broken=Broken(
            reason=broken["reason"],
            at=_time(broken["at"]),
            reviews=tuple(map(_review_of, broken["reviews"])),
            missing=quorums_of(broken["missing"]),
        )
        if broken
        else None,
        comments=tuple(
            Comment(author=one["author"], text=one["text"], at=_time(one["at"])) for one in view["comments"]
        ),
        stand_ins=tuple(
            StandIn(person=person.removeprefix("user:"), instead_of=holder.removeprefix("user:"))
            for person, holder in visit.cases.changes.stand_ins(request)
        ),
        glass=Permission(is_allowed=bool(may["break_glass"])),
        timeline=timeline(request, view),
        review=Permission(is_allowed=bool(may["review"]), why_not=why_not),
        withdraw=Permission(is_allowed=bool(may["withdraw"])),
        execute=Permission(
            is_allowed=bool(may["execute"]),
            why_not=view["why_not"].get("execute") if request.state is State.APPROVED else None,
        ),
        execution=view["execution"],
        risk_points=view["risk"]["points"],
        risk_sentences=tuple(view["risk"]["because"]),
        undo=Permission(
            is_allowed=bool(may["undo"]),
            why_not=view["why_not"].get("undo") if request.state is State.EXECUTED else None,
        ),
        undoes=view["undoes"],
        undone_by=view["undone_by"],
        downloads=Downloads(json_url=f"/api/v1/changes/{request.id}"),
        outcome=Outcome(
            rows_changed=outcome["rows_changed"],
            audit_index=outcome["audit_index"],
            at=_time(outcome["at"]),
            is_linked=_may_open_outcome(visit, request),
        )
        if outcome
        else None,
        failure=view["failure"],
        errors=errors,
        given_reason=given_reason,
        given_in=given_in,
        seen=str(seen_of(request)),
        news=news,
    )


def _parameters(found: Mapping[str, Any]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name=name, value=cell_of(value)) for name, value in found.items())


def _review_of(found: Mapping[str, Any]) -> Review:
    return Review(
        reviewer=found["reviewer"],
        verdict=str(found["verdict"]),
        reason=found["reason"],
        at=_time(found["at"]),
        instead_of=found["instead_of"],
    )


def _may_open_outcome(visit: Visit, request: ChangeRequest) -> bool:
    is_last_reviewer = bool(request.reviews) and request.reviews[-1].reviewer == visit.principal.id
    return is_last_reviewer or visit.cases.auditing.may_read_all(visit.principal)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
