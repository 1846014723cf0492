"""How does a policy set come into force, and does it say what its authors expect?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatebook_hub import policy, sql
from gatebook_hub.errors import GatebookError, PolicyInvalid, SourceError
from gatebook_hub.model import Allowed, Denied, Principal, PrincipalKind, Schema, Tool
from gatebook_hub.policy import Finding, PolicySet, WriteFacts
from gatebook_hub.policy.rules import Expectation
from gatebook_hub.services.actions import check_parameters
from gatebook_hub.services.jobs import last_due
from gatebook_hub.sources.registry import Sources, open_sources
from gatebook_hub.sql import StatementKind
from gatebook_hub.stores.policies import read_policies

UNCHECKED = "source.W001"
_ANY_TIME = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_PERSONAL = ("mail", "phone", "fax", "birth", "address", "postal", "iban", "ssn", "passport", "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What came of one expectation; `wrong` is empty if it holds."""

    __test__ = False
    name: str
    place: str
    wrong: str | None


def load_policy(folder: Path, state: Path) -> tuple[PolicySet, Sources]:
    """Read, validate and open; raises PolicyInvalid with file, line and reason."""
    found = policy.load(read_policies(folder))
    sources = open_sources({name: (rule.engine, rule.url) for name, rule in found.sources.items()}, state)
    return found, sources


def check(policy_set: PolicySet, sources: Sources) -> Iterator[Finding]:
    """What the live schema says about the rules: unknown tables and columns, bad conditions, untagged personal data."""
    yield from _schedules(policy_set)
    for name in sorted(policy_set.sources):
        try:
            schema = sources.get(name).schema()
        except SourceError as error:
            sentence = f"its rules were not compared with its tables: {error}"
            yield Finding(id=UNCHECKED, place=name, sentence=sentence, is_error=False)
            continue
        yield from _tables(policy_set, schema)
        yield from _columns(policy_set, schema)
        yield from _conditions(policy_set, schema)
        yield from _actions(policy_set, schema)
        yield from _untagged(policy_set, schema)


def run_tests(policy_set: PolicySet, sources: Sources) -> Iterator[TestResult]:
    """Every expectation of `tests/`, decided on the live schema; nothing is executed."""
    for expectation in policy_set.expectations:
        wrong = _wrong(policy_set, sources, expectation)
        yield TestResult(name=expectation.name, place=expectation.place, wrong=wrong)


def _wrong(policy_set: PolicySet, sources: Sources, expectation: Expectation) -> str | None:
    expect = dict(expectation.expect)
    try:
        got = _decision(policy_set, sources, expectation)
    except GatebookError as error:
        got = {"deny": {error.code, *([error.rule] if error.rule else [])}, "detail": str(error)}
    if "deny" in expect:
        is_met = "deny" in got and expect["deny"] in got["deny"]
        return None if is_met else f"expected a refusal by `{expect['deny']}`, got {_told(got)}"
    if "deny" in got:
        return f"expected it to be allowed, got {_told(got)}"
    for name in ("masks", "rows", "review"):
        if name in expect and expect[name] != got.get(name):
            return f"expected {name} {expect[name]}, got {got.get(name)}"
    return None


def _decision(policy_set: PolicySet, sources: Sources, expectation: Expectation) -> dict[str, Any]:
    principal = _principal(expectation)
    action = policy_set.actions.get(expectation.action) if expectation.action else None
    source = action.source if action else expectation.source
    schema = sources.get(source).schema()
    statement = sql.parse(action.sql if action else expectation.sql or "", schema.engine)
    if statement.kind is StatementKind.READ:
        analysis = sql.analyse(statement, schema)
        decision = policy.decide(policy_set, principal, schema, analysis.uses)
        if isinstance(decision, Denied):
            return _denied(decision)
        sql.rewrite(analysis, decision.obligations, schema, nonce="test")
        return _allowed(decision, analysis.uses)
    write = sql.plan_write(statement, schema)
    params = check_parameters(action, expectation.params) if action else {}
    found: dict[str, Any] = {"masks": {}, "rows": set(), "review": set()}
    for step in write.steps:
        uses, values = step.read.uses, step.value_reads
        if action is None:
            decision = policy.decide(policy_set, principal, schema, uses, step.use, values)
        else:
            decision = policy.decide_action(policy_set, principal, action, schema, uses, step.use, values)
        if isinstance(decision, Denied):
            return _denied(decision)
        facts = WriteFacts(
            source=source,
            table=write.table.name,
            access=step.use.access,
            rows=expectation.rows,
            action=action.name if action else None,
            tool=expectation.tool,
            params=params,
        )
        requirements, _ = policy.requirements_for(policy_set, facts)
        told = _allowed(decision, (*uses, step.use))
        found["masks"] |= told["masks"]
        found["rows"] |= set(told["rows"])
        found["review"] |= {group for requirement in requirements for group in requirement.groups}
    return {"masks": found["masks"], "rows": sorted(found["rows"]), "review": sorted(found["review"])}


