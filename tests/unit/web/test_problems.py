"""Is every error told as a problem document, and does none tell too much?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from gatebook_hub.errors import AccessRefused, AuthenticationError, GatebookError, TooManyRequests
from gatebook_hub.web.problems import install, problem_of


class Body(BaseModel):
    """A body with one field."""

    rows: int


def _raising(error: Exception) -> Callable[[], None]:
    def endpoint() -> None:
        raise error

    return endpoint


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI()
    install(made)
    errors: dict[str, Exception] = {
        "refused": AccessRefused("not this", rule="no-this", ask="a grant"),
        "unknown": AuthenticationError(),
        "often": TooManyRequests(),
        "bug": ValueError("the password is hunter2"),
    }
    for name, error in errors.items():
        made.add_api_route(f"/{name}", _raising(error))

    @made.post("/body")
    def body(body: Body) -> int:
        return body.rows

    return made


@pytest.fixture
def client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def problem(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> tuple[httpx.Response, Any]:
    answer = await client.request(method, path, **more)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer, answer.json()


async def test_a_refusal_has_all_its_parts(client: httpx.AsyncClient) -> None:
    answer, found = await problem(client, "GET", "/refused")
    assert answer.status_code == 403
    assert found == {
        "type": "urn:gatebook:error:GB-301",
        "title": "refused by policy",
        "status": 403,
        "detail": "not this",
        "code": "GB-301",
        "rule": "no-this",
        "ask": "a grant",
        "reference": None,
    }


async def test_who_is_unknown_is_asked_for_a_token(client: httpx.AsyncClient) -> None:
    answer, _ = await problem(client, "GET", "/unknown")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_who_asks_too_often_is_told_when_to_come_back(client: httpx.AsyncClient) -> None:
    answer, _ = await problem(client, "GET", "/often")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


async def test_a_bug_is_told_to_the_log_alone(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer, found = await problem(client, "GET", "/bug")
    assert answer.status_code == 500
    assert "hunter2" not in str(found)
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    "content, word",
    [('{"rows": "many"}', "`rows`"), ("{}", "`rows`"), ("{", "not JSON"), ("", "`body`"), ("[]", "`body`")],
)
async def test_a_malformed_body_says_where(content: str, word: str, client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer, found = await problem(client, "POST", "/body", content=content, headers=headers)
    assert (answer.status_code, found["code"]) == (422, "GB-104")
    assert word in found["detail"]


async def test_addresses_and_methods_that_do_not_exist(client: httpx.AsyncClient) -> None:
    assert (await problem(client, "GET", "/nothing"))[1]["code"] == "GB-105"
    answer, found = await problem(client, "DELETE", "/refused")
    assert (answer.status_code, found["code"], answer.headers["allow"]) == (405, "GB-104", "GET")


def test_the_event_is_named() -> None:
    error = GatebookError("x")
    error.reference = 812
    assert problem_of(error)["reference"] == "812"


def test_the_openapi_document_describes_a_problem(app: FastAPI) -> None:
    assert set(app.openapi()["components"]["schemas"]["ProblemDocument"]["required"]) == set(
        problem_of(GatebookError())
    )
