"""What is done at once in a sandbox? Writes of tables that nothing hides, and changes of the schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatebook_hub import policy, sql
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.changes import Returned
from gatebook_hub.errors import GatebookError, KindRefused, WriteRefused
from gatebook_hub.model import Access, Allowed, Schema, TableObligation, TableUse
from gatebook_hub.policy.rules import SourceRule
from gatebook_hub.services.applying import Gathered
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.quorums import approving_for
from gatebook_hub.services.statements import (
    DecidedWrite,
    allowed_of,
    bind,
    check_reason,
    decide_write,
    facts,
    refused_facts,
    used,
)
from gatebook_hub.sources.source import Source
from gatebook_hub.sql import Definition, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A write or a change of the schema that needed nobody: its rows, and its intent in the book."""

    rows: int
    index: int
    returned: Returned | None = None


class _NeedsPeople(Exception):
    """The write matches a rule that asks for people: it is rolled back, and proposed."""


class Sandbox:
    """Writes and definitions in sources that are marked so."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def write(
        self,
        call: Call,
        source: Source,
        rule: SourceRule,
        schema: Schema,
        statement: Statement,
        given: Mapping[str, Any],
    ) -> Done | None:
        """Do a write as one statement; None where it has to be proposed like any other."""
        gate = self._gate
        if not rule.is_sandbox or not sql.can_be_direct(statement):
            return None
        parameters = bind(statement, given, {})
        decided = decide_write(gate, call, statement, schema, needs_key=False)
        check_reason(call, decided.allowed)
        if not all(
            obligation.shows_all_of(schema.tables[obligation.table])
            for obligation in decided.allowed.obligations.values()
        ):
            return None
        if schema.tables[decided.write.table.name].is_view:
            return None  # which has no key, and is written by nobody
        tables = frozenset(use.table for use in decided.uses)
        plan = sql.write_directly(statement, schema, tables, nonce=gate.new_id())
        intent = self._intend(call, facts(gate, source.name, schema, decided, given))
        try:
            limits = gate.limits(rule, decided.allowed.limits)
            with source.writing(limits) as session:
                rows, count = session.run(plan.sql, used(parameters, plan))
                self._check_quorum(call, source.name, decided, count)
                gathered = Gathered(limits)
                gathered.add(rows)
                session.commit()
        except _NeedsPeople:
            self._tell(call, source.name, intent, 0, detail="rolled back, and proposed")
            return None
        except GatebookError as error:
            self._fail(call, source.name, intent, error)
            raise
        self._tell(call, source.name, intent, count)
        return Done(rows=count, index=intent, returned=_returned(decided, gathered))

    def define(self, call: Call, source_name: str, text: str) -> Done:
        """Change the schema; raises KindRefused for sources that are no sandboxes."""
        gate = self._gate
        try:
            source, rule, schema = gate.source(source_name, call.principal)
            if not rule.is_sandbox:
                raise KindRefused(sql.refusal_of(text))
            definition = sql.parse_definition(text, schema)
            tables = sorted({definition.table, *definition.references})
            decision = policy.decide_definition(
                gate.policy, call.principal, source_name, tables, gate.circumstances(call.purpose)
            )
            allowed = allowed_of(decision)
            check_reason(call, allowed)
            self._check_seen(call, schema, definition)
            obligations = self._query(call, source_name, schema, definition)
            sent = sql.write_definition(definition, schema, obligations, nonce=gate.new_id())
        except GatebookError as error:
            told = refused_facts(gate, source_name, text, error)
            error.reference = gate.refuse(EventKind.QUERY_REFUSED, call, error, **told)
            raise
        return self._define(call, source, rule, allowed, definition, sent)

    def _define(
        self, call: Call, source: Source, rule: SourceRule, allowed: Allowed, definition: Definition, sent: str
    ) -> Done:
        gate = self._gate
        intent = self._intend(
            call,
            {
                "source": source.name,
                "statement": definition.shape,
                "tables": ({"table": definition.table, "access": "ddl", "columns": []},),
                "rules": tuple(ref.id for ref in allowed.rules),
            },
        )
        try:
            with source.writing(gate.limits(rule, allowed.limits)) as session:
                _, count = session.run(sent, {})
                session.commit()
        except GatebookError as error:
            self._fail(call, source.name, intent, error)
            raise
        finally:
            source.forget_schema()
        rows = max(count, 0) if definition.query is not None else 0
        self._tell(call, source.name, intent, rows)
        return Done(rows=rows, index=intent)

    def _check_seen(self, call: Call, schema: Schema, definition: Definition) -> None:
        """A check, an index or a reference tells of the values that are there: of a table that one sees whole."""
        gate = self._gate
        known = sorted({definition.table, *definition.references} & schema.tables.keys())
        if any(schema.tables[name].is_view for name in known):
            raise WriteRefused("a view keeps what it is")
        uses = [TableUse(table=name, access=Access.SELECT) for name in known]
        if definition.is_drop or not uses:
            return
        found = policy.decide(gate.policy, call.principal, schema, uses, at=gate.circumstances(call.purpose))
        for name, obligation in allowed_of(found).obligations.items():
            if not obligation.shows_all_of(schema.tables[obligation.table]):
                raise WriteRefused(f"you do not see all of `{name}`, so you do not change it either")

    def _query(
        self, call: Call, source_name: str, schema: Schema, definition: Definition
    ) -> Mapping[str, TableObligation]:
        """What the read behind `create table … as` may take: tables that nothing hides anything of, for anybody."""
        if definition.query is None:
            return {}
        gate = self._gate
        uses = definition.query.uses
        allowed = allowed_of(
            policy.decide(gate.policy, call.principal, schema, uses, at=gate.circumstances(call.purpose))
        )
        check_reason(call, allowed)
        for name, obligation in allowed.obligations.items():
            is_hiding = schema.tables[name].is_view and policy.has_protections(gate.policy, source_name)
            if (
                is_hiding
                or policy.is_protected(gate.policy, source_name, name)
                or not obligation.shows_all_of(schema.tables[obligation.table])
            ):
                raise WriteRefused(f"rules protect `{name}`, and they would not follow it into another table")
        return allowed.obligations

    def _check_quorum(self, call: Call, source_name: str, decided: DecidedWrite, rows: int) -> None:
        approving = approving_for(self._gate.policy, source_name, decided, rows, call.principal, None, {})
        if approving.requirements or (approving.needs_reason and not (call.reason or "").strip()):
            raise _NeedsPeople

    def _intend(self, call: Call, told: Mapping[str, Any]) -> int:
        gate = self._gate
        return gate.book.append(gate.event(EventKind.QUERY_INTENT, call, extra={"step": "sandbox"}, **told))

    def _tell(self, call: Call, source: str, intent: int, rows: int, detail: str | None = None) -> None:
        gate = self._gate
        gate.book.append(
            gate.event(
                EventKind.QUERY_OUTCOME, call, source=source, refers_to=intent, outcome=Outcome.OK, rows=rows,
                detail=detail,
            )
        )  # fmt: skip

    def _fail(self, call: Call, source: str, intent: int, error: GatebookError) -> None:
        gate = self._gate
        error.reference = intent
        gate.book.append(
            gate.event(
                EventKind.QUERY_OUTCOME, call, source=source, refers_to=intent, outcome=Outcome.FAILED,
                code=error.code, detail=str(error),
            )
        )  # fmt: skip


def _returned(decided: DecidedWrite, gathered: Gathered) -> Returned | None:
    told = decided.returning
    if told is None:
        return None
    return Returned(columns=told.columns, rows=tuple(gathered.rows), sight=told.sight)
