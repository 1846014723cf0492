"""How is a statement answered? Parse, decide, rewrite, write the intent durably, execute, stream, write the outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gatebook_hub import sql
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import (
    ApprovalRequired,
    GatebookError,
    InvalidInput,
    KindRefused,
    LimitExceeded,
    NotOneStatement,
    NotPermitted,
    StatementFailed,
)
from gatebook_hub.model import Channel, Limits, Schema
from gatebook_hub.services.changes import Changes
from gatebook_hub.services.definitions import Definitions
from gatebook_hub.services.describing import Describing, Told
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.services.previewing import Asked, Previewed
from gatebook_hub.services.sandboxing import NOT_INSIDE, Done, Sandbox, Scope
from gatebook_hub.services.statements import (
    DecidedRead,
    PlanCache,
    bind,
    check_reason,
    decide_read,
    facts,
    own_values,
    refuse,
    used,
)
from gatebook_hub.services.transactions import Transactions
from gatebook_hub.sources.source import ReadStream, SeenMore, Source
from gatebook_hub.sql import Explain, Statement, StatementKind

NEW = "new"
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A statement as a caller sends it; parameters are bindable values."""

    source: str
    sql: str
    parameters: Mapping[str, Any]
    limit_rows: int | None = None
    # Sets of parameters for one write, in place of `parameters`.
    many: tuple[Mapping[str, Any], ...] | None = None
    # The transaction that it belongs to, or NEW: a write begins one.
    transaction: str | None = None
    # Say what would happen, and no more.
    is_dry_run: bool = False
    # It has to be a read: whatever else it is, is refused.
    is_read: bool = False


class Answer:
    """A read under way: iterate the batches, then `outcome` is set; `close` at any time frees everything."""

    def __init__(
        self,
        gate: Gate,
        call: Call,
        source: str,
        decided: DecidedRead,
        stream: ReadStream,
        intent: int,
        limits: Limits,
    ) -> None:
        self._gate = gate
        self._call = call
        self._source = source
        self._decided = decided
        self._stream = stream
        self._limits = limits
        self._started = time.monotonic()
        self._is_told = False
        self._lock = threading.Lock()
        self.intent = intent
        self.rows = 0
        self.bytes = 0
        self.schema: pa.Schema = stream.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches under the limits; raises LimitExceeded and what the source raises, and tells the book."""
        try:
            for batch in self._stream:
                self.rows += batch.num_rows
                self.bytes += batch.nbytes
                self._check()
                yield batch
                del batch  # not held while the next one is made
        except GatebookError as error:
            self._tell(Outcome.FAILED, error)
            raise
        else:
            self._tell(Outcome.OK)
        finally:
            self.close()

    def outcome(self) -> dict[str, Any]:
        """What the last batch says."""
        obligations = self._decided.allowed.obligations
        masks = [
            {"column": f"{use.table}.{name}", "mask": str(mask), "rule": mask.rule}
            for use in self._decided.uses
            for name, mask in sorted(obligations[use.table].masks.items())
            if use.is_whole or name in use.reads
        ]
        filters = [
            {"table": use.table, "rule": ", ".join(row_filter.rules)}
            for use in self._decided.uses
            for row_filter in obligations[use.table].row_filters
        ]
        elapsed_ms = round((time.monotonic() - self._started) * 1000, 1)
        return {
            "rows": self.rows,
            "bytes": self.bytes,
            "elapsed_ms": elapsed_ms,
            "audit_index": self.intent,
            "masks": masks,
            "row_filters": filters,
        }

    @property
    def patience_s(self) -> float:
        """How long the caller may take nothing of it: the database is held meanwhile."""
        return self._limits.time_s or _PATIENCE_S

    def leave(self, why: str) -> None:
        """End it early."""
        self._stream.close()
        self._tell(Outcome.FAILED, None, why)

    def suffice(self, why: str) -> None:
        """End it early because the caller has what they wanted."""
        self._stream.close()
        self._tell(Outcome.OK, None, why)

    def close(self) -> None:
        """Free the database and the caller's place; a read that ends here early is told as failed."""
        self._stream.close()
        if not self._is_told:
            self._tell(Outcome.FAILED, None, "the caller went away")

    def _check(self) -> None:
        if self._limits.rows is not None and self.rows > self._limits.rows:
            raise LimitExceeded(f"the answer has more rows than {self._limits.rows:,}; narrow the statement")
        if self._limits.bytes is not None and self.bytes > self._limits.bytes:
            raise LimitExceeded(f"the answer has more than {self._limits.bytes:,} bytes; narrow the statement")

    def _tell(self, outcome: Outcome, error: GatebookError | None = None, detail: str | None = None) -> None:
        with self._lock:
            if self._is_told:
                return
            self._is_told = True
        self._gate.places.leave(self._call.principal.id, self._source)
        self._gate.book.append_soon(
            self._gate.event(
                EventKind.QUERY_OUTCOME,
                self._call,
                source=self._source,
                refers_to=self.intent,
                outcome=outcome,
                rows=self.rows,
                bytes=self.bytes,
                elapsed_us=int((time.monotonic() - self._started) * 1e6),
                code=error.code if error else None,
                detail=str(error) if error else detail,
            )
        )


