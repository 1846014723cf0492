"""What does an endpoint get from the application? The use cases, and the call of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from gatebook_hub.errors import InvalidInput
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.web.authentication import Doorman

_Document = TypeVar("_Document", bound=BaseModel)
PROBLEM: dict[int | str, dict[str, Any]] = {
    status: {
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        "description": description,
    }
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
        504: "the source took too long",
    }.items()
}


def answers(model: type[BaseModel], status: int = 200, description: str = "Successful Response") -> dict[str, Any]:
    """What a route declares: its answer's document, and the problems. Our own answers are not validated again."""
    declared = {status: {"model": model, "description": description}, **PROBLEM}
    return {"responses": declared, "response_model": None, "status_code": status}


# For the OpenAPI document alone: the doorman looks at credentials, of which this is the programs' kind.
_BEARER = HTTPBearer(auto_error=False, description="A token of the Hub, of `gatebook token issue` or of a run.")


def use_cases(request: Request) -> UseCases:
    """The use cases of this application."""
    found: UseCases = request.app.state.cases
    return found


def doorman(request: Request) -> Doorman:
    """The doorman of this application."""
    found: Doorman = request.app.state.doorman
    return found


async def calling(request: Request, _: Annotated[object, Security(_BEARER)]) -> Call:
    """The call of a request; as a dependency it is known before the body is looked at."""
    call = await doorman(request).call(request)
    _check_query(request)
    return call


def _check_query(request: Request) -> None:
    """A filter with a misspelt name would answer more than was asked for; raises InvalidInput."""
    route = request.scope.get("route")
    if isinstance(route, APIRoute):
        known = {field.alias for field in route.dependant.query_params}
        for name in request.query_params:
            if name not in known:
                raise InvalidInput(f"there is no query parameter `{name[:64]}` here")


async def document_of(request: Request, kind: type[_Document]) -> _Document:
    """The body as a document, for a route that looks at its requests itself; raises RequestValidationError."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type != "application/json":
            raise RequestValidationError([{"type": "json_type", "loc": ("body",), "msg": "Send application/json"}])
        return kind.model_validate(await request.json())
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from error
    except (ValueError, RecursionError, ClientDisconnect) as error:  # nobody hears what is told who hung up
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": "Not JSON"}]) from error


def with_claims(call: Call, claims: Mapping[str, str], reason: str | None, purpose: str | None = None) -> Call:
    """The call with what the body claims; the relay's own header, which `calling` has read, overrules it."""
    stated = {name: value for name, value in claims.items() if value}
    return replace(call, provenance={**stated, **call.provenance}, reason=reason, purpose=purpose)


Cases = Annotated[UseCases, Depends(use_cases)]
Calling = Annotated[Call, Depends(calling)]
