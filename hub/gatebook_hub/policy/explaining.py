"""Which rules took part in a decision, what did each contribute, and which grants nearly matched?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gatebook_hub.model import WRITES, Access, Limits, Principal, TableUse
from gatebook_hub.policy.approving import WriteFacts, matches
from gatebook_hub.policy.circumstances import Circumstances
from gatebook_hub.policy.granting import Subject
from gatebook_hub.policy.rules import Approval, Grant, PolicySet, Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One rule that took part: `kind` is grant, protection, action or approval, `effect` what it brought."""

    rule: str
    place: str
    kind: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A grant of a table that did not apply, and why not: each reason is a sentence."""

    rule: str
    place: str
    table: str
    reasons: tuple[str, ...]


def contributions(
    policy: PolicySet, principal: Principal, source: str, uses: Iterable[TableUse], at: Circumstances
) -> tuple[Contribution, ...]:
    """Grants and protections that have to do with these tables and this principal, in the order of their names."""
    uses = tuple(uses)
    subject = Subject.of(principal)
    found = [item for grant in policy.grants for item in _of_grant(policy, grant, subject, source, uses, at)]
    found += [item for rule in policy.protections for item in _of_protection(policy, rule, subject, source, uses)]
    return tuple(found)


def approvals(policy: PolicySet, facts: WriteFacts) -> tuple[Contribution, ...]:
    """The approval rules that match a write; without one it is the source's default quorum."""
    found = tuple(
        Contribution(rule=rule.ref.id, place=policy.place_of(rule.ref.id), kind="approval", effect=_asked(rule))
        for rule in policy.approvals
        if matches(policy, rule, facts)
    )
    if found:
        return found
    default = policy.default_quorum(facts.source)
    quorum = _who([(item.groups, item.needed) for item in default]) if default else "nobody"
    name = f"source {facts.source}"
    effect = f"no approval rule matches, so the source's default: {quorum}"
    return (Contribution(rule=facts.source, place=policy.place_of(name), kind="approval", effect=effect),)


def near_misses(
    policy: PolicySet, principal: Principal, source: str, uses: Iterable[TableUse], at: Circumstances
) -> tuple[NearMiss, ...]:
    """Grants of a used table that do not cover the use, with every reason why not; the caller's own come first."""
    subject = Subject.of(principal)
    found: list[tuple[bool, NearMiss]] = []
    for use in uses:
        for grant in policy.grants:
            if not grant.reaches(source, use.table):
                continue
            reasons = tuple(_reasons(grant, subject, use, at))
            if reasons:
                place = policy.place_of(grant.ref.id)
                miss = NearMiss(rule=grant.ref.id, place=place, table=use.table, reasons=reasons)
                found.append((not grant.to & subject.names, miss))
    found.sort(key=lambda item: (item[0], len(item[1].reasons), item[1].rule, item[1].table))
    return tuple(miss for _, miss in found)


def _of_grant(
    policy: PolicySet, grant: Grant, subject: Subject, source: str, uses: tuple[TableUse, ...], at: Circumstances
) -> Iterator[Contribution]:
    for use in uses:
        if not grant.reaches(source, use.table) or any(True for _ in _reasons(grant, subject, use, at)):
            continue
        parts = [f"{use.access} on `{use.table}`"]
        if grant.columns is not None:
            parts.append(f"columns {', '.join(sorted(grant.columns))}")
        if grant.where:
            parts.append(f"rows where {grant.where}")
        if grant.limits != Limits():
            parts.append(f"limits {_limits(grant.limits)}")
        if grant.window is not None:
            parts.append(f"at {grant.window}")
        if grant.purposes:
            parts.append(f"for {', '.join(sorted(grant.purposes))}")
        if grant.needs_reason:
            parts.append("with a reason")
        yield Contribution(
            rule=grant.ref.id, place=policy.place_of(grant.ref.id), kind="grant", effect="; ".join(parts)
        )


def _of_protection(
    policy: PolicySet, rule: Protection, subject: Subject, source: str, uses: tuple[TableUse, ...]
) -> Iterator[Contribution]:
    exempt = rule.unless & subject.names
    for use in uses:
        touched = {ref.column for ref in rule.columns if (ref.source, ref.table) == (source, use.table)}
        if not use.is_whole:
            touched &= use.reads | use.writes
        is_rows = rule.where is not None and any(pattern.matches(source, use.table) for pattern in rule.tables)
        if not touched and not is_rows:
            continue
        named = ", ".join(f"`{use.table}.{column}`" for column in sorted(touched))
        if exempt:
            effect = f"does not hold for {', '.join(sorted(exempt))}"
        elif is_rows:
            effect = f"only rows of `{use.table}` where {rule.where}"
        elif rule.refuse is not None:
            effect = f"refuses {named}: {rule.refuse}"
        elif use.access in WRITES and touched & use.writes:
            effect = f"refuses to write {named}, which it masks as {rule.mask}"
        else:
            effect = f"masks {named} as {rule.mask}"
        yield Contribution(rule=rule.ref.id, place=policy.place_of(rule.ref.id), kind="protection", effect=effect)


def _reasons(grant: Grant, subject: Subject, use: TableUse, at: Circumstances) -> Iterator[str]:
    """Why a grant of the table does not cover the use; nothing if it does."""
    if not grant.to & subject.names:
        yield f"it is for {', '.join(sorted(grant.to))}"
    if use.access not in grant.allow:
        yield f"it allows {', '.join(sorted(grant.allow))}, not {use.access}"
    if grant.via and subject.tool not in grant.via:
        yield f"it holds through {' or '.join(f'`{tool}`' for tool in sorted(grant.via))} alone"
    wanted = use.reads if use.access is Access.SELECT else use.writes
    missing = sorted(wanted - grant.columns) if grant.columns is not None else []
    if missing:
        yield f"it does not give {', '.join(f'`{column}`' for column in missing)}"
    if grant.window is not None and not grant.window.is_open(at.now):
        yield f"it holds at {grant.window} alone" + ("" if at.now else "; no time was given")
    if grant.purposes and not at.is_look and at.purpose not in grant.purposes:
        yield f"it wants a purpose: {' or '.join(f'`{purpose}`' for purpose in sorted(grant.purposes))}"


def _asked(rule: Approval) -> str:
    parts = [_who([(item.groups, item.needed) for item in rule.require])]
    if rule.when:
        parts.append("when " + " and ".join(f"{item.name} {item.operator} {item.value}" for item in rule.when))
    if rule.expires_h is not None:
        parts.append(f"within {rule.expires_h:g} hours")
    if rule.needs_reason:
        parts.append("with a reason")
    return "; ".join(parts)


def _who(quorum: list[tuple[tuple[str, ...], int]]) -> str:
    return " and ".join(f"{needed} of {' or '.join(groups)}" for groups, needed in quorum) or "nobody"


def _limits(limits: Limits) -> str:
    given = {name: getattr(limits, name) for name in ("rows", "bytes", "time_s", "concurrent")}
    return ", ".join(f"{name} {value:,}" for name, value in given.items() if value is not None)
