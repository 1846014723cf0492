"""What can a governed database do for the gate?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pyarrow as pa

from gatebook_hub.errors import LedgerMissing, LimitExceeded, StatementFailed, TransactionEnded

if TYPE_CHECKING:  # workers read this module too, and have no need of a parser
    from gatebook_hub.model import Limits, Schema
    from gatebook_hub.sources.identity import Pin
    from gatebook_hub.sources.inspecting import Details
    from gatebook_hub.sql import Plan

LEDGER = "gatebook_ledger"
GONE = "the transaction is over, and nothing of it remains; begin anew"
_Row = TypeVar("_Row")


class SeenMore(StatementFailed):
    """The engine saw the statement reach for something that the analysis did not name: refused, and an alarm."""


class ReadStream(Protocol):
    """A read under way. Iterate once; `close` frees the database at once, also from another thread."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches; raises StatementFailed, StatementTimeout."""

    def close(self) -> None:
        """Stop the statement, if it still runs, and give the connection back."""


class Ending:
    """What WriteSessions have alike when they are over: they refuse, for what they worked with is somebody else's."""

    _is_over = False

    def end(self) -> None:
        """Nothing more through it."""
        self._is_over = True

    def _check_open(self) -> None:
        if self._is_over:
            raise TransactionEnded(GONE)


class WriteSession(Protocol):
    """A transaction on the database: rolled back unless `commit` was called.

    `last_id` is the number that the last insert gave its row, where the engine tells.
    """

    @property
    def last_id(self) -> int | None:
        """The number that the last insert gave its row."""

    def read(
        self,
        plan: Plan,
        parameters: Mapping[str, Any],
        *,
        begun: Callable[[ReadStream], None] | None = None,
    ) -> ReadStream:
        """Start a governed read that sees what the transaction wrote; nothing else runs until it is closed."""

    def limit_time(self, seconds: float | None) -> None:
        """What the next statements may take, each of them; None for what is usual."""

    def select(self, plan: Plan, parameters: Mapping[str, Any], limit_rows: int) -> list[tuple[Any, ...]]:
        """Rows of a governed read; raises LimitExceeded above the limit."""

    def run(
        self, sql: str, parameters: Mapping[str, Any], *, returns: bool = False
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Run one of the gate's own statements: its rows and the number of rows it changed.

        `returns` says that a write has a `returning`; its rows look like a count to one engine.
        """

    def select_many(
        self, plan: Plan, sets: Sequence[Mapping[str, Any]], limit_rows: int
    ) -> list[list[tuple[Any, ...]]]:
        """As `select`, for each set of parameters, without a way there and back for each."""

    def run_many(
        self, sql: str, sets: Sequence[Mapping[str, Any]], *, returns: bool = False
    ) -> list[tuple[list[tuple[Any, ...]], int]]:
        """As `run`, for each set of parameters in this order, without a way there and back for each."""

    def others(self) -> AbstractContextManager[WriteSession]:
        """What everybody else sees at this moment, read only; raises StatementFailed where one writer has it all."""

    def commit(self) -> None:
        """Make it last."""


class Source(Protocol):
    """A governed database."""

    name: str
    pin: Pin

    def schema(self) -> Schema:
        """Its tables; raises SourceUnavailable."""

    def details(self) -> Details:
        """What its database says of its tables in detail; raises SourceUnavailable."""

    def forget_schema(self) -> None:
        """Look at its tables anew the next time."""

    def read(
        self,
        plan: Plan,
        parameters: Mapping[str, Any],
        limits: Limits,
        *,
        begun: Callable[[ReadStream], None] | None = None,
    ) -> ReadStream:
        """Start a read and wait for its first rows; raises SourceUnavailable, StatementFailed.

        `begun` gets the stream before the database is asked, so that another thread can close it meanwhile.
        """

    def writing(self, limits: Limits) -> AbstractContextManager[WriteSession]:
        """Open a transaction that may write; raises SourceUnavailable."""

    def prepare(self) -> None:
        """Make the ledger table if it is missing."""

    def ledger(self, change_ids: Sequence[str]) -> frozenset[str]:
        """Which of these changes the ledger knows as executed."""

    def identity(self) -> str:
        """What the server, or the file, says of itself now; raises SourceUnavailable."""

    def findings(self) -> Sequence[tuple[str, str]]:
        """What the operator should know of the account's rights: ids (`source.W…`) and sentences."""

    def close(self) -> None:
        """Give back what is held."""


def within(rows: Sequence[_Row], limit_rows: int) -> Sequence[_Row]:
    """The rows that a write read, of which one more than the limit was asked for; raises LimitExceeded."""
    if len(rows) > limit_rows:
        raise LimitExceeded(f"the write concerns more than {limit_rows:,} rows; narrow it")
    return rows


def known(change_ids: Sequence[str], ask: Callable[[str], Sequence[tuple[Any, ...]]]) -> frozenset[str]:
    """Which changes a ledger has, asked for one by one; a ledger that is missing knows none."""
    try:
        return frozenset(row[0] for change_id in change_ids for row in ask(change_id))
    except LedgerMissing:
        return frozenset()
