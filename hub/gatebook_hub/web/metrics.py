"""What has the gateway done? Counters and durations by route, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatebook_hub.services.notices import Fate
from gatebook_hub.services.reloading import Reload, Result

_REQUESTS = Counter("gatebook_requests_total", "Requests by route and status", ["method", "route", "status"])
_RELOADS = Counter("gatebook_policy_reloads_total", "Reloads of the policy folder by result", ["result"])
_BROKEN = Gauge("gatebook_policy_folder_broken", "1 while the policy folder does not load and an older set is in force")
_NOTICES = Counter("gatebook_notices_total", "Messages about change requests by what came of them", ["fate"])
_SECONDS = Histogram("gatebook_request_seconds", "Seconds until the first byte of the answer", ["route"])


def policy_told(found: Reload) -> None:
    """Count a reload."""
    _RELOADS.labels(str(found.result)).inc()
    if found.result is not Result.MOVING:
        _BROKEN.set(found.result is Result.REFUSED)


def notice_counted(fate: Fate, count: int) -> None:
    """Count messages."""
    _NOTICES.labels(str(fate)).inc(count)


class Metered:
    """Counts what passes; pure ASGI, inside of the router's reach so that the route's template is known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure until the answer starts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                _REQUESTS.labels(scope["method"], route, message["status"]).inc()
                _SECONDS.labels(route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, told)
