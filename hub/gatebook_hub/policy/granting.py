"""Which grants apply to a caller now, and if none does, how is that told?"""

from __future__ import annotations

from dataclasses import dataclass

from gatebook_hub.model import Access, Denied, Principal, RuleRef, Schema
from gatebook_hub.policy.circumstances import UNKNOWN, Circumstances
from gatebook_hub.policy.rules import Grant, PolicySet

NO_GRANT = "no-grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The names under which rules may mean a caller, and the tool through which the call came."""

    names: frozenset[str]
    tool: str | None = None

    @classmethod
    def of(cls, principal: Principal) -> Subject:
        """A principal's."""
        return cls(names=principal.names, tool=principal.tool.name if principal.tool else None)

    def is_meant(self, grant: Grant) -> bool:
        """Whether the grant is for the caller, through this tool; its other conditions aside."""
        return bool(grant.to & self.names) and (not grant.via or self.tool in grant.via)


def lease_name(ref: RuleRef) -> str:
    """What somebody is called who has a grant for a time: another text of the rule is another name."""
    return f"lease:{ref.id}:{ref.digest}"


def applying_grants(
    policy: PolicySet, subject: Subject, source: str, table: str, access: Access, at: Circumstances
) -> list[Grant]:
    """The grants of one access to one table that hold."""
    return [
        grant
        for grant in policy.grants
        if access in grant.allow and subject.is_meant(grant) and grant.reaches(source, table) and grant.holds(at)
    ]


def action_grants(policy: PolicySet, subject: Subject, name: str, at: Circumstances) -> list[Grant]:
    """The grants of an action that hold."""
    return [grant for grant in policy.grants if name in grant.actions and subject.is_meant(grant) and grant.holds(at)]


def entity_grants(policy: PolicySet, subject: Subject, name: str, at: Circumstances) -> list[Grant]:
    """The grants of an entity that hold."""
    return [grant for grant in policy.grants if name in grant.entities and subject.is_meant(grant) and grant.holds(at)]


def may_search(policy: PolicySet, principal: Principal, name: str, at: Circumstances = UNKNOWN) -> bool:
    """Whether any grant gives the entity."""
    return bool(entity_grants(policy, Subject.of(principal), name, at))


def open_conditions(policy: PolicySet, at: Circumstances) -> frozenset[str]:
    """The ids of the conditional grants that hold: what a kept plan depends on beside its principal."""
    return frozenset(grant.ref.id for grant in policy.grants if grant.is_conditional and grant.holds(at))


def touches(policy: PolicySet, principal: Principal, source: str, at: Circumstances) -> bool:
    """Whether a grant gives the principal something in the source, at other hours or for a purpose perhaps."""
    subject = Subject.of(principal)
    return any(
        subject.is_meant(grant)
        and any(pattern.source == source for pattern in grant.on)
        and not (grant.window is not None and grant.window.is_over(at.now))
        for grant in policy.grants
    )


def known_tables(policy: PolicySet, principal: Principal, schema: Schema, at: Circumstances) -> frozenset[str]:
    """The tables that exist for the principal: those that a grant reaches, at other hours or for a purpose perhaps."""
    subject = Subject.of(principal)
    is_open = opens_views(policy, schema.source)
    meant = [
        grant
        for grant in policy.grants
        if subject.is_meant(grant) and grant.allow and not (grant.window is not None and grant.window.is_over(at.now))
    ]
    return frozenset(
        name
        for name, table in schema.tables.items()
        if any(
            grant.names(schema.source, name) if table.is_view and not is_open else grant.reaches(schema.source, name)
            for grant in meant
        )
    )


def has_protections(policy: PolicySet, source: str) -> bool:
    """Whether anything of the source is protected: a view of it may show what its tables hide."""
    return any(protection.concerns(source) for protection in policy.protections)


def opens_views(policy: PolicySet, source: str) -> bool:
    """Whether `*` means views too: in a sandbox where nothing is protected."""
    return policy.sources[source].is_sandbox and not has_protections(policy, source)


