"""POST /api/v1/query: one statement in; rows, an outcome, a change request, its draft or a problem out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.gateway.answers import ChangeDocument, DraftDocument, OutcomeDocument
from gatebook_hub.gateway.documents import QueryDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases, calling, document_of, doorman, use_cases, with_claims
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call, Unconfirmed
from gatebook_hub.services.previewing import Previewed
from gatebook_hub.services.queries import Question, Waiting
from gatebook_hub.services.sandboxing import Done
from gatebook_hub.values import decode
from gatebook_hub.web.streaming import MEDIA_TYPE, answering
from gatebook_hub.web.views import change_view, done_view, draft_view, write_outcome


class _Straight(APIRoute):
    """A route whose arguments are found without a framework: it is by far the one that is called most."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Authenticate, then read the body, as the declared parameters say."""

        async def handle(request: Request) -> Response:
            call = await calling(request, None)
            return await query(call, await document_of(request, QueryDocument), use_cases(request), request)

        return handle


router = APIRouter(route_class=_Straight)


@router.post(
    "/query",
    operation_id="query",
    responses={
        200: {
            "model": OutcomeDocument | DraftDocument,
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "rows, the outcome of a write, or its dry run",
        },
        202: {"model": ChangeDocument, "description": "a change request that awaits review"},
        **PROBLEM,
    },
    response_class=JSONResponse,
    response_model=None,
)
async def query(call: Calling, body: QueryDocument, cases: Cases, request: Request) -> Response:
    """Answer one statement."""
    call = with_claims(call, body.provenance.model_dump(exclude_none=True), body.reason, body.purpose)
    question = Question(
        source=body.source,
        sql=body.sql,
        parameters={name: decode(value, name) for name, value in body.params.items()},
        limit_rows=body.limit_rows,
        many=tuple({name: decode(value, name) for name, value in one.items()} for one in body.many)
        if body.many is not None
        else None,
        transaction=body.transaction,
        is_dry_run=body.dry_run,
    )
    waiting = Waiting()
    watcher = asyncio.ensure_future(leave_with(request, waiting))
    try:
        try:
            return await run_in_threadpool(_answered, cases, call, question, waiting)
        except Unconfirmed:
            call = await doorman(request).confirmed(request, call)
            return await run_in_threadpool(_answered, cases, call, question, waiting)
    finally:
        watcher.cancel()


def _answered(cases: UseCases, call: Call, question: Question, waiting: Waiting) -> Response:
    """All that waits for a database, in one thread."""
    answer = cases.queries.ask(call, question, waiting)
    if isinstance(answer, Done):
        return JSONResponse(done_view(answer))
    if isinstance(answer, Previewed):
        return JSONResponse(draft_view(cases, call.principal, answer))
    if isinstance(answer, ChangeRequest):
        return change_response(cases, call, answer)
    return answering(answer)


async def leave_with(request: Request, waiting: Waiting) -> None:
    """Cancel the statement when its caller goes away before the first rows."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    await run_in_threadpool(waiting.leave)


def change_response(cases: UseCases, call: Call, request: ChangeRequest) -> JSONResponse:
    """200 with the outcome of a write that is done, 202 with a change request otherwise."""
    if request.state is State.EXECUTED:
        return JSONResponse(write_outcome(cases, call.principal, request))
    return JSONResponse(change_view(cases, call.principal, request), status_code=202)
