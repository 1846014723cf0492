"""Which headers, hosts and sizes does the outermost layer see to?"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from gatebook_hub.web import problems
from gatebook_hub.web.shield import Shield

LIMIT = 1000


def application(*, is_tls: bool = False) -> Shield:
    app = FastAPI()
    problems.install(app)

    @app.post("/echo")
    @app.post("/api/v1/runs/r/finish")
    @app.post("/api/v1/runs/claim")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.post("/document")
    async def document(body: dict[str, str]) -> int:
        return len(body)

    @app.get("/cached")
    async def cached() -> JSONResponse:
        return JSONResponse({}, headers={"Cache-Control": "max-age=60"})

    return Shield(app, hosts={"portal.example", "127.0.0.1"}, limit_body_bytes=LIMIT, is_tls=is_tls)


def caller(app: Shield) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


async def parts(count: int, size: int = 100) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_strict_transport_is_asked_for_behind_tls_alone() -> None:
    async with caller(application(is_tls=True)) as client:
        assert "max-age=31536000" in (await client.get("/cached")).headers["strict-transport-security"]
    async with caller(application()) as client:
        assert "strict-transport-security" not in (await client.get("/cached")).headers


async def test_an_answer_may_say_that_it_is_stored() -> None:
    async with caller(application()) as client:
        assert (await client.get("/cached")).headers["cache-control"] == "max-age=60"
        assert (await client.get("/nothing")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["portal.example", "portal.example:8001", "127.0.0.1:9"])
async def test_known_hosts_are_served(host: str) -> None:
    async with caller(application()) as client:
        assert (await client.get("/cached", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "portal.example.evil", "a.portal.example", "", ":80", "portal.example@x"]
)
async def test_other_hosts_are_not(host: str) -> None:
    async with caller(application()) as client:
        assert (await client.get("/cached", headers={"Host": host})).json()["code"] == "GB-104"


async def test_a_body_may_be_as_large_as_the_limit() -> None:
    async with caller(application()) as client:
        assert (await client.post("/echo", content=b"x" * LIMIT)).json() == LIMIT
        assert (await client.post("/echo", content=parts(10))).json() == LIMIT


@pytest.mark.parametrize("path", ["/echo", "/document", "/api/v1/runs/claim"])
async def test_a_body_over_the_limit_is_told_as_that(path: str) -> None:
    """Also where its length was not stated, and where the framework takes the stop for a malformed body."""
    async with caller(application()) as client:
        for content in (b"x" * (LIMIT + 1), parts(11)):
            answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (413, "GB-106")
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_report_of_a_run_may_be_larger() -> None:
    async with caller(application()) as client:
        assert (await client.post("/api/v1/runs/r/finish", content=b"x" * 40 * LIMIT)).json() == 40 * LIMIT
        assert (await client.post("/api/v1/runs/r/finish", content=parts(401))).status_code == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "²", "x", "1,0"])
async def test_a_length_that_is_none_is_refused(length: str) -> None:
    async with caller(application()) as client:
        headers = {b"Content-Length": length.encode("latin-1")}
        assert (await client.post("/echo", content=b"x", headers=headers)).status_code == 413
