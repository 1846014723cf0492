"""How does the gate read for itself, by a select that was reviewed, and count what somebody did lately? By the book."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from gatebook_hub.audit import EventKind, Outcome, written_time
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Schema
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.statements import DecidedRead, own_values, used
from gatebook_hub.stores.book import EventFilter, StoredEvent

_MOST_EVENTS = 1_000
Row = tuple[Any, ...]


def read_noted(
    gate: Gate,
    call: Call,
    schema: Schema,
    decided: DecidedRead,
    told: Mapping[str, Any],
    values: Mapping[str, Any],
    check: Callable[[list[Row]], None] = lambda _: None,
) -> list[Row]:
    """The rows of a decided read; `told` is what the book has of it before it runs, `check` refuses rows by raising.

    Raises what any read raises.
    """
    source = gate.in_force.sources.get(schema.source)
    limits = gate.limits(gate.policy.sources[schema.source], decided.allowed.limits)
    intent = gate.book.append(gate.event(EventKind.QUERY_INTENT, call, **told))
    bound = {**values, **own_values(gate, schema.source, call.principal)}
    about = {"source": schema.source, "refers_to": intent}
    try:
        with gate.places.taken(call.principal.id, schema.source, limits):
            stream = source.read(decided.plan, used(bound, decided.plan), limits)
            try:
                rows = [tuple(row.values()) for batch in stream for row in batch.to_pylist()]
            finally:
                stream.close()
        check(rows)
    except GatebookError as error:
        error.reference = intent
        gate.book.append(gate.ended(EventKind.QUERY_OUTCOME, call, error, **about))
        raise
    gate.book.append_soon(gate.event(EventKind.QUERY_OUTCOME, call, outcome=Outcome.OK, rows=len(rows), **about))
    return rows


def done_lately(gate: Gate, call: Call, kind: EventKind, source: str, seconds: float) -> tuple[StoredEvent, ...]:
    """The events of one kind that a caller left in a source within the last seconds, newest first, at most 1,000."""
    since = gate.now() - dt.timedelta(seconds=seconds)
    wanted = EventFilter(
        principal=call.principal.id, kind=kind, source=source, since=written_time(since), limit=_MOST_EVENTS
    )
    return gate.book.find(wanted)
