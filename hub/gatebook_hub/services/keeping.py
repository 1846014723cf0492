"""What happens to change requests while nobody looks? Windows open, time runs out, rows of old ones are forgotten."""

from __future__ import annotations

import logging
import threading

from gatebook_hub.services.changes import Changes
from gatebook_hub.services.gate import Call

_LOOK_S = 30.0
_log = logging.getLogger(__name__)


class Keeper:
    """Looks now and then, in a thread of its own, in the operator's name."""

    def __init__(self, changes: Changes, call: Call) -> None:
        self._changes = changes
        self._call = call
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Do what is due."""
        self._changes.expire_overdue()
        self._changes.recover(self._call)
        self._changes.execute_due(self._call)
        self._changes.forget(self._call)

    def start(self) -> None:
        """Look until `stop`."""
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._end.wait(_LOOK_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the next look may do better, and this thread must live to take it
                _log.exception("change requests cannot be looked after")
