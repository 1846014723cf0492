"""/api/v1/audit: search the book, prove an event, fetch checkpoint and tiles."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse, Response

from gatebook_hub.audit import EventKind
from gatebook_hub.gateway.answers import EventsDocument, ProvenEventDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases, answers
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.views import event_view, proven_view

router = APIRouter(prefix="/audit")
Text = Annotated[str | None, Query(max_length=128)]
Time = Annotated[str | None, Query(pattern=r"^\d{4}-\d\d-\d\d(T[0-9:.]+Z?)?$", max_length=32)]
TILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    **PROBLEM,
}


@router.get("/events", operation_id="find_events", **answers(EventsDocument))
def find_events(
    cases: Cases,
    call: Calling,
    principal: Text = None,
    kind: EventKind | None = None,
    source: Text = None,
    table: Text = None,
    change: Text = None,
    since: Time = None,
    until: Time = None,
    before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Events, newest first; without a grant of `audit`, `principal` must be oneself."""
    wanted = EventFilter(
        principal=principal,
        kind=kind,
        source=source,
        table=table,
        change=change,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    found = cases.auditing.find(call, wanted)
    return {
        "events": [event_view(event) for event in found],
        "next_before": found[-1].index if len(found) == limit else None,
    }


@router.get("/events/{index}", operation_id="get_event", **answers(ProvenEventDocument))
def get_event(cases: Cases, call: Calling, index: Annotated[int, Path(ge=0, le=2**62)]) -> dict[str, Any]:
    """One event with its inclusion proof."""
    return proven_view(cases.auditing.event(call, index))


@router.get("/checkpoint", operation_id="get_checkpoint", responses=PROBLEM, response_class=PlainTextResponse)
def get_checkpoint(cases: Cases, call: Calling) -> PlainTextResponse:  # noqa: ARG001 - any principal may
    """The newest signed checkpoint (C2SP tlog-checkpoint)."""
    return PlainTextResponse(cases.auditing.checkpoint())


@router.get("/tile/{path:path}", operation_id="get_tile", responses=TILE, response_class=Response)
def get_tile(cases: Cases, call: Calling, path: Annotated[str, Path(max_length=200)]) -> Response:
    """A tile or a bundle of entries (C2SP tlog-tiles)."""
    content = cases.auditing.tile(call, f"tile/{path}")
    return Response(content, media_type="application/octet-stream")
