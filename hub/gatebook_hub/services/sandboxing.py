"""Which writes are done at once in a sandbox? Those of tables that nothing hides, alone or in a transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gatebook_hub import sql
from gatebook_hub.audit import recorded_parameters
from gatebook_hub.changes import Returned
from gatebook_hub.errors import (
    ApprovalRequired,
    GatebookError,
    StatementFailed,
    StatementTimeout,
)
from gatebook_hub.model import Limits, Schema
from gatebook_hub.policy.rules import SourceRule
from gatebook_hub.services.applying import Gathered, apply
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.quorums import approving_for
from gatebook_hub.services.sandbox_book import fail, intend, tell
from gatebook_hub.services.statements import (
    DecidedWrite,
    bind,
    check_reason,
    decide_write,
    facts,
    own_values,
    used,
)
from gatebook_hub.services.transactions import LONGEST_S, Transaction, Transactions
from gatebook_hub.sources.source import Source, WriteSession
from gatebook_hub.sql import Plan, Statement
from gatebook_hub.values import encode

_BY_ANY_RIGHT = "any"
NOT_INSIDE = "this write needs people, and no transaction waits for them; send it alone, outside of a transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A write or a change of the schema that needed nobody: its rows, and its intent in the book."""

    rows: int
    index: int
    returned: Returned | None = None
    transaction: str | None = None
    last_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a statement runs: alone, in a transaction, or in one that it may begin."""

    transaction: Transaction | None = None
    begins: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether it is committed by itself."""
        return self.transaction is None and not self.begins


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A write that may run: as one statement (`plan`), or in steps by key."""

    schema: Schema
    decided: DecidedWrite
    parameters: tuple[Mapping[str, Any], ...]
    plan: Plan | None
    limits: Limits
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Where a write runs, until when all its sets together may, and whether anybody waits for it still."""

    session: WriteSession
    ends_at: float
    is_gone: Callable[[], bool]

    def check(self) -> None:
        """Raise StatementTimeout, or StatementFailed for a caller who went away."""
        if time.monotonic() > self.ends_at:
            raise StatementTimeout(f"the write took longer than {LONGEST_S:.0f} s, and nothing of it remains")
        if self.is_gone():
            raise StatementFailed("the caller went away before the write was done, and nothing of it remains")


class _NeedsPeople(Exception):
    """The write matches a rule that asks for people: it is rolled back, and proposed."""


