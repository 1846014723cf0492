"""What can a governed database do for the gate?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from gatebook_hub.model import Limits, Schema
from gatebook_hub.sql import Plan

LEDGER = "gatebook_ledger"


class ReadStream(Protocol):
    """A read under way. Iterate once; `close` frees the database at once, also from another thread."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches; raises StatementFailed, StatementTimeout."""

    def close(self) -> None:
        """Stop the statement, if it still runs, and give the connection back."""


class WriteSession(Protocol):
    """A transaction on the database: rolled back unless `commit` was called."""

    def select(self, plan: Plan, parameters: Mapping[str, Any], limit_rows: int) -> list[tuple[Any, ...]]:
        """Rows of a governed read; raises LimitExceeded above the limit."""

    def run(self, sql: str, parameters: Mapping[str, Any]) -> tuple[list[tuple[Any, ...]], int]:
        """Run one of the gate's own statements: its rows and the number of rows it changed."""

    def commit(self) -> None:
        """Make it last."""


class Source(Protocol):
    """A governed database."""

    name: str

    def schema(self) -> Schema:
        """Its tables; raises SourceUnavailable."""

    def read(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> ReadStream:
        """Start a read; raises SourceUnavailable, StatementFailed."""

    def writing(self, limits: Limits) -> AbstractContextManager[WriteSession]:
        """Open a transaction that may write; raises SourceUnavailable."""

    def prepare(self) -> None:
        """Make the ledger table if it is missing."""

    def ledger(self, change_ids: Sequence[str]) -> frozenset[str]:
        """Which of these changes the ledger knows as executed."""

    def close(self) -> None:
        """Give back what is held."""
