"""What would a write change, and who would have to agree? It is done in a transaction that is rolled back."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gatebook_hub import policy
from gatebook_hub.audit import EventKind, recorded_parameters
from gatebook_hub.changes import ChangeRequest, Draft, RowKey
from gatebook_hub.errors import (
    EffectMissed,
    GatebookError,
    InvalidInput,
    LimitExceeded,
    NotOneStatement,
    WriteRefused,
)
from gatebook_hub.model import Channel, Limits, Principal, Schema
from gatebook_hub.policy import Action
from gatebook_hub.policy.rules import SourceRule
from gatebook_hub.services.acting import DecidedCheck, decide_checks, hold
from gatebook_hub.services.applying import Applied, apply_all, unseen
from gatebook_hub.services.by_key import RowsByKey
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.quorums import approving_of_all, check_has_reason, risks_of_all
from gatebook_hub.services.statements import (
    DecidedWrite,
    Prepared,
    bind,
    check_order,
    check_reason,
    decide_write,
    facts,
    own_values,
)
from gatebook_hub.services.steps import tightest
from gatebook_hub.services.surveying import Survey, can_be_surveyed, too_many
from gatebook_hub.services.undoing import WayBack, prepare, unmoved, ways_back
from gatebook_hub.services.undoing_many import SurveyBack, prepare_many
from gatebook_hub.services.warning import warnings_of
from gatebook_hub.sources.source import Source, WriteSession
from gatebook_hub.sql import Statement, StatementKind, WritePlan
from gatebook_hub.stores.runs import starter_of
from gatebook_hub.values import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """A write that was previewed, and its intent in the book, which waits for its outcome."""

    draft: Draft
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """Writes whose preview may run, one after the other, and where; what they are as a request."""

    source: Source
    schema: Schema
    writes: tuple[Prepared, ...]
    limits: Limits
    statement: str
    given: tuple[Mapping[str, Any], ...]
    action: Action | None
    checks: tuple[DecidedCheck, ...] = ()
    checked: frozenset[str] = frozenset()
    undoes: ChangeRequest | None = None
    ways: tuple[WayBack, ...] = ()
    left: tuple[RowKey, ...] = ()

    @property
    def first(self) -> DecidedWrite:
        """The one that is done first."""
        return self.writes[0].decided

    @property
    def plans(self) -> tuple[WritePlan, ...]:
        """What is written, each plan once."""
        return tuple({id(one.decided): one.decided.write for one in self.writes}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks to be written: statements, one after the other, or one, once for each set of values.

    `checked` are parameters that no statement names, but a check of the action.
    """

    statements: tuple[Statement, ...]
    sets: tuple[Mapping[str, Any], ...]
    text: str
    checked: frozenset[str] = frozenset()


def preview(
    gate: Gate, call: Call, source_name: str, asked: Asked, action: Action | None = None, *, is_dry_run: bool = False
) -> Previewed:
    """Decide a write and see which rows it changes; a refusal after the intent is in the book, others are not yet."""
    source, rule, schema = opened(gate, source_name, call.principal, action)
    now = gate.now()
    own = {"gb_principal": call.principal.known_as, "gb_now": text_time(now)} if action else {}
    values = own_values(gate, source_name, call.principal)
    given = _bound(asked, own)
    writes = decide_script(gate, call, asked.statements, given, values, schema, action)
    for one in writes:
        check_reason(call, one.decided.allowed)
    write = _Decided(
        source=source,
        schema=schema,
        writes=writes,
        limits=gate.limits(rule, tightest(*(one.decided.allowed.limits for one in writes))),
        statement=asked.text,
        given=given,
        action=action,
        checks=decide_checks(gate, call, action, schema),
        checked=asked.checked,
    )
    return _previewed(gate, call, write, "dry_run" if is_dry_run else "preview", now)


