"""Do these YAML files make a policy set? If not: which file, which line, why, and what was probably meant."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from gatebook_hub.errors import PolicyInvalid
from gatebook_hub.policy.action_documents import ActionDocument, ConnectionDocument
from gatebook_hub.policy.contradicting import Files, Finding, contradictions
from gatebook_hub.policy.documents import (
    Document,
    JobDocument,
    NotificationsFile,
    RuleFile,
    SourceDocument,
    TestFile,
)
from gatebook_hub.policy.entity_documents import EntityDocument
from gatebook_hub.policy.reading import NotReadable, line_of, read_yaml
from gatebook_hub.policy.rules import PolicySet
from gatebook_hub.policy.translating import translate

_KINDS: Mapping[str, type[Document]] = {
    "sources": SourceDocument,
    "actions": ActionDocument,
    "connections": ConnectionDocument,
    "entities": EntityDocument,
    "jobs": JobDocument,
    "tests": TestFile,
}
NOTIFICATIONS = "notifications.yaml"
D = TypeVar("D", bound=Document)


def load(texts: Mapping[str, str]) -> PolicySet:
    """Make a policy set of the files' texts, keyed by path; raises PolicyInvalid naming every finding."""
    findings: list[Finding] = []
    parsed: dict[type[Document], list[tuple[Any, str]]] = {}
    places: dict[str, str] = {}
    for path in sorted(texts):
        kind = _kind_of(path)
        document = _read(path, texts[path], kind, findings, places)
        if document is not None:
            parsed.setdefault(kind, []).append((document, path))
    files = Files(
        sources=parsed.get(SourceDocument, []),
        actions=parsed.get(ActionDocument, []),
        jobs=parsed.get(JobDocument, []),
        tests=parsed.get(TestFile, []),
        rules=parsed.get(RuleFile, []),
        notifications=parsed.get(NotificationsFile, []),
        connections=parsed.get(ConnectionDocument, []),
        entities=parsed.get(EntityDocument, []),
    )
    findings.extend(contradictions(files, places))
    if findings:
        raise PolicyInvalid("\n".join(str(finding) for finding in findings))
    return replace(translate(files, revision(texts), places), places=places)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of every kind of policy file, by folder or name; rule files are under `rules`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            **{folder: kind.model_json_schema(by_alias=True) for folder, kind in _KINDS.items()},
            "notifications": NotificationsFile.model_json_schema(),
            "rules": RuleFile.model_json_schema(),
        },
    }


def revision(texts: Mapping[str, str]) -> str:
    """The content hash of a set: the same files, the same revision."""
    each = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    return hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()[:16]


def _kind_of(path: str) -> type[Document]:
    if path == NOTIFICATIONS:
        return NotificationsFile
    return _KINDS.get(path.split("/", maxsplit=1)[0] if "/" in path else "", RuleFile)


def _read(path: str, text: str, kind: type[D], findings: list[Finding], places: dict[str, str]) -> D | None:
    try:
        data = read_yaml(text)
    except NotReadable as error:
        findings.append(Finding(id="policy.E001", place=f"{path}:{error.line}", sentence=error.sentence))
        return None
    try:
        found = kind.model_validate(data)
    except ValidationError as error:
        for detail in error.errors():
            place = f"{path}:{line_of(data, detail['loc'])}"
            findings.append(Finding(id="policy.E002", place=place, sentence=_sentence(detail, kind)))
        return None
    places.update(_places(path, data))
    return found


def _places(path: str, data: Any) -> Iterator[tuple[str, str]]:
    """Where each rule, tag, vouched function, source, action, job and test of a valid file stands."""
    for section in ("grants", "protections", "approvals", "absences"):
        for index, rule in enumerate(data.get(section) or ()):
            yield rule["id"], f"{path}:{line_of(data, (section, index))}"
    for section in ("classification", "functions"):
        for name in data.get(section) or ():
            yield f"{section} {name}", f"{path}:{line_of(data, (section, name))}"
    for section, word in (("channels", "channel"), ("personal", "personal")):
        for name in data.get(section) or ():
            yield f"{word} {name}", f"{path}:{line_of(data, (section, name))}"
    for kind in ("source", "action", "job", "connection", "entity"):
        if kind in data:
            yield f"{kind} {data[kind]}", f"{path}:{line_of(data, (kind,))}"
    for index in range(len(data.get("tests") or ())):
        yield f"test {path} {index}", f"{path}:{line_of(data, ('tests', index))}"


def _sentence(detail: Any, kind: type[Document]) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        unknown = str(detail["loc"][-1])
        near = difflib.get_close_matches(unknown, _keys(kind), n=1)
        return f"{where}: unknown key" + (f", did you mean `{near[0]}`?" if near else "")
    if detail["type"] == "enum":
        known = re.findall(r"'([^']*)'", str(detail["ctx"]["expected"]))
        near = difflib.get_close_matches(str(detail["input"]), known, n=1)
        hint = f", did you mean `{near[0]}`?" if near else f"; it is one of {', '.join(known)}"
        return f"{where}: unknown `{str(detail['input'])[:64]}`{hint}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else message


def _keys(kind: type[Document]) -> set[str]:
    schema = json.dumps(kind.model_json_schema())
    return set(re.findall(r'"([a-z_]+)": \{"(?:title|anyOf|default|description|items|type|\$ref|allOf|enum)', schema))
