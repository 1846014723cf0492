"""Do the rules fit the live schemas? Unknown tables and columns, bad conditions, untagged personal data."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from gatebook_hub import sql
from gatebook_hub.errors import GatebookError, NotOneStatement, PolicyInvalid, SourceError
from gatebook_hub.model import Schema
from gatebook_hub.policy import Finding, PolicySet
from gatebook_hub.policy.contradicting import did_you_mean
from gatebook_hub.policy.linting import lint
from gatebook_hub.policy.notifying import PLACEHOLDER
from gatebook_hub.policy.personal import suggested_tag
from gatebook_hub.services.jobs import last_due
from gatebook_hub.sources.placeholders import fill
from gatebook_hub.sources.registry import Sources

_log = logging.getLogger(__name__)

UNCHECKED = "source.W001"
_ANY_TIME = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def known_tools(notebooks: Path, published: frozenset[str] = frozenset()) -> frozenset[str] | None:
    """The names of the curated tools; None where there is no folder of them, so that nothing is said about them."""
    folder = notebooks / "tools"
    return published | {path.stem for path in folder.glob("*.ipynb")} if folder.is_dir() else None


def check(
    policy_set: PolicySet,
    sources: Sources,
    *,
    tools: Collection[str] | None = None,
    now: dt.datetime | None = None,
) -> Iterator[Finding]:
    """What the rules say against each other, and what the live schemas say about them."""
    yield from lint(policy_set, tools=tools, now=now)
    yield from _schedules(policy_set)
    yield from _channels(policy_set)
    yield from _connections(policy_set)
    for name in sorted(policy_set.sources):
        try:
            schema = sources.get(name).schema()
        except SourceError as error:
            sentence = f"its rules were not compared with its tables: {error}"
            yield Finding(id=UNCHECKED, place=policy_set.place_of(f"source {name}"), sentence=sentence, is_error=False)
            continue
        yield from _tables(policy_set, schema)
        yield from _columns(policy_set, schema)
        yield from _conditions(policy_set, schema)
        yield from _masks(policy_set, schema)
        yield from _actions(policy_set, schema)
        yield from _entities(policy_set, schema)
        yield from _untagged(policy_set, schema)
        yield from _descriptions(policy_set, schema)


def hold_to(findings: Iterable[Finding]) -> None:
    """Log the warnings; raises PolicyInvalid with all the errors."""
    errors = []
    for finding in findings:
        if finding.is_error:
            errors.append(str(finding))
        else:
            _log.warning("%s", finding)
    if errors:
        raise PolicyInvalid("\n".join(errors))


def _tables(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    rules = [(grant.ref.id, grant.on) for grant in policy_set.grants]
    rules += [(protection.ref.id, protection.tables) for protection in policy_set.protections]
    rules += [(approval.ref.id, approval.on) for approval in policy_set.approvals]
    # In a sandbox tables come and go.
    is_sandbox = policy_set.sources[schema.source].is_sandbox
    for rule, patterns in rules:
        for pattern in patterns:
            if pattern.source == schema.source and pattern.table not in {"*", *schema.tables}:
                yield Finding(
                    id="policy.W010" if is_sandbox else "policy.E010",
                    is_error=not is_sandbox,
                    place=policy_set.place_of(rule),
                    sentence=f"there is no table `{pattern}` (rule `{rule}`)"
                    + did_you_mean(pattern.table, schema.tables),
                )


def _descriptions(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    for name in sorted(policy_set.sources[schema.source].descriptions):
        named, _, column = name.partition(".")
        table = schema.tables.get(named)
        if table is None or (column and table.column(column) is None):
            known = {item.name for item in table.columns} if table is not None else set(schema.tables)
            hint = did_you_mean(column if table is not None else named, known)
            place = policy_set.place_of(f"source {schema.source}")
            sentence = f"there is nothing called `{schema.source}.{name}` to describe{hint}"
            yield Finding(id="policy.W011", place=place, sentence=sentence, is_error=False)


def _columns(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    refs = [(protection.ref.id, ref) for protection in policy_set.protections for ref in protection.columns]
    refs += [(f"classification {tag}", ref) for ref, tags in policy_set.tags.items() for tag in tags]
    for rule, ref in sorted(set(refs), key=str):
        if ref.source != schema.source:
            continue
        table = schema.tables.get(ref.table)
        if table is None or table.column(ref.column) is None:
            known = {column.name for column in table.columns} if table is not None else set(schema.tables)
            hint = did_you_mean(ref.column if table is not None else ref.table, known)
            yield Finding(
                id="policy.E011",
                place=policy_set.place_of(rule),
                sentence=f"there is no column `{ref}` (rule `{rule}`){hint}",
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
                sentence = f"none of the tables of rule `{grant.ref.id}` has `{column}`{did_you_mean(column, known)}"
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


def _masks(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    """A mask fits the type of its column, and an expression names nothing but `value`."""
    for rule in policy_set.protections:
        for ref in sorted(rule.columns, key=str):
            table = schema.tables.get(ref.table) if ref.source == schema.source else None
            column = table.column(ref.column) if table is not None else None
            if rule.mask is None or column is None:
                continue
            try:
                sql.check_mask(rule.mask, column, schema)
            except PolicyInvalid as error:
                sentence = f"the mask of rule `{rule.ref.id}` does not fit `{ref}`: {error}"
                yield Finding(id="policy.E018", place=policy_set.place_of(rule.ref.id), sentence=sentence)


def _actions(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    for action in policy_set.actions.values():
        if action.source != schema.source:
            continue
        place = policy_set.place_of(f"action {action.name}")
        try:
            writes = () if action.http is not None else sql.parse_script(action.sql, schema.engine, schema.functions)
            for statement in writes:
                sql.plan_write(statement, schema)
            reads = [_select(text, schema) for text in (*action.choices.values(), *(one.sql for one in action.checks))]
        except GatebookError as error:
            yield Finding(id="policy.E013", place=place, sentence=str(error))
            continue
        if action.bulk is not None and len(writes) != 1:
            sentence = "with `bulk` it has exactly one statement, which is done for each value"
            yield Finding(id="policy.E013", place=place, sentence=sentence)
        known = {*action.params["properties"], "gb_principal", "gb_now"}
        for name in sorted(frozenset().union(*(one.parameters for one in (*writes, *reads))) - known):
            sentence = f"its statement names `:{name}`, which is no parameter{did_you_mean(name, known)}"
            yield Finding(id="policy.E014", place=place, sentence=sentence)
        for name in sorted(frozenset().union(*(one.parameters for one in reads[: len(action.choices)]))):
            sentence = f"its choices name `:{name}`, and nothing is given when they are read"
            yield Finding(id="policy.E014", place=place, sentence=sentence)


def _entities(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    for entity in policy_set.entities.values():
        if entity.source != schema.source:
            continue
        place, table = policy_set.place_of(f"entity {entity.name}"), schema.tables.get(entity.table)
        if table is None or not table.key:
            hint = did_you_mean(entity.table, schema.tables) if table is None else ""
            sentence = f"entity `{entity.name}`: there is no table `{entity.table}` with a primary key{hint}"
            yield Finding(id="policy.E010", place=place, sentence=sentence)
            continue
        known = {column.name for column in table.columns}
        for name in sorted({*entity.shows, *entity.search, *entity.lookups} - known):
            sentence = f"entity `{entity.name}`: `{entity.table}` has no column `{name}`{did_you_mean(name, known)}"
            yield Finding(id="policy.E011", place=place, sentence=sentence)


def _select(text: str, schema: Schema) -> sql.Statement:
    """A select that an action asks before it writes; raises what `sql` raises, NotOneStatement."""
    statement = sql.parse(text, schema.engine, schema.functions)
    if statement.kind is not sql.StatementKind.READ:
        raise NotOneStatement("what is asked before a write is a select")
    sql.analyse(statement, schema)
    return statement


def _schedules(policy_set: PolicySet) -> Iterator[Finding]:
    for job in policy_set.jobs.values():
        try:
            last_due(job.cron, job.zone, _ANY_TIME)
        except (ValueError, KeyError):
            sentence = f"`{job.cron}` in the zone `{job.zone}` is no schedule"
            yield Finding(id="policy.E015", place=policy_set.place_of(f"job {job.name}"), sentence=sentence)


def _channels(policy_set: PolicySet) -> Iterator[Finding]:
    """The environment is the gateway's: that a URL is missing elsewhere, as in a check before a merge, says little."""
    told = policy_set.notifications
    named = [("channel", channel.name, channel.url_env) for channel in told.channels.values()]
    named += [("personal", channel.name, channel.url_env) for channel in told.personal.values()]
    for section, name, variable in named:
        place, url = policy_set.place_of(f"{section} {name}"), os.environ.get(variable, "")
        if not url:
            sentence = f"channel `{name}`: the environment has no `{variable}`, so its messages wait"
            yield Finding(id="policy.W030", place=place, sentence=sentence, is_error=False)
        elif section == "personal" and PLACEHOLDER not in url:
            sentence = f"channel `{name}`: the URL in `{variable}` has no `{PLACEHOLDER}`: all would go to one address"
            yield Finding(id="policy.E019", place=place, sentence=sentence)


def _connections(policy_set: PolicySet) -> Iterator[Finding]:
    """The environment is the gateway's, as above; a state folder says nothing of secrets."""
    for connection in policy_set.connections.values():
        place = policy_set.place_of(f"connection {connection.name}")
        for name, value in connection.headers.items():
            try:
                fill(f"the header `{name}` of connection `{connection.name}`", value, Path())
            except PolicyInvalid as error:
                sentence = f"{error}, so its calls fail"
                yield Finding(id="policy.W031", place=place, sentence=sentence, is_error=False)


def _untagged(policy_set: PolicySet, schema: Schema) -> Iterator[Finding]:
    place = policy_set.place_of(f"source {schema.source}")
    for name, table in sorted(schema.tables.items()):
        for column in table.columns:
            tag = suggested_tag(column)
            if tag is not None and not policy_set.tags_of(schema.source, name, column.name):
                full = f"{schema.source}.{name}.{column.name}"
                sentence = f"`{full}` looks like personal data and has no tag; `{tag}: [{full}]` would give it one"
                yield Finding(id="policy.W020", place=place, sentence=sentence, is_error=False)
