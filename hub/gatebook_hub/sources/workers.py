"""How many worker processes does a source have, and how long may each live?

A worker runs one statement at a time. It starts with an empty environment and two descriptors, and ends by SIGKILL when
its statement outlives its time: what an engine does within one function call cannot be interrupted otherwise.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

from gatebook_hub.errors import MemoryExceeded, SourceUnavailable, StatementFailed, StatementTimeout
from gatebook_hub.sources.frames import JSON, Channel, FrameError, interrupt_of
from gatebook_server.process import processors

GRACE_S = 1.0
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "ARROW_DEFAULT_MEMORY_POOL": "system"}
_ABORT_S = 0.6
_START_S = 30.0
_LOOK_S = 0.2
_IDLE_S = 60.0
_MOST_WORKERS = 8
_WAIT_S = 10.0


class Worker:
    """One process. `receive` and `end` may be called from any thread, the rest by the one that leases it."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        control, self._control = os.pipe()
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-I", "-m", "gatebook_hub.sources.worker", str(theirs.fileno()), str(control)],
                env={**_ENVIRONMENT, **processors(), "GATEBOOK_PARENT": str(os.getpid())},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), control),
                process_group=0,  # what a terminal sends to the gateway is not for them
            )
        except OSError:
            ours.close()
            os.close(self._control)
            raise
        finally:
            theirs.close()
            os.close(control)
        self._channel = Channel(ours)
        self._reading = threading.Lock()
        self._ending = threading.Lock()
        self._is_ended = False
        self._number = 0
        self._is_new = True
        self.locks: tuple[str, ...] = ()
        self.is_answered = True
        self.is_late = False
        self.is_spent = False
        self.last_id: int | None = None
        self.kill_at: float | None = None
        self.idle_since = time.monotonic()
        with contextlib.suppress(FrameError):  # it ended at once, as whoever asks it first will find
            self._channel.send(setup)

    def ask(self, message: Mapping[str, Any], time_s: float) -> None:
        """Send a request; the process dies when its answer is not complete a second after that time."""
        try:
            if self._is_new:
                self._greet()
            self._number += 1
            self.is_answered = False
            self.kill_at = time.monotonic() + time_s + GRACE_S
            self._channel.send({**message, "number": self._number, "time_s": time_s})
        except FrameError as error:
            raise self._death() from error

    def receive(self) -> tuple[bytes, Any]:
        """The next frame of the answer; a JSON object is its last."""
        with self._reading:
            return self._receive()

    def abort(self) -> None:
        """Stop what runs: the statement is interrupted, and the process ended if that does not help soon."""
        self.kill_at = time.monotonic() + _ABORT_S
        with contextlib.suppress(OSError):
            os.write(self._control, interrupt_of(self._number))
        with contextlib.suppress(StatementFailed, StatementTimeout):
            while True:
                with self._reading:  # whoever iterates may have had the last frame meanwhile
                    if self.is_answered:
                        return
                    self._receive()

    def end(self) -> None:
        """Kill it and close what is held; safe to call twice."""
        with self._ending:
            if self._is_ended:
                return
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            with self._reading:  # whoever reads now sees the end of the stream
                self._is_ended = True
                self._channel.close()
                os.close(self._control)

    @property
    def is_ready(self) -> bool:
        """Whether it need not be waited for: it has served before, or has said that it is there."""
        return not self._is_new or self._channel.has_news

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return not self._is_ended and self.process.poll() is None

    def _receive(self) -> tuple[bytes, Any]:
        if self._is_ended or self.is_answered:
            raise self._death()
        try:
            kind, value = self._channel.receive()
        except FrameError as error:
            raise self._death() from error
        if kind == JSON:
            if not isinstance(value, dict) or value.get("number") != self._number:
                self.process.kill()  # its answers are those of other questions: nobody gets one
                raise self._death()
            self.is_answered = True
            self.kill_at = None
            # What ran out of memory may not get all of it back, and would fail the next one too.
            self.is_spent = value.get("error") == MemoryExceeded.__name__
        return kind, value

    def _greet(self) -> None:
        self.kill_at = time.monotonic() + _START_S
        kind, hello = self._channel.receive()
        if kind != JSON or not isinstance(hello, dict) or not hello.get("ready"):
            raise FrameError("the worker did not start")
        self.locks = tuple(str(lock) for lock in hello.get("locks", ()))
        self._is_new = False

    def _death(self) -> Exception:
        if self.is_late:
            return StatementTimeout("the statement took longer than allowed and its process was ended")
        return StatementFailed("the process that ran the statement ended: it needed more than it may have, or crashed")


