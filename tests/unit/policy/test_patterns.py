"""Is a regular expression that could stall the gate refused, and one that people write taken?"""

from __future__ import annotations

import re
import time

import pytest

from gatebook_hub.errors import PolicyInvalid
from gatebook_hub.policy import load
from gatebook_hub.policy.patterns import compiled, longest, why_slow

BOMBS = [
    "(a+)+$",
    "(a*)*b",
    "(a|a)*b",
    "(a|aa)+$",
    "([a-z]+)*1",
    "(a{1,16}){1,16}b",
    "(a*){20}b",
    "((a+)b?)+c",
    "(?:a?){30}a{30}",
    r"(.*)(.*)(.*)(.*)(.*)(.*)x",
    r"(a)\1",
    "(?=a+)a+b",
    "(?!a*b)a*c",
    "a" * 501,
    "a{0,16}" * 6 + "b",
    "a?" * 30 + "a" * 30 + "b",
    "^" + "a?" * 30 + "a" * 30 + "b",
    "(",
]


@pytest.mark.parametrize("pattern", BOMBS)
def test_a_bomb_is_refused(pattern: str) -> None:
    assert why_slow(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}-[0-9]{4,8}$",
        r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
        "^(open|closed|on hold)$",
        r"^\+?[0-9 ()-]{5,20}$",
        "^INV-[0-9]+(/[0-9]{2})?$",
    ],
)
def test_what_people_write_is_taken_and_quick(pattern: str) -> None:
    assert why_slow(pattern) is None
    started = time.process_time()
    for text in ("a" * 200, "a@" * 100, "0" * 200 + "!", "INV-" + "1" * 200 + "x"):
        re.search(pattern, text)
    assert time.process_time() - started < 1


def test_an_action_with_a_bomb_does_not_load() -> None:
    action = """
action: a
title: A
source: shop
params: {code: {type: string, pattern: "(a+)+$"}}
sql: insert into t (x) values (:code)
"""
    with pytest.raises(PolicyInvalid, match=r"actions/a.yaml:5: policy.E002 .*repetition"):
        load({"actions/a.yaml": action})


def test_a_long_condition_is_refused_before_it_is_matched() -> None:
    rules = "approvals:\n  - {id: a, on: shop.t, when: 'rows >" + " " * 200_000 + "x', require: [{groups: [r]}]}\n"
    started = time.process_time()
    with pytest.raises(PolicyInvalid, match="not a comparison"):
        load({"rules.yaml": rules})
    assert time.process_time() - started < 5


@pytest.mark.parametrize("pattern", [r".*@.*\..*", "(.*)(.*)(.*)(.*)x", "(?m)^.*.*.*.*x", "[0-9]+x", "^.*.*.*.*x"])
def test_no_text_that_is_taken_keeps_a_pattern_busy(pattern: str) -> None:
    """Repetitions beside each other are no bomb, but on ten thousand characters three of them take minutes."""
    assert why_slow(pattern) is None
    started = time.process_time()
    for sign in "@a0.":
        compiled(pattern).search(sign * longest(pattern))
    assert time.process_time() - started < 20


def test_what_people_write_takes_texts_as_long_as_theirs() -> None:
    assert longest(r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$") >= 320
    assert longest(r"^[A-Z]{2}-[0-9]{4,8}$") == longest("^.{1,2000}$") == 10_000


@pytest.mark.parametrize(
    "pattern, text, is_found",
    [
        ("^[A-Z]{2}$", "DE", True),
        ("^[A-Z]{2}$", "DE\n", False),
        ("^[A-Z]{2}", "DE\n", True),
        ("^[A-Z\n]{3}$", "DE\n", True),
        (r"^5\$$", "5$", True),
        ("^[$]$", "$", True),
        ("^[]$]$", "$", True),
        ("^[^]$]$", "$", False),
        (r"^[\]$]+$", "]$", True),
    ],
)
def test_the_end_is_the_end(pattern: str, text: str, is_found: bool) -> None:
    assert bool(compiled(pattern).search(text)) is is_found
