"""How does the gate read for itself, by a select that was reviewed, and count what somebody did lately? By the book."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gatebook_hub.audit import EventKind, Outcome, written_time
from gatebook_hub.errors import GatebookError, TooManyRequests
from gatebook_hub.model import Schema
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.statements import DecidedRead, own_values, used
from gatebook_hub.stores.book import EventFilter, StoredEvent

_PAGE = 1_000
_MOST_PAGES = 20
_MOST_WAITING = 4
Row = tuple[Any, ...]


class Turns:
    """What a rate counts is done one after the other by each caller, so that none slips by while another is counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], tuple[threading.Lock, int]] = {}

    @contextmanager
    def taken(self, principal: str, what: str) -> Iterator[None]:
        """A caller's turn for as long as the block runs; raises TooManyRequests where others wait already."""
        key = (principal, what)
        with self._lock:
            turn, count = self._waiting.get(key, (threading.Lock(), 0))
            if count >= _MOST_WAITING:  # each of them holds a thread, of which there are as many for everybody
                raise TooManyRequests(f"you already use `{what}` {count} times at this moment; wait for one to end")
            self._waiting[key] = (turn, count + 1)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, count = self._waiting.pop(key)
                if count > 1:
                    self._waiting[key] = (turn, count - 1)


def read_noted(
    gate: Gate,
    call: Call,
    schema: Schema,
    decided: DecidedRead,
    told: Mapping[str, Any],
    values: Mapping[str, Any],
    check: Callable[[list[Row]], None] = lambda _: None,
) -> list[Row]:
    """The rows of a decided read; `told` is what the book has of it before it runs.

    `check` is given what was read so far, and refuses it by raising. Raises what any read raises.
    """
    source = gate.in_force.sources.get(schema.source)
    limits = gate.limits(gate.policy.sources[schema.source], decided.allowed.limits)
    intent = gate.book.append(gate.event(EventKind.QUERY_INTENT, call, **told))
    bound = {**values, **own_values(gate, schema.source, call.principal)}
    about = {"source": schema.source, "refers_to": intent}
    try:
        with gate.places.taken(call.principal.id, schema.source, limits):
            stream = source.read(decided.plan, used(bound, decided.plan), limits)
            rows: list[Row] = []
            try:
                for batch in stream:
                    rows += [tuple(row.values()) for row in batch.to_pylist()]
                    check(rows)
            finally:
                stream.close()
    except GatebookError as error:
        error.reference = intent
        gate.book.append(gate.ended(EventKind.QUERY_OUTCOME, call, error, **about))
        raise
    gate.book.append_soon(gate.event(EventKind.QUERY_OUTCOME, call, outcome=Outcome.OK, rows=len(rows), **about))
    return rows


def done_lately(gate: Gate, call: Call, kind: EventKind, source: str, seconds: float) -> Iterator[StoredEvent]:
    """The events of one kind that a caller left in a source within the last seconds, newest first.

    Raises TooManyRequests where there are more than can be looked at: what is not seen would not be counted.
    """
    since = written_time(gate.now() - dt.timedelta(seconds=seconds))
    before: int | None = None
    for _ in range(_MOST_PAGES):
        wanted = EventFilter(
            principal=call.principal.id, kind=kind, source=source, since=since, before=before, limit=_PAGE
        )
        found = gate.book.find(wanted)
        yield from found
        if len(found) < _PAGE:
            return
        before = found[-1].index
    raise TooManyRequests(
        "you did so much lately that it cannot be counted how often you did this; wait, then try again"
    )
