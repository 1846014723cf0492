"""What did a process leave in an SQLite file that ended while it wrote, and who undoes it?"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote


def undo_ended(path: str) -> None:
    """Have SQLite roll back what ended before its commit: a connection that may only read cannot, and reads nothing.

    Whoever still writes holds a lock, so that its journal is left alone (https://sqlite.org/lockingv3.html, section 4).
    """
    if not Path(f"{Path(path).resolve()}-journal").exists():  # beside the file, not beside a link to it
        return
    # What does not succeed here is told to whoever reads next.
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=0)) as connection,
    ):
        connection.execute("PRAGMA schema_version")
