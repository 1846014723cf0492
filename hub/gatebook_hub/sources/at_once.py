"""How is a small answer of PostgreSQL read in one round trip? For texts whose answer was small the last time.

The transaction, what it is pinned to, the statement and its end are sent together, and the rows come back with them. A
cursor bounds what comes: where there are more rows, nothing of them is used, and the statement goes row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from gatebook_hub.model import Limits
from gatebook_hub.sources.postgresql_session import pins
from gatebook_hub.sources.sizes import SMALL_ROWS

_FETCH = f"FETCH FORWARD {SMALL_ROWS} FROM gatebook".encode()


def fetched(
    connection: psycopg.Connection[Any], sql: str, parameters: Mapping[str, Any], limits: Limits
) -> psycopg.Cursor[Any] | None:
    """A cursor with all rows, in no transaction any more, or None if there are too many; raises psycopg.Error."""
    connection.read_only = True
    with connection.pipeline():
        connection.execute(pins(limits).encode())
        connection.execute(f"DECLARE gatebook NO SCROLL CURSOR WITHOUT HOLD FOR {sql}".encode(), parameters)
        cursor = connection.execute(_FETCH)
        connection.execute(b"ROLLBACK")
    return cursor if cursor.rowcount < SMALL_ROWS else None
