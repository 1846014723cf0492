"""A database driver (PEP 249) whose database is a source behind the gate.

    import gatebook.dbapi
    with gatebook.dbapi.connect("chinook") as connection, connection.cursor() as cursor:
        cursor.execute("select name from genre where genreid = :id", {"id": 1})
        cursor.fetchall()

A transaction begins with the first write in it, on a connection of the gateway that is its own; reads before see what
any read sees. Where writes need approval nothing can be written inside of one: `ApprovalRequired`. With
`autocommit=True` such a write becomes a change request: `ChangeRequested`.
"""

from __future__ import annotations

from gatebook.dbapi.connection import Connection, connect
from gatebook.dbapi.cursor import Cursor
from gatebook.dbapi.errors import (
    ApprovalRequired,
    ChangeRequested,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    TransactionLost,
    Warning,  # noqa: A004 - PEP 249 names it
)
from gatebook.dbapi.types import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)

apilevel = "2.0"
# Threads share the module, not a connection: it holds one transaction.
threadsafety = 1
paramstyle = "named"

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "ApprovalRequired",
    "Binary",
    "ChangeRequested",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "TransactionLost",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]
