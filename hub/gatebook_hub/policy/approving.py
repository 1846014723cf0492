"""Which reviewers does a measured write need? The strictest of all matching rules; no rule means the source's default.

A rule that asks for people holds where something about a write is not known, a rule that frees from them does not.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any

from gatebook_hub.model import Access, Glass, Requirement, RuleRef
from gatebook_hub.policy.rules import Approval, Condition, PolicySet
from gatebook_hub.windows import Execution

_OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFacts:
    """What was measured of a write: its table, its rows, and the parameters if it is an action.

    `columns` are those it writes, None for all of the table (a removed row loses each of them). `rows_together` are the
    rows of the table that its transaction writes by any right: rules that name no right speak of those.
    `risk` are points.
    """

    source: str
    table: str
    access: Access
    rows: int
    columns: frozenset[str] | None = None
    action: str | None = None
    tool: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    rows_together: int = 0
    risk: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approving:
    """What a write needs before it is done: a quorum (empty: nobody), until when, and whether a reason.

    `execution` is when it is done then, `glasses` are who may do without. `takes_sample` says that each rule that asks
    for people takes a sample of many rows for all of them.
    """

    requirements: tuple[Requirement, ...]
    rules: tuple[RuleRef, ...]
    expires_h: float | None = None
    needs_reason: bool = False
    execution: Execution = field(default_factory=Execution)
    glasses: tuple[Glass, ...] = ()
    takes_sample: bool = False


def approving_of(policy: PolicySet, facts: WriteFacts) -> Approving:
    """What the matching rules ask for together: every quorum, the shortest time, a reason if one wants it."""
    default = policy.default_quorum(facts.source)
    matching = [rule for rule in policy.approvals if matches(policy, rule, facts)]
    rules = tuple(sorted((rule.ref for rule in matching), key=lambda ref: ref.id))
    hours = [rule.expires_h for rule in matching if rule.expires_h is not None]
    requirements = _merged(matching) if matching else default
    return Approving(
        requirements=requirements,
        rules=rules,
        expires_h=min(hours, default=None),
        needs_reason=any(rule.needs_reason for rule in matching),
        glasses=glasses_of([rule.glass for rule in matching if rule.require]),
        execution=reduce(Execution.with_, (rule.execution for rule in matching), Execution()),
        takes_sample=bool(requirements) and bool(matching) and all(r.takes_sample for r in matching if r.require),
    )


def glasses_of(found: Iterable[Glass | None]) -> tuple[Glass, ...]:
    """Each glass that somebody has to be allowed to break; none at all where one rule has none."""
    each = list(found)
    return () if None in each else tuple(dict.fromkeys(glass for glass in each if glass is not None))


def requirements_for(policy: PolicySet, facts: WriteFacts) -> tuple[tuple[Requirement, ...], tuple[RuleRef, ...]]:
    """The quorum of a write and the rules that ask for it; an empty quorum means that nobody is needed."""
    found = approving_of(policy, facts)
    return found.requirements, found.rules


def matches(policy: PolicySet, rule: Approval, facts: WriteFacts) -> bool:
    """Whether the rule means this write; one that cannot be decided means it, if it asks for people."""
    try:
        if not rule.accesses:
            facts = replace(facts, rows=max(facts.rows, facts.rows_together))
        return _is_about(policy, rule, facts) and all(
            _holds(condition, facts, unknown=bool(rule.require)) for condition in rule.when
        )
    except Exception:  # noqa: BLE001 - whatever a rule stumbles over, it must not free a write from people
        return bool(rule.require)


def _merged(matching: Iterable[Approval]) -> tuple[Requirement, ...]:
    merged: dict[tuple[str, ...], int] = {}
    for rule in matching:
        for requirement in rule.require:
            groups = tuple(sorted(requirement.groups))
            merged[groups] = max(merged.get(groups, 0), requirement.needed)
    return tuple(Requirement(groups=groups, needed=needed) for groups, needed in sorted(merged.items()))


def _is_about(policy: PolicySet, rule: Approval, facts: WriteFacts) -> bool:
    is_named = facts.action in rule.actions or any(pattern.matches(facts.source, facts.table) for pattern in rule.on)
    if not is_named and (rule.on or rule.actions):
        return False
    if rule.accesses and facts.access not in rule.accesses:
        return False
    if rule.via and facts.tool not in rule.via:
        return False
    if rule.is_production and not policy.is_production(facts.source):
        return False
    return not rule.tags or bool(
        rule.tags & written_tags(policy, facts.source, facts.table, facts.access, facts.columns)
    )


def written_tags(
    policy: PolicySet, source: str, table: str, access: Access, columns: frozenset[str] | None
) -> frozenset[str]:
    """The classification of what a write changes; a removed row loses each of its columns."""
    written = None if access is Access.DELETE else columns
    found = (
        tags
        for ref, tags in policy.tags.items()
        if (ref.source, ref.table) == (source, table) and (written is None or ref.column in written)
    )
    return frozenset().union(*found)


def _holds(condition: Condition, facts: WriteFacts, *, unknown: bool) -> bool:
    """Whether a comparison holds; `unknown` is the answer for a missing value: yes for a rule that asks for people."""
    measured = {"rows": facts.rows, "risk": facts.risk}
    value = measured[condition.name] if condition.name in measured else facts.params.get(condition.name)
    if value is None:
        return unknown
    try:
        left, right = Decimal(str(value)), Decimal(condition.value)
    except InvalidOperation:
        return bool(_OPERATORS[condition.operator](str(value), condition.value.strip("'\"")))
    if left.is_nan() or right.is_nan():
        return unknown
    return bool(_OPERATORS[condition.operator](left, right))
