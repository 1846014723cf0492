"""Do these YAML files make a policy set? If not: which file, which line, why, and what was probably meant."""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gatebook_hub.errors import PolicyInvalid
from gatebook_hub.policy.documents import (
    ActionDocument,
    Document,
    JobDocument,
    RuleFile,
    SourceDocument,
    TestFile,
)
from gatebook_hub.policy.rules import PolicySet
from gatebook_hub.policy.translating import translate

_KINDS: Mapping[str, type[Document]] = {
    "sources": SourceDocument,
    "actions": ActionDocument,
    "jobs": JobDocument,
    "tests": TestFile,
}
D = TypeVar("D", bound=Document)


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
    """The parsed files by kind; each document comes with its place and the digest of its text."""

    sources: Sequence[tuple[SourceDocument, str]]
    actions: Sequence[tuple[ActionDocument, str]]
    jobs: Sequence[tuple[JobDocument, str]]
    tests: Sequence[tuple[TestFile, str]]
    rules: Sequence[tuple[RuleFile, str]]


def load(texts: Mapping[str, str]) -> PolicySet:
    """Make a policy set of the files' texts, keyed by path; raises PolicyInvalid naming every finding."""
    findings: list[Finding] = []
    parsed: dict[type[Document], list[tuple[Any, str]]] = {}
    for path in sorted(texts):
        kind = _KINDS.get(path.split("/")[0] if "/" in path else "", RuleFile)
        document = _read(path, texts[path], kind, findings)
        if document is not None:
            parsed.setdefault(kind, []).append((document, path))
    files = Files(
        sources=parsed.get(SourceDocument, []),
        actions=parsed.get(ActionDocument, []),
        jobs=parsed.get(JobDocument, []),
        tests=parsed.get(TestFile, []),
        rules=parsed.get(RuleFile, []),
    )
    findings.extend(_contradictions(files))
    if findings:
        raise PolicyInvalid("\n".join(str(finding) for finding in findings))
    places = dict(place for path in sorted(texts) for place in _places(path, texts[path]))
    return replace(translate(files, revision(texts)), places=places)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of every kind of policy file, by folder; rule files are under `rules`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            **{folder: kind.model_json_schema(by_alias=True) for folder, kind in _KINDS.items()},
            "rules": RuleFile.model_json_schema(),
        },
    }


def revision(texts: Mapping[str, str]) -> str:
    """The content hash of a set: the same files, the same revision."""
    each = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    return hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: str, text: str, kind: type[D], findings: list[Finding]) -> D | None:
    try:
        data = YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        findings.append(Finding(id="policy.E001", place=f"{path}:{line}", sentence=f"is not YAML: {error.problem}"))
        return None
    except YAMLError as error:
        findings.append(Finding(id="policy.E001", place=f"{path}:1", sentence=f"is not YAML: {error}"))
        return None
    try:
        return kind.model_validate(data if data is not None else {})
    except ValidationError as error:
        for detail in error.errors():
            place = f"{path}:{_line(data, detail['loc'])}"
            findings.append(Finding(id="policy.E002", place=place, sentence=_sentence(detail, kind)))
        return None


def _places(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Where each rule, action and job of a valid file stands."""
    data = YAML(typ="rt").load(io.StringIO(text)) or {}
    for section in ("grants", "protections", "approvals"):
        rules = data.get(section) or ()
        for index, rule in enumerate(rules):
            yield rule["id"], f"{path}:{_line(data, (section, index))}"
    for kind in ("action", "job"):
        if kind in data:
            yield f"{kind} {data[kind]}", f"{path}:{_line(data, (kind,))}"


def _line(data: Any, location: tuple[int | str, ...]) -> int:
    """The line of the innermost part of the location that the file has."""
    line = 1
    for part in location:
        try:
            known = data.lc.item(part) if isinstance(part, int) else data.lc.key(part)
            data = data[part]
        except (AttributeError, KeyError, TypeError, IndexError):
            break
        line = int(known[0]) + 1
    return line


def _sentence(detail: Any, kind: type[Document]) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        unknown = str(detail["loc"][-1])
        near = difflib.get_close_matches(unknown, _keys(kind), n=1)
        return f"{where}: unknown key" + (f", did you mean `{near[0]}`?" if near else "")
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else message


def _keys(kind: type[Document]) -> set[str]:
    schema = json.dumps(kind.model_json_schema())
    return set(re.findall(r'"([a-z_]+)": \{"(?:title|anyOf|default|description|items|type|\$ref|allOf|enum)', schema))


def _contradictions(files: Files) -> Iterator[Finding]:
    """What single documents cannot know: doubled ids, names that nothing declares."""
    sources = {document.source for document, _ in files.sources}
    actions = {document.action for document, _ in files.actions}
    seen: dict[str, str] = {}
    for what, name, place in _ids(files):
        key = f"{what} {name}"
        if key in seen:
            yield Finding(id="policy.E003", place=place, sentence=f"{what} `{name}` is already in {seen[key]}")
        seen[key] = place
    yield from _unknown("policy.E004", "source", sources, _source_names(files))
    yield from _unknown("policy.E005", "action", actions, _action_names(files))
    tags = {tag for rules, _ in files.rules for tag in rules.classification}
    for rules, place in files.rules:
        for protection in rules.protections:
            for tag in protection.tag:
                if tag not in tags:
                    sentence = f"protection `{protection.id}`: no column has the tag `{tag}`"
                    yield Finding(id="policy.E006", place=place, sentence=sentence)


def _unknown(
    finding: str, what: str, known: Collection[str], named: Iterable[tuple[str, str, str]]
) -> Iterator[Finding]:
    for name, place, where in named:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean `{near[0]}`?" if near else ""
            yield Finding(id=finding, place=place, sentence=f"{where}: there is no {what} `{name}`{hint}")


def _ids(files: Files) -> Iterator[tuple[str, str, str]]:
    for source, place in files.sources:
        yield "source", source.source, place
    for action, place in files.actions:
        yield "action", action.action, place
    for job, place in files.jobs:
        yield "job", job.job, place
    for rules, place in files.rules:
        ids = [rule.id for rule in rules.grants]
        ids += [rule.id for rule in rules.protections]
        ids += [rule.id for rule in rules.approvals]
        for name in ids:
            yield "rule", name, place


def _source_names(files: Files) -> Iterator[tuple[str, str, str]]:
    for action, place in files.actions:
        yield action.source, place, f"action `{action.action}`"
    for rules, place in files.rules:
        meant = [(rule.id, rule.on or []) for rule in rules.grants]
        meant += [(rule.id, rule.on or []) for rule in rules.approvals]
        meant += [(rule.id, rule.on) for rule in rules.protections]
        meant += [(tag, columns) for tag, columns in rules.classification.items()]
        for name, targets in meant:
            for target in targets:
                yield target.partition(".")[0], place, f"rule `{name}`"


def _action_names(files: Files) -> Iterator[tuple[str, str, str]]:
    for rules, place in files.rules:
        meant = [(rule.id, rule.actions) for rule in rules.grants]
        meant += [(rule.id, rule.actions) for rule in rules.approvals]
        for name, actions in meant:
            for action in actions:
                yield action, place, f"rule `{name}`"
