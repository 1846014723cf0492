"""/api/v1/saved-queries: list, read and run saved queries. They are saved, shared and deleted at the portal alone."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from gatebook_hub.gateway.answers import SavedQueriesDocument, SavedQueryDocument, SavedVersionsDocument
from gatebook_hub.gateway.documents import SavedRunDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases, answers, with_claims
from gatebook_hub.gateway.statements import leave_with
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Waiting
from gatebook_hub.services.saved_queries import Wanted
from gatebook_hub.values import decode
from gatebook_hub.web.saved import saved_text_view, saved_view, versions_view
from gatebook_hub.web.streaming import MEDIA_TYPE, answering

router = APIRouter(prefix="/saved-queries")
Reference = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9_]{0,62}$", description="The name of a saved query, or its id.")
]
Author = Annotated[str | None, Query(max_length=128, description="Whose it is, where several share one name.")]
Number = Annotated[int | None, Query(ge=1, le=2**31, description="An older version; the newest if not given.")]


@router.get("", operation_id="list_saved_queries", **answers(SavedQueriesDocument))
def list_saved(cases: Cases, call: Calling, q: Annotated[str, Query(max_length=100)] = "") -> dict[str, Any]:
    """Saved queries that the caller may run, newest first; `q` has words of their names, titles and descriptions."""
    return {"saved_queries": [saved_view(cases, found) for found in cases.saved.listed(call.principal, q)]}


@router.get("/{query}", operation_id="get_saved_query", **answers(SavedQueryDocument))
def get_saved(
    cases: Cases, call: Calling, query: Reference, author: Author = None, version: Number = None
) -> dict[str, Any]:
    """One saved query with its text."""
    wanted = Wanted(reference=query, author=author, version=version)
    return saved_text_view(cases, cases.saved.get(call.principal, wanted))


@router.get("/{query}/versions", operation_id="list_saved_versions", **answers(SavedVersionsDocument))
def list_versions(cases: Cases, call: Calling, query: Reference, author: Author = None) -> dict[str, Any]:
    """All versions of a saved query, newest first."""
    found = cases.saved.get(call.principal, Wanted(reference=query, author=author))
    return versions_view(*cases.saved.history(call, found.query.id))


@router.post(
    "/{query}/run",
    operation_id="run_saved_query",
    responses={
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "rows, as of any read",
        },
        **PROBLEM,
    },
    response_class=Response,
    response_model=None,
)
async def run_saved(
    call: Calling, cases: Cases, query: Reference, body: SavedRunDocument, request: Request
) -> Response:
    """Run a saved query with the caller's own rights."""
    call = with_claims(call, body.provenance.model_dump(exclude_none=True), body.reason, body.purpose)
    wanted = Wanted(reference=query, author=body.author, version=body.version)
    waiting = Waiting()
    watcher = asyncio.ensure_future(leave_with(request, waiting))
    try:
        return await run_in_threadpool(_answered, cases, call, wanted, body, waiting)
    finally:
        watcher.cancel()


def _answered(cases: UseCases, call: Call, wanted: Wanted, body: SavedRunDocument, waiting: Waiting) -> Response:
    values = {name: decode(value, name) for name, value in body.params.items()}
    return answering(cases.saved.run(call, wanted, values, limit_rows=body.limit_rows, waiting=waiting))
