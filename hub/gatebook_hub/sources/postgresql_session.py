"""What is a transaction on PostgreSQL pinned to, and which server is it? For both of its drivers."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import errors as pg

from gatebook_hub.model import Limits

_LOCK_WAIT_MS = 5_000
_DEFAULT_TIME_S = 60.0
# The first may be closed to ordinary accounts; the oids of a database and of its schema `public` are the next best.
_CLUSTER = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
_DATABASE = "SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
_NO_RIGHT = "cluster unknown"


def pins(limits: Limits) -> str:
    """The statement that pins a transaction which has just begun; what it sets ends with the transaction.

    Its first value is the process that serves the transaction.
    """
    timeout_ms = int((limits.time_s or _DEFAULT_TIME_S) * 1000)
    settings = {
        "search_path": "pg_catalog",
        "standard_conforming_strings": "on",
        "statement_timeout": timeout_ms,
        "lock_timeout": _LOCK_WAIT_MS,
        "idle_in_transaction_session_timeout": timeout_ms + 60_000,
        "intervalstyle": "postgres",
        "row_security": "on",
    }
    calls = ", ".join(f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"SELECT pg_catalog.pg_backend_pid(), {calls}"


def limit_time(seconds: float | None) -> str:
    """The statement that says what each of the next statements of the transaction may take."""
    timeout_ms = int((seconds or _DEFAULT_TIME_S) * 1000)
    return f"SELECT pg_catalog.set_config('statement_timeout', '{timeout_ms}', true)"


def identity(ask: Callable[[str], str], again: Callable[[], None]) -> str:
    """What cluster and which of its databases: `ask` gives the first value of a query, `again` follows an error."""
    try:
        cluster = ask(_CLUSTER)
    except pg.InsufficientPrivilege:
        again()
        cluster = _NO_RIGHT
    return f"postgresql:{cluster}:{ask(_DATABASE)}"
