"""What would a write change, and who would have to agree? It is done in a transaction that is rolled back."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, Draft, RowDiff
from gatebook_hub.changes.risk import Risk
from gatebook_hub.errors import AccessRefused, EffectMissed, GatebookError, WriteRefused
from gatebook_hub.model import Limits, Principal, Schema
from gatebook_hub.policy import Action
from gatebook_hub.policy.rules import SourceRule
from gatebook_hub.services.applying import Prepared, apply_all, unseen
from gatebook_hub.services.by_key import RowsByKey
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.quorums import approving_of_all, risks_of_write
from gatebook_hub.services.statements import DecidedWrite, bind, check_reason, decide_write, facts, own_values
from gatebook_hub.services.steps import tightest
from gatebook_hub.services.undoing import WayBack, prepare, unmoved, ways_back
from gatebook_hub.sources.source import Source, WriteSession
from gatebook_hub.sql import Statement, StatementKind
from gatebook_hub.stores.runs import starter_of
from gatebook_hub.values import encode

_MANY_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """A write that was previewed, and its intent in the book, which waits for its outcome."""

    draft: Draft
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """Writes of one table whose preview may run, and where; what they are as a request."""

    source: Source
    schema: Schema
    writes: tuple[Prepared, ...]
    limits: Limits
    statement: str
    given: Mapping[str, Any]
    action: Action | None
    undoes: str | None = None
    ways: tuple[WayBack, ...] = ()
    left: tuple[tuple[Any, ...], ...] = ()

    @property
    def first(self) -> DecidedWrite:
        """What all of them have in common: table, kind, and the rules of the caller."""
        return self.writes[0].decided


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
    write = _Decided(
        source=source,
        schema=schema,
        writes=(Prepared(decided=decided, sets=(parameters,)),),
        limits=gate.limits(rule, decided.allowed.limits),
        statement=statement.text,
        given=given,
        action=action,
    )
    return _previewed(gate, call, write, "dry_run" if is_dry_run else "preview", now)


def preview_undo(gate: Gate, call: Call, change: ChangeRequest) -> Previewed:
    """Decide what takes an executed change back, and see which rows that changes; raises Drifted, EffectMissed.

    Rows that somebody has changed since are left as they are.
    """
    action = _action_of(gate, change)
    source, rule, schema = opened(gate, change.source, call.principal, action)
    assert change.image is not None
    ways = ways_back(change.image, schema, change.table)
    prepared = prepare(gate, call, source.name, schema, ways, action)
    limits = gate.limits(rule, tightest(*(one.decided.allowed.limits for one in prepared)))
    for one in prepared:
        check_reason(call, one.decided.allowed)
    write = _Decided(
        source=source,
        schema=schema,
        writes=prepared,
        limits=limits,
        statement="",
        given={},
        action=action,
        undoes=change.id,
        ways=ways,
    )
    return _previewed(gate, call, write, "preview", gate.now())


def _previewed(gate: Gate, call: Call, write: _Decided, step: str, now: dt.datetime) -> Previewed:
    """The intent, the preview, and what it shows."""
    source, action = write.source.name, write.action
    with gate.places.taken(call.principal.id, source, write.limits):
        told = facts(gate, source, write.schema, write.first, write.given)
        extra = {"step": step, **({"undoes": write.undoes} if write.undoes else {})}
        name = action.name if action else None
        intent = gate.book.append(gate.event(EventKind.QUERY_INTENT, call, action=name, extra=extra, **told))
        try:
            draft = _draft(gate, call, write, now)
        except GatebookError as error:
            error.reference = intent
            gate.book.append(gate.ended(EventKind.QUERY_OUTCOME, call, error, source=source, refers_to=intent))
            raise
    return Previewed(draft=draft, index=intent)


def opened(gate: Gate, name: str, principal: Principal, action: Action | None) -> tuple[Source, SourceRule, Schema]:
    """The source of a write; that of an action is open to whoever may call the action."""
    if action is None:
        return gate.source(name, principal)
    source = gate.in_force.sources.get(name)
    return source, gate.policy.sources[name], source.schema()


def _draft(gate: Gate, call: Call, write: _Decided, now: dt.datetime) -> Draft:
    source, action = write.source, write.action
    with source.writing(write.limits) as session:
        if write.undoes:
            write = _of_unmoved(gate, call, session, write)
        diff = apply_all(session, write.writes, write.schema, gate.settings.preview_rows, write.limits).diff
    if not diff.rows and (action is None or write.undoes):
        raise EffectMissed("no row would change, so there is nothing to ask for")
    approving = approving_of_all(
        gate.policy,
        source.name,
        write.writes,
        len(diff.rows),
        call.principal,
        action,
        write.given,
        now,
        is_undo=bool(write.undoes),
    )
    if approving.needs_reason and not (call.reason or "").strip():
        ask = "the same write with `reason=…`"
        wanting = [rule.ref.id for rule in gate.policy.approvals if rule.needs_reason and rule.ref in approving.rules]
        raise AccessRefused("this write needs a reason", rule=wanting[0], ask=ask)
    if action is not None and not write.undoes and action.expect_rows not in {None, len(diff.rows)}:
        raise EffectMissed(action.otherwise)
    kinds = list(dict.fromkeys(str(one.decided.write.kind) for one in write.writes))
    rules = {rule.id: rule for one in write.writes for rule in one.decided.allowed.rules}
    named = () if write.undoes else write.first.statement.parameters
    return Draft(
        source=source.name,
        table=write.first.write.table.name,
        operation=kinds[0] if len(kinds) == 1 else str(StatementKind.MERGE),
        statement=write.statement,
        parameters={name: encode(value) for name, value in write.writes[0].sets[0].items() if name in named},
        action=action.name if action else None,
        requester=call.principal,
        reason=call.reason,
        created_at=now,
        expires_at=now + dt.timedelta(hours=min(gate.settings.change_ttl_h, approving.expires_h or math.inf)),
        diff=diff,
        warnings=_warnings(write, diff),
        requirements=approving.requirements,
        rules=(*(rules[name] for name in sorted(rules)), *approving.rules),
        purpose=call.purpose,
        schema_version=write.schema.version,
        execution=approving.execution,
        glasses=approving.glasses,
        behind=_behind(gate, call.principal),
        risks=_risks(gate, write, len(diff.rows), now),
        undoes=write.undoes,
        left=write.left,
    )


def _check_sight(session: WriteSession, write: _Decided) -> None:
    """Who undoes a change sees all of its rows: a part of it would be called undone otherwise. Raises WriteRefused."""
    table = write.first.write.table
    for one in write.writes:
        scope = one.decided.steps[0].scope
        if scope is None or one.decided.write.kind is StatementKind.INSERT:
            continue
        keys = [tuple(values[f"k{index}"] for index in range(len(table.key))) for values in one.sets]
        hidden = unseen(session, scope, keys, one.sets[0])
        if any(row is not None for row in RowsByKey(session, table, write.schema).read(hidden)):
            raise WriteRefused("rows of the change are outside of what you may see; who sees all of them may undo it")


def _action_of(gate: Gate, change: ChangeRequest) -> Action | None:
    """The action that made a change, while it is the same one: by its right it may be taken back."""
    action = gate.policy.actions.get(change.action) if change.action else None
    if action is None or action.source != change.source:
        return None
    known = {rule.id: rule.digest for rule in change.rules}
    return action if known.get(f"action:{action.name}") == action.digest else None


def _behind(gate: Gate, principal: Principal) -> tuple[str, ...]:
    """Who started the run of a job, if it was a person."""
    if principal.run_id is None:
        return ()
    starter = starter_of(gate.runs.get(principal.run_id).trigger)
    return () if starter is None else (starter,)


def _of_unmoved(gate: Gate, call: Call, session: WriteSession, write: _Decided) -> _Decided:
    """An undo without the rows that somebody has changed since; raises EffectMissed when those are all."""
    _check_sight(session, write)
    kept = unmoved(session, write.ways, write.schema, write.first.write.table.name)
    if not kept:
        raise EffectMissed("every row of the change has been changed since, so there is nothing to take back")
    moved = set(map(id, write.ways)) - set(map(id, kept))
    return replace(
        write,
        writes=prepare(gate, call, write.source.name, write.schema, kept, write.action),
        statement="\n".join(dict.fromkeys(f"{way.text};" for way in kept)),
        left=tuple(way.row.key for way in write.ways if id(way) in moved),
    )


def _risks(gate: Gate, write: _Decided, rows: int, now: dt.datetime) -> tuple[Risk, ...]:
    plans = {id(one.decided): one.decided.write for one in write.writes}.values()
    found = {risk for plan in plans for risk in risks_of_write(gate.policy, plan, write.source.name, rows, now)}
    return tuple(sorted(found, key=lambda risk: (-risk.points, risk.sentence)))


def _warnings(write: _Decided, diff: RowDiff) -> tuple[str, ...]:
    found = []
    if not write.first.write.has_condition:
        found.append("the statement has no condition: it writes every row that the requester may see")
    if len(diff.rows) > _MANY_ROWS:
        found.append(f"{len(diff.rows):,} rows are concerned")
    table = write.first.write.table
    if table.triggers:
        named = ", ".join(f"`{name}`" for name in sorted(table.triggers))
        found.append(f"the database itself does more at a write of `{table.name}` than is shown here: {named}")
    if reached := sorted({name for one in write.writes for name in one.decided.write.reached}):
        named = ", ".join(f"`{name}`" for name in reached)
        found.append(f"rows of {named} go or change with these, and are not shown here")
    if write.undoes and write.action is not None:
        found.append(f"the conditions of the action `{write.action.name}` are not checked for an undo")
    if write.left:
        rows = "1 row has" if len(write.left) == 1 else f"{len(write.left):,} rows have"
        found.append(f"{rows} been changed since, and stay as they are")
    return tuple(found)


def _text_time(now: dt.datetime) -> str:
    return now.strftime("%Y-%m-%d %H:%M:%S")
