"""How does the worker speak to the gateway? It claims, tells progress, and reports until the report has arrived."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import aiohttp

from gatebook_hub.worker.options import Options
from gatebook_hub.worker.orders import Order, Report

_TIMEOUT = aiohttp.ClientTimeout(total=60.0, sock_connect=5.0)
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
_REPORT_SLACK_S = 120.0
_log = logging.getLogger(__name__)


class GatewayAway(Exception):
    """The gateway does not answer, or cannot right now; the text says how."""


class NotAccepted(Exception):
    """The gateway understood and said no."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status


class Pause:
    """Grows from attempt to attempt."""

    def __init__(self) -> None:
        self._next_s = _FIRST_PAUSE_S

    def next_s(self) -> float:
        """Seconds to wait before the next attempt."""
        found = self._next_s
        self._next_s = min(_LONGEST_PAUSE_S, found * 2)
        return found


class Gateway:
    """The gateway's interface for the worker."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._api = f"{options.gateway_url}/api/v1/runs/"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connections."""
        # No proxy variables, no cookies, no redirects: the token goes to one address.
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._options.token}"},
            timeout=_TIMEOUT,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close them."""
        assert self._session is not None
        await self._session.close()

    async def claim(self, places: int) -> Order | None:
        """The next run, or None if nothing waits; raises GatewayAway, NotAccepted."""
        found = await self._post(f"claim?places={places}")
        if found is None:
            return None
        run, job = found["run"], found["job"]
        return Order(
            run_id=run["id"],
            job=job["name"],
            notebook=job["notebook"],
            parameters=run["parameters"],
            timeout_s=float(job["timeout_s"]),
            notebooks=self._options.notebooks,
            gateway_url=self._options.gateway_url,
            launcher=self._options.launcher,
            token=found["token"],
        )

    async def tell_progress(self, order: Order, done: int, total: int) -> None:
        """Raise NotAccepted with 404 or 409 if the gateway has ended the run; raises GatewayAway."""
        await self._post(f"{order.run_id}/progress", {"done": done, "total": total})

    async def deliver(self, order: Order, report: Report) -> bool:
        """Send the report until it has arrived, is refused, or the run's lease is over."""
        deadline = time.monotonic() + order.timeout_s + _REPORT_SLACK_S
        pause = Pause()
        while True:
            try:
                return await self._finish(order, report)
            except GatewayAway as error:
                wait_s = pause.next_s()
                if time.monotonic() + wait_s > deadline:
                    _log.error("the report of %s did not arrive in time: %s", order.run_id, error)
                    return False
                _log.warning("the report of %s waits: %s", order.run_id, error)
                await asyncio.sleep(wait_s)

    async def _finish(self, order: Order, report: Report) -> bool:
        failure = asdict(report.failure) if report.failure else None
        body = {"ok": failure is None, "error": failure, "notebook": report.notebook, "token": order.token}
        try:
            await self._post(f"{order.run_id}/finish", body)
        except NotAccepted as error:
            if error.status == 413 and report.notebook is not None:
                _log.warning("the executed notebook of %s is too large to be kept", order.run_id)
                return await self._finish(order, Report(failure=report.failure))
            if error.status == 409:
                # An earlier attempt arrived although its answer did not, or the gateway had given the run up.
                _log.info("%s has ended already", order.run_id)
                return False
            _log.error("the report of %s was refused: %s", order.run_id, error)
            return False
        return True

    async def _post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        assert self._session is not None
        try:
            async with self._session.post(self._api + path, json=body, allow_redirects=False) as answer:
                if answer.status == 204:
                    return None
                found = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise GatewayAway(f"the gateway does not answer ({type(error).__name__})") from error
        if answer.status == 200:
            return found
        code = str(found.get("code", "")) if isinstance(found, dict) else ""
        if answer.status == 429 or answer.status >= 500:
            raise GatewayAway(f"the gateway answers {answer.status} {code}")
        raise NotAccepted(answer.status, code)
