"""How do a kernel's HTTP requests come in? Authenticated by gate token alone, streamed back as they arrive."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import httpserver, netutil
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler, stream_request_body

from gatebook_server.errors import NotRelayed, RelayBodyTooLarge, RelayError
from gatebook_server.relay import Call, Relay

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 16
API_PATTERN = r"/gatebook/api/v1/(.*)"


@stream_request_body
class RelayHandler(RequestHandler):
    """One call of a kernel. Cookies mean nothing here, so the checks made for browsers do not apply."""

    def initialize(self, relay: Relay) -> None:
        """Take the relay from the routing table."""
        self._relay = relay
        self._body = bytearray()
        self._received = 0
        self._refusal: RelayError | None = None
        self._kernel_id = ""
        self._forwarding: asyncio.Task[None] | None = None

    def check_xsrf_cookie(self) -> None:
        """Do nothing: no cookie gives access, so none can be abused."""

    def set_default_headers(self) -> None:
        """Say nothing of the server, and let nothing be kept."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def prepare(self) -> None:
        """Authenticate the kernel and admit the call before the body is read, and keep nothing of a refused one's.

        The refusal is told after the body: an answer before it would make Tornado cut the connection, which the
        client's next request would then find dead.
        """
        try:
            self._admit()
        except RelayError as refusal:
            if self.request.method not in ("GET", "POST"):
                self.set_header("Connection", "close")
                raise
            self._refusal = refusal

    def _admit(self) -> None:
        if any(name in self.request.headers for name in ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded")):
            # Kernels call from this machine. A token that leaked in an output is worth nothing through the proxy.
            message = "only kernels on this machine may call the relay"
            raise NotRelayed(message)
        self._kernel_id = self._relay.authenticate(self.request.headers.get("Authorization", ""))
        self._relay.admit(self.request.method or "", self.path_args[0])

    def data_received(self, chunk: bytes) -> None:
        """Collect the body up to the limit; what is over is let go, so that a client still sending can be told."""
        self._received += len(chunk)
        if self._refusal is None and self._received <= self._relay.limit_body_bytes:
            self._body += chunk
            return
        self._body.clear()
        if self._received > _PATIENCE * self._relay.limit_body_bytes:
            raise self._too_large()

    @allow_unauthenticated
    async def get(self, path: str) -> None:
        """Forward a read."""
        await self._forward(path)

    @allow_unauthenticated
    async def post(self, path: str) -> None:
        """Forward a statement, an action, or a step of a change request."""
        await self._forward(path)

    async def _forward(self, path: str) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._received > self._relay.limit_body_bytes:
            raise self._too_large()
        call = Call(
            method=self.request.method or "",
            path=path,
            query=self.request.query,
            headers=dict(self.request.headers),
            body=bytes(self._body),
        )
        self._forwarding = asyncio.ensure_future(self._stream(call))
        with suppress(asyncio.CancelledError):
            await self._forwarding

    async def _stream(self, call: Call) -> None:
        is_started = False
        try:
            async with self._relay.forward(self._kernel_id, call) as answer:
                self.set_status(answer.status)
                for name, value in answer.headers.items():
                    self.set_header(name, value)
                is_started = True
                async for chunk in answer.chunks:
                    self.write(chunk)
                    if not answer.is_small:
                        # Waits for the kernel to take it: a slow reader slows the gateway down, not this process.
                        await self.flush()
        except StreamClosedError:
            return
        except Exception:
            if not is_started:
                raise
            # Too late for a problem document: cut the connection, so that a short answer is not taken for a whole one.
            self._cut()

    def _cut(self) -> None:
        connection: Any = self.request.connection
        connection.stream.close()
        self._finished = True

    def on_connection_close(self) -> None:
        """Cancel the call at the gateway when the kernel goes away (an interrupted cell, say)."""
        if self._forwarding is not None:
            self._forwarding.cancel()

    def _too_large(self) -> RelayBodyTooLarge:
        return RelayBodyTooLarge(f"the request's body is over {self._relay.limit_body_bytes} bytes")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what is not ours only: a refused call is in its answer, and the gateway's book has the rest."""
        if not isinstance(value, RelayError):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem document."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, RelayError):
            problem = error.problem()
            self.set_status(error.status)
        else:
            problem = {
                "type": "about:blank",
                "title": self._reason,
                "status": status_code,
                "detail": "the relay failed" if status_code >= 500 else self._reason,
                "code": "GB-600",
                "rule": None,
                "ask": None,
                "reference": None,
            }
        self.set_header("Content-Type", "application/problem+json")
        _ = self.finish(json.dumps(problem))


def relay_rules(relay: Relay, *, base_url: str = "") -> Sequence[tuple[str, type[RelayHandler], dict[str, Relay]]]:
    """Return the routes of the relay below `base_url`."""
    return [(base_url.rstrip("/") + API_PATTERN, RelayHandler, {"relay": relay})]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayServer:
    """A relay that listens on a loopback port."""

    url: str
    _server: httpserver.HTTPServer
    _relay: Relay

    async def aclose(self) -> None:
        """Stop listening, cut what is open."""
        self._server.stop()
        await self._server.close_all_connections()
        await self._relay.aclose()


def listen(*, port: int = 0, address: str = "127.0.0.1") -> tuple[list[Any], str]:
    """Bind a loopback port; return its sockets and the URL that a relay on it will have for kernels."""
    sockets = netutil.bind_sockets(port, address)
    return sockets, f"http://{address}:{sockets[0].getsockname()[1]}/gatebook"


def serve_relay(relay: Relay, *, sockets: list[Any], url: str) -> RelayServer:
    """Serve the relay alone, without a Jupyter server, on sockets from `listen`; inside a running event loop."""
    server = httpserver.HTTPServer(Application(list(relay_rules(relay)), log_function=lambda _handler: None))
    server.add_sockets(sockets)
    return RelayServer(url=url, _server=server, _relay=relay)
