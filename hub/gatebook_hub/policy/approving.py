"""Which reviewers does a measured write need? The strictest matching rule wins; no rule means the source's default."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from gatebook_hub.model import Access, Requirement, RuleRef
from gatebook_hub.policy.rules import Approval, Condition, PolicySet

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
    """What was measured of a write: its table, its rows, and the parameters if it is an action."""

    source: str
    table: str
    access: Access
    rows: int
    action: str | None = None
    tool: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


def requirements_for(policy: PolicySet, facts: WriteFacts) -> tuple[tuple[Requirement, ...], tuple[RuleRef, ...]]:
    """The quorum of a write and the rules that ask for it; an empty quorum means that nobody is needed."""
    source = policy.sources[facts.source]
    matching = [rule for rule in policy.approvals if _matches(rule, facts)]
    if not matching:
        return (() if source.is_sandbox else source.default_quorum), ()
    merged: dict[tuple[str, ...], int] = {}
    for rule in matching:
        for requirement in rule.require:
            groups = tuple(sorted(requirement.groups))
            merged[groups] = max(merged.get(groups, 0), requirement.needed)
    requirements = tuple(Requirement(groups=groups, needed=needed) for groups, needed in sorted(merged.items()))
    return requirements, tuple(sorted((rule.ref for rule in matching), key=lambda ref: ref.id))


def _matches(rule: Approval, facts: WriteFacts) -> bool:
    if facts.action in rule.actions:
        is_meant = True
    else:
        is_meant = any(pattern.matches(facts.source, facts.table) for pattern in rule.on)
    if rule.accesses and facts.access not in rule.accesses:
        return False
    if rule.via and facts.tool not in rule.via:
        return False
    return is_meant and all(_holds(condition, facts, unknown=bool(rule.require)) for condition in rule.when)


def _holds(condition: Condition, facts: WriteFacts, *, unknown: bool) -> bool:
    """Whether a comparison holds; `unknown` is the answer for a missing value: yes for a rule that asks for people."""
    value = facts.rows if condition.name == "rows" else facts.params.get(condition.name)
    if value is None:
        return unknown
    try:
        left, right = Decimal(str(value)), Decimal(condition.value)
    except InvalidOperation:
        return bool(_OPERATORS[condition.operator](str(value), condition.value.strip("'\"")))
    return bool(_OPERATORS[condition.operator](left, right))
