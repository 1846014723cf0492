"""What must happen before a measured write is done? Each kind of write in it is asked about; the strictest wins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from typing import Any

from gatebook_hub import policy, sql
from gatebook_hub.changes.request import RowKind
from gatebook_hub.changes.risk import Risk, Stakes, risks_of, score
from gatebook_hub.errors import AccessRefused
from gatebook_hub.model import Access, Glass, Principal, Requirement, RuleRef, Schema
from gatebook_hub.policy import Action, Approving, PolicySet, WriteFacts
from gatebook_hub.services.applying import Applied
from gatebook_hub.services.statements import DecidedWrite, Prepared
from gatebook_hub.sql import WritePlan
from gatebook_hub.windows import Execution

_UNCOUNTED = 2**62
_ALONG = {RowKind.REMOVED: Access.DELETE, RowKind.CHANGED: Access.UPDATE}


def approving_for(
    policy_set: PolicySet,
    source: str,
    decided: DecidedWrite,
    rows: int,
    requester: Principal,
    action: Action | None,
    given: Mapping[str, Any],
    *,
    rows_together: int = 0,
    at: dt.datetime | None = None,
    applied: Applied | None = None,
    risk: int | None = None,
) -> Approving:
    """What the approval rules ask for of a decided write of so many rows, and so many with those of other rights.

    `applied` is what it changed, with the rows that go along; None where nobody counted those. `risk` are the points of
    the request that it is a part of.
    """
    tool = requester.tool.name if requester.tool else None
    own = write_facts(policy_set, decided.write, source, rows, tool, action, given, at)
    facts = [*own, *_along(decided.write, source, tool, applied)]
    if risk is not None:
        facts = [replace(item, risk=risk) for item in facts]
    facts = [replace(item, rows_together=rows_together) if item.rows < _UNCOUNTED else item for item in facts]
    return strictest(policy.approving_of(policy_set, item) for item in facts)


def approving_of_all(
    policy_set: PolicySet,
    schema: Schema,
    writes: Sequence[Prepared],
    applied: Applied,
    requester: Principal,
    action: Action | None,
    sets: Sequence[Mapping[str, Any]],
    at: dt.datetime,
    *,
    is_undo: bool,
) -> Approving:
    """What the rules ask for of several writes that are one request and changed that, asked for at that time.

    A rule about the parameters of an action speaks of each of their sets. One that frees an action from people speaks
    of its statement and its parameters: it frees no undo.
    """
    if is_undo:
        policy_set = replace(policy_set, approvals=tuple(rule for rule in policy_set.approvals if rule.require))
    different = {id(one.decided): one.decided for one in writes}.values()
    touched = applied.touched
    risk = score(risks_of_all(policy_set, schema.source, [decided.write for decided in different], applied, at))
    return strictest(
        approving_for(
            policy_set,
            schema.source,
            decided,
            touched.get(decided.write.table.name, 0),
            requester,
            action,
            given,
            rows_together=sum(touched.values()),
            at=at,
            applied=applied if are_counted(schema, decided.write) else None,
            risk=risk,
        )
        for decided in different
        for given in (sets if action is not None else sets[:1])
    )


def risks_of_all(
    policy_set: PolicySet, source: str, plans: Iterable[WritePlan], applied: Applied, at: dt.datetime
) -> tuple[Risk, ...]:
    """What could go wrong with all of a request, the heaviest first."""
    rows = sum(applied.touched.values())
    found = {
        risk
        for plan in plans
        for risk in risks_of_write(policy_set, plan, source, rows, at, is_most=plan.table.name in applied.most_of)
    }
    return tuple(sorted(found, key=lambda risk: (-risk.points, risk.sentence)))


def are_counted(schema: Schema, write: WritePlan) -> bool:
    """Whether the rows that go with deleted ones can all be found: by keys, and by what their references name."""
    tables = [schema.tables.get(name) for name in write.reached]
    return all(
        table is not None and table.key and all(sql.is_followed_exactly(table, one, schema) for one in table.references)
        for table in tables
    )


def _along(write: WritePlan, source: str, tool: str | None, applied: Applied | None) -> Iterable[WriteFacts]:
    """The facts of rows that go with deleted ones: as many as a rule may speak of, where nobody could count them."""
    along, touched = (applied.along, applied.touched) if applied is not None else ({}, {})
    for table, kind in product(sorted(write.reached), _ALONG):
        fact = WriteFacts(
            source=source, table=table, access=_ALONG[kind], rows=_UNCOUNTED, columns=frozenset(), tool=tool
        )
        if applied is None:
            yield fact
        elif (table, kind) in along:
            yield replace(fact, rows=touched[table], columns=None)


def write_facts(
    policy_set: PolicySet,
    write: WritePlan,
    source: str,
    rows: int,
    tool: str | None,
    action: Action | None,
    given: Mapping[str, Any],
    at: dt.datetime | None,
) -> Iterable[WriteFacts]:
    """The facts of each step; the risk is that of the whole."""
    risk = score(risks_of_write(policy_set, write, source, rows, at))
    for step in write.steps:
        yield WriteFacts(
            risk=risk,
            source=source,
            table=write.table.name,
            access=step.use.access,
            rows=rows,
            columns=step.use.writes,
            action=action.name if action else None,
            tool=tool,
            params=given if action else {},
        )


def check_has_reason(policy_set: PolicySet, approving: Approving, reason: str | None) -> None:
    """Raise AccessRefused for what a rule wants a reason for, and has none."""
    if approving.needs_reason and not (reason or "").strip():
        wanting = [rule.ref.id for rule in policy_set.approvals if rule.needs_reason and rule.ref in approving.rules]
        raise AccessRefused("this write needs a reason", rule=wanting[0], ask="the same write with `reason=…`")


def call_facts(action: Action, requester: Principal, given: Mapping[str, Any]) -> WriteFacts:
    """The facts of an action that calls another service: its parameters, and no row."""
    return WriteFacts(
        source=action.place,
        table="",
        access=Access.INSERT,
        rows=1,
        columns=frozenset(),
        action=action.name,
        tool=requester.tool.name if requester.tool else None,
        params=given,
    )


def _all_glasses(each: Iterable[Approving]) -> tuple[Glass, ...]:
    """What must be broken for all parts of a write; nothing can be where one part asks for people and has no glass."""
    needing = [approving for approving in each if approving.requirements]
    if not all(approving.glasses for approving in needing):
        return ()
    return tuple(dict.fromkeys(glass for approving in needing for glass in approving.glasses))


def risks_of_write(
    policy_set: PolicySet,
    write: WritePlan,
    source: str,
    rows: int,
    at: dt.datetime | None,
    *,
    is_most: bool = False,
) -> tuple[Risk, ...]:
    """What could go wrong with a write of so many rows that is asked for at that time."""
    rule = policy_set.sources[source]
    tags = frozenset().union(
        *(
            policy.written_tags(policy_set, source, write.table.name, step.use.access, step.use.writes)
            for step in write.steps
        )
    )
    return risks_of(
        Stakes(
            rows=rows,
            has_condition=write.has_condition,
            removes=any(step.use.access is Access.DELETE for step in write.steps),
            is_production=rule.is_production,
            is_off_hours=rule.working is not None and at is not None and not rule.working.is_open(at),
            tags=tags,
            is_most=is_most,
        )
    )


def strictest(found: Iterable[Approving]) -> Approving:
    """Every quorum, the shortest time, a reason if one wants it."""
    each = list(found)
    merged: dict[tuple[str, ...], int] = {}
    rules: dict[str, RuleRef] = {}
    for approving in each:
        rules |= {rule.id: rule for rule in approving.rules}
        for item in approving.requirements:
            merged[item.groups] = max(merged.get(item.groups, 0), item.needed)
    hours = [approving.expires_h for approving in each if approving.expires_h is not None]
    return Approving(
        requirements=tuple(Requirement(groups=groups, needed=needed) for groups, needed in sorted(merged.items())),
        rules=tuple(rules[name] for name in sorted(rules)),
        expires_h=min(hours, default=None),
        needs_reason=any(approving.needs_reason for approving in each),
        glasses=_all_glasses(each),
        execution=reduce(Execution.with_, (approving.execution for approving in each), Execution()),
        takes_sample=any(one.requirements for one in each)
        and all(approving.takes_sample for approving in each if approving.requirements),
    )
