"""Do the files of a set fit each other? Doubled ids, and names that nothing declares: what one file cannot know."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatebook_hub.model import Engine
from gatebook_hub.policy.action_documents import ActionDocument, ConnectionDocument
from gatebook_hub.policy.documents import (
    JobDocument,
    NotificationsFile,
    RequirementDocument,
    RuleFile,
    SourceDocument,
    TestFile,
)
from gatebook_hub.policy.entity_documents import EntityDocument

# They read files, reach the network, run text as SQL or wait: nobody can vouch for them.
_NEVER = (
    "PG_READ", "PG_LS", "PG_STAT_FILE", "LO_", "DBLINK", "QUERY_TO_XML", "TABLE_TO_XML", "DATABASE_TO_XML",
    "SCHEMA_TO_XML", "CURSOR_TO_XML", "PG_SLEEP", "PG_TERMINATE", "PG_CANCEL", "PG_ADVISORY", "SET_CONFIG",
    "CURRENT_SETTING", "LOAD_FILE", "LOAD_EXTENSION", "READFILE", "WRITEFILE", "SYS_EXEC", "SYS_EVAL", "SLEEP",
    "BENCHMARK", "GET_LOCK", "READ_", "PARQUET_", "SQLITE_SCAN", "POSTGRES_SCAN", "GLOB_FILES", "GETENV", "EVAL",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: `policies/grants.yaml:12: grants.0.allow: …`, with a stable id."""

    id: str
    place: str
    sentence: str
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.place}: {self.id} {self.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The validated files by kind; each document comes with the path of its file."""

    sources: Sequence[tuple[SourceDocument, str]]
    actions: Sequence[tuple[ActionDocument, str]]
    jobs: Sequence[tuple[JobDocument, str]]
    tests: Sequence[tuple[TestFile, str]]
    rules: Sequence[tuple[RuleFile, str]]
    notifications: Sequence[tuple[NotificationsFile, str]] = ()
    connections: Sequence[tuple[ConnectionDocument, str]] = ()
    entities: Sequence[tuple[EntityDocument, str]] = ()


def did_you_mean(name: str, known: Collection[str]) -> str:
    """`, did you mean …?` where something known is near, else nothing."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean `{near[0]}`?" if near else ""


def contradictions(files: Files, places: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong between the files; `places` says where each rule, source, action and job stands."""
    sources = {document.source for document, _ in files.sources}
    actions = {document.action for document, _ in files.actions}
    seen: dict[str, str] = {}
    for what, name, place in _ids(files):
        key = f"{what} {name}"
        if key in seen:
            yield Finding(id="policy.E003", place=place, sentence=f"{what} `{name}` is already in {seen[key]}")
        seen[key] = place
    yield from _unknown("policy.E004", "source", sources, _source_names(files, places))
    yield from _unknown(
        "policy.E004", "connection", {one.connection for one, _ in files.connections}, _connection_names(files, places)
    )
    entities = {one.entity for one, _ in files.entities}
    granted = (
        (name, places.get(rule.id, path), f"rule `{rule.id}`")
        for rules, path in files.rules
        for rule in rules.grants
        for name in rule.entities
    )
    yield from _unknown("policy.E004", "entity", entities, granted)
    yield from _unknown("policy.E005", "action", actions, _action_names(files, places))
    tags = {tag for rules, _ in files.rules for tag in rules.classification}
    yield from _unknown("policy.E006", "tag", tags, _tag_names(files, places))
    yield from _unknown("policy.E008", "rule about the group", set(_groups(files)), _notified(files, places))
    yield from _unknown("policy.E008", "quorum with the group", set(_reviewing(files)), _stood_in_for(files, places))
    engines = {str(engine) for engine in Engine}
    for rules, path in files.rules:
        for target, functions in rules.functions.items():
            place = places.get(f"functions {target}", path)
            if target not in sources | engines:
                hint = did_you_mean(target, sources | engines)
                yield Finding(
                    id="policy.E004", place=place, sentence=f"functions: there is no source or engine `{target}`{hint}"
                )
            for function in functions:
                if function.upper().startswith(_NEVER):
                    sentence = f"functions: `{function}` reaches beyond the tables, so nobody can vouch for it"
                    yield Finding(id="policy.E007", place=place, sentence=sentence)


def _unknown(
    finding: str, what: str, known: Collection[str], named: Iterable[tuple[str, str, str]]
) -> Iterator[Finding]:
    for name, place, where in named:
        if name not in known:
            sentence = f"{where}: there is no {what} `{name}`{did_you_mean(name, known)}"
            yield Finding(id=finding, place=place, sentence=sentence)


def _ids(files: Files) -> Iterator[tuple[str, str, str]]:
    for source, place in files.sources:
        yield "source", source.source, place
    for connection, place in files.connections:
        yield "source", connection.connection, place  # both are where an action has its effect
    for action, place in files.actions:
        yield "action", action.action, place
    for entity, place in files.entities:
        yield "entity", entity.entity, place
    for job, place in files.jobs:
        yield "job", job.job, place
    for rules, place in files.rules:
        ids = [rule.id for rule in rules.grants]
        ids += [rule.id for rule in rules.protections]
        ids += [rule.id for rule in rules.approvals]
        ids += [rule.id for rule in rules.absences]
        for name in ids:
            yield "rule", name, place


def _source_names(files: Files, places: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for action, path in files.actions:
        if action.source is not None:
            yield action.source, places.get(f"action {action.action}", path), f"action `{action.action}`"
    for entity, path in files.entities:
        yield entity.source, places.get(f"entity {entity.entity}", path), f"entity `{entity.entity}`"
    for rules, path in files.rules:
        meant = [(rule.id, rule.on or []) for rule in rules.grants]
        meant += [(rule.id, rule.on or []) for rule in rules.approvals]
        meant += [(rule.id, rule.on) for rule in rules.protections]
        for name, targets in meant:
            for target in targets:
                yield target.partition(".")[0], places.get(name, path), f"rule `{name}`"
        for tag, columns in rules.classification.items():
            for column in columns:
                yield column.partition(".")[0], places.get(f"classification {tag}", path), f"tag `{tag}`"


def _connection_names(files: Files, places: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for action, path in files.actions:
        if action.http is not None:
            where = places.get(f"action {action.action}", path)
            yield action.http.connection, where, f"action `{action.action}`"


def _action_names(files: Files, places: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for rules, path in files.rules:
        meant = [(rule.id, rule.actions) for rule in rules.grants]
        meant += [(rule.id, rule.actions) for rule in rules.approvals]
        meant += [
            (rule.id, [name.removeprefix("action:") for name in rule.unless if name.startswith("action:")])
            for rule in rules.protections
        ]
        for name, actions in meant:
            for action in actions:
                yield action, places.get(name, path), f"rule `{name}`"


def _tag_names(files: Files, places: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for rules, path in files.rules:
        meant = [(rule.id, rule.tag) for rule in rules.protections]
        meant += [(rule.id, rule.tag) for rule in rules.approvals]
        for name, tags in meant:
            for tag in tags:
                yield tag, places.get(name, path), f"rule `{name}`"


def _default_quorums(files: Files) -> list[RequirementDocument]:
    """What is asked for where no rule matches, by sources and connections."""
    found = [requirement for source, _ in files.sources for requirement in source.default_quorum]
    return found + [requirement for connection, _ in files.connections for requirement in connection.default_quorum]


def _groups(files: Files) -> Iterator[str]:
    """Every group that a rule, a source or a job is about; people are put into groups elsewhere."""
    principals: list[str] = []
    quorums = _default_quorums(files)
    for rules, _ in files.rules:
        principals += [name for rule in rules.grants for name in rule.to]
        principals += [name for rule in rules.protections for name in rule.unless]
        quorums += [requirement for rule in rules.approvals for requirement in rule.require]
        quorums += [one for rule in rules.grants if rule.on_request is not None for one in rule.on_request.require]
    for job, _ in files.jobs:
        principals += job.run_by or []
        yield job.owner
    yield from (name.removeprefix("group:") for name in principals if name.startswith("group:"))
    yield from (group for requirement in quorums for group in requirement.groups)


def _notified(files: Files, places: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for document, path in files.notifications:
        named = [("channel", name, channel.to or []) for name, channel in document.channels.items()]
        named += [("personal", name, channel.to or []) for name, channel in document.personal.items()]
        for section, name, principals in named:
            for principal in principals:
                if principal.startswith("group:"):
                    place = places.get(f"{section} {name}", path)
                    yield principal.removeprefix("group:"), place, f"channel `{name}`"


def _reviewing(files: Files) -> Iterator[str]:
    """Every group that reviews something."""
    quorums = _default_quorums(files)
    for rules, _ in files.rules:
        for rule in rules.approvals:
            quorums += rule.require
            quorums += rule.break_glass.review if rule.break_glass is not None else []
        for grant in rules.grants:
            quorums += grant.on_request.require if grant.on_request is not None else []
    yield from (group for requirement in quorums for group in requirement.groups)


def _stood_in_for(files: Files, places: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for rules, path in files.rules:
        for rule in rules.absences:
            for group in rule.for_:
                yield group, places.get(rule.id, path), f"absence `{rule.id}`"
