"""Does every run get its report through, whatever the gateway, the run's process or the operator does?"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gatebook_hub.worker import gateway as speaking
from gatebook_hub.worker import supervising
from gatebook_hub.worker.gateway import Gateway
from gatebook_hub.worker.options import Options
from gatebook_hub.worker.orders import Order, Report, failure
from gatebook_hub.worker.supervising import Supervisor

RUN = {"id": "r-1", "parameters": {}}
SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


class Answers:
    """A gateway that hands out one run and answers reports with the statuses that a test wants."""

    def __init__(self, *finish: int, progress: int = 204, timeout_s: float = 0.2) -> None:
        self.finish = list(finish)
        self.progress = progress
        self.timeout_s = timeout_s
        self.reports: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.places: list[str] = []

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.tokens.add(request.headers["Authorization"])
        if request.path.endswith("/claim"):
            self.places.append(request.query["places"])
            if len(self.places) > 1:
                return web.Response(status=204)
            job = {"name": "daily", "notebook": "jobs/daily.ipynb", "timeout_s": self.timeout_s}
            return web.json_response({"run": RUN, "job": job, "token": "gbr_run"})
        if request.path.endswith("/progress"):
            return web.Response(status=self.progress)
        self.reports.append(await request.json())
        status = self.finish.pop(0) if self.finish else 204
        return web.Response(status=204) if status == 204 else web.json_response({"code": "GB-000"}, status=status)


@asynccontextmanager
async def served(answers: Answers) -> AsyncIterator[Gateway]:
    """The worker's side of a connection to it."""
    app = web.Application(client_max_size=1 << 27)
    app.router.add_route("*", "/{any:.*}", answers.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    options = Options(
        gateway_url=f"http://127.0.0.1:{port}", notebooks=Path("/nowhere"), launcher=None, places=1, token="gbt_worker"
    )
    try:
        async with Gateway(options) as gateway:
            yield gateway
    finally:
        await runner.cleanup()


def order(timeout_s: float = 5.0) -> Order:
    """An order."""
    return Order(
        run_id="r-1",
        job="daily",
        notebook="jobs/daily.ipynb",
        parameters={},
        timeout_s=timeout_s,
        notebooks=Path("/nowhere"),
        gateway_url="http://127.0.0.1:1",
        launcher=None,
        token="gbr_run",
    )


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test's length."""
    monkeypatch.setattr(speaking, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(supervising, "_ASK_EVERY_S", 0.05)
    monkeypatch.setattr(supervising, "_TELL_EVERY_S", 0.02)
    monkeypatch.setattr(supervising, "_END_SLACK_S", 0.2)


# ── reports ──


async def test_a_report_is_sent_until_it_has_arrived() -> None:
    answers = Answers(503, 500, 429)
    async with served(answers) as gateway:
        assert await gateway.deliver(order(), Report(notebook="{}"))
    assert len(answers.reports) == 4
    assert answers.reports[-1] == {"ok": True, "error": None, "notebook": "{}", "token": "gbr_run"}


async def test_a_report_that_is_too_large_is_sent_without_its_notebook() -> None:
    answers = Answers(413)
    async with served(answers) as gateway:
        assert await gateway.deliver(order(), Report(failure=failure("E", "no"), notebook="{}"))
    assert [report["notebook"] for report in answers.reports] == ["{}", None]
    assert answers.reports[-1]["error"]["name"] == "E"


@pytest.mark.parametrize("status", [404, 409, 422])
async def test_a_report_that_is_refused_is_not_sent_again(status: int) -> None:
    answers = Answers(status)
    async with served(answers) as gateway:
        assert not await gateway.deliver(order(), Report())
    assert len(answers.reports) == 1


async def test_a_report_is_given_up_when_the_lease_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "_REPORT_SLACK_S", 0.1)
    answers = Answers(*[503] * 1_000)
    async with served(answers) as gateway:
        assert not await gateway.deliver(order(timeout_s=0.1), Report())
    assert 1 < len(answers.reports) < 100


# ── runs ──


@asynccontextmanager
async def supervised(
    answers: Answers, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[Callable[[], bool]], Awaitable[None]]]:
    """A supervisor whose runs are this command; gives a function that waits until something is so."""
    monkeypatch.setattr(supervising, "COMMAND", command)
    stop = asyncio.Event()

    async def until(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not is_so():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    async with served(answers) as gateway:
        task = asyncio.create_task(Supervisor(gateway, places=1).serve(stop))
        try:
            yield until
        finally:
            stop.set()
            await task


async def test_a_process_that_does_not_end_in_time_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers()
    async with supervised(answers, SLEEPER, monkeypatch) as until:
        await until(lambda: bool(answers.reports))
        assert answers.reports[0]["error"]["name"] == "Timeout"
        await until(lambda: answers.places[-1] == "1")
    assert "0" in answers.places, "without a place it asked all the same"
    assert answers.tokens == {"Bearer gbt_worker"}


@pytest.mark.parametrize(
    "code",
    ["raise SystemExit(3)", "print('no JSON')", "print('{\"report\": 3}')", "import os; os.kill(os.getpid(), 9)"],
)
async def test_a_process_that_breaks_is_a_failed_run(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    answers = Answers(timeout_s=20)
    async with supervised(answers, (sys.executable, "-c", code), monkeypatch) as until:
        await until(lambda: bool(answers.reports))
    assert answers.reports[0]["ok"] is False
    assert answers.reports[0]["error"]["name"] == "WorkerFailed"


async def test_a_run_that_the_gateway_has_ended_is_stopped_without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease was over, say: another attempt may be under way."""
    answers = Answers(progress=409, timeout_s=60)
    code = "import time; print('{\"progress\": [1, 2]}', flush=True); time.sleep(60)"
    started = time.monotonic()
    async with supervised(answers, (sys.executable, "-c", code), monkeypatch) as until:
        await until(lambda: len(answers.places) > 1 and answers.places[-1] == "1")
    assert time.monotonic() - started < 20
    assert answers.reports == []


async def test_a_stop_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(timeout_s=60)
    async with supervised(answers, SLEEPER, monkeypatch) as until:
        await until(lambda: len(answers.places) > 1)
    assert answers.reports[0]["error"]["name"] == "Stopped"


async def test_the_process_of_a_run_gets_no_secret_of_the_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither in its environment nor in its order."""
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "gbt_worker")
    monkeypatch.setenv("SOMETHING_ELSE", "gbt_worker")
    seen = tmp_path / "seen"
    code = f"import os, sys; open({str(seen)!r}, 'w').write(str(dict(os.environ)) + str(sys.argv) + sys.stdin.read())"
    answers = Answers(timeout_s=20)
    async with supervised(answers, (sys.executable, "-c", code), monkeypatch) as until:
        await until(lambda: bool(answers.reports))
    text = seen.read_text()
    assert "gbr_run" in text
    assert "gbt_worker" not in text
    assert "SOMETHING_ELSE" not in text
