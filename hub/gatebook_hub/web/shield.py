"""Which headers does every answer carry, which hosts are answered, and how large may a request be? Pure ASGI."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatebook_hub.errors import BodyTooLarge, InvalidInput
from gatebook_hub.web.problems import problem_response

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Shield:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], limit_body_bytes: int, is_tls: bool) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._limit = limit_body_bytes
        headers = dict(_HEADERS)
        if is_tls:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check host and size, add headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # The worker's report of a run carries the executed notebook.
        is_large_allowed = scope["path"].startswith("/api/v1/runs/") and scope["path"].endswith("/finish")
        limit = self._limit * 40 if is_large_allowed else self._limit

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                known = {name.lower() for name, _ in given}
                message["headers"] = [*given, *(header for header in self._headers if header[0] not in known)]
            await send(message)

        host = headers.get("host", "").rsplit(":", 1)[0]
        if host not in self._hosts:
            await problem_response(InvalidInput("this host name is not served here"))(scope, receive, told)
            return
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > limit:
            await _too_large(limit)(scope, receive, told)
            return
        counted = _Counted(receive, limit)
        is_replaced = False

        async def unless_over(message: Message) -> None:
            # Frameworks take an error while they read for a malformed body; the size is what was wrong.
            nonlocal is_replaced
            if is_replaced:
                return
            if counted.is_over and message["type"] == "http.response.start":
                is_replaced = True
                await _too_large(limit)(scope, receive, told)
                return
            await told(message)

        await self._app(scope, counted, unless_over)


def _too_large(limit: int) -> Response:
    return problem_response(BodyTooLarge(f"a request has at most {limit:,} bytes"))


class _Counted:
    """A receive that stops a body which is longer than it said."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0

    @property
    def is_over(self) -> bool:
        """Whether more came than is taken."""
        return self._seen > self._limit

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            if self.is_over:
                raise BodyTooLarge(f"a request has at most {self._limit:,} bytes")
        return message
