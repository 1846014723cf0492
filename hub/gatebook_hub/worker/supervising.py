"""How does the worker keep its places filled? It claims, follows each run's process, ends it in time, and reports."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass

from gatebook_hub.worker.gateway import Gateway, GatewayAway, NotAccepted, Pause
from gatebook_hub.worker.options import Options
from gatebook_hub.worker.orders import Order, Report, failure
from gatebook_server.environment import is_kernel_variable
from gatebook_server.process import orphan_guard

COMMAND = (sys.executable, "-I", "-m", "gatebook_hub.worker.running")
_ASK_EVERY_S = 2.0
_TELL_EVERY_S = 0.5
# The run's own process ends a kernel in time and still brings the notebook; this is for one that cannot.
_END_SLACK_S = 20.0
_LAST_WORD_S = 3.0
# A report is one line, whose notebook's quotes are escaped.
_LONGEST_LINE = 64_000_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class News:
    """How far a run is, as its process last said."""

    done: int = 0
    total: int = 0
    is_new: bool = False


class Supervisor:
    """Runs what the gateway hands out, as many at once as there are places."""

    def __init__(self, gateway: Gateway, *, places: int) -> None:
        self._gateway = gateway
        self._places = places
        self._runs: set[asyncio.Task[None]] = set()

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then end what runs and say so."""
        pause = Pause()
        while not stop.is_set():
            wait_s = _ASK_EVERY_S
            try:
                order = await self._gateway.claim(self._places - len(self._runs))
            except (GatewayAway, NotAccepted) as error:
                # Refused or away: neither is for the worker to judge. A Hub that starts anew knows the token later.
                wait_s = pause.next_s()
                _log.warning("no runs for now: %s", error)
            else:
                pause = Pause()
                if order is not None:
                    self._start(order)
                    continue
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def _start(self, order: Order) -> None:
        task = asyncio.create_task(self._carry_out(order), name=order.run_id)
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)

    async def _carry_out(self, order: Order) -> None:
        report: Report | None = Report(failure=failure("Stopped", "the worker was stopped"))
        _log.info("%s begins", order.run_id)
        try:
            report = await self._carried_out(order)
            if report is not None:
                await self._gateway.deliver(order, report)
        except asyncio.CancelledError:
            if report is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._gateway.deliver(order, report), _LAST_WORD_S)
            raise

    async def _carried_out(self, order: Order) -> Report | None:
        try:
            report = await self._report_of(order)
        except Exception:  # noqa: BLE001 - logged and reported
            # Nothing that goes wrong with one run may end the worker, and every run has a report.
            _log.exception("%s could not be carried out", order.run_id)
            return Report(failure=failure("WorkerFailed", "the worker could not carry out the run; see its log"))
        if report is None:
            _log.warning("%s was ended by the gateway", order.run_id)
        elif report.failure is None:
            _log.info("%s succeeded", order.run_id)
        else:
            # The name and the message come from the notebook: they belong on the run's page, not in our log.
            _log.info("%s failed", order.run_id)
        return report

    async def _report_of(self, order: Order) -> Report | None:
        # Ours to remove, for the process may be killed.
        with tempfile.TemporaryDirectory(prefix="gatebook-run-", ignore_cleanup_errors=True) as folder:
            process = await _start_process(folder)
            try:
                async with asyncio.timeout(order.timeout_s + _END_SLACK_S):
                    return await self._follow(process, order)
            except TimeoutError:
                return Report(failure=failure("Timeout", f"the run took longer than {order.timeout_s:g} seconds"))
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _follow(self, process: asyncio.subprocess.Process, order: Order) -> Report | None:
        """The process's report, or None once the gateway has ended the run."""
        news = News()
        reading = asyncio.create_task(_read(process, order, news))
        telling = asyncio.create_task(self._tell(order, news))
        try:
            await asyncio.wait({reading, telling}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return None
            with suppress(GatewayAway, NotAccepted):
                await self._gateway.tell_progress(order, news.done, news.total)
            return await reading
        finally:
            for task in (reading, telling):
                task.cancel()
            await asyncio.gather(reading, telling, return_exceptions=True)

    async def _tell(self, order: Order, news: News) -> None:
        """Tell the gateway what is new; ends when the gateway says that the run has ended."""
        while True:
            if news.is_new:
                news.is_new = False
                try:
                    await self._gateway.tell_progress(order, news.done, news.total)
                except GatewayAway as error:
                    _log.debug("progress of %s not told: %s", order.run_id, error)
                except NotAccepted as error:
                    if error.status in {404, 409}:
                        return
            await asyncio.sleep(_TELL_EVERY_S)


async def _start_process(folder: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        cwd=folder,
        # What a kernel may know its starter may know, and no more.
        env={name: value for name, value in os.environ.items() if is_kernel_variable(name)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        start_new_session=True,
        preexec_fn=orphan_guard(),
    )


async def _read(process: asyncio.subprocess.Process, order: Order, news: News) -> Report:
    assert process.stdin is not None
    assert process.stdout is not None
    # Through a pipe: arguments and environment of a process can be read by others.
    process.stdin.write(order.to_json().encode() + b"\n")
    with suppress(ConnectionError):
        await process.stdin.drain()
    process.stdin.close()
    while line := await process.stdout.readline():
        found = json.loads(line)
        if "report" in found:
            return Report.from_object(found["report"])
        news.done, news.total = found["progress"]
        news.is_new = True
    status = await process.wait()
    message = f"the process of the run ended before its report, with status {status}"
    return Report(failure=failure("WorkerFailed", message))


async def run(options: Options) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    where = "accounts of their own" if options.launcher else "this account: trial mode, nothing parts them from here"
    _log.info("runs of jobs for %s; kernels run under %s", options.gateway_url, where)
    async with Gateway(options) as gateway:
        await Supervisor(gateway, places=options.places).serve(stop)
