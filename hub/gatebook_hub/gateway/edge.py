"""What does an endpoint get from the application? The use cases, and the call of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request

from gatebook_hub.gateway.documents import ProblemDocument
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.web.authentication import Doorman

PROBLEM: Mapping[int | str, dict[str, Any]] = {
    status: {"model": ProblemDocument, "content": {"application/problem+json": {}}, "description": description}
    for status, description in {
        400: "the statement or the source refuses",
        401: "not authenticated",
        403: "not permitted",
        404: "not found, or not for you",
        409: "another state",
        413: "too large",
        422: "invalid input",
        429: "too many requests",
        503: "the book, the Hub or the source is unavailable",
    }.items()
}


def use_cases(request: Request) -> UseCases:
    """The use cases of this application."""
    found: UseCases = request.app.state.cases
    return found


def doorman(request: Request) -> Doorman:
    """The doorman of this application."""
    found: Doorman = request.app.state.doorman
    return found


async def calling(request: Request) -> Call:
    """The call of a request without claims of its own in the body."""
    return await doorman(request).call(request)


Cases = Annotated[UseCases, Depends(use_cases)]
Calling = Annotated[Call, Depends(calling)]
