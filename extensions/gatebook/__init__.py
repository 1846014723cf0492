"""What does a notebook need to reach databases through the gate?

    import gatebook

    gatebook.query("chinook", "select * from customer where country = :country", country="Germany")

Every call goes to the gate that the environment names; it decides, masks, asks for approval and writes the book.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gatebook import errors
from gatebook.auditing import events
from gatebook.catalogue import actions, change, changes, me, schema, sources
from gatebook.changes import Change
from gatebook.connection import Connection, act, connect
from gatebook.errors import GatebookError
from gatebook.finding import search
from gatebook.model import Outcome
from gatebook.rows import NULLABLE, Rows
from gatebook.saved import SavedQuery, saved, saved_queries
from gatebook.transport import gate

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "Change",
    "Connection",
    "GatebookError",
    "Outcome",
    "Rows",
    "SavedQuery",
    "action",
    "actions",
    "change",
    "changes",
    "connect",
    "errors",
    "events",
    "me",
    "query",
    "saved",
    "saved_queries",
    "schema",
    "search",
    "sources",
]


def query(
    source: str,
    sql: str,
    params: Mapping[str, object] | None = None,
    *,
    reason: str | None = None,
    purpose: str | None = None,
    limit_rows: int | None = None,
    dtypes: str = NULLABLE,
    dry_run: bool = False,
    **named: object,
) -> pd.DataFrame | Change | Outcome:
    """Run one statement on `source`: a read gives a DataFrame, a write its change request or its outcome.

    `:name` in the SQL takes its value from the keyword `name` or from `params`. `reason` says why and `purpose` for
    what, where a grant asks for it. `show tables`, `describe …` and `explain …` are answered by the gate. A DataFrame
    carries its outcome in `attrs["gatebook"]`, and has `nullable` dtypes, or Arrow's (`dtypes="arrow"`). With
    `dry_run` nothing is done: a write gives the `Change` that it would become, a read what `explain` says.
    """
    return connect(source).query(
        sql, params, reason=reason, purpose=purpose, limit_rows=limit_rows, dtypes=dtypes, dry_run=dry_run, **named
    )


def action(
    name: str,
    params: Mapping[str, object] | None = None,
    *,
    reason: str | None = None,
    purpose: str | None = None,
    idempotency_key: str | None = None,
    dry_run: bool = False,
    **named: object,
) -> Change | Outcome:
    """Run a reviewed action: its outcome, or the change request if somebody has to agree first.

    With `dry_run` nothing is done: the `Change` that it would become. The parameter that the action takes in bulk may
    be a list, of which each value is done, all as one change.

    A parameter of the action that is called `reason` or `purpose` goes into `params`; the keyword says why, or
    for what, it is called at all.
    """
    return act(
        gate(),
        name,
        {**(params or {}), **named},
        reason=reason,
        purpose=purpose,
        idempotency_key=idempotency_key,
        dry_run=dry_run,
    )


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext gatebook`; kernels of the workspace do this by themselves."""
    from gatebook.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext gatebook`."""
    from gatebook.magics import unload

    unload(shell)
