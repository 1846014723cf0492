"""The relay between kernels and the gateway, on real sockets: who may pass, with what, and what a cut looks like."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gatebook_server.errors import NoCredentials, NotRelayed, RelayError
from gatebook_server.handlers import RelayServer, listen, serve_relay
from gatebook_server.relay import Relay
from gatebook_server.tokens import KernelTokens


@dataclass
class Gateway:
    """A gateway that shows what reached it."""

    url: str = ""
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    chunks_sent: int = 0
    was_cut: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer every path in one of the ways that a gateway may."""
        self.seen.append(request)
        self.bodies.append(await request.read())
        match request.path.removeprefix("/api/v1/"):
            case "sources":
                return web.json_response(
                    {"title": "no"}, status=403, content_type="application/problem+json",
                    headers={"Set-Cookie": "a=b", "Server": "secret/1.0", "Retry-After": "3", "X-Internal": "x"},
                )  # fmt: skip
            case "runs":
                return web.Response(status=302, headers={"Location": "http://elsewhere.example/"})
            case "query":
                return await self._stream(request)
            case "changes":
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b"short")
                assert request.transport is not None
                request.transport.close()
                return response
        return web.json_response({"ok": True})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.apache.arrow.stream"})
        await response.prepare(request)
        try:
            for _ in range(int(request.query.get("chunks", "3"))):
                await response.write(b"x" * 65_536)
                self.chunks_sent += 1
                await asyncio.sleep(0.001)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self.was_cut.set()
            raise
        return response


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def tokens() -> KernelTokens:
    return KernelTokens()


@pytest.fixture
def owner() -> dict[str, str]:
    """Whom kernels belong to; no entry: nobody is bound."""
    return {"k1": "hub-token"}


@pytest.fixture
async def server(gateway: Gateway, tokens: KernelTokens, owner: dict[str, str]) -> AsyncIterator[RelayServer]:
    async def credentials(kernel_id: str) -> Mapping[str, str]:
        if kernel_id not in owner:
            raise NoCredentials
        return {"Authorization": f"Bearer {owner[kernel_id]}"}

    sockets, url = listen()
    relay = Relay(
        gateway_url=gateway.url,
        tokens=tokens,
        credentials=credentials,
        provenance=lambda _id: {"notebook": "ä/n.ipynb"},
    )
    made = serve_relay(relay, sockets=sockets, url=url)
    yield made
    await made.aclose()


@pytest.fixture
async def kernel(server: RelayServer, tokens: KernelTokens) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"GateToken {tokens.issue('k1')}"}
    async with aiohttp.ClientSession(f"{server.url}/api/v1/", headers=headers) as session:
        yield session


async def problem(answer: aiohttp.ClientResponse) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = await answer.json(content_type=None)
    assert document["status"] == answer.status
    return answer.status, document["code"]


async def test_the_owners_identity_replaces_the_kernels_and_its_claims(
    kernel: aiohttp.ClientSession, gateway: Gateway
) -> None:
    mine = {"Cookie": "gatebook_session=x", "Gatebook-Tool": "desk@1", "Gatebook-Provenance": "{}", "X-Any": "x"}
    async with kernel.get(URL("me?a=1&b=%20", encoded=True), headers=mine) as answer:
        assert answer.status == 200
    request = gateway.seen[-1]
    assert request.headers["Authorization"] == "Bearer hub-token"
    assert request.raw_path == "/api/v1/me?a=1&b=%20"
    assert json.loads(request.headers["Gatebook-Provenance"]) == {"notebook": "ä/n.ipynb", "kernel_id": "k1"}
    assert not {"Cookie", "Gatebook-Tool", "X-Any"} & set(request.headers)


async def test_a_body_goes_through_as_it_is(kernel: aiohttp.ClientSession, gateway: Gateway) -> None:
    async with kernel.post("actions/refund_invoice", data=b'{"a": "\xc3\xa4"}') as answer:
        assert answer.status == 200
    assert gateway.bodies[-1] == b'{"a": "\xc3\xa4"}'


async def test_a_problem_passes_and_the_gateways_own_headers_do_not(kernel: aiohttp.ClientSession) -> None:
    async with kernel.get("sources") as answer:
        assert answer.status == 403
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Retry-After"] == "3"
        assert not {"Set-Cookie", "Server", "X-Internal"} & set(answer.headers)


async def test_a_redirect_is_not_followed(kernel: aiohttp.ClientSession, gateway: Gateway) -> None:
    async with kernel.get("runs", allow_redirects=False) as answer:
        assert answer.status == 302
        assert "Location" not in answer.headers
    assert len(gateway.seen) == 1


async def test_an_answer_streams(kernel: aiohttp.ClientSession) -> None:
    async with kernel.post("query?chunks=20", data=b"{}") as answer:
        assert answer.content_type == "application/vnd.apache.arrow.stream"
        assert len(await answer.read()) == 20 * 65_536


async def test_a_kernel_that_goes_away_cancels_at_the_gateway(kernel: aiohttp.ClientSession, gateway: Gateway) -> None:
    answer = await kernel.post("query?chunks=100000", data=b"{}")
    await answer.content.readexactly(100_000)
    answer.close()
    await asyncio.wait_for(gateway.was_cut.wait(), 10)


