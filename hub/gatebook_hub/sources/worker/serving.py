"""What must an engine be able to do inside of a worker?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa


class Batches(Protocol):
    """A read under way."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Its batches."""

    def close(self) -> None:
        """Free what it holds."""


def is_select(sql: str) -> bool:
    """Whether one of the gate's own statements is a read, whose rows are no count of changes."""
    return sql.lstrip().upper().startswith("SELECT")


class Served(Protocol):
    """A database file, opened by this process. Errors are the gateway's own, without values."""

    threads: int
    idle_s: float | None
    # The number that the last insert gave its row, where the engine tells.
    last_id: int | None

    def read(self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int) -> Batches:
        """Start a person's read."""

    def do(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Carry out a step of a write session, or what the gate itself asks."""

    def interrupt(self, number: int) -> None:
        """Stop the request of that number; called from another thread, maybe more than once."""

    def rest(self) -> None:
        """Nothing was asked for a while: let go of the file."""
