"""Where are events kept so that each is durable before its statement runs?

One thread appends. Whoever waits at the same moment shares one durable write (group commit); outcomes of reads ride
with the next group or after a short pause. Each group ends in a signed checkpoint.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, and_, func, select

from gatebook_hub.audit import Event, canonical, parse_event
from gatebook_hub.errors import BookUnavailable, NotFound
from gatebook_hub.stores.tables import checkpoint, event, event_table, leaf, node
from gatebook_hub.tlog.checkpoint import Checkpoint, sign_checkpoint
from gatebook_hub.tlog.merkle import Frontier, hash_leaf
from gatebook_hub.tlog.note import SigningKey
from gatebook_hub.tlog.proofs import inclusion_proof

_RIDE_S = 0.05
_MOST_AT_ONCE = 512
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as the book has it."""

    index: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are looked for; unset fields match all. `before` is an index, for paging."""

    principal: str | None = None
    kind: str | None = None
    source: str | None = None
    table: str | None = None
    change: str | None = None
    since: str | None = None
    until: str | None = None
    before: int | None = None
    limit: int = 100


@dataclass(slots=True)
class _Waiting:
    event: Event
    data: bytes
    done: Future[int] = field(default_factory=Future)
    is_urgent: bool = True


def _into(table: Table) -> str:
    """The statement that inserts a row of values in the order of the table's columns."""
    names = table.columns.keys()
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - ours


_INTO_LEAF, _INTO_EVENT, _INTO_EVENT_TABLE = _into(leaf), _into(event), _into(event_table)
_INTO_NODE, _INTO_CHECKPOINT = _into(node), _into(checkpoint)


