"""When has a statement run long enough? For engines that do not look at a clock themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_AGAIN_S = 0.02


class Clock:
    """Calls `interrupt` from its own thread when the statement's time is over, until the statement ends."""

    def __init__(self, interrupt: Callable[[int], None]) -> None:
        self._interrupt = interrupt
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._number = 0
        self._thread: threading.Thread | None = None
        self.late = 0

    def arm(self, deadline: float, number: int) -> None:
        """Watch the statement of that number."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
            # The thread is woken only if it sleeps too long: usually it looks again soon enough by itself.
            is_sooner = self._deadline is None
            self._deadline, self._number = deadline, number
            if is_sooner:
                self._changed.notify()

    def disarm(self) -> None:
        """The statement has ended."""
        with self._changed:
            self._deadline = None

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._deadline is None:
                    self._changed.wait()
                    continue
                left = self._deadline - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                self.late = number = self._number
            self._interrupt(number)
            time.sleep(_AGAIN_S)
