"""Was the answer to this text large? What is remembered of each text that was sent: a hint, and no more."""

from __future__ import annotations

import threading
from collections import OrderedDict
from enum import StrEnum

_MOST_TEXTS = 2_048


class Size(StrEnum):
    """What a text is known for."""

    SMALL = "small"
    LARGE = "large"
    UNSUITED = "unsuited"


class Sizes:
    """What is known of the texts that were sent last; any thread may ask and tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Size] = OrderedDict()

    def get(self, sql: str) -> Size | None:
        """What a text is known for."""
        with self._lock:
            size = self._known.get(sql)
            if size is not None:
                self._known.move_to_end(sql)
            return size

    def tell(self, sql: str, size: Size) -> None:
        """Remember it; the text that was not asked about for longest is forgotten."""
        with self._lock:
            self._known[sql] = size
            self._known.move_to_end(sql)
            if len(self._known) > _MOST_TEXTS:
                self._known.popitem(last=False)
