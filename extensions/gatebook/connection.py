"""How does a statement or an action run through the gate, and what comes back?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from gatebook.changes import Change
from gatebook.errors import GatewayFailed, InvalidInput, NotATable
from gatebook.model import Outcome
from gatebook.provenance import claims
from gatebook.rows import NULLABLE, Rows, check_dtypes, gathered
from gatebook.transport import Gate, Json, gate, is_arrow, read_json
from gatebook.values import encode_lists, encode_parameters

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from urllib3.response import BaseHTTPResponse

    from gatebook.stream import Batches

# pandas and pyarrow take most of a second to load. A kernel loads this package at its start, so they wait for the
# first statement: hence the imports inside of functions below.


class Connection:
    """One source behind the gate; hand it around, it holds no connection of its own to the database."""

    def __init__(self, source: str, gate: Gate) -> None:
        self.source = source
        self._gate = gate
        self._is_closed = False

    def query(
        self,
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
        """Run one statement: a read gives a DataFrame, a write its change request or its outcome.

        Parameters are `:name` in the SQL, given by keyword or in `params`. `dtypes` are those of the DataFrame:
        `nullable`, or `arrow`. With `dry_run` nothing is done: a write gives the `Change` that it would become, a
        read what `explain` says. Raises `Refused`, `StreamCut` and the rest of `gatebook.errors`.
        """
        check_dtypes(dtypes)
        given = {**(params or {}), **named}
        answer = self.send(sql, given, reason=reason, purpose=purpose, limit_rows=limit_rows, dry_run=dry_run)
        return answer if isinstance(answer, (Change, Outcome)) else gathered(answer).df(dtypes)

    def read(
        self,
        sql: str,
        params: Mapping[str, object] | None = None,
        *,
        reason: str | None = None,
        purpose: str | None = None,
        limit_rows: int | None = None,
        **named: object,
    ) -> Rows:
        """Run one read and give its rows with their outcome, for any library; raises `NotATable` if it was a write."""
        return gathered(self.batches(sql, params, reason=reason, purpose=purpose, limit_rows=limit_rows, **named))

    def arrow(
        self,
        sql: str,
        params: Mapping[str, object] | None = None,
        *,
        reason: str | None = None,
        purpose: str | None = None,
        limit_rows: int | None = None,
        **named: object,
    ) -> pa.Table:
        """Run one read and give all of it as an Arrow table; raises `NotATable` if it was a write."""
        return self.read(sql, params, reason=reason, purpose=purpose, limit_rows=limit_rows, **named).arrow()

    def batches(
        self,
        sql: str,
        params: Mapping[str, object] | None = None,
        *,
        reason: str | None = None,
        purpose: str | None = None,
        limit_rows: int | None = None,
        **named: object,
    ) -> Batches:
        """Run one read and give its batches as they arrive, in bounded memory; use it in a `with` block."""
        given = {**(params or {}), **named}
        answer = self.send(sql, given, reason=reason, purpose=purpose, limit_rows=limit_rows)
        if isinstance(answer, (Change, Outcome)):
            error = NotATable(
                f"the statement is a write, so there are no rows; it went its way ({answer})",
                ask="use `query` for writes",
            )
            error.answer = answer
            raise error
        return answer

    def send(
        self,
        sql: str,
        params: Mapping[str, object] | None = None,
        *,
        reason: str | None = None,
        purpose: str | None = None,
        limit_rows: int | None = None,
        dry_run: bool = False,
    ) -> Batches | Change | Outcome:
        """Run one statement and give whichever answer comes; batches are to be read in a `with` block."""
        if self._is_closed:
            message = f"the connection to `{self.source}` is closed"
            raise InvalidInput(message)
        body = {
            "source": self.source,
            "sql": sql,
            "params": encode_parameters(params or {}),
            "reason": reason,
            "purpose": purpose,
            "limit_rows": limit_rows,
            "provenance": claims(),
            # A gate that does not know the word refuses it; one that knows it does nothing.
            **({"dry_run": True} if dry_run else {}),
        }
        response = self._gate.open("query", body=body)
        if is_arrow(response):
            return batches_of(response)
        return answer_of(read_json(response), self._gate)

    def close(self) -> None:
        """Nothing more through this connection; the pool stays for others."""
        self._is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<gatebook connection to {self.source}{', closed' if self._is_closed else ''}>"


def connect(source: str, url: str | None = None, token: str | None = None) -> Connection:
    """A connection to `source` through the gate at `url`, or through the one that the environment names."""
    return Connection(source, gate(url, token))


def act(
    through: Gate,
    name: str,
    params: Mapping[str, Any],
    *,
    reason: str | None = None,
    purpose: str | None = None,
    idempotency_key: str | None = None,
    dry_run: bool = False,
) -> Change | Outcome:
    """Run the action `name`. With an idempotency key a broken connection is tried again, without one never.

    A parameter that the action takes in bulk may be a list.
    """
    body = {
        "params": encode_lists(params),
        "reason": reason,
        "purpose": purpose,
        "idempotency_key": idempotency_key,
        "dry_run": dry_run,
        "provenance": claims(),
    }
    document = through.post("actions", name, body=body, is_idempotent=dry_run or idempotency_key is not None)
    return answer_of(document, through)


def answer_of(document: Json, through: Gate) -> Change | Outcome:
    """A change request or an outcome, whichever the gate answered with."""
    match document.get("kind"):
        case "change":
            return Change.from_json(document, through)
        case "outcome":
            return Outcome.from_json({"rows_changed": 0, **document})
        case _:
            message = "the gateway's answer is not what was agreed"
            raise GatewayFailed(message)


def batches_of(response: BaseHTTPResponse) -> Batches:
    """The rows that follow."""
    try:
        from gatebook.stream import Batches
    except BaseException:
        response.close()  # an interrupt while pyarrow loads
        raise
    return Batches(response)
