"""How does a card that is already on the page follow its change request?

One daemon thread per request asks the gate for news by long polling and updates every display of that request. It
ends with the request's final state, with the process, after too many failures in a row, or when too many others are
watched; it never keeps a kernel from stopping and never shows an error in somebody else's cell.
"""

from __future__ import annotations

import atexit
import contextvars
import functools
import logging
import threading
from collections.abc import Callable

from gatebook.changes import LONG_POLL_S, Change
from gatebook.errors import GatebookError, GatewayFailed, GatewayUnreachable, LimitExceeded, SourceUnavailable

_log = logging.getLogger(__name__)

Listener = Callable[[Change], None]

MOST_WATCHED = 8
MOST_FAILURES = 20
SHORTEST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

_stopping = threading.Event()
_watches: dict[str, Watch] = {}
_lock = threading.Lock()


class Watch:
    """One request that is being followed, and those who want its news."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self._listeners: dict[Listener, Callable[[], None]] = {}
        self._is_over = threading.Event()

    def tell(self, listener: Listener, lost: Callable[[], None]) -> None:
        """Call `listener` with every newer state, and `lost` if there are no more although it is not final."""
        self._listeners[listener] = lost

    def stop(self) -> None:
        """Ask for no more news; the running question may still take its time."""
        self._is_over.set()

    def follow(self) -> None:
        """Ask until the request is final."""
        failures = 0
        pause = SHORTEST_PAUSE_S
        while not (self.change.is_final or self._is_over.is_set() or _stopping.is_set() or failures > MOST_FAILURES):
            try:
                newer = self.change.poll(LONG_POLL_S)
            except (GatewayUnreachable, GatewayFailed, SourceUnavailable, LimitExceeded):
                failures += 1
                pause = min(LONGEST_PAUSE_S, pause * 2)
            except GatebookError:
                break  # no longer ours to see, or the token has ended
            else:
                failures = 0
                pause = SHORTEST_PAUSE_S
                if newer != self.change:
                    self.change = newer
                    self._tell_all()
            if not self.change.is_final:
                _stopping.wait(pause)
        with _lock:
            if _watches.get(self.change.id) is self:
                del _watches[self.change.id]
        if not (self.change.is_final or _stopping.is_set()):
            for listener, lost in tuple(self._listeners.items()):
                self._call(listener, lost)

    def _tell_all(self) -> None:
        for listener in tuple(self._listeners):
            self._call(listener, functools.partial(listener, self.change))

    def _call(self, listener: Listener, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception:  # noqa: BLE001 - whatever a front end's display raises
            # A display that is gone (a closed socket at shutdown) must not end the others, nor print.
            _log.debug("a display of change request %s could not be updated", self.change.id, exc_info=True)
            self._listeners.pop(listener, None)


def watch(change: Change, listener: Listener, lost: Callable[[], None] = lambda: None) -> None:
    """Call `listener` (in another thread) with every newer state of `change` until it is final.

    `lost` is called if it is not, and cannot be asked about any more.
    """
    if change.is_final or change.through is None or _stopping.is_set():
        return
    with _lock:
        known = _watches.pop(change.id, None)
        running = known or Watch(change)
        if change.diffs is not None and running.change.diffs is None and change.state is running.change.state:
            running.change = change  # a list leaves the rows out, and whoever shows them must not lose them
        running.tell(listener, lost)
        _watches[change.id] = running  # the newest last, so that the oldest go first
        if known is None:
            # The copied context carries the cell that is running, so that kernels attribute updates to it.
            context = contextvars.copy_context()
            threading.Thread(
                target=context.run, args=(running.follow,), name=f"gatebook {change.id}", daemon=True
            ).start()
        for surplus in tuple(_watches)[:-MOST_WATCHED]:
            _watches.pop(surplus).stop()
    if running.change != change:
        listener(running.change)  # the news came before this listener did


atexit.register(_stopping.set)
