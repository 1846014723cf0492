"""Can a policy file stall or fell the gate? Bombs of aliases, depth and size, and texts that are no YAML at all."""

from __future__ import annotations

import time

import pytest

from gatebook_hub.errors import PolicyInvalid
from gatebook_hub.policy import load
from gatebook_hub.policy.reading import MAX_CHARACTERS, NotReadable, line_of, read_yaml

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS = {
    "aliases": (LAUGHS, "alias"),
    "an alias of itself": ("grants: &a\n  - *a\n", "alias"),
    "a merge": ("base: &b {id: x}\ngrants:\n  - {<<: *b, to: 'user:a', audit: true}\n", "alias"),
    "depth": ("[" * 5_000 + "]" * 5_000, "deep"),
    "depth of blocks": ("".join(f"{' ' * i}a:\n" for i in range(200)), "deep"),
    "size": ("# " + "x" * MAX_CHARACTERS, "characters"),
    "many values": ("grants: [" + "1," * 120_000 + "]", "values"),
    "a number without end": (
        "approvals: [{id: a, on: s.t, require: [{groups: [r], needed: " + "9" * 5_000 + "}]}]",
        "long",
    ),
    "a date that is none": ("grants: [{id: a, to: 'user:x', audit: true, until: 2026-13-45}]", "YAML|date"),
    "two documents": ("grants: []\n---\ngrants: []\n", "YAML"),
    "a tab": ("grants:\n\t- id: a\n", "YAML"),
    "a control character": ("grants: [\x07]", "YAML"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_quickly_with_a_line(name: str) -> None:
    text, reason = BOMBS[name]
    started = time.process_time()
    with pytest.raises(PolicyInvalid, match=rf"rules.yaml:\d+: .*({reason})"):
        load({"rules.yaml": text})
    assert time.process_time() - started < 10  # seconds of this process, however busy the machine is


def test_a_tag_of_python_makes_nothing() -> None:
    with pytest.raises(PolicyInvalid):
        load({"rules.yaml": "grants: !!python/object/apply:os.system ['true']\n"})


def test_lines_are_those_of_the_text() -> None:
    data = read_yaml("grants:\n  - id: a\n    to:\n      - user:x\n")
    assert line_of(data, ("grants", 0)) == 2
    assert line_of(data, ("grants", 0, "to", 0)) == 4
    assert line_of(data, ("grants", 7)) == 1


def test_an_empty_text_is_an_empty_set_of_rules() -> None:
    assert read_yaml("# nothing yet\n") == {}
    with pytest.raises(NotReadable):
        read_yaml("a: b: c")
