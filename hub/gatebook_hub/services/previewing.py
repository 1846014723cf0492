"""What would a write change, and who would have to agree? It is done in a transaction that is rolled back."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import Draft, RowDiff
from gatebook_hub.errors import AccessRefused, EffectMissed, GatebookError
from gatebook_hub.model import Limits, Principal, Schema
from gatebook_hub.policy import Action
from gatebook_hub.policy.rules import SourceRule
from gatebook_hub.services.applying import apply
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.quorums import approving_for
from gatebook_hub.services.statements import DecidedWrite, bind, check_reason, decide_write, facts, own_values
from gatebook_hub.sources.source import Source
from gatebook_hub.sql import Statement
from gatebook_hub.values import encode

_MANY_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """A write that was previewed, and its intent in the book, which waits for its outcome."""

    draft: Draft
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """A write whose preview may run, and where."""

    source: Source
    schema: Schema
    decided: DecidedWrite
    parameters: Mapping[str, Any]
    limits: Limits


def preview(
    gate: Gate,
    call: Call,
    source_name: str,
    statement: Statement,
    given: Mapping[str, Any],
    action: Action | None = None,
    *,
    is_dry_run: bool = False,
) -> Previewed:
    """Decide a write and see which rows it changes; a refusal after the intent is in the book, others are not yet."""
    source, rule, schema = opened(gate, source_name, call.principal, action)
    now = gate.now()
    own = {"gb_principal": call.principal.known_as, "gb_now": _text_time(now)} if action else {}
    parameters = {**bind(statement, given, own), **own_values(gate, source_name, call.principal)}
    decided = decide_write(gate, call, statement, schema, action)
    check_reason(call, decided.allowed)
    limits = gate.limits(rule, decided.allowed.limits)
    write = _Decided(source=source, schema=schema, decided=decided, parameters=parameters, limits=limits)
    with gate.places.taken(call.principal.id, source.name, limits):
        told = facts(gate, source_name, schema, decided, given)
        step = {"step": "dry_run" if is_dry_run else "preview"}
        name = action.name if action else None
        intent = gate.book.append(gate.event(EventKind.QUERY_INTENT, call, action=name, extra=step, **told))
        try:
            draft = _draft(gate, call, write, given, action, now)
        except GatebookError as error:
            error.reference = intent
            gate.book.append(gate.ended(EventKind.QUERY_OUTCOME, call, error, source=source_name, refers_to=intent))
            raise
    return Previewed(draft=draft, index=intent)


def opened(gate: Gate, name: str, principal: Principal, action: Action | None) -> tuple[Source, SourceRule, Schema]:
    """The source of a write; that of an action is open to whoever may call the action."""
    if action is None:
        return gate.source(name, principal)
    source = gate.in_force.sources.get(name)
    return source, gate.policy.sources[name], source.schema()


def _draft(
    gate: Gate, call: Call, write: _Decided, given: Mapping[str, Any], action: Action | None, now: dt.datetime
) -> Draft:
    decided, source = write.decided, write.source
    with source.writing(write.limits) as session:
        diff = apply(session, decided, write.parameters, write.schema, gate.settings.preview_rows, write.limits).diff
    if not diff.rows and action is None:
        raise EffectMissed("no row would change, so there is nothing to ask for")
    approving = approving_for(gate.policy, source.name, decided, len(diff.rows), call.principal, action, given)
    if approving.needs_reason and not (call.reason or "").strip():
        ask = "the same write with `reason=…`"
        wanting = [rule.ref.id for rule in gate.policy.approvals if rule.needs_reason and rule.ref in approving.rules]
        raise AccessRefused("this write needs a reason", rule=wanting[0], ask=ask)
    if action is not None and action.expect_rows not in {None, len(diff.rows)}:
        raise EffectMissed(action.otherwise)
    named = decided.statement.parameters
    return Draft(
        source=source.name,
        table=decided.write.table.name,
        operation=str(decided.write.kind),
        statement=decided.statement.text,
        parameters={name: encode(value) for name, value in write.parameters.items() if name in named},
        action=action.name if action else None,
        requester=call.principal,
        reason=call.reason,
        created_at=now,
        expires_at=now + dt.timedelta(hours=min(gate.settings.change_ttl_h, approving.expires_h or math.inf)),
        diff=diff,
        warnings=_warnings(decided, diff),
        requirements=approving.requirements,
        rules=(*decided.allowed.rules, *approving.rules),
        purpose=call.purpose,
        schema_version=write.schema.version,
    )


def _warnings(decided: DecidedWrite, diff: RowDiff) -> tuple[str, ...]:
    found = []
    if not decided.write.has_condition:
        found.append("the statement has no condition: it writes every row that the requester may see")
    if len(diff.rows) > _MANY_ROWS:
        found.append(f"{len(diff.rows):,} rows are concerned")
    return tuple(found)


def _text_time(now: dt.datetime) -> str:
    return now.strftime("%Y-%m-%d %H:%M:%S")
