"""Whose approval does a measured write need? Each kind of write in it is asked about; the strictest of each wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatebook_hub import policy
from gatebook_hub.model import Principal, Requirement, RuleRef
from gatebook_hub.policy import Action, PolicySet, WriteFacts
from gatebook_hub.services.statements import DecidedWrite


def quorum_of(
    policy_set: PolicySet,
    source: str,
    decided: DecidedWrite,
    rows: int,
    requester: Principal,
    action: Action | None,
    given: Mapping[str, Any],
) -> tuple[tuple[Requirement, ...], tuple[RuleRef, ...]]:
    """The requirements and the approval rules that they come from; no requirement means that nobody is needed."""
    merged: dict[tuple[str, ...], int] = {}
    rules: dict[str, RuleRef] = {}
    for access in sorted({step.step.use.access for step in decided.steps}):
        facts = WriteFacts(
            source=source,
            table=decided.write.table.name,
            access=access,
            rows=rows,
            action=action.name if action else None,
            tool=requester.tool.name if requester.tool else None,
            params=given if action else {},
        )
        requirements, deciding = policy.requirements_for(policy_set, facts)
        rules |= {rule.id: rule for rule in deciding}
        for item in requirements:
            merged[item.groups] = max(merged.get(item.groups, 0), item.needed)
    asked = tuple(Requirement(groups=groups, needed=needed) for groups, needed in sorted(merged.items()))
    return asked, tuple(rules[name] for name in sorted(rules))
