"""Who may change the schema of a sandbox?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gatebook_hub.model import Access, Allowed, Denied, Principal, Schema
from gatebook_hub.policy.circumstances import Circumstances
from gatebook_hub.policy.deciding import tightest
from gatebook_hub.policy.granting import Subject, applying_grants, no_grant
from gatebook_hub.policy.rules import Approval, Grant, PolicySet

NO_SANDBOX = "no-sandbox"


def decide_definition(
    policy: PolicySet, principal: Principal, schema: Schema, tables: Iterable[str], at: Circumstances
) -> Allowed | Denied:
    """Decide a change of the schema of these tables, of which one is changed and others are referred to.

    A sandbox alone takes any, from whom a grant of `ddl` reaches each table. A table that a rule shows in part, or
    whose writes people approve, keeps its schema: rules go by names, and a check or an index would tell what they hide.
    """
    source = schema.source
    if not policy.sources[source].is_sandbox:
        return Denied(sentence="the schema changes through the database's own migrations", rule=NO_SANDBOX)
    subject = Subject.of(principal)
    grants: list[Grant] = []
    for table in tables:
        found = applying_grants(policy, subject, source, table, Access.DDL, at)
        if not found:
            return no_grant(policy, subject, source, table, Access.DDL, at)
        if (rule := _rule_of(policy, source, table) or _rule_behind(policy, schema)) is not None:
            return Denied(sentence=f"the rule `{rule}` goes by the schema of `{table}`, so it stays", rule=rule)
        grants += found
    return Allowed(
        obligations={},
        limits=tightest([grant.limits for grant in grants]),
        rules=tuple(sorted({grant.ref for grant in grants}, key=lambda ref: ref.id)),
        needs_reason=any(grant.needs_reason for grant in grants),
    )


def _rule_of(policy: PolicySet, source: str, table: str) -> str | None:
    """A rule that shows the table in part, or asks people about it."""
    partial = (grant for grant in policy.grants if grant.where is not None or grant.columns is not None)
    approvals = (rule for rule in policy.approvals if rule.require)
    named = [
        *(grant.ref.id for grant in partial if grant.reaches(source, table)),
        *(rule.ref.id for rule in approvals if _asks_about(policy, rule, source, table)),
        *(rule.ref.id for rule in policy.protections if rule.concerns(source, table)),
        *(rule for rule, text in _texts(policy) if _names(text, table)),
    ]
    return min(named, default=None)


def _rule_behind(policy: PolicySet, schema: Schema) -> str | None:
    """A rule that looks at a view, which may be made of any table."""
    views = [name for name, table in schema.tables.items() if table.is_view]
    return next((rule for rule, text in _texts(policy) if any(_names(text, view) for view in views)), None)


def _names(text: str, table: str) -> bool:
    return re.search(rf"\b{re.escape(table)}\b", text, re.IGNORECASE) is not None


def _asks_about(policy: PolicySet, rule: Approval, source: str, table: str) -> bool:
    """Whether the rule may mean a write of the table, by name, by the tags of its columns, or because it means all."""
    if rule.on:
        return any(pattern.matches(source, table) for pattern in rule.on)
    tags = set().union(*(tags for ref, tags in policy.tags.items() if (ref.source, ref.table) == (source, table)))
    return not rule.actions and (not rule.tags or bool(rule.tags & tags))


def _texts(policy: PolicySet) -> Iterator[tuple[str, str]]:
    """The conditions and expressions of rules, which may read other tables."""
    for grant in policy.grants:
        if grant.where is not None:
            yield grant.ref.id, grant.where
    for protection in policy.protections:
        for text in (protection.where, protection.mask.expression if protection.mask is not None else None):
            if text is not None:
                yield protection.ref.id, text


def is_protected(policy: PolicySet, source: str, table: str) -> bool:
    """Whether a protection names the table or a column of it: for somebody it is not what it is."""
    return any(protection.concerns(source, table) for protection in policy.protections)
