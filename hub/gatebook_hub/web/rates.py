"""How many requests may a principal make? A token bucket each."""

from __future__ import annotations

import threading
import time

from gatebook_hub.errors import TooManyRequests

_MOST_PRINCIPALS = 10_000


class Rates:
    """Token buckets by principal, in memory."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, principal: str) -> None:
        """Count one request; raises TooManyRequests."""
        now = time.monotonic()
        with self._lock:
            tokens, at = self._buckets.get(principal, (float(self._burst), now))
            tokens = min(float(self._burst), tokens + (now - at) * self._per_s)
            if len(self._buckets) > _MOST_PRINCIPALS:
                self._buckets.clear()
            if tokens < 1:
                self._buckets[principal] = (tokens, now)
                raise TooManyRequests("too many requests; slow down")
            self._buckets[principal] = (tokens - 1, now)
