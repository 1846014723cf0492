"""How is something looked at again and again? In a thread of its own, which nothing that goes wrong ends."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

_log = logging.getLogger(__name__)


class Looker(ABC):
    """`look` is one look; between `start` and `stop` a thread takes one every so many seconds."""

    def __init__(self, name: str, every_s: float, trouble: str) -> None:
        self._name = name
        self._every_s = every_s
        self._trouble = trouble  # the sentence for the log
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def look(self) -> object:
        """Do what is due."""

    def start(self) -> None:
        """Look until `stop`."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the next look may do better, and this thread must live to take it
                _log.exception(self._trouble)
