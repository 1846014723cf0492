"""What was read of one of our databases, and is it still what stands there?

SQLite has a number that changes with every commit of another connection, in whichever process. A connection that never
writes looks at it, which costs a few microseconds: as long as it is the same, what was read holds.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Generic, TypeVar

from sqlalchemy import Engine

T = TypeVar("T")
_MOST = 5_000


class Known(Generic[T]):
    """Answers by name, forgotten as soon as anything is written to the database."""

    def __init__(self, engine: Engine) -> None:
        self._path = str(engine.url.database)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._stamp = -1
        self._answers: dict[str, T] = {}

    def stamp(self) -> int:
        """What is read from now on is kept under this."""
        with self._lock:
            return self._look()

    def get(self, name: str) -> T | None:
        """An answer that still holds."""
        with self._lock:
            self._look()
            return self._answers.get(name)

    def put(self, name: str, answer: T, stamp: int) -> None:
        """Keep what was read after `stamp` was given, unless something was written since."""
        with self._lock:
            if self._look() != stamp:
                return
            if len(self._answers) >= _MOST:
                self._answers.clear()
            self._answers[name] = answer

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._answers.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _look(self) -> int:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._answers.clear()
        found = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        if found != self._stamp:
            self._stamp = found
            self._answers.clear()
        return found