def no_grant(policy: PolicySet, subject: Subject, source: str, table: str, access: Access, at: Circumstances) -> Denied:
    """The refusal of a table: one that no grant reaches does not exist, one whose conditions fail says which."""
    meant = [
        grant
        for grant in policy.grants
        if subject.is_meant(grant)
        and grant.allow
        and grant.reaches(source, table)
        and not (grant.window is not None and grant.window.is_over(at.now))
    ]
    if not meant:
        return Denied(sentence=f"there is no table `{table}` in `{source}` that you may see", rule=None)
    conditional = [grant for grant in meant if access in grant.allow]
    if not conditional:
        return Denied(
            sentence=f"no grant lets you {_doing(access)} `{table}`",
            rule=NO_GRANT,
            ask=f"a grant of {access} on `{source}.{table}`",
        )
    grant = conditional[0]
    if grant.window is not None and not grant.window.is_open(at.now):
        return Denied(
            sentence=f"`{table}` is open to you at these times alone: {grant.window}",
            rule=grant.ref.id,
            ask=f"the same statement within that time, or a grant of {access} on `{source}.{table}`",
        )
    named = ", ".join(f"`{purpose}`" for purpose in sorted(grant.purposes))
    return Denied(
        sentence=f"`{table}` is open to you for a named purpose alone: {named}",
        rule=grant.ref.id,
        ask="the same statement with `purpose=…`, one of these",
    )


def _doing(access: Access) -> str:
    return "change the schema of" if access is Access.DDL else str(access)


def no_action(policy: PolicySet, principal: Principal, name: str, at: Circumstances) -> Denied:
    """The refusal of an action; if conditions alone keep it from the caller, it says which."""
    subject = Subject.of(principal)
    for grant in policy.grants:
        if name in grant.actions and subject.is_meant(grant) and grant.is_conditional:
            if grant.window is not None and not grant.window.is_open(at.now):
                told, ask = f"at these times alone: {grant.window}", f"a grant of the action `{name}`"
            else:
                named = ", ".join(f"`{purpose}`" for purpose in sorted(grant.purposes))
                told, ask = f"for a named purpose alone: {named}", "the same call with `purpose=…`, one of these"
            return Denied(sentence=f"the action `{name}` is open to you {told}", rule=grant.ref.id, ask=ask)
    return Denied(
        sentence=f"the action `{name}` is not granted to `{principal.id}`",
        rule=NO_GRANT,
        ask=f"a grant of the action `{name}`",
    )


def may_use_action(policy: PolicySet, principal: Principal, name: str, at: Circumstances = UNKNOWN) -> bool:
    """Whether any grant gives the action."""
    return bool(action_grants(policy, Subject.of(principal), name, at))


def tools_with_action(
    policy: PolicySet, principal: Principal, name: str, at: Circumstances = UNKNOWN
) -> frozenset[str]:
    """The tools through which alone a grant gives the principal the action, of those that they may open."""
    return frozenset(
        tool
        for grant in policy.grants
        if grant.to & principal.names and name in grant.actions and grant.holds(at)
        for tool in grant.via
        if may_use_tool(policy, principal, tool, at)
    )


def may_use_tool(policy: PolicySet, principal: Principal, name: str, at: Circumstances = UNKNOWN) -> bool:
    """Whether any grant lets the principal open the tool."""
    return any(grant.to & principal.names and name in grant.tools and grant.holds(at) for grant in policy.grants)


def tool_groups(policy: PolicySet, name: str) -> tuple[str, ...]:
    """The principals to whom grants offer a tool, such as `group:operations`, sorted."""
    return tuple(sorted({to for grant in policy.grants if name in grant.tools for to in grant.to}))


def may_review_tool(policy: PolicySet, principal: Principal, name: str, at: Circumstances = UNKNOWN) -> bool:
    """Whether any grant lets the principal review versions of the tool."""
    return any(
        grant.to & principal.names and grant.review_tools & {name, "*"} and grant.holds(at) for grant in policy.grants
    )


def may_read_book(policy: PolicySet, principal: Principal, at: Circumstances = UNKNOWN) -> bool:
    """Whether any grant lets the principal read the book."""
    return any(grant.to & principal.names and grant.audit and grant.holds(at) for grant in policy.grants)


def may_read_metrics(policy: PolicySet, principal: Principal, at: Circumstances = UNKNOWN) -> bool:
    """Whether any grant lets the principal read the gateway's metrics."""
    return any(grant.to & principal.names and grant.metrics and grant.holds(at) for grant in policy.grants)
