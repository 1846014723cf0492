"""Does the JSON Schema take what the gate takes? Editors show what it refuses as mistakes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from gatebook_hub.policy.loading import NOTIFICATIONS, json_schema

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "policies").rglob("*.yaml"))


def validate(name: str, text: str) -> None:
    schema = json_schema()
    folder = name.split("/", maxsplit=1)[0] if "/" in name else "rules"
    kind = schema["$defs"]["notifications" if name == NOTIFICATIONS else folder]
    jsonschema.Draft202012Validator.check_schema(kind)
    data: Any = YAML(typ="safe", pure=True).load(text)
    # JSON has no dates: an editor sees their text.
    jsonschema.validate(plain(data), kind)


def plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case str() | int() | float() | bool() | None:
            return value
        case _:
            return str(value)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_the_demo_set_is_valid_by_the_schema(path: Path) -> None:
    validate(path.relative_to(ROOT / "policies").as_posix(), path.read_text())


def test_the_example_of_the_reference_is_valid_by_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / ".ci" / "reference"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    spec = importlib.util.spec_from_file_location("of_policy", folder / "of_policy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.EXAMPLE.items():
        validate(name, text)


@pytest.mark.parametrize(
    "text",
    [
        "grants: [{id: a, to: 'x', on: shop.t, allow: [select]}]",
        "grants: [{id: a, to: 'user:x', on: shop.t, allow: [read]}]",
        "grants: [{id: a, to: 'user:x', on: shop.t, allow: [select], hours: 8-18}]",
        "grants: [{id: a, to: 'user:x', on: shop.t, allow: [select], days: someday}]",
        "protections: [{id: a, on: shop.t.c, mask: blur}]",
        "approvals: [{id: a, on: shop.t, require: [], expires_h: -1}]",
        "functions: {shop: ['pg read']}",
        "nothing: 1",
    ],
)
def test_what_the_gate_refuses_by_its_form_the_schema_refuses_too(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate("rules.yaml", text)


@pytest.mark.parametrize(
    "text",
    [
        "channels: {ops: {url_env: 'mailto://x'}}",
        "channels: {ops: {url_env: GATEBOOK_NOTIFY_X, kinds: [fails]}}",
        "channels: {ops: {url_env: GATEBOOK_NOTIFY_X, digest: hourly}}",
        "personal: {mail: {title: Mail, url_env: GATEBOOK_NOTIFY_X, to: 'job:nightly'}}",
        "digest_at: '7:00'",
        "grants: []",
    ],
)
def test_the_schema_refuses_what_the_gate_refuses_of_notifications(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(NOTIFICATIONS, text)