async def test_a_slow_reader_slows_the_gateway_down(kernel: aiohttp.ClientSession, gateway: Gateway) -> None:
    async with kernel.post("query?chunks=100000", data=b"{}") as answer:
        await answer.content.readexactly(65_536)
        sent = -1
        while sent != gateway.chunks_sent:
            sent = gateway.chunks_sent
            await asyncio.sleep(1.0)
        assert sent < 1_000, "65 MB were taken for a reader that took one chunk"
        answer.close()


async def test_an_answer_cut_at_the_gateway_is_cut_for_the_kernel(kernel: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ClientError):
        async with kernel.get("changes") as answer:
            await answer.read()


@pytest.mark.parametrize("header", ["", "GateToken", "GateToken x", "GateToken gbk_x", "Bearer {}", "{}", "Basic {}"])
async def test_only_the_gate_token_opens_the_relay(
    server: RelayServer, tokens: KernelTokens, gateway: Gateway, header: str
) -> None:
    headers = {"Authorization": header.format(tokens.issue("k1"))} if header else {}
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/api/v1/me", headers=headers) as answer:
        assert await problem(answer) == (401, "GB-602")
    assert gateway.seen == []


async def test_a_kernel_that_nobody_is_bound_to_is_refused(
    kernel: aiohttp.ClientSession, owner: dict[str, str], gateway: Gateway
) -> None:
    owner.clear()
    async with kernel.get("me") as answer:
        assert await problem(answer) == (401, "GB-605")
    assert gateway.seen == []


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_over_the_limit_is_refused(
    kernel: aiohttp.ClientSession, gateway: Gateway, is_announced: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3_000):
            yield b"x" * 1000

    async with kernel.post("query", data=io.BytesIO(b"x" * 3_000_000) if is_announced else pieces()) as answer:
        assert await problem(answer) == (413, "GB-604")
    assert gateway.seen == []


async def test_a_body_without_end_is_cut(kernel: aiohttp.ClientSession, gateway: Gateway) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        async with asyncio.timeout(20), kernel.post("query", data=pieces()) as answer:
            assert answer.status == 413
    assert 16_000_000 < sent < 60_000_000
    assert gateway.seen == []


async def test_a_call_through_a_proxy_is_refused(kernel: aiohttp.ClientSession, gateway: Gateway) -> None:
    async with kernel.get("me", headers={"X-Forwarded-For": "127.0.0.1"}) as answer:
        assert await problem(answer) == (403, "GB-603")
    assert gateway.seen == []


async def test_a_gateway_that_is_down_is_told(tokens: KernelTokens) -> None:
    async def credentials(_kernel_id: str) -> Mapping[str, str]:
        return {"Authorization": "Bearer t"}

    sockets, url = listen()
    relay = Relay(gateway_url="http://127.0.0.1:9", tokens=tokens, credentials=credentials, provenance=lambda _id: {})
    server = serve_relay(relay, sockets=sockets, url=url)
    headers = {"Authorization": f"GateToken {tokens.issue('k1')}"}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/me", headers=headers) as answer:
        assert await problem(answer) == (502, "GB-601")
    await server.aclose()


@pytest.mark.parametrize(
    "method, path",
    [("GET", "me"), ("POST", "query"), ("GET", "changes/a-1"), ("POST", "changes/a-1/execute"),
     ("POST", "changes/a-1/withdraw"), ("POST", "actions/refund_invoice"), ("GET", "sources/chinook/schema"),
     ("GET", "audit/events/12"), ("GET", "audit/tile/0/x001/067.p/12")],
)  # fmt: skip
def test_what_a_kernel_needs_is_open(method: str, path: str) -> None:
    relay(method, path)


@pytest.mark.parametrize(
    "method, path",
    [("POST", "me"), ("GET", "query"), ("POST", "changes/1/review"), ("POST", "changes/../review"), ("POST", "tokens"),
     ("POST", "runs/claim"), ("POST", "runs/1/progress"), ("POST", "runs/1/finish"), ("GET", ""), ("GET", "me/"),
     ("GET", "/me"), ("GET", "me\n"), ("GET", "sources/../me"), ("GET", "sources/a%2fb/schema"), ("GET", "changes/1?x"),
     ("GET", "audit/tile/.."), ("GET", "audit/tile/0/../../../me"), ("get", "me"), ("PUT", "query"),
     ("GET", "changes/ä")],
)  # fmt: skip
def test_everything_else_is_closed(method: str, path: str) -> None:
    with pytest.raises(NotRelayed):
        relay(method, path)


def relay(method: str, path: str) -> None:
    async def nobody(_kernel_id: str) -> Mapping[str, str]:
        raise NoCredentials

    Relay(gateway_url="http://x", tokens=KernelTokens(), credentials=nobody, provenance=lambda _id: {}).admit(
        method, path
    )


def test_every_error_has_its_own_code() -> None:
    kinds = RelayError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds) == 5
    for kind in kinds:
        document = kind().problem()
        assert document["code"] == kind.code
        assert document["title"]