def _principal(expectation: Expectation) -> Principal:
    kind = PrincipalKind.JOB if expectation.job else PrincipalKind.USER
    tool = Tool(name=expectation.tool, version="test") if expectation.tool else None
    name = expectation.job or expectation.user or "nobody"
    return Principal(kind=kind, name=name, groups=expectation.groups, tool=tool)


def _denied(decision: Denied) -> dict[str, Any]:
    return {"deny": {decision.rule or "GB-206"}, "detail": decision.sentence}


def _allowed(decision: Allowed, uses: Any) -> dict[str, Any]:
    masks, rows = {}, set()
    for use in uses:
        obligation = decision.obligations[use.table]
        rows |= {rule for row_filter in obligation.row_filters for rule in row_filter.rules}
        for column, mask in obligation.masks.items():
            if use.is_whole or column in use.reads:
                masks[f"{use.table}.{column}"] = str(mask)
    return {"masks": masks, "rows": sorted(rows)}


def _told(got: dict[str, Any]) -> str:
    if "deny" in got:
        return f"a refusal by {', '.join(sorted(got['deny']))}: {got['detail']}"
    return f"allowed, {got}"


def _tables(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    rules = [(grant.ref.id, grant.on) for grant in policy_set.grants]
    rules += [(protection.ref.id, protection.tables) for protection in policy_set.protections]
    rules += [(approval.ref.id, approval.on) for approval in policy_set.approvals]
    for rule, patterns in rules:
        for pattern in patterns:
            if pattern.source == schema.source and pattern.table not in {"*", *schema.tables}:
                yield Finding(
                    id="policy.E010",
                    place=policy_set.place_of(rule),
                    sentence=f"there is no table `{pattern}` (rule `{rule}`)",
                )


def _columns(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    refs = [(protection.ref.id, ref) for protection in policy_set.protections for ref in protection.columns]
    refs += [("classification", ref) for ref in policy_set.tags]
    for rule, ref in sorted(set(refs), key=str):
        if ref.source != schema.source:
            continue
        table = schema.tables.get(ref.table)
        if table is None or table.column(ref.column) is None:
            yield Finding(
                id="policy.E011",
                place=policy_set.place_of(rule),
                sentence=f"there is no column `{ref}` (rule `{rule}`)",
            )
    for grant in policy_set.grants:
        known = {
            column.name
            for pattern in grant.on
            for name, table in schema.tables.items()
            if pattern.matches(schema.source, name)
            for column in table.columns
        }
        if known and grant.columns is not None:
            for column in sorted(grant.columns - known):
                sentence = f"none of the tables of rule `{grant.ref.id}` has `{column}`"
                yield Finding(id="policy.E011", place=policy_set.place_of(grant.ref.id), sentence=sentence)


def _conditions(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    rules = [(grant.ref.id, grant.where, grant.on) for grant in policy_set.grants]
    rules += [(item.ref.id, item.where, item.tables) for item in policy_set.protections]
    for rule, where, patterns in rules:
        for name, table in sorted(schema.tables.items()):
            if where is None or not any(pattern.matches(schema.source, name) for pattern in patterns):
                continue
            try:
                sql.check_condition(where, table, schema)
            except PolicyInvalid as error:
                yield Finding(id="policy.E012", place=policy_set.place_of(rule), sentence=f"{error} (rule `{rule}`)")


def _actions(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    for action in policy_set.actions.values():
        if action.source != schema.source:
            continue
        try:
            statement = sql.parse(action.sql, schema.engine)
            sql.plan_write(statement, schema)
        except GatebookError as error:
            yield Finding(id="policy.E013", place=policy_set.place_of(f"action {action.name}"), sentence=str(error))
            continue
        known = {*action.params["properties"], "gb_principal", "gb_now"}
        for name in sorted(statement.parameters - known):
            sentence = f"its statement names `:{name}`, which is no parameter"
            yield Finding(id="policy.E014", place=policy_set.place_of(f"action {action.name}"), sentence=sentence)


def _schedules(policy_set: PolicySet) -> Iterator[Finding]:
    for job in policy_set.jobs.values():
        try:
            last_due(job.cron, job.zone, _ANY_TIME)
        except (ValueError, KeyError):
            sentence = f"`{job.cron}` in the zone `{job.zone}` is no schedule"
            yield Finding(id="policy.E015", place=policy_set.place_of(f"job {job.name}"), sentence=sentence)


def _untagged(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    for name, table in sorted(schema.tables.items()):
        for column in table.columns:
            is_suspect = any(word in column.name for word in _PERSONAL)
            if is_suspect and not policy_set.tags_of(schema.source, name, column.name):
                sentence = f"`{name}.{column.name}` looks like personal data and has no tag"
                yield Finding(id="policy.W020", place=schema.source, sentence=sentence, is_error=False)
