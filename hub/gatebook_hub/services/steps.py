"""What is decided about each step of a write, and about all of it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from gatebook_hub import policy
from gatebook_hub.model import Allowed, Denied, Limits, Principal, Schema, TableObligation
from gatebook_hub.policy import Action, Circumstances, PolicySet
from gatebook_hub.sql import WritePlan

N = TypeVar("N", int, float)


def decide_steps(
    policy_set: PolicySet,
    principal: Principal,
    schema: Schema,
    write: WritePlan,
    action: Action | None,
    at: Circumstances,
) -> tuple[Allowed, ...] | Denied:
    """The decision of each step in order, or the first refusal."""
    found = []
    for step in write.steps:
        reads, values = step.read.uses, step.value_reads
        if action is None:
            decision = policy.decide(policy_set, principal, schema, reads, step.use, values, at)
        else:
            decision = policy.decide_action(policy_set, principal, action, schema, reads, step.use, values, at)
        if isinstance(decision, Denied):
            return decision
        found.append(decision)
    return tuple(found)


def decide_returning(
    policy_set: PolicySet,
    principal: Principal,
    schema: Schema,
    write: WritePlan,
    action: Action | None,
    at: Circumstances,
) -> Allowed | Denied:
    """The decision about what a write returns: it is read like anything else."""
    assert write.returning is not None
    reads = write.returning.read.uses
    if action is None:
        return policy.decide(policy_set, principal, schema, reads, at=at)
    return policy.decide_action(policy_set, principal, action, schema, reads, write.steps[0].use, {}, at)


def together(decisions: Sequence[Allowed]) -> Allowed:
    """What several decisions about one statement say: every rule, the tightest limits."""
    obligations: dict[str, TableObligation] = {}
    for decision in decisions:
        for name, found in decision.obligations.items():
            known = obligations.get(name)
            obligations[name] = found if known is None else _both(known, found)
    rules = {rule.id: rule for decision in decisions for rule in decision.rules}
    return Allowed(
        obligations=obligations,
        limits=tightest(*(decision.limits for decision in decisions)),
        rules=tuple(rules[name] for name in sorted(rules)),
        needs_reason=any(decision.needs_reason for decision in decisions),
    )


def _both(one: TableObligation, other: TableObligation) -> TableObligation:
    """What two steps may see of a table together: the columns of both, every mask, every row filter."""
    return replace(
        other,
        columns=tuple(name for name in other.columns if name in one.columns),
        masks={**one.masks, **other.masks},
        row_filters=tuple(dict.fromkeys((*one.row_filters, *other.row_filters))),
    )


def tightest(*limits: Limits) -> Limits:
    """The smallest of each."""
    return Limits(
        rows=_least([item.rows for item in limits]),
        bytes=_least([item.bytes for item in limits]),
        time_s=_least([item.time_s for item in limits]),
        concurrent=_least([item.concurrent for item in limits]),
    )


def _least(values: Sequence[N | None]) -> N | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None
