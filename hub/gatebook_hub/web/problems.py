"""How is an error told over HTTP? As a problem document (RFC 9457) with a stable code."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from gatebook_hub.errors import AuthenticationError, GatebookError, InvalidInput, NotFound

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class ProblemDocument(BaseModel):
    """RFC 9457, with our code, rule, what to ask for, and the event's reference."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    rule: str | None
    ask: str | None
    reference: str | None


def problem_of(error: GatebookError) -> dict[str, Any]:
    """The problem document of an error."""
    return {
        "type": f"urn:gatebook:error:{error.code}",
        "title": error.title,
        "status": error.status,
        # Half a character (a lone surrogate), which an error may quote, has no bytes.
        "detail": (error.detail or error.title).encode(errors="replace").decode(),
        "code": error.code,
        "rule": error.rule,
        "ask": error.ask,
        "reference": str(error.reference) if error.reference is not None else None,
    }


def problem_response(error: GatebookError) -> JSONResponse:
    """The response of an error."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, AuthenticationError) else {}
    if error.status == 429:
        headers["Retry-After"] = "1"
    return JSONResponse(problem_of(error), status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Answer every error of the API with a problem document, and describe it in the OpenAPI document."""
    made = app.openapi

    def described() -> dict[str, Any]:
        # FastAPI describes a route's documents under the route's one media type; problems have their own.
        document = made()
        document["components"]["schemas"].setdefault("ProblemDocument", ProblemDocument.model_json_schema())
        return document

    app.openapi = described  # type: ignore[method-assign]

    @app.exception_handler(GatebookError)
    async def _known(_: Request, error: GatebookError) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return problem_response(InvalidInput("the body is not JSON"))
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return problem_response(InvalidInput(f"`{where or 'body'}`: {first['msg'].lower()}"))

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return problem_response(NotFound("there is nothing at this address"))
        document = {**problem_of(InvalidInput(str(error.detail).lower())), "status": error.status_code}
        return JSONResponse(document, status_code=error.status_code, media_type=MEDIA_TYPE, headers=error.headers)

    @app.exception_handler(Exception)
    async def _unknown(_: Request, error: Exception) -> JSONResponse:
        _log.error("unexpected error", exc_info=error)
        return problem_response(GatebookError("something went wrong inside the gateway; the operator's log has more"))
