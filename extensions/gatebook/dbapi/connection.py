"""How do several statements belong together? In a transaction of the gateway, which begins with the first write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self
from weakref import WeakSet

from gatebook.changes import Change
from gatebook.connection import answer_of, batches_of
from gatebook.dbapi import errors
from gatebook.dbapi.cursor import Cursor
from gatebook.dbapi.errors import InterfaceError, TransactionLost, translated
from gatebook.errors import GatebookError, GatewayUnreachable
from gatebook.model import Outcome
from gatebook.provenance import claims
from gatebook.stream import Batches
from gatebook.transport import Gate, gate, is_arrow, read_json

_NEW = "new"


class Connection:
    """One source behind the gate. Not to be shared between threads; each has a pool of sockets behind it anyway."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    def __init__(
        self,
        source: str,
        through: Gate,
        *,
        autocommit: bool = False,
        reason: str | None = None,
        purpose: str | None = None,
        limit_rows: int | None = None,
    ) -> None:
        self.source = source
        self.gate = through
        self.reason = reason
        self.purpose = purpose
        self.limit_rows = limit_rows
        self._autocommit = autocommit
        self._transaction: str | None = None
        self._early: list[str] = []  # savepoints from before the first write: back to one is back to the beginning
        self._inside: list[str] = []  # those of the open transaction, after them
        self._is_together = False
        self._is_lost = False
        self._is_closed = False
        self._cursors: WeakSet[Cursor] = WeakSet()

    @property
    def autocommit(self) -> bool:
        """Whether each statement stands alone; setting it ends an open transaction by rolling it back."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if value != self._autocommit:
            self.rollback()
            self._autocommit = value

    @property
    def is_in_transaction(self) -> bool:
        """Whether something was written that is not committed yet."""
        return self._transaction is not None

    def cursor(self) -> Cursor:
        """A cursor."""
        self._check_open()
        made = Cursor(self)
        self._cursors.add(made)
        return made

    def execute(self, operation: str, parameters: Mapping[str, Any] | None = None) -> Cursor:
        """A new cursor on which the statement ran."""
        return self.cursor().execute(operation, parameters)

    @translated
    def commit(self) -> None:
        """Make what was written last; nothing to do where nothing was."""
        self._check_kept()
        self._early.clear()
        self._end("commit")

    @translated
    def rollback(self) -> None:
        """Undo what was written since the last commit."""
        self._check_open()
        self._early.clear()
        with suppress(GatebookError):  # whatever it was, the gateway rolls back what nobody commits
            self._undo()

    @translated
    def savepoint(self, name: str) -> None:
        """A place to roll back to."""
        self._check_kept()
        if self._transaction is None:
            self._early.append(name)
        else:
            self._do("savepoint", name)
            self._inside.append(name)

    @translated
    def release(self, name: str) -> None:
        """Forget a savepoint."""
        if name in self._inside:
            self._do("release", name)
            del self._inside[_last(self._inside, name) :]
        elif name in self._early:
            del self._early[_last(self._early, name) :]
            self._inside.clear()  # they went with it, and are never asked for again
        else:
            raise _no_savepoint(name)

    @translated
    def rollback_to(self, name: str) -> None:
        """Undo what was written since a savepoint."""
        if name in self._inside:
            self._do("rollback_to", name)
            del self._inside[_last(self._inside, name) + 1 :]
        elif name in self._early:
            self._undo()
            del self._early[_last(self._early, name) + 1 :]
        else:
            self._check_kept()
            raise _no_savepoint(name)

    def close(self) -> None:
        """Roll back what is open, leave rows that are under way; nothing more through this connection."""
        if not self._is_closed:
            for cursor in list(self._cursors):
                cursor.close()
            self.rollback()
            self._is_closed = True

    @translated
    def describe(self) -> Mapping[str, Any]:
        """The tables of the source in detail, as far as one sees them: what a dialect reflects."""
        self._check_open()
        return self.gate.get("sources", self.source, "tables")

    def send(self, sql: str, values: Mapping[str, Any]) -> Batches | Change | Outcome:
        """One statement, in the transaction that is open or may begin; raises GatebookError, TransactionLost."""
        self._check_kept()
        begins = _NEW if not self._autocommit or self._is_together else None
        body = {
            "source": self.source,
            "sql": sql,
            "reason": self.reason,
            "purpose": self.purpose,
            "limit_rows": self.limit_rows,
            "transaction": self._transaction or begins,
            "provenance": claims(),
            **values,
        }
        try:
            response = self.gate.open("query", body=body)
            if is_arrow(response):
                return batches_of(response)
            answer = answer_of(read_json(response), self.gate)
        except GatebookError as error:
            self._learn(error)
            raise
        if isinstance(answer, Outcome):
            self._transaction = answer.transaction
        return answer

    @contextmanager
    def together(self) -> Iterator[None]:
        """Several calls as one, also where each statement stands alone."""
        if not self._autocommit:
            yield
            return
        self._is_together = True
        try:
            yield
        except BaseException:
            with suppress(GatebookError):
                self._undo()
            raise
        else:
            self._end("commit")
        finally:
            self._is_together = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Commit, or roll back after an error; then close."""
        try:
            if kind is None:
                self.commit()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<gatebook.dbapi connection to {self.source}{', closed' if self._is_closed else ''}>"

    def _undo(self) -> None:
        """Roll all of it back; what was lost is nothing to mind any more."""
        self._is_lost = False
        self._end("rollback")

    def _end(self, verb: str) -> None:
        transaction, self._transaction = self._transaction, None
        self._inside.clear()
        if transaction is not None:
            self.gate.post("transactions", transaction, body={"do": verb})

    def _do(self, verb: str, name: str) -> None:
        self._check_kept()
        if self._transaction is None:
            raise _no_savepoint(name)
        try:
            self.gate.post("transactions", self._transaction, body={"do": verb, "name": name})
        except GatebookError as error:
            self._learn(error)
            raise

    def _learn(self, error: GatebookError) -> None:
        """After an error nothing is left of the transaction; where the gateway did not say so, it is told."""
        lost, self._transaction = self._transaction, None
        self._inside.clear()
        self._is_lost = lost is not None
        if lost is not None and isinstance(error, GatewayUnreachable):
            with suppress(GatebookError):
                self.gate.post("transactions", lost, body={"do": "rollback"})

    def _check_kept(self) -> None:
        """Raise TransactionLost until a rollback: a commit now would keep a part of what was meant to stay together."""
        self._check_open()
        if self._is_lost:
            message = "an error ended the transaction, and nothing of it remains; roll back before the next statement"
            raise TransactionLost(message)

    def _check_open(self) -> None:
        if self._is_closed:
            message = f"the connection to `{self.source}` is closed"
            raise InterfaceError(message)


def _no_savepoint(name: str) -> InterfaceError:
    return InterfaceError(f"there is no savepoint `{name}`")


def _last(names: list[str], name: str) -> int:
    """The place of the latest of that name, which is the one that is meant."""
    return len(names) - 1 - names[::-1].index(name)


@translated
def connect(
    source: str,
    url: str | None = None,
    token: str | None = None,
    *,
    autocommit: bool = False,
    reason: str | None = None,
    purpose: str | None = None,
    limit_rows: int | None = None,
) -> Connection:
    """A connection to `source` through the gate at `url`, or through the one that the environment names."""
    through = gate(url, token)
    return Connection(source, through, autocommit=autocommit, reason=reason, purpose=purpose, limit_rows=limit_rows)
