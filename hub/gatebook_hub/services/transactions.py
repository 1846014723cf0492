"""How does a caller keep several statements together? In a transaction on a connection of its own, bounded in time.

A transaction begins with its first write: reads before it see what any read sees. Whatever fails in it ends it, for
engines differ in what they keep then. It lives in this process alone, so that a gateway that ends takes it along, and
the database rolls it back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pyarrow as pa

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import GatebookError, InvalidInput, StateConflict, TooManyRequests, TransactionEnded
from gatebook_hub.model import Engine, Limits, Principal
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.sources.source import GONE, ReadStream, Source, WriteSession

IDLE_S = 60.0
LONGEST_S = 600.0
_LOOK_S = 1.0
# They hold locks, and connections that others wait for.
_MOST_OF_ONE = 2
_MOST_OF_ALL = 4
_EVERYBODY = "everybody"
_WITHOUT_SAVEPOINTS = frozenset({Engine.DUCKDB})
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One transaction: whose it is, where, and what it did; `busy` is held while a statement of it runs."""

    id: str
    owner: tuple[object, ...]
    revision: str
    call: Call
    source: Source
    engine: Engine
    session: WriteSession
    leave: ExitStack
    busy: threading.Lock = field(default_factory=threading.Lock)
    # Each with the rows that stood when it was set.
    savepoints: list[tuple[str, int]] = field(default_factory=list)
    # Rows that were written so far, by table and right: what people approve does not become less by being split, nor
    # by being undone.
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    # Rows that were written and stand: what a savepoint undid is none of them.
    rows: int = 0
    reading: _HeldStream | None = None
    began_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)

    @property
    def ends_at(self) -> float:
        """When it ends whatever runs in it, by the monotonic clock."""
        return self.began_at + LONGEST_S


