"""How does a kernel's call reach the gateway? With the kernel's token taken off and its owner's identity put on.

Nothing here knows Tornado: `handlers.py` brings HTTP requests in, the worker and the tools service bring their own
credentials. What a kernel says about itself never reaches the gateway but in a request's body.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import aiohttp
from yarl import URL

from gatebook_server.errors import GateTokenRefused, GatewayUnreachable, NotRelayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from gatebook_server.tokens import KernelTokens

GATE_SCHEME = "GateToken"
DEFAULT_LIMIT_BODY_BYTES = 1_000_000
_CONNECT_TIMEOUT_S = 5.0
_SILENCE_TIMEOUT_S = 600.0
_SMALL_BYTES = 262_144
_READ_BYTES = 524_288
_NAME = r"[A-Za-z0-9_-]{1,128}"

# Method and path below /api/v1 that a kernel may reach. Never: reviews, tokens, sessions, claims of runs.
_OPEN = tuple(
    (method, re.compile(pattern))
    for method, pattern in (
        ("GET", r"me"),
        ("GET", r"sources"),
        ("GET", rf"sources/{_NAME}/schema"),
        ("GET", rf"sources/{_NAME}/tables"),
        ("POST", r"query"),
        ("POST", rf"transactions/{_NAME}"),
        ("GET", r"changes"),
        ("GET", rf"changes/{_NAME}"),
        ("POST", rf"changes/{_NAME}/(?:execute|withdraw|undo)"),
        ("GET", r"actions"),
        ("GET", rf"actions/{_NAME}"),
        ("POST", rf"actions/{_NAME}"),
        ("POST", r"search"),
        ("GET", r"saved-queries"),
        ("GET", rf"saved-queries/{_NAME}"),
        ("GET", rf"saved-queries/{_NAME}/versions"),
        ("POST", rf"saved-queries/{_NAME}/run"),
        ("GET", r"audit/events"),
        ("GET", r"audit/events/[0-9]{1,18}"),
        ("GET", r"audit/checkpoint"),
        ("GET", r"audit/tile(?:/[A-Za-z0-9]{1,20}(?:\.p)?){1,12}"),
        ("GET", r"runs"),
        ("GET", rf"runs/{_NAME}"),
    )
)
_REQUEST_HEADERS = frozenset({"accept", "content-type", "idempotency-key"})
_ANSWER_HEADERS = frozenset(
    {
        "content-type",
        "content-length",
        "content-disposition",
        "cache-control",
        "etag",
        "retry-after",
        "x-content-type-options",
    }
)


class Credentials(Protocol):
    """Who stands behind a kernel?"""

    async def __call__(self, kernel_id: str) -> Mapping[str, str]:
        """Return the headers that say who calls (`Authorization`, …), or raise `NoCredentials`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of a kernel; `path` is below `/api/v1/`, as sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The gateway's answer; its body has not been read yet. A small one says how long it is, and may be held whole."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    is_small: bool = False


class Relay:
    """Forwards the calls of this process's kernels to the gateway."""

    def __init__(
        self,
        *,
        gateway_url: str,
        tokens: KernelTokens,
        credentials: Credentials,
        provenance: Callable[[str], Mapping[str, object]],
        limit_body_bytes: int = DEFAULT_LIMIT_BODY_BYTES,
    ) -> None:
        self._api = gateway_url.rstrip("/") + "/api/v1/"
        self._tokens = tokens
        self._credentials = credentials
        self._provenance = provenance
        self._session: aiohttp.ClientSession | None = None
        self.limit_body_bytes = limit_body_bytes

    def authenticate(self, authorization: str) -> str:
        """Return the id of the kernel that sent this `Authorization` header, or raise `GateTokenRefused`."""
        scheme, _, token = authorization.partition(" ")
        kernel_id = self._tokens.kernel_of(token.strip()) if scheme.lower() == GATE_SCHEME.lower() else None
        if kernel_id is None:
            message = "this gate token is not that of a running kernel; restart the kernel to get a new one"
            raise GateTokenRefused(message)
        return kernel_id

    def admit(self, method: str, path: str) -> None:
        """Raise `NotRelayed` unless a kernel may reach this."""
        if not any(method == known and pattern.fullmatch(path) for known, pattern in _OPEN):
            message = f"a kernel may not call `{method} {path[:200]}`; reviews and tokens belong to the portal"
            raise NotRelayed(message)

    @asynccontextmanager
    async def forward(self, kernel_id: str, call: Call) -> AsyncIterator[Answer]:
        """Send the call in the name of the kernel's owner; leaving the context early cancels it at the gateway."""
        self.admit(call.method, call.path)
        kept = {name: value for name, value in call.headers.items() if name.lower() in _REQUEST_HEADERS}
        provenance = {**self._provenance(kernel_id), "kernel_id": kernel_id}
        headers = {
            **kept,
            **await self._credentials(kernel_id),
            "Gatebook-Provenance": json.dumps(provenance, separators=(",", ":")),
            # The answer passes through as it is.
            "Accept-Encoding": "identity",
        }
        # As it came: quoting it anew could change what it says.
        url = URL(self._api + call.path + (f"?{call.query}" if call.query else ""), encoded=True)
        try:
            response = await self._client().request(
                call.method, url, data=call.body or None, headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            message = "the gateway does not answer; nothing was executed as far as this server can tell"
            raise GatewayUnreachable(message) from exc
        try:
            passed = {name: value for name, value in response.headers.items() if name.lower() in _ANSWER_HEADERS}
            length = response.content_length
            is_small = length is not None and length <= _SMALL_BYTES
            chunks = response.content.iter_any()
            yield Answer(status=response.status, headers=passed, chunks=chunks, is_small=is_small)
            await response.read()
        finally:
            # A connection whose answer was read to its end goes back to the pool; any other is cut, which the gateway
            # takes as a cancel.
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                # No proxy variables, no cookies, no redirects: the credentials go to one address.
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=_SILENCE_TIMEOUT_S
                ),
                connector=aiohttp.TCPConnector(limit=0),
                read_bufsize=_READ_BYTES,
            )
        return self._session

    async def aclose(self) -> None:
        """Close the connections to the gateway."""
        if self._session is not None:
            await self._session.close()
            # aiohttp closes its transports one turn of the loop later.
            await asyncio.sleep(0)
