"""Who may change the schema of a sandbox?"""

from __future__ import annotations

from gatebook_hub.model import Access, Allowed, Denied, Principal
from gatebook_hub.policy.circumstances import Circumstances
from gatebook_hub.policy.deciding import tightest
from gatebook_hub.policy.granting import Subject, applying_grants, no_grant
from gatebook_hub.policy.rules import PolicySet

NO_SANDBOX = "no-sandbox"


def decide_definition(
    policy: PolicySet, principal: Principal, source: str, table: str, at: Circumstances
) -> Allowed | Denied:
    """Decide a change of the schema: a sandbox alone takes any, from whom a grant of `ddl` reaches the table."""
    if not policy.sources[source].is_sandbox:
        return Denied(sentence="the schema changes through the database's own migrations", rule=NO_SANDBOX)
    subject = Subject.of(principal)
    grants = [
        grant
        for grant in applying_grants(policy, subject, source, table, Access.DDL, at)
        if grant.columns is None and grant.where is None
    ]
    if not grants:
        return no_grant(policy, subject, source, table, Access.DDL, at)
    return Allowed(
        obligations={},
        limits=tightest([grant.limits for grant in grants]),
        rules=tuple(sorted((grant.ref for grant in grants), key=lambda ref: ref.id)),
        needs_reason=any(grant.needs_reason for grant in grants),
    )


def is_protected(policy: PolicySet, source: str, table: str) -> bool:
    """Whether a protection names the table or a column of it: for somebody it is not what it is."""
    return any(
        any((ref.source, ref.table) == (source, table) for ref in protection.columns)
        or any(pattern.matches(source, table) for pattern in protection.tables)
        for protection in policy.protections
    )