class Transactions:
    """The transactions that are open."""

    def __init__(self, gate: Gate, *, idle_s: float = IDLE_S) -> None:
        self._gate = gate
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._open: dict[str, Transaction] = {}
        self._reaper: threading.Thread | None = None
        self._closing = threading.Event()

    def begin(self, call: Call, source: Source, engine: Engine, limits: Limits) -> Transaction:
        """Open one on the source, taken for its first statement; raises TooManyRequests, SourceUnavailable."""
        gate, places = self._gate, f"transactions of {source.name}"
        limit = min(limits.concurrent or 1, _MOST_OF_ONE)
        leave = ExitStack()
        for who, most in ((call.principal.id, limit), (_EVERYBODY, _MOST_OF_ALL)):
            if not gate.places.enter(who, places, most):
                leave.close()
                raise TooManyRequests(f"`{source.name}` has no place for another transaction; end one, or wait for one")
            leave.callback(gate.places.leave, who, places)
        try:
            session = leave.enter_context(source.writing(limits))
        except BaseException:
            leave.close()
            raise
        found = Transaction(
            id=gate.new_id(),
            owner=_owner(call.principal),
            revision=gate.policy.revision,
            call=call,
            source=source,
            engine=engine,
            session=session,
            leave=leave,
        )
        found.busy.acquire()  # before anybody else sees it: its first statement runs now
        with self._lock:
            if self._closing.is_set():
                leave.close()
                raise TransactionEnded(GONE)
            self._open[found.id] = found
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._reap, name="gatebook-transactions", daemon=True)
                self._reaper.start()
        return found

    def take(self, call: Call, id_: str) -> Transaction:
        """One for a statement, until it is given back; raises TransactionEnded, StateConflict while another runs."""
        with self._lock:
            found = self._open.get(id_)
        if found is None or found.owner != _owner(call.principal):
            raise TransactionEnded(GONE)
        if not found.busy.acquire(blocking=False):
            raise StateConflict("another statement of this transaction runs; read it to its end, or close it")
        if not self._is_same_source(found) or found.revision != self._gate.policy.revision:
            self.roll_back(found, "rolled back: the policy is another one now")
        if found.id not in self._open:
            found.busy.release()
            raise TransactionEnded(GONE)
        return found

    def give_back(self, transaction: Transaction) -> None:
        """Let the next statement in."""
        transaction.used_at = time.monotonic()
        transaction.busy.release()

    def held(self, transaction: Transaction, stream: ReadStream) -> ReadStream:
        """A read in it, which gives the transaction back when it is closed; one that is not read whole ends it."""

        def closed(*, is_whole: bool) -> None:
            transaction.reading = None
            if not is_whole:
                self.roll_back(transaction, "rolled back: a read of it failed, or was left half way")
            self.give_back(transaction)

        def read() -> None:
            transaction.used_at = time.monotonic()

        transaction.reading = _HeldStream(stream, closed, read)
        return transaction.reading

    def control(self, call: Call, id_: str, verb: str, name: str | None) -> bool:
        """Carry out a transaction's own verb; whether it is open after it."""
        transaction = self.take(call, id_)
        try:
            match verb:
                case "commit":
                    self._commit(call, transaction)
                case "rollback":
                    self.roll_back(transaction, "rolled back")
                case _:
                    self._savepoint(call, transaction, verb, name or "")
        except BaseException:
            self.roll_back(transaction, "rolled back: a step of it failed")
            raise
        finally:
            self.give_back(transaction)
        return verb not in {"commit", "rollback"}

    def roll_back(self, transaction: Transaction, detail: str) -> None:
        """End it without a trace in the database; its end is in the book."""
        if not self._forget(transaction):
            return
        try:
            transaction.leave.close()
        except Exception:  # noqa: BLE001 - whatever happened to the connection, nothing was committed
            _log.warning("the connection of a transaction was lost", exc_info=True)
        self._tell(transaction.call, transaction, Outcome.OK, detail=detail)

    def close(self) -> None:
        """Roll everything back."""
        self._closing.set()
        with self._lock:
            left = list(self._open.values())
        for transaction in left:
            self.roll_back(transaction, "rolled back: the gateway ends")

    def _is_same_source(self, transaction: Transaction) -> bool:
        try:
            return self._gate.in_force.sources.get(transaction.source.name) is transaction.source
        except GatebookError:
            return False

    def _savepoint(self, call: Call, transaction: Transaction, verb: str, name: str) -> None:
        """Carry out a savepoint's verb, which is in the book: without it nobody could tell what a commit left."""
        if transaction.engine in _WITHOUT_SAVEPOINTS:
            raise InvalidInput(f"{transaction.engine} has no savepoints")
        if verb not in {"savepoint", "release", "rollback_to"}:
            raise InvalidInput(f"a transaction knows no `{verb[:40]}`")
        known = transaction.savepoints
        if verb == "savepoint":
            known.append((name, transaction.rows))
            place, statement = len(known) - 1, "SAVEPOINT"
        else:
            place = max((place for place, (one, _) in enumerate(known) if one == name), default=-1)
            statement = "RELEASE SAVEPOINT" if verb == "release" else "ROLLBACK TO SAVEPOINT"
        if place < 0:
            raise InvalidInput(f"there is no savepoint `{name[:64]}` in this transaction")
        undone = transaction.rows - known[place][1] if verb == "rollback_to" else 0
        intent = self._intend(call, transaction, undone, {"step": verb, "savepoint": str(place)})
        transaction.session.run(f"{statement} {_spelled(place)}", {})
        transaction.rows -= undone
        if verb != "savepoint":
            del known[place if verb == "release" else place + 1 :]
        self._tell(call, transaction, Outcome.OK, intent, detail=f"{verb}; {undone} rows undone")

    def _commit(self, call: Call, transaction: Transaction) -> None:
        """The book first: a commit that nobody could prove must not happen."""
        intent = self._intend(call, transaction, transaction.rows, {"step": "commit"})
        self._forget(transaction)
        try:
            transaction.session.commit()
            transaction.leave.close()
        except GatebookError as error:
            error.reference = intent
            self._tell(call, transaction, Outcome.FAILED, intent, error=error)
            raise
        self._tell(call, transaction, Outcome.OK, intent, detail="committed")

    def _intend(self, call: Call, transaction: Transaction, rows: int, step: Mapping[str, str]) -> int:
        gate = self._gate
        extra = {"transaction": transaction.id, **step}
        return gate.book.append(
            gate.event(EventKind.TRANSACTION_INTENT, call, source=transaction.source.name, rows=rows, extra=extra)
        )

    def _tell(
        self,
        call: Call,
        transaction: Transaction,
        outcome: Outcome,
        intent: int | None = None,
        *,
        error: GatebookError | None = None,
        detail: str | None = None,
    ) -> None:
        gate = self._gate
        gate.book.append_soon(
            gate.event(
                EventKind.TRANSACTION_OUTCOME,
                call,
                source=transaction.source.name,
                refers_to=intent,
                outcome=outcome,
                rows=transaction.rows if intent is not None else 0,
                code=error.code if error else None,
                detail=str(error) if error else detail,
                extra={"transaction": transaction.id},
            )
        )

    def _forget(self, transaction: Transaction) -> bool:
        with self._lock:
            return self._open.pop(transaction.id, None) is not None

    def _reap(self) -> None:
        """Roll back what nobody uses any more, or what lasts too long: it may hold locks in the database."""
        while not self._closing.wait(_LOOK_S):
            now = time.monotonic()
            with self._lock:
                late = [
                    item
                    for item in self._open.values()
                    if now - item.used_at > self._idle_s or now - item.began_at > LONGEST_S
                ]
            for transaction in late:
                try:
                    self._end_late(transaction)
                except Exception:  # noqa: BLE001 - the next one is ended nevertheless
                    _log.exception("a transaction could not be ended")

    def _end_late(self, transaction: Transaction) -> None:
        reading = transaction.reading
        if reading is not None:
            reading.close()
        elif transaction.busy.acquire(blocking=False):
            try:
                self.roll_back(transaction, "rolled back: nobody used it any more, or it lasted too long")
            finally:
                transaction.busy.release()


class _HeldStream:
    """A ReadStream that says when it is read, when it is closed, and whether it was read whole."""

    def __init__(self, stream: ReadStream, closed: Callable[..., None], read: Callable[[], None]) -> None:
        self._stream = stream
        self._closed = closed
        self._read = read
        self._closing = threading.Lock()
        self._is_closed = False
        self._is_whole = False
        self.schema = stream.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._stream:
            self._read()
            yield batch
        self._is_whole = True

    def close(self) -> None:
        """Close it; safe to call twice and from another thread."""
        self._stream.close()
        with self._closing:
            is_first, self._is_closed = not self._is_closed, True
        if is_first:
            self._closed(is_whole=self._is_whole)


def _owner(principal: Principal) -> tuple[object, ...]:
    """Who may go on with it: the same principal, through the same channel and tool, in the same run."""
    return principal.id, principal.channel, principal.tool, principal.run_id


def _spelled(place: int) -> str:
    return f"gb_savepoint_{place}"