class Waiting:
    """A caller who may go away before the first rows are there; from then on, `Answer.close` does it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: ReadStream | None = None
        self.is_gone = False

    def begun(self, stream: ReadStream) -> None:
        """The database is about to be asked."""
        with self._lock:
            self._stream = stream
            is_gone = self.is_gone
        if is_gone:
            stream.close()

    def leave(self) -> None:
        """Cancel in the database what the caller no longer waits for."""
        with self._lock:
            self.is_gone = True
            stream = self._stream
        if stream is not None:
            stream.close()


@dataclass(frozen=True, slots=True)
class _Decided:
    """A read that may run, and where."""

    source: Source
    schema: Schema
    decided: DecidedRead
    parameters: Mapping[str, Any]
    limits: Limits


class Queries:
    """The one entrance for statements."""

    def __init__(self, gate: Gate, changes: Changes, transactions: Transactions) -> None:
        self._gate = gate
        self._changes = changes
        self._transactions = transactions
        self._plans = PlanCache()
        self._describing = Describing(gate)
        self._sandbox = Sandbox(gate, transactions)
        self._definitions = Definitions(gate, transactions)

    @under_one_set
    def ask(
        self, call: Call, question: Question, waiting: Waiting | None = None
    ) -> Answer | Told | Done | ChangeRequest | Previewed:
        """Answer a read, propose a write or do it; a refusal is in the book, and its error refers to it."""
        if question.is_dry_run:
            return self._rehearse(call, question)
        if call.principal.channel is Channel.CHECK_TOKEN and (
            question.transaction is not None or sql.defines(question.sql)
        ):
            error = NotPermitted("a check of a tool changes nothing: neither transactions nor definitions are taken")
            refuse(self._gate, call, question.source, question.sql, error)
            raise error
        waiting = waiting or Waiting()
        if question.transaction in {None, NEW}:
            return self._ask(call, question, waiting, Scope(begins=question.transaction == NEW))
        call.check_fresh()
        transactions, transaction = self._transactions, self._transactions.take(call, str(question.transaction))
        try:
            answer = self._ask(call, question, waiting, Scope(transaction=transaction))
        except BaseException:
            transactions.roll_back(transaction, "rolled back: a statement of it failed")
            transactions.give_back(transaction)
            raise
        if not isinstance(answer, Answer):  # which gives it back when it is closed
            transactions.give_back(transaction)
        return answer

    def _ask(
        self, call: Call, question: Question, waiting: Waiting, scope: Scope
    ) -> Answer | Told | Done | ChangeRequest | Previewed:
        gate = self._gate
        about = sql.asked(question.sql)
        if about is not None and not question.is_read:
            return self._describing.tell(call, question.source, about)
        if sql.defines(question.sql) and not question.is_read:
            call.check_fresh()
            return self._definitions.define(call, question.source, question.sql, scope)
        try:
            self._check_place(question, scope)
            source, rule, schema = gate.source(question.source, call.principal)
            asked = self._asked(question, schema)
            statement = asked.statements[0]
            if statement.kind is not StatementKind.READ or len(asked.statements) > 1:
                if question.is_read:
                    raise KindRefused("this is not one read, and only reads are taken here")
                call.check_fresh()
                if call.principal.channel is Channel.CHECK_TOKEN:
                    return self._changes.rehearse(call, question.source, asked)
                if len(asked.statements) == 1:
                    place = (call, source, rule, schema)
                    done = self._sandbox.write(*place, statement, asked.sets, scope, lambda: waiting.is_gone)
                    if done is not None:
                        return done
                if not scope.is_alone:
                    raise ApprovalRequired(NOT_INSIDE)
                return self._changes.propose(call, question.source, asked)
            parameters = bind(statement, question.parameters, {})
            decided = decide_read(gate, call, statement, schema, self._plans)
            check_reason(call, decided.allowed)
            limits = gate.limits(rule, decided.allowed.limits, question.limit_rows)
            gate.places.take(call.principal.id, question.source, limits)
        except GatebookError as error:
            refuse(gate, call, question.source, question.sql, error)
            raise
        started = _Decided(source, schema, decided, parameters, limits)
        return self._start(call, question, started, waiting, scope)

    def _rehearse(self, call: Call, question: Question) -> Told | Previewed:
        """What would be decided about a read, or what a write would change, also in a sandbox; nothing is done."""
        gate, source = self._gate, question.source
        about = sql.asked(question.sql)
        try:
            _check_rehearsed(question)
            if about is None:
                _, _, schema = gate.source(source, call.principal)
                asked = self._asked(question, schema)
                if asked.statements[0].kind is not StatementKind.READ or len(asked.statements) > 1:
                    call.check_fresh()
                    return self._changes.rehearse(call, source, asked)
                about = Explain(question.sql)
        except GatebookError as error:
            refuse(gate, call, question.source, question.sql, error)
            raise
        return self._describing.tell(call, source, about)

    def _start(self, call: Call, question: Question, read: _Decided, waiting: Waiting, scope: Scope) -> Answer:
        """The intent, and then the database."""
        gate, decided = self._gate, read.decided
        try:
            told = facts(gate, question.source, read.schema, decided, question.parameters)
            intent = gate.book.append(gate.event(EventKind.QUERY_INTENT, call, **told))
        except BaseException:
            gate.places.leave(call.principal.id, question.source)
            raise
        try:
            begun = waiting.begun
            values = {**read.parameters, **own_values(gate, question.source, call.principal)}
            bound = used(values, decided.plan)
            if scope.transaction is None:
                stream = read.source.read(decided.plan, bound, read.limits, begun=begun)
            else:
                scope.transaction.session.limit_time(read.limits.time_s)
                stream = scope.transaction.session.read(decided.plan, bound, begun=begun)
                stream = self._transactions.held(scope.transaction, stream)
        except GatebookError as error:
            self._failed(call, question.source, intent, error)
            raise
        except BaseException:
            self._failed(call, question.source, intent, StatementFailed("the statement failed inside of the gateway"))
            raise
        return Answer(gate, call, question.source, decided, stream, intent, read.limits)

    def _check_place(self, question: Question, scope: Scope) -> None:
        if scope.transaction is not None and scope.transaction.source.name != question.source:
            raise InvalidInput("the transaction is one of another source")

    def _asked(self, question: Question, schema: Schema) -> Asked:
        """The statements of a text, each parsed alone, with their sets of values; raises what `sql.parse` raises."""
        parts = sql.split(question.sql, schema.engine)
        statements: list[Statement] = []
        for part in parts:
            statements.append(self._plans.statement(part, schema))
            if len(parts) > 1 and (question.transaction or statements[-1].kind is StatementKind.READ):
                raise NotOneStatement(
                    f"one statement is taken at a time, this is {len(parts)}; several may be writes that stand alone"
                )
        return Asked(
            statements=tuple(statements),
            sets=(question.parameters,) if question.many is None else question.many,
            text=question.sql,
        )

    def _failed(self, call: Call, source: str, intent: int, error: GatebookError) -> None:
        gate = self._gate
        gate.places.leave(call.principal.id, source)
        error.reference = intent
        if isinstance(error, SeenMore):
            gate.book.append(gate.event(EventKind.ALARM, call, source=source, refers_to=intent, detail=str(error)))
        gate.book.append_soon(
            gate.event(
                EventKind.QUERY_OUTCOME,
                call,
                source=source,
                refers_to=intent,
                outcome=Outcome.FAILED,
                code=error.code,
                detail=str(error),
            )
        )


def _check_rehearsed(question: Question) -> None:
    """Raise InvalidInput for what has no dry run: it could not be shown without doing it."""
    if question.transaction is not None:
        raise InvalidInput("a dry run stands alone; send it outside of a transaction")
    if sql.defines(question.sql):
        raise InvalidInput("a change of the schema has no dry run")
