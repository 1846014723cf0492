"""How do many sets of values become one change request? One statement, sent once with all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from gatebook import Change, Outcome, dbapi
from gatebook.dbapi.cursor import calls_of
from gatebook.errors import GatebookError, GatewayFailed, LimitExceeded
from gatebook.values import encode_parameters

MOST_SETS = 5_000


def send_sets(
    source: str, sql: str, sets: Sequence[Mapping[str, object]], *, reason: str | None = None
) -> Change | Outcome:
    """Run one write for each set, all or none: its request, or what it did where nobody has to agree.

    Raises `LimitExceeded` for more than fit into one request, and what the gate refuses.
    """
    if len(sets) > MOST_SETS or len(list(calls_of([encode_parameters(one) for one in sets]))) > 1:
        message = f"{len(sets):,} rows are more than one change request takes"
        raise LimitExceeded(message, ask=f"send fewer at a time, at most {MOST_SETS:,}")
    try:
        with closing(dbapi.connect(source, autocommit=True, reason=reason)) as connection:
            outcome = connection.cursor().executemany(sql, sets).outcome
    except dbapi.ChangeRequested as requested:
        return requested.change
    except dbapi.Error as error:
        raise _problem(error) from error
    return outcome or Outcome(rows_changed=0)


def _problem(error: dbapi.Error) -> GatebookError:
    return error.problem or GatewayFailed(str(error))
