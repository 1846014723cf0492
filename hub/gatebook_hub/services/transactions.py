"""How does a caller keep several statements together? In a transaction on a connection of its own, bounded in time.

A transaction begins with its first write: reads before it see what any read sees. It lives in this process alone, so
that a gateway that ends takes it along, and the database rolls it back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pyarrow as pa

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import GatebookError, InvalidInput, StateConflict, TooManyRequests, TransactionEnded
from gatebook_hub.model import Engine, Limits, Principal
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.sources.source import ReadStream, Source, WriteSession

IDLE_S = 60.0
_LOOK_S = 1.0
_WITHOUT_SAVEPOINTS = frozenset({Engine.DUCKDB})
_GONE = "the transaction is over, and nothing of it remains; begin anew"


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One transaction: whose it is, where, and what it did; `busy` is held while a statement of it runs."""

    id: str
    owner: tuple[str, object, str | None]
    call: Call
    source: Source
    engine: Engine
    session: WriteSession
    leave: ExitStack
    busy: threading.Lock = field(default_factory=threading.Lock)
    savepoints: list[str] = field(default_factory=list)
    rows: int = 0
    has_written: bool = False
    used_at: float = field(default_factory=time.monotonic)


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
        """Open one on the source; raises TooManyRequests, SourceUnavailable."""
        gate, places = self._gate, f"transactions of {source.name}"
        limit = limits.concurrent or 1
        if not gate.places.enter(call.principal.id, places, limit):
            raise TooManyRequests(f"you already have {limit} transactions open in `{source.name}`; end one of them")
        leave = ExitStack()
        leave.callback(gate.places.leave, call.principal.id, places)
        try:
            session = leave.enter_context(source.writing(limits))
        except BaseException:
            leave.close()
            raise
        found = Transaction(
            id=gate.new_id(),
            owner=_owner(call.principal),
            call=call,
            source=source,
            engine=engine,
            session=session,
            leave=leave,
        )
        with self._lock:
            if self._closing.is_set():
                leave.close()
                raise TransactionEnded(_GONE)
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
            raise TransactionEnded(_GONE)
        if not found.busy.acquire(blocking=False):
            raise StateConflict("another statement of this transaction runs; read it to its end, or close it")
        found.used_at = time.monotonic()
        if not self._is_same_source(found):
            self.roll_back(found, "rolled back: the source is another one now")
        if found.id not in self._open:
            found.busy.release()
            raise TransactionEnded(_GONE)
        return found

    def give_back(self, transaction: Transaction) -> None:
        """Let the next statement in."""
        transaction.used_at = time.monotonic()
        transaction.busy.release()

    def held(self, transaction: Transaction, stream: ReadStream) -> ReadStream:
        """A read in it, which gives the transaction back when it is closed."""
        return _HeldStream(stream, lambda: self.give_back(transaction))

    def control(self, call: Call, id_: str, verb: str, name: str | None) -> bool:
        """Carry out a transaction's own verb; whether it is open after it."""
        transaction = self.take(call, id_)
        try:
            match verb:
                case "commit":
                    self._commit(transaction)
                    return False
                case "rollback":
                    self.roll_back(transaction, "rolled back")
                    return False
                case "savepoint" | "release" | "rollback_to":
                    self._savepoint(transaction, verb, name or "")
                    return True
                case _:
                    raise InvalidInput(f"a transaction knows no `{verb[:40]}`")
        finally:
            self.give_back(transaction)

    def roll_back(self, transaction: Transaction, detail: str) -> None:
        """End it without a trace in the database; its end is in the book."""
        if not self._forget(transaction):
            return
        with suppress(GatebookError):  # whatever happened to the connection, nothing was committed
            transaction.leave.close()
        self._tell(transaction, Outcome.OK, detail=detail)

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

    def _savepoint(self, transaction: Transaction, verb: str, name: str) -> None:
        if transaction.engine in _WITHOUT_SAVEPOINTS:
            raise InvalidInput(f"{transaction.engine} has no savepoints")
        known = transaction.savepoints
        if verb == "savepoint":
            known.append(name)
            transaction.session.run(f"SAVEPOINT {_spelled(len(known) - 1)}", {})
            return
        if name not in known:
            raise InvalidInput(f"there is no savepoint `{name[:64]}` in this transaction")
        place = len(known) - 1 - known[::-1].index(name)
        if verb == "release":
            transaction.session.run(f"RELEASE SAVEPOINT {_spelled(place)}", {})
            del known[place:]
        else:
            transaction.session.run(f"ROLLBACK TO SAVEPOINT {_spelled(place)}", {})
            del known[place + 1 :]

    def _commit(self, transaction: Transaction) -> None:
        """The book first: a commit that nobody could prove must not happen."""
        gate = self._gate
        try:
            intent = gate.book.append(
                gate.event(
                    EventKind.TRANSACTION_INTENT,
                    transaction.call,
                    source=transaction.source.name,
                    rows=transaction.rows,
                    extra={"transaction": transaction.id, "step": "commit"},
                )
            )
        except GatebookError:
            self.roll_back(transaction, "rolled back: the book could not be written")
            raise
        self._forget(transaction)
        try:
            transaction.session.commit()
            transaction.leave.close()
        except GatebookError as error:
            error.reference = intent
            self._tell(transaction, Outcome.FAILED, intent, error=error)
            raise
        self._tell(transaction, Outcome.OK, intent, detail="committed")

    def _tell(
        self,
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
                transaction.call,
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
        """Roll back what nobody uses any more: it may hold locks in the database."""
        while not self._closing.wait(_LOOK_S):
            with self._lock:
                late = [
                    item
                    for item in self._open.values()
                    if time.monotonic() - item.used_at > self._idle_s and item.busy.acquire(blocking=False)
                ]
            for transaction in late:
                self.roll_back(transaction, "rolled back: nobody used it any more")
                transaction.busy.release()


class _HeldStream:
    """A ReadStream that says when it is closed."""

    def __init__(self, stream: ReadStream, closed: Callable[[], None]) -> None:
        self._stream = stream
        self._closed = closed
        self._closing = threading.Lock()
        self._is_closed = False
        self.schema = stream.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self._stream)

    def close(self) -> None:
        """Close it; safe to call twice and from another thread."""
        self._stream.close()
        with self._closing:
            is_first, self._is_closed = not self._is_closed, True
        if is_first:
            self._closed()


def _owner(principal: Principal) -> tuple[str, object, str | None]:
    """Who may go on with it: the same principal, through the same tool, in the same run."""
    return principal.id, principal.tool, principal.run_id


def _spelled(place: int) -> str:
    return f"gb_savepoint_{place}"
