"""Does a request end under the policy set with which it began? It holds that set until its answer has been sent."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from gatebook_hub.services.in_force import InForce


class Held:
    """Pure ASGI: what a request starts in threads inherits its context, and with it the set."""

    def __init__(self, app: ASGIApp, in_force: InForce) -> None:
        self._app = app
        self._in_force = in_force

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the set while the request lasts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._in_force.held():
            await self._app(scope, receive, send)
