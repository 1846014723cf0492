"""What does the book have of what is done at once in a sandbox?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import GatebookError
from gatebook_hub.services.gate import Call, Gate


def intend(gate: Gate, call: Call, told: Mapping[str, Any], transaction: str | None = None) -> int:
    """Record that it will be done; the index in the book."""
    within = {"transaction": transaction} if transaction else {}
    extra = {"step": "sandbox", **within, **told.get("extra", {})}
    return gate.book.append(gate.event(EventKind.QUERY_INTENT, call, **{**told, "extra": extra}))


def tell(gate: Gate, call: Call, source: str, intent: int, rows: int, detail: str | None = None) -> None:
    """Record that it was done."""
    gate.book.append(
        gate.event(
            EventKind.QUERY_OUTCOME, call, source=source, refers_to=intent, outcome=Outcome.OK, rows=rows, detail=detail
        )
    )


def fail(gate: Gate, call: Call, source: str, intent: int, error: GatebookError) -> None:
    """Record that it was not; the error refers to its intent."""
    error.reference = intent
    gate.book.append(
        gate.event(
            EventKind.QUERY_OUTCOME, call, source=source, refers_to=intent, outcome=Outcome.FAILED,
            code=error.code, detail=str(error),
        )
    )  # fmt: skip
