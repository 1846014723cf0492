"""How is a small answer of PostgreSQL read in one round trip? For texts whose answer was small the last time.

The transaction, what it is pinned to, the statement and its end leave in one packet, and the rows come back in one. A
cursor bounds what comes: where there are more rows, nothing of them is used, and the statement goes row by row.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, abc
from psycopg.waiting import Ready, Wait

from gatebook_hub.model import Limits
from gatebook_hub.sources.literals import numbered
from gatebook_hub.sources.postgresql_session import pins
from gatebook_hub.sources.sizes import SMALL_ROWS

_FETCH = f"FETCH FORWARD {SMALL_ROWS} FROM gatebook".encode()
_FAILED = {ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE}


def fetched(
    connection: psycopg.Connection[Any], sql: str, parameters: Mapping[str, Any], limits: Limits
) -> psycopg.Cursor[Any] | None:
    """A cursor with all rows, in no transaction any more, or None if there are too many; raises psycopg.Error.

    After an error the transaction may still be open.
    """
    text, names = numbered(sql)
    transformer = Transformer(connection)
    values = transformer.dump_sequence([parameters[name] for name in names], [PyFormat.AUTO] * len(names))
    link = connection.pgconn
    link.enter_pipeline_mode()
    try:
        link.send_query_params(b"BEGIN READ ONLY", None)
        link.send_query_params(pins(limits).encode(), None)
        declared = f"DECLARE gatebook NO SCROLL CURSOR WITHOUT HOLD FOR {text}".encode()
        link.send_query_params(declared, values, transformer.types, transformer.formats)
        link.send_query_params(_FETCH, None)
        link.send_query_params(b"ROLLBACK", None)
        link.pipeline_sync()
        _, _, _, rows, *_ = connection.wait(_results(link))
    finally:
        with suppress(psycopg.Error):  # where something is still to come the connection serves nobody again
            link.exit_pipeline_mode()
    if rows.ntuples >= SMALL_ROWS:
        return None
    return _Answered(connection, rows)


class _Answered(psycopg.Cursor[Any]):
    """A cursor over rows that were fetched without it."""

    def __init__(self, connection: psycopg.Connection[Any], rows: abc.PGresult) -> None:
        super().__init__(connection)
        self._tx = Transformer(self)
        self._set_results([rows])


def _results(link: abc.PGconn) -> Generator[Wait, Ready | int, list[abc.PGresult]]:
    """What the server answers to each, up to the end of the pipeline; raises psycopg.Error."""
    while link.flush():
        if (yield Wait.RW) & Ready.R:
            link.consume_input()
    found: list[abc.PGresult] = []
    while not found or found[-1].status != ExecStatus.PIPELINE_SYNC:
        while link.is_busy():
            if (yield Wait.R):
                link.consume_input()
        result = link.get_result()
        if result is not None:
            found.append(result)
        elif link.status != ConnStatus.OK:
            message = "the connection is lost"
            raise psycopg.OperationalError(message)
    for result in found:
        if result.status in _FAILED:
            raise psycopg.errors.error_from_result(result)
    return found
