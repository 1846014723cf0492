"""Which sealed documents need not be opened again? Those that were read last, each in the version that was read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Opened(Generic[T]):
    """What was read last, by id and version, up to so many characters of the documents together."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._kept: OrderedDict[str, tuple[T, int, int]] = OrderedDict()
        self._size = 0

    def get(self, name: str, version: int) -> T | None:
        """What was read of it, if that was this version."""
        with self._lock:
            found = self._kept.get(name)
            if found is None or found[1] != version:
                return None
            self._kept.move_to_end(name)
            return found[0]

    def put(self, name: str, version: int, read: T, size: int) -> None:
        """Keep what was read from so many characters."""
        with self._lock:
            _, _, before = self._kept.pop(name, (None, 0, 0))
            self._kept[name] = (read, version, size)
            self._size += size - before
            while self._size > self._most and self._kept:
                _, (_, _, gone) = self._kept.popitem(last=False)
                self._size -= gone