def _bound(asked: Asked, own: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The sets of values, each with exactly those that are named; raises ParameterMismatch, InvalidInput."""
    if len(asked.statements) > 1 and len(asked.sets) != 1:
        raise InvalidInput("several statements take one set of values; send one statement with several sets")
    named = asked.checked.union(*(statement.parameters for statement in asked.statements))
    return tuple(bind(replace(asked.statements[0], parameters=named), one, own) for one in asked.sets)


def decide_script(
    gate: Gate,
    call: Call,
    statements: Sequence[Statement],
    given: Sequence[Mapping[str, Any]],
    own: Mapping[str, Any],
    schema: Schema,
    action: Action | None,
) -> tuple[Prepared, ...]:
    """Each of the statements decided, with the values that it names of each set; raises what `decide_write` raises."""
    found = []
    for statement in statements:
        if statement.kind is StatementKind.READ:
            raise NotOneStatement("several statements of one cell are writes; send the read alone")
        sets = tuple({**{name: one[name] for name in statement.parameters if name in one}, **own} for one in given)
        found.append(Prepared(decided=decide_write(gate, call, statement, schema, action), sets=sets))
    check_order(found, schema)
    return tuple(found)


def preview_undo(gate: Gate, call: Call, change: ChangeRequest) -> Previewed:
    """Decide what takes an executed change back, and see which rows that changes; raises Drifted, EffectMissed.

    Rows that somebody has changed since are left as they are.
    """
    action = _action_of(gate, change)
    source, rule, schema = opened(gate, change.source, call.principal, action)
    assert change.image is not None
    ways: tuple[WayBack, ...] = ()
    text = ""
    if change.is_large:
        prepared, text = prepare_many(gate, call, source.name, schema, change, action)
    else:
        ways = ways_back(change.image, schema)
        prepared = prepare(gate, call, source.name, schema, ways, action)
    limits = gate.limits(rule, tightest(*(one.decided.allowed.limits for one in prepared)))
    for one in prepared:
        check_reason(call, one.decided.allowed)
    write = _Decided(
        source=source,
        schema=schema,
        writes=prepared,
        limits=limits,
        statement=text,
        given=({},),
        action=action,
        undoes=change,
        ways=ways,
    )
    return _previewed(gate, call, write, "preview", gate.now())


def _previewed(gate: Gate, call: Call, write: _Decided, step: str, now: dt.datetime) -> Previewed:
    """The intent, the preview, and what it shows."""
    source, action = write.source.name, write.action
    with gate.places.taken(call.principal.id, source, write.limits):
        told = facts(gate, source, write.schema, write.first, write.given[0])
        extra = {"step": step, **({"undoes": write.undoes.id} if write.undoes else {}), **_more(gate, write)}
        name = action.name if action else None
        intent = gate.book.append(gate.event(EventKind.QUERY_INTENT, call, action=name, extra=extra, **told))
        try:
            draft = _draft(gate, call, write, now)
        except GatebookError as error:
            error.reference = intent
            gate.book.append(gate.ended(EventKind.QUERY_OUTCOME, call, error, source=source, refers_to=intent))
            raise
    return Previewed(draft=draft, index=intent)


def _more(gate: Gate, write: _Decided) -> dict[str, str]:
    """What the book has of the statements and the values beyond the first: how many, and a keyed digest of all."""
    if len(write.writes) == 1 and len(write.given) == 1:
        return {}
    whole = json.dumps(
        [
            [one.decided.statement.text for one in write.writes],
            [{name: encode(value) for name, value in one.items()} for one in write.given],
        ]
    )
    digest = recorded_parameters({"script": whole}, {"script"}, gate.keys.digest)["script"]
    return {"statements": str(len(write.writes)), "sets": str(len(write.given)), "script_digest": digest}


def opened(gate: Gate, name: str, principal: Principal, action: Action | None) -> tuple[Source, SourceRule, Schema]:
    """The source of a write; that of an action is open to whoever may call the action."""
    if action is None:
        return gate.source(name, principal)
    source = gate.in_force.sources.get(name)
    return source, gate.policy.sources[name], source.schema()


def _draft(gate: Gate, call: Call, write: _Decided, now: dt.datetime) -> Draft:
    source, action = write.source, write.action
    with source.writing(write.limits) as session:
        if write.undoes is not None and write.undoes.is_large:
            write, applied = _back(gate, call, session, write, now)
        else:
            if write.undoes is not None:
                write = _of_unmoved(gate, call, session, write)
            own = own_values(gate, source.name, call.principal)
            hold(session, write.checks, [{**own, **one} for one in write.given])
            applied = _applied(gate, call, session, write, now)
    _check_left(write, applied)
    if not any(diff.total for diff in applied.diffs) and (action is None or write.undoes):
        raise EffectMissed("no row would change, so there is nothing to ask for")
    approving = _approving(gate, call, write, applied, now)
    check_has_reason(gate.policy, approving, call.reason)
    expected = action.expect_rows if action is not None and not write.undoes else None
    if action is not None and expected is not None and applied.rows != expected * len(write.given):
        raise EffectMissed(action.otherwise)
    kinds = list(dict.fromkeys(str(one.decided.write.kind) for one in write.writes))
    rules = {rule.id: rule for one in write.writes for rule in one.decided.allowed.rules}
    sets = () if write.undoes else _kept(write)
    return Draft(
        source=source.name,
        table=write.first.write.table.name,
        operation=kinds[0] if len(kinds) == 1 else str(StatementKind.MERGE),
        statement=write.statement,
        parameters=sets[0] if len(sets) == 1 else {},
        sets=sets if len(sets) > 1 else (),
        action=action.name if action else None,
        requester=call.principal,
        reason=call.reason,
        created_at=now,
        expires_at=now + dt.timedelta(hours=min(gate.settings.change_ttl_h, approving.expires_h or math.inf)),
        diffs=applied.diffs,
        effects=applied.effects,
        beside=applied.beside,
        warnings=_warnings(write, applied),
        requirements=approving.requirements,
        rules=(*(rules[name] for name in sorted(rules)), *approving.rules),
        purpose=call.purpose,
        schema_version=write.schema.version,
        execution=approving.execution,
        glasses=approving.glasses,
        behind=behind(gate, call.principal),
        risks=risks_of_all(gate.policy, source.name, write.plans, applied, now),
        undoes=write.undoes.id if write.undoes else None,
        left=write.left,
    )


def _check_left(write: _Decided, applied: Applied) -> None:
    """Rows that an undo leaves do not go with those that it takes back; raises WriteRefused."""
    left = {one.sign for one in write.left}
    for diff in applied.diffs:
        if left and any(RowKey(table=diff.table, key=row.key).sign in left for row in diff.rows):
            raise WriteRefused("rows that have been changed since would go or change with those of the undo")


def _applied(gate: Gate, call: Call, session: WriteSession, write: _Decided, now: dt.datetime) -> Applied:
    """What would change; of more rows than are shown a sample, if the rules take it. Raises LimitExceeded."""
    most, shown = gate.settings.large_rows, gate.settings.preview_rows
    try:
        return apply_all(session, write.writes, write.schema, shown, write.limits)
    except LimitExceeded:
        if write.undoes or most <= shown or not can_be_surveyed(write.writes):
            raise
    survey = Survey(session, write.writes, write.schema, most, write.limits)
    return _sampled(gate, call, survey, write, now)


def _sampled(gate: Gate, call: Call, survey: Survey, write: _Decided, now: dt.datetime) -> Applied:
    outline = survey.outline()
    if not _approving(gate, call, write, outline, now).takes_sample:
        raise too_many(outline.rows, gate.settings.preview_rows)
    return survey.preview()


def _back(gate: Gate, call: Call, session: WriteSession, write: _Decided, now: dt.datetime) -> tuple[_Decided, Applied]:
    """The way back of more rows than are shown, without those that have changed since; raises EffectMissed."""
    assert write.undoes is not None
    rows = partial(gate.changes.images.rows, write.undoes.id)
    survey = SurveyBack(session, write.writes, write.schema, write.undoes, rows, write.limits)
    applied = _sampled(gate, call, survey, write, now)
    if len(survey.left) > gate.settings.preview_rows:
        raise EffectMissed(
            f"{len(survey.left):,} rows of the change have been changed since; they would stay as they are"
        )
    return replace(write, left=tuple(survey.left)), applied


def _approving(gate: Gate, call: Call, write: _Decided, applied: Applied, now: dt.datetime) -> policy.Approving:
    return approving_of_all(
        gate.policy,
        write.schema,
        write.writes,
        applied,
        call.principal,
        write.action,
        write.given,
        now,
        is_undo=bool(write.undoes),
    )


def _kept(write: _Decided) -> tuple[Mapping[str, Any], ...]:
    """The values of the statements as the request keeps them."""
    named = write.checked.union(*(one.decided.statement.parameters for one in write.writes))
    return tuple({name: encode(value) for name, value in one.items() if name in named} for one in write.given)


def _check_sight(session: WriteSession, write: _Decided) -> None:
    """Who undoes a change sees all of its rows: a part of it would be called undone otherwise. Raises WriteRefused."""
    for one in write.writes:
        table, scope = one.decided.write.table, one.decided.steps[0].scope
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


def behind(gate: Gate, principal: Principal) -> tuple[str, ...]:
    """Who started the run of a job, if it was a person."""
    if principal.run_id is None or principal.channel is Channel.CHECK_TOKEN:
        return ()
    starter = starter_of(gate.runs.get(principal.run_id).trigger)
    return () if starter is None else (starter,)


def _of_unmoved(gate: Gate, call: Call, session: WriteSession, write: _Decided) -> _Decided:
    """An undo without the rows that somebody has changed since; raises EffectMissed when those are all."""
    _check_sight(session, write)
    kept = unmoved(session, write.ways, write.schema)
    if not kept:
        raise EffectMissed("every row of the change has been changed since, so there is nothing to take back")
    moved = set(map(id, write.ways)) - set(map(id, kept))
    return replace(
        write,
        writes=prepare(gate, call, write.source.name, write.schema, kept, write.action),
        statement="\n".join(dict.fromkeys(f"{way.text};" for way in kept)),
        left=tuple(RowKey(table=way.table, key=way.row.key) for way in write.ways if id(way) in moved),
    )


def _warnings(write: _Decided, applied: Applied) -> tuple[str, ...]:
    found = [*warnings_of(write.plans, applied, write.schema)]
    if write.undoes and write.action is not None:
        found.append(f"the conditions of the action `{write.action.name}` are not checked for an undo")
    if write.left:
        rows = "1 row has been changed since, and stays as it is"
        many = f"{len(write.left):,} rows have been changed since, and stay as they are"
        found.append(rows if len(write.left) == 1 else many)
    return tuple(found)


def text_time(now: dt.datetime) -> str:
    """A moment as `:gb_now` has it."""
    return now.strftime("%Y-%m-%d %H:%M:%S")
