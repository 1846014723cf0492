"""Is this still the database that was met first? A source stops when the server's own identity is another.

A host name and a port can lead elsewhere tomorrow: to a copy, to a test server, to somebody else's. So each source is
pinned to what the server says of itself, remembered in the gateway's state at first contact:

* PostgreSQL: the cluster's `system_identifier` and the database's oid;
* MariaDB: `server_uid` (MySQL: `server_uuid`) and the database's name;
* SQLite and DuckDB: the file's inode number, so that a file put in its place is noticed. An id inside of the file would
  be copied along with it; the number of the device is left out, for it may change with a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gatebook_hub.errors import SourceChanged, SourceUnavailable


class Memory(Protocol):
    """Where identities are remembered, and who hears of a change."""

    def recall(self, source: str) -> str | None:
        """The identity of a source that was met before."""

    def remember(self, source: str, identity: str) -> None:
        """Keep it."""

    def alarm(self, source: str, sentence: str) -> None:
        """Tell the book."""


class Pin:
    """What one source is pinned to. Without a memory nothing is pinned: that is for tools that only look."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._memory: Memory | None = None
        self._lock = threading.Lock()
        self._known: str | None = None
        self._refused: str | None = None

    @property
    def known(self) -> str | None:
        """The identity that is remembered; None where nothing is pinned, or nothing was met yet."""
        return self._known

    def hold(self, memory: Memory) -> None:
        """From now on, remember."""
        with self._lock:
            self._memory, self._known, self._refused = memory, memory.recall(self._source), None

    def check(self, ask: Callable[[], str]) -> None:
        """Compare; raises SourceChanged, and goes on raising it until the operator accepts what is there."""
        if self._memory is None:
            return
        found = ask()
        if found == self._known and self._refused is None:
            return
        self._compare(found)

    def ensure(self) -> None:
        """Raise SourceChanged when the source has stopped, without asking the database."""
        if self._refused is not None:
            self._compare(self._refused)

    def _compare(self, found: str) -> None:
        memory = self._memory
        if memory is None:
            return
        with self._lock:
            self._known = memory.recall(self._source)
            if self._known is None:
                memory.remember(self._source, found)
                self._known = found
            if found == self._known:
                self._refused = None
                return
            is_news, self._refused = self._refused != found, found
        sentence = (
            f"the database behind the source `{self._source}` is not the one that was met first "
            f"(it was `{self._known}`, it is `{found}`); the operator looks, and runs `gatebook source accept`"
        )
        if is_news:
            memory.alarm(self._source, sentence)
        raise SourceChanged(
            f"the database behind the source `{self._source}` is not the one that was met first, so nothing was sent",
            ask="tell the operator of the gateway, who looks at it and accepts it if it is right",
        )


def file_identity(source: str, path: Path) -> str:
    """The inode number of a file; raises SourceUnavailable.

    The file is not opened for that: closing it would drop the locks that SQLite holds on it in this process.
    """
    try:
        return f"file:{path.stat().st_ino}"
    except OSError as error:
        raise SourceUnavailable(f"the source `{source}` cannot be opened") from error
