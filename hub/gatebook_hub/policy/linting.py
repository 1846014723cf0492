"""Which rules can never have an effect, or name what does not exist? What the set alone says, without any schema."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from decimal import Decimal, InvalidOperation

from gatebook_hub.model import WRITES, Limits
from gatebook_hub.policy.absences import lint_absences
from gatebook_hub.policy.contradicting import Finding, did_you_mean
from gatebook_hub.policy.rules import Approval, Condition, Grant, PolicySet, Protection, TablePattern
from gatebook_hub.windows import Execution


def lint(
    policy: PolicySet, *, tools: Collection[str] | None = None, now: dt.datetime | None = None
) -> Iterator[Finding]:
    """Every finding; `tools` are the names of the curated tools, None if they are not known here."""
    for grant in policy.grants:
        yield from _grant(policy, grant, now)
    for protection in policy.protections:
        yield from _protection(policy, protection)
    for approval in policy.approvals:
        yield from _approval(policy, approval)
    yield from lint_absences(policy, now)
    yield from _names(policy, tools)


def _warning(policy: PolicySet, number: str, rule: str, sentence: str) -> Finding:
    return Finding(id=f"policy.{number}", place=policy.place_of(rule), sentence=sentence, is_error=False)


def _grant(policy: PolicySet, grant: Grant, now: dt.datetime | None) -> Iterator[Finding]:
    if grant.window is not None and grant.window.is_over(now):
        yield _warning(policy, "W027", grant.ref.id, f"grant `{grant.ref.id}` is over: {grant.window}")
    for other in policy.grants:
        is_twin = _covers(grant, other) and grant.ref.id < other.ref.id
        if other is not grant and _covers(other, grant) and not is_twin:
            sentence = f"grant `{grant.ref.id}` gives nothing that `{other.ref.id}` does not give"
            if grant.columns is not None and grant.columns != other.columns:
                sentence += "; with it `*` shows fewer columns"
            yield _warning(policy, "W021", grant.ref.id, sentence)
            return


def _covers(wide: Grant, narrow: Grant) -> bool:
    """Whether whatever the narrow grant gives, the wide one gives too."""
    is_plain = not wide.is_conditional or (wide.window, wide.purposes) == (narrow.window, narrow.purposes)
    return (
        is_plain
        and narrow.to <= wide.to
        and (not wide.via or (bool(narrow.via) and narrow.via <= wide.via))
        and all(_is_within(pattern, wide.on) for pattern in narrow.on)
        and narrow.allow <= wide.allow
        and (wide.columns is None or (narrow.columns is not None and narrow.columns <= wide.columns))
        and (wide.where is None or wide.where == narrow.where)
        and narrow.limits in {Limits(), wide.limits}
        and (narrow.needs_reason or not wide.needs_reason)
        and narrow.actions <= wide.actions
        and narrow.entities <= wide.entities
        and narrow.tools <= wide.tools
        and narrow.review_tools <= wide.review_tools
        and narrow.audit <= wide.audit
        and narrow.metrics <= wide.metrics
    )


def _is_within(pattern: TablePattern, wide: tuple[TablePattern, ...]) -> bool:
    return any(other.source == pattern.source and other.table in {"*", pattern.table} for other in wide)


def _protection(policy: PolicySet, rule: Protection) -> Iterator[Finding]:
    tables = {TablePattern(source=ref.source, table=ref.table) for ref in rule.columns} | set(rule.tables)
    readers = {
        name
        for grant in policy.grants
        if grant.allow
        for pattern in grant.on
        if any(_meet(pattern, table) for table in tables)
        for name in grant.to
    }
    if readers and readers <= rule.unless:
        sentence = f"`unless` of protection `{rule.ref.id}` exempts everybody whom a grant gives its tables"
        yield _warning(policy, "W024", rule.ref.id, sentence)
    if rule.mask is not None and rule.mask.name == "custom":
        for other in policy.protections:
            is_sure = other.mask is not None and other.mask.name in {"null", "redact"}
            if other is not rule and other.mask is not None and not is_sure and other.columns & rule.columns:
                column = min(map(str, other.columns & rule.columns))
                sentence = (
                    f"the custom mask of `{rule.ref.id}` meets `{other.ref.id}` on `{column}`: NULL is shown there"
                )
                yield _warning(policy, "W029", rule.ref.id, sentence)


def _approval(policy: PolicySet, rule: Approval) -> Iterator[Finding]:
    place, name = policy.place_of(rule.ref.id), rule.ref.id
    known = {"rows", "risk"} | {key for action in rule.actions for key in policy.actions[action].params["properties"]}
    for condition in rule.when:
        if condition.name not in known:
            sentence = f"`{condition.name}` is neither `rows`, `risk` nor a parameter of an action of rule `{name}`"
            yield Finding(id="policy.E016", place=place, sentence=sentence + did_you_mean(condition.name, known))
    if _is_empty(rule.when):
        yield _warning(
            policy, "W025", name, f"the conditions of approval `{name}` exclude each other: it never matches"
        )
    elif not rule.actions and not _is_written(policy, rule):
        yield _warning(policy, "W025", name, f"no grant lets anybody write what approval `{name}` is about")
    if rule.is_production and not any(source.is_production for source in policy.sources.values()):
        yield _warning(policy, "W025", name, f"no source is marked `production`: approval `{name}` never matches")
    for other in policy.approvals:
        is_twin = _outdoes(rule, other) and name < other.ref.id
        if other is not rule and rule.require and _outdoes(other, rule) and not is_twin:
            sentence = f"approval `{name}` asks for nothing that `{other.ref.id}` does not ask for whenever it matches"
            yield _warning(policy, "W025", name, sentence)
            return


def _is_written(policy: PolicySet, rule: Approval) -> bool:
    accesses = rule.accesses or WRITES
    for grant in policy.grants:
        if grant.allow & accesses and (not rule.on or any(_meet(a, b) for a in grant.on for b in rule.on)):
            return True
        if grant.actions:
            return True  # an action may write there; its statement is read with the schema alone
    return False


def _outdoes(wide: Approval, narrow: Approval) -> bool:
    """Whether the wide rule matches whenever the narrow one does, and asks for as much."""
    asked = {requirement.groups: requirement.needed for requirement in wide.require}
    is_all = not (wide.on or wide.actions)
    return (
        (is_all or all(_is_within(pattern, wide.on) for pattern in narrow.on))
        and (is_all or (narrow.actions <= wide.actions and bool(narrow.on or narrow.actions)))
        and (not wide.accesses or (bool(narrow.accesses) and narrow.accesses <= wide.accesses))
        and (not wide.via or (bool(narrow.via) and narrow.via <= wide.via))
        and (not wide.tags or (bool(narrow.tags) and narrow.tags <= wide.tags))
        and (not wide.is_production or narrow.is_production)
        and all(condition in narrow.when or _follows(condition, narrow.when) for condition in wide.when)
        and all(asked.get(item.groups, 0) >= item.needed for item in narrow.require)
        and narrow.execution in {Execution(), wide.execution}
        and (wide.glass is None or narrow.glass == wide.glass)
        and (narrow.takes_sample or not wide.takes_sample)
        and (narrow.expires_h is None or (wide.expires_h is not None and wide.expires_h <= narrow.expires_h))
        and (wide.needs_reason or not narrow.needs_reason)
    )


def _follows(wanted: Condition, given: tuple[Condition, ...]) -> bool:
    """`rows > 10` follows from `rows > 100`."""
    limit = _number(wanted.value)
    if limit is None or wanted.operator not in {">", ">=", "<", "<="}:
        return False
    for condition in given:
        value = _number(condition.value)
        if value is None or condition.name != wanted.name or condition.operator[0] != wanted.operator[0]:
            continue
        is_beyond = value > limit if wanted.operator[0] == ">" else value < limit
        if is_beyond or (value == limit and (condition.operator == wanted.operator or len(wanted.operator) > 1)):
            return True
    return False


def _is_empty(conditions: tuple[Condition, ...]) -> bool:
    """Whether no number meets all comparisons of one name."""
    for name in {condition.name for condition in conditions}:
        low, high = Decimal("-Infinity"), Decimal("Infinity")
        is_open = False
        for condition in conditions:
            value = _number(condition.value)
            if condition.name != name or value is None:
                continue
            if condition.operator in {">", ">=", "=="} and value >= low:
                is_open, low = (condition.operator == ">" or (is_open and value == low)), value
            if condition.operator in {"<", "<=", "=="} and value <= high:
                is_open, high = (is_open or condition.operator == "<"), value
        if low > high or (low == high and is_open):
            return True
    return False


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _meet(one: TablePattern, other: TablePattern) -> bool:
    return one.source == other.source and (one.table == other.table or "*" in {one.table, other.table})


def _names(policy: PolicySet, tools: Collection[str] | None) -> Iterator[Finding]:
    for rule, names, named_tools in _named(policy):
        via = set(named_tools)
        for name in sorted(names):
            kind, _, what = name.partition(":")
            if kind == "job" and what not in policy.jobs:
                sentence = f"rule `{rule}` names the job `{what}`, which is not declared"
                yield _warning(policy, "W022", rule, sentence + did_you_mean(what, policy.jobs))
            if kind == "tool":
                via.add(what)
        for tool in sorted(via):
            if tools is not None and tool not in tools:
                sentence = f"rule `{rule}` names the tool `{tool}`, of which there is no notebook"
                yield _warning(policy, "W023", rule, sentence + did_you_mean(tool, tools))


def _named(policy: PolicySet) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    for grant in policy.grants:
        yield grant.ref.id, grant.to, grant.via | grant.tools
    for protection in policy.protections:
        yield protection.ref.id, protection.unless, frozenset()
    for approval in policy.approvals:
        yield approval.ref.id, frozenset(), approval.via