class Sandbox:
    """Writes in sources that are marked so."""

    def __init__(self, gate: Gate, transactions: Transactions) -> None:
        self._gate = gate
        self._transactions = transactions

    def write(
        self,
        call: Call,
        source: Source,
        rule: SourceRule,
        schema: Schema,
        statement: Statement,
        given: Sequence[Mapping[str, Any]],
        scope: Scope,
        is_gone: Callable[[], bool],
    ) -> Done | None:
        """Do a write, once for each set of parameters; None where it has to be proposed like any other.

        Inside of a transaction nothing is proposed: raises ApprovalRequired. A caller who `is_gone` meanwhile finds
        nothing written.
        """
        plan = self._plan(call, rule, schema, statement, given, scope)
        if plan is None:
            return None
        with self._gate.places.taken(call.principal.id, source.name, plan.limits):
            if scope.is_alone:
                return self._alone(call, source, plan, is_gone)
            return self._together(call, source, schema, plan, scope, is_gone)

    def _together(
        self, call: Call, source: Source, schema: Schema, plan: _Planned, scope: Scope, is_gone: Callable[[], bool]
    ) -> Done:
        transaction = scope.transaction or self._transactions.begin(call, source, schema.engine, plan.limits)
        try:
            done = self._within(call, source.name, plan, transaction, is_gone)
        except BaseException:
            if scope.transaction is None:
                self._transactions.roll_back(transaction, "rolled back: its write was refused or failed")
            raise
        finally:
            if scope.transaction is None:
                self._transactions.give_back(transaction)
        return replace(done, transaction=transaction.id)

    def _plan(
        self,
        call: Call,
        rule: SourceRule,
        schema: Schema,
        statement: Statement,
        given: Sequence[Mapping[str, Any]],
        scope: Scope,
    ) -> _Planned | None:
        gate = self._gate
        if not rule.is_sandbox:
            return None
        is_direct = sql.can_be_direct(statement)
        can_be_proposed = scope.is_alone and len(given) == 1
        if not is_direct and can_be_proposed:
            return None
        own = own_values(gate, schema.source, call.principal)
        parameters = tuple({**bind(statement, one, {}), **own} for one in given)
        decided = decide_write(gate, call, statement, schema, needs_key=not is_direct)
        check_reason(call, decided.allowed)
        obligations = decided.allowed.obligations.values()
        # A view has no key, and is written by nobody; what goes in steps needs one.
        is_direct = (
            is_direct
            and all(one.shows_all_of(schema.tables[one.table]) for one in obligations)
            and not any(schema.tables[one.table].is_view for one in obligations)
        )
        if not is_direct and can_be_proposed:
            return None
        if not is_direct:
            decided = decide_write(gate, call, statement, schema)
        tables = frozenset(use.table for use in decided.uses)
        return _Planned(
            schema=schema,
            decided=decided,
            parameters=parameters,
            plan=sql.write_directly(statement, schema, tables, nonce=gate.new_id()) if is_direct else None,
            limits=gate.limits(rule, decided.allowed.limits),
            told=_told(facts(gate, schema.source, schema, decided, given[0] if given else {}), given, gate),
        )

    def _alone(self, call: Call, source: Source, plan: _Planned, is_gone: Callable[[], bool]) -> Done | None:
        """In a transaction of its own."""
        intent = intend(self._gate, call, plan.told)
        try:
            with source.writing(plan.limits) as session:
                run = _Run(session=session, ends_at=time.monotonic() + LONGEST_S, is_gone=is_gone)
                done = self._run(call, source.name, plan, run, intent, (0, 0))
                run.check()
                session.commit()
        except _NeedsPeople:
            tell(self._gate, call, source.name, intent, 0, detail="rolled back, and proposed")
            return None
        except GatebookError as error:
            fail(self._gate, call, source.name, intent, error)
            raise
        tell(self._gate, call, source.name, intent, done.rows)
        return done

    def _within(
        self, call: Call, source: str, plan: _Planned, transaction: Transaction, is_gone: Callable[[], bool]
    ) -> Done:
        intent = intend(self._gate, call, plan.told, transaction.id)
        # An upsert or a merge counts for each right that it needs.
        kinds = [(step.use.table, str(step.use.access)) for step in plan.decided.write.steps]
        together = (kinds[0][0], _BY_ANY_RIGHT)
        before = (max(transaction.counts.get(kind, 0) for kind in kinds), transaction.counts.get(together, 0))
        run = _Run(session=transaction.session, ends_at=transaction.ends_at, is_gone=is_gone)
        try:
            run.session.limit_time(plan.limits.time_s)
            done = self._run(call, source, plan, run, intent, before)
            run.check()
        except _NeedsPeople as refused:
            error = ApprovalRequired(NOT_INSIDE)
            fail(self._gate, call, source, intent, error)
            raise error from refused
        except GatebookError as error:
            fail(self._gate, call, source, intent, error)
            raise
        for kind in {*kinds, together}:
            transaction.counts[kind] = transaction.counts.get(kind, 0) + done.rows
        transaction.rows += done.rows
        tell(self._gate, call, source, intent, done.rows, detail="done, and not committed yet")
        return done

    def _run(self, call: Call, source: str, plan: _Planned, run: _Run, intent: int, before: tuple[int, int]) -> Done:
        """Write; `before` are the rows that the transaction wrote already: by the same rights, and by any."""
        gate, session, count = self._gate, run.session, 0
        gathered = Gathered(plan.limits)
        for parameters in plan.parameters:
            run.check()
            if plan.plan is not None:
                returns = plan.decided.returning is not None
                rows, changed = session.run(plan.plan.sql, used(parameters, plan.plan), returns=returns)
                gathered.add(rows)
            else:
                most = gate.settings.preview_rows
                applied = apply(session, plan.decided, (parameters,), plan.schema, most, plan.limits)
                changed = applied.rows
                gathered.extend(applied.returned)
            count += changed
        self._check_quorum(call, source, plan.decided, before[0] + count, before[1] + count)
        last_id = session.last_id if plan.plan is not None else None
        return Done(rows=count, index=intent, returned=_returned(plan.decided, gathered), last_id=last_id)

    def _check_quorum(self, call: Call, source_name: str, decided: DecidedWrite, rows: int, together: int) -> None:
        approving = approving_for(
            self._gate.policy, source_name, decided, rows, call.principal, None, {}, rows_together=together
        )
        if approving.requirements or (approving.needs_reason and not (call.reason or "").strip()):
            raise _NeedsPeople


def _returned(decided: DecidedWrite, gathered: Gathered) -> Returned | None:
    told = decided.returning
    if told is None:
        return None
    return Returned(columns=told.columns, rows=tuple(gathered.rows), sight=told.sight)


def _told(told: dict[str, Any], given: Sequence[Mapping[str, Any]], gate: Gate) -> dict[str, Any]:
    """What the book has of many sets of parameters: the first one as ever, and a keyed digest of all."""
    if len(given) < 2:
        return told
    whole = json.dumps([{name: encode(value) for name, value in one.items()} for one in given])
    digest = recorded_parameters({"sets": whole}, {"sets"}, gate.keys.digest)["sets"]
    return {**told, "extra": {"sets": str(len(given)), "sets_digest": digest}}
