"""/api/v1/changes: look at change requests and move them on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from gatebook_hub.changes import State, Verdict, place_of, read_place
from gatebook_hub.errors import PortalOnly
from gatebook_hub.gateway.answers import ChangeDocument, ChangesDocument
from gatebook_hub.gateway.documents import NoteDocument, ReviewDocument, UndoDocument
from gatebook_hub.gateway.edge import Calling, Cases, answers
from gatebook_hub.model import Channel
from gatebook_hub.web.views import change_view

router = APIRouter(prefix="/changes")
ChangeId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


@router.get("", operation_id="list_changes", **answers(ChangesDocument))
def list_changes(
    cases: Cases,
    call: Calling,
    state: State | None = None,
    mine: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[str | None, Query(max_length=80)] = None,
) -> dict[str, Any]:
    """Change requests that the caller may see, newest first; `before` is a time, or `next_before` of another page."""
    place = read_place(before) if before else None
    states = (state,) if state else ()
    listed = cases.changes.listed(call.principal, states=states, is_mine=mine, limit=limit, before=place)
    sights = cases.changes.sights(call.principal)
    return {
        "changes": [
            change_view(cases, call.principal, request, has_diff=False, sights=sights)
            for request in cases.changes.opened(call.principal, listed)
        ],
        "next_before": str(place_of(listed[-1])) if len(listed) == limit else None,
    }


@router.get("/{change_id}", operation_id="get_change", **answers(ChangeDocument))
def get_change(
    cases: Cases,
    call: Calling,
    change_id: ChangeId,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
    state: State | None = None,
) -> dict[str, Any]:
    """One change request; with `wait` and `state`, once it has left that state or the seconds are over."""
    if wait and state is not None:
        request = cases.changes.wait(call.principal, change_id, state, wait)
        if request.state is state:  # no news: the rows are not shown again
            return {**change_view(cases, call.principal, request, has_diff=False), "diffs": None, "beside": None}
    request = cases.changes.look(call, change_id)
    return change_view(cases, call.principal, request)


@router.post("/{change_id}/review", operation_id="review_change", **answers(ChangeDocument))
def review_change(
    request: Request, cases: Cases, call: Calling, change_id: ChangeId, body: ReviewDocument
) -> dict[str, Any]:
    """Approve or reject; a portal session only."""
    if call.principal.channel is not Channel.PORTAL or "authorization" in request.headers:
        raise PortalOnly("a review comes from a person at the portal, not from a token")
    reviewed = cases.changes.review(
        call,
        change_id,
        verdict=Verdict(body.verdict),
        reason=body.reason,
        digest=body.digest,
        version=body.version,
    )
    return change_view(cases, call.principal, reviewed)


@router.post("/{change_id}/execute", operation_id="execute_change", **answers(ChangeDocument))
def execute_change(cases: Cases, call: Calling, change_id: ChangeId) -> dict[str, Any]:
    """Carry out an approved request."""
    cases.changes.get(call.principal, change_id)
    return change_view(cases, call.principal, cases.changes.execute(call, change_id))


@router.post("/{change_id}/withdraw", operation_id="withdraw_change", **answers(ChangeDocument))
def withdraw_change(cases: Cases, call: Calling, change_id: ChangeId) -> dict[str, Any]:
    """Take one's own request back."""
    return change_view(cases, call.principal, cases.changes.withdraw(call, change_id))


@router.post("/{change_id}/undo", operation_id="undo_change", **answers(ChangeDocument))
def undo_change(cases: Cases, call: Calling, change_id: ChangeId, body: UndoDocument) -> dict[str, Any]:
    """Ask for the rows of an executed change as they were before it: a change request of its own."""
    asked = replace(call, reason=body.reason, purpose=body.purpose)
    return change_view(cases, call.principal, cases.changes.undo(asked, change_id))


@router.post("/{change_id}/comments", operation_id="comment_on_change", **answers(ChangeDocument))
def comment_on_change(cases: Cases, call: Calling, change_id: ChangeId, body: NoteDocument) -> dict[str, Any]:
    """Write a comment about a request."""
    return change_view(cases, call.principal, cases.changes.comment(call, change_id, body.text))