class WorkerPool:
    """The workers of one source; gone with it."""

    def __init__(self, setup: Mapping[str, Any], *, most: int = _MOST_WORKERS, kept: int = 1) -> None:
        self._crew = _Crew(setup, most, kept)
        self.close = weakref.finalize(self, self._crew.close)

    def lease(self) -> Worker:
        """A worker for one statement or session; raises SourceUnavailable when all stay busy."""
        return self._crew.lease()

    def lease_idle(self) -> Worker | None:
        """A worker that waits for work; where there is none, one is started for later."""
        return self._crew.lease_idle()

    def warm(self) -> None:
        """Begin to start the first worker, for the statement that will come."""
        self._crew.warm()

    def give_back(self, worker: Worker) -> None:
        """Return it; one that is in the middle of something is ended."""
        self._crew.give_back(worker)

    def broadcast(self, message: Mapping[str, Any], time_s: float) -> None:
        """Ask every idle worker something and wait for the answers."""
        self._crew.broadcast(message, time_s)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that there are."""
        return tuple(worker.process.pid for worker in self._crew.workers())


class _Crew:
    """The workers with the thread that starts and ends them.

    One thread starts them all: a child that asked to die with its parent dies with the *thread* that made it.
    """

    def __init__(self, setup: Mapping[str, Any], most: int, kept: int) -> None:
        self._setup = setup
        self._most = most
        self._kept = kept  # however long nobody asks
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._wanted = 0
        self._is_closed = False
        self._keeper: threading.Thread | None = None

    def workers(self) -> list[Worker]:
        with self._changed:
            return [*self._idle, *self._busy]

    def lease(self) -> Worker:
        until = time.monotonic() + _WAIT_S
        with self._changed:
            while True:
                if self._is_closed:
                    raise SourceUnavailable("the source is closed")
                worker = self._take_idle()
                if worker is not None:
                    return worker
                if not self._changed.wait(until - time.monotonic()) and time.monotonic() >= until:
                    raise SourceUnavailable("all of the source's processes are busy; try again")

    def lease_idle(self) -> Worker | None:
        with self._changed:
            is_starting = any(worker.is_alive and not worker.is_ready for worker in self._idle)
            if self._is_closed or is_starting:
                return None
            return self._take_idle()

    def _take_idle(self) -> Worker | None:
        """One that waits for work; or another is begun to start, if there may be more."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                self._busy.add(worker)
                return worker
            worker.end()
        if len(self._busy) + self._wanted < self._most:
            self._wanted += 1
            self._start_keeper()
            self._changed.notify_all()
        return None

    def warm(self) -> None:
        with self._changed:
            if not (self._is_closed or self._idle or self._busy or self._wanted):
                self._wanted += 1
                self._start_keeper()
                self._changed.notify_all()

    def give_back(self, worker: Worker) -> None:
        if not worker.is_answered or worker.is_late or worker.is_spent or not worker.is_alive:
            worker.end()
        worker.kill_at = None
        worker.idle_since = time.monotonic()
        with self._changed:
            if worker not in self._busy:
                return
            self._busy.discard(worker)
            if not self._is_closed and worker.is_alive:
                self._idle.append(worker)
            elif not self._is_closed and self._kept and not self._idle and not self._wanted:
                self._wanted += 1  # the next statement shall not wait for a start
            self._changed.notify_all()
        if self._is_closed:
            worker.end()

    def broadcast(self, message: Mapping[str, Any], time_s: float) -> None:
        with self._changed:
            asked, self._idle = self._idle, []
            self._busy.update(asked)
        for worker in asked:
            with contextlib.suppress(StatementFailed, StatementTimeout):
                worker.ask(message, time_s)
                worker.receive()
            self.give_back(worker)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            ended, self._idle = [*self._idle, *self._busy], []
            self._busy.clear()
            self._changed.notify_all()
        for worker in ended:
            worker.end()
        if self._keeper is not None and self._keeper is not threading.current_thread():
            self._keeper.join(5)

    def _start_keeper(self) -> None:
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="gatebook-workers", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        while True:
            with self._changed:
                if not self._wanted and not self._is_closed:
                    self._changed.wait(_LOOK_S if self._idle or self._busy else None)
                if self._is_closed:
                    return
                wanted = self._wanted > 0
                now = time.monotonic()
                late = [worker for worker in self._busy if worker.kill_at is not None and worker.kill_at <= now]
                spare = self._idle[: len(self._idle) - self._kept]
                tired = [worker for worker in spare if worker.idle_since + _IDLE_S <= now]
                self._idle = [worker for worker in self._idle if worker not in tired]
            for worker in late:
                worker.is_late = True
                worker.process.kill()  # whoever reads sees the end, and gives it back
            for worker in tired:
                worker.end()
            if wanted:
                self._start()

    def _start(self) -> None:
        try:
            worker = Worker(self._setup)
        except OSError:
            worker = None
            time.sleep(_LOOK_S)  # no process can be made now: those who wait give up at their own time
        with self._changed:
            self._wanted -= 1
            is_kept = worker is not None and not self._is_closed
            if worker is not None and is_kept:
                self._idle.append(worker)
            self._changed.notify_all()
        if worker is not None and not is_kept:
            worker.end()