class Book:
    """The append-only log and its index."""

    def __init__(self, engine: Engine, key: SigningKey, *, copy: Path | None = None) -> None:
        self._engine = engine
        self._key = key
        self._copy = copy
        self._queue: queue.Queue[_Waiting | None] = queue.Queue()
        self._closing = threading.Lock()
        self._is_closed = False
        # Read with the first append: a damaged book must still open, to be verified.
        self._frontier = Frontier()
        self._thread = threading.Thread(target=self._run, name="book", daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """The name of this log."""
        return self._key.name

    def append(self, entry: Event) -> int:
        """Write an event durably and return its index; raises BookUnavailable, and then nothing may run."""
        # The bytes are made here: an event that has none fails its own caller, not all who wait with it.
        waiting = _Waiting(entry, canonical(entry))
        self._put(waiting)
        return waiting.done.result()

    def append_soon(self, entry: Event) -> None:
        """Write an outcome with the next group or after a short pause; once closed, the next start calls it unknown."""
        with contextlib.suppress(BookUnavailable):
            self._put(_Waiting(entry, canonical(entry), is_urgent=False))

    def close(self) -> None:
        """Write what waits and stop; what comes later is refused."""
        with self._closing:
            self._is_closed = True
            self._queue.put(None)
        self._thread.join(timeout=30)

    def size(self) -> int:
        """How many events there are."""
        with self._engine.connect() as connection:
            return _size(connection)

    def checkpoint(self) -> str:
        """The newest signed checkpoint; raises NotFound in an empty book."""
        query = select(checkpoint.c.note).order_by(checkpoint.c.size.desc()).limit(1)
        with self._engine.connect() as connection:
            note = connection.execute(query).scalar()
        if note is None:
            raise NotFound("the book is empty")
        return str(note)

    def checkpoints(self) -> tuple[str, ...]:
        """Every signed checkpoint, oldest first."""
        with self._engine.connect() as connection:
            return tuple(connection.execute(select(checkpoint.c.note).order_by(checkpoint.c.size)).scalars())

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry with its stored leaf hash, in order, in bounded memory."""
        with self._engine.connect().execution_options(yield_per=1000) as connection:
            for data, stored in connection.execute(select(leaf.c.data, leaf.c.hash).order_by(leaf.c.idx)):
                yield bytes(data), bytes(stored)

    def hash_at(self, level: int, position: int) -> bytes:
        """The stored hash of a complete subtree; raises NotFound."""
        query = select(node.c.hash).where(and_(node.c.level == level, node.c.position == position))
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            raise NotFound(f"the book has no node {level}/{position}")
        return bytes(found)

    def entry(self, index: int) -> bytes:
        """The bytes of an entry; raises NotFound."""
        with self._engine.connect() as connection:
            found = connection.execute(select(leaf.c.data).where(leaf.c.idx == index)).scalar()
        if found is None:
            raise NotFound(f"the book has no event {index}")
        return bytes(found)

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """The proof that an entry is in the tree of that size."""
        return inclusion_proof(self.hash_at, index, size)

    def find(self, wanted: EventFilter) -> tuple[StoredEvent, ...]:
        """Events that match, newest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(_query(wanted)).all()
        return tuple(StoredEvent(index=row.idx, content=parse_event(bytes(row.data))) for row in rows)

    def open_intents(self) -> tuple[StoredEvent, ...]:
        """Intents that no outcome refers to: what was under way when the gateway ended."""
        closed = select(event.c.refers_to).where(event.c.refers_to.is_not(None))
        query = (
            select(leaf.c.idx, leaf.c.data)
            .join(event, event.c.idx == leaf.c.idx)
            .where(event.c.kind.like("%.intent"), leaf.c.idx.not_in(closed))
            .order_by(leaf.c.idx)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredEvent(index=row.idx, content=parse_event(bytes(row.data))) for row in rows)

    def _put(self, waiting: _Waiting) -> None:
        with self._closing:
            if self._is_closed:
                raise BookUnavailable("the book is closed, so nothing was run")
            self._queue.put(waiting)

    def _run(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._next_group()
            if not group:
                continue
            try:
                indices = self._write([waiting.event for waiting in group], [waiting.data for waiting in group])
            except Exception as error:  # noqa: BLE001 - whatever it was, nobody may run on it
                _log.exception("the book cannot be written")
                for waiting in group:
                    failure = BookUnavailable("the book cannot be written, so nothing was run; tell the operator")
                    failure.__cause__ = error
                    waiting.done.set_exception(failure)
                continue
            for waiting, index in zip(group, indices, strict=True):
                waiting.done.set_result(index)

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """Wait for the first event; take all that wait with it. A group of outcomes alone pauses for company."""
        first = self._queue.get()
        if first is None:
            return [], False
        group = [first]
        has_urgent = first.is_urgent
        until = time.monotonic() + _RIDE_S
        while len(group) < _MOST_AT_ONCE:
            pause_s = 0.0 if has_urgent else max(0.0, until - time.monotonic())
            try:
                following = self._queue.get(timeout=pause_s) if pause_s else self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, False
            group.append(following)
            has_urgent = has_urgent or following.is_urgent
        return group, True

    def _write(self, events: Sequence[Event], entries: Sequence[bytes]) -> range:
        hashes = [hash_leaf(entry) for entry in entries]
        with self._engine.begin() as connection:
            # Every statement waits for this: it speaks to the driver without anything between.
            driver: Any = connection.connection.driver_connection
            # The operator's commands append too, so the lock comes first and then the look at the size.
            driver.execute("BEGIN IMMEDIATE")
            last = driver.execute("SELECT max(idx) FROM leaf").fetchone()[0]
            size = 0 if last is None else int(last) + 1
            known = self._frontier if size == self._frontier.size else _load_frontier(connection, size)
            start = known.size
            frontier, nodes = known.extend_with_nodes(hashes)
            head = Checkpoint(origin=self._key.name, size=frontier.size, root=frontier.root())
            note = sign_checkpoint(head, [self._key])
            _insert(driver, start, events, entries, hashes)
            driver.executemany(_INTO_NODE, [(item.level, item.position, item.hash) for item in nodes])
            driver.execute(_INTO_CHECKPOINT, (frontier.size, note))
        self._frontier = frontier
        self._publish(note)
        return range(start, frontier.size)

    def _publish(self, note: str) -> None:
        """Put the checkpoint where auditors keep theirs; that this fails never stops the gate, but it is told."""
        if self._copy is None:
            return
        try:
            fresh = self._copy.with_suffix(".new")
            fresh.write_text(note)
            fresh.replace(self._copy)
        except OSError:
            _log.exception("the checkpoint cannot be copied to %s", self._copy)


def _size(connection: Connection) -> int:
    last = connection.execute(select(func.max(leaf.c.idx))).scalar()
    return 0 if last is None else int(last) + 1


def _load_frontier(connection: Connection, size: int) -> Frontier:
    """The frontier of what is stored, where somebody else has appended."""
    hashes, position = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            query = select(node.c.hash).where(node.c.level == level, node.c.position == position >> level)
            found = connection.execute(query).scalar()
            if found is None:
                raise BookUnavailable("the entries of the book do not fit its tree; run `gatebook audit verify`")
            hashes.append(bytes(found))
            position += 1 << level
    return Frontier(size=size, hashes=tuple(hashes))


def _insert(
    driver: Any, start: int, events: Sequence[Event], entries: Sequence[bytes], hashes: Sequence[bytes]
) -> None:
    leaves, index, tables = [], [], []
    for position, (item, data, digest) in enumerate(zip(events, entries, hashes, strict=True), start):
        leaves.append((position, data, digest))
        about = (item.source, item.outcome, item.refers_to, item.change)
        index.append((position, item.time, item.kind, item.principal, *about))
        tables += [(position, name) for name in sorted({str(table["table"]) for table in item.tables})]
    driver.executemany(_INTO_LEAF, leaves)
    driver.executemany(_INTO_EVENT, index)
    driver.executemany(_INTO_EVENT_TABLE, tables)


def _query(wanted: EventFilter) -> Select[Any]:
    query = select(leaf.c.idx, leaf.c.data).join(event, event.c.idx == leaf.c.idx)
    exact = {
        "principal": event.c.principal,
        "kind": event.c.kind,
        "source": event.c.source,
        "change": event.c.change_id,
    }
    for name, column in exact.items():
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(column == value)
    if wanted.table is not None:
        query = query.join(event_table, event_table.c.idx == leaf.c.idx).where(event_table.c.name == wanted.table)
    if wanted.since is not None:
        query = query.where(event.c.time >= wanted.since)
    if wanted.until is not None:
        query = query.where(event.c.time < wanted.until)
    if wanted.before is not None:
        query = query.where(leaf.c.idx < wanted.before)
    return query.order_by(leaf.c.idx.desc()).limit(wanted.limit)
