"""Does the mask that shows less win, whichever comes first?"""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from gatebook_hub.model import Mask
from gatebook_hub.policy.masking import MASK, parse_mask, strongest

WEAKENING = [
    "null", "redact", "hash", "last(2)", "last(4)", "first(2)", "first(4)", "email", "year", "bucket(100)",
    "bucket(10)",
]  # fmt: skip


def stronger(first: Mask, second: Mask) -> Mask:
    return strongest([first, second])


def mask(text: str, rule: str = "r", expression: str | None = None) -> Mask:
    return parse_mask(text, expression, rule=rule)


@pytest.mark.parametrize("first, second", list(pairwise(WEAKENING)))
def test_the_stronger_of_two_wins_in_either_order(first: str, second: str) -> None:
    assert str(stronger(mask(first), mask(second))) == first
    assert str(stronger(mask(second), mask(first))) == first


def test_of_two_that_are_alike_the_rule_named_is_always_the_same() -> None:
    one, other = mask("email", "a"), mask("email", "b")
    assert stronger(one, other) == stronger(other, one) == one


def test_beside_a_custom_mask_only_what_shows_nothing_is_sure() -> None:
    custom = mask("custom", "c", "substr(value, 1, 1)")
    for name, wins in (("null", "null"), ("redact", "redact"), ("hash", "null"), ("bucket(10)", "null")):
        assert str(stronger(custom, mask(name))) == str(stronger(mask(name), custom)) == wins
    assert str(stronger(custom, mask("custom", "d", "upper(value)"))) == "null"
    assert stronger(custom, mask("custom", "d", "substr(value, 1, 1)")) == custom


def test_no_order_of_three_masks_gives_another_one() -> None:
    three = [mask("custom", "c", "upper(value)"), mask("email", "e"), mask("redact", "r")]
    assert {str(strongest(order)) for order in permutations(three)} == {"redact"}
    three[2] = mask("hash", "h")
    assert {str(strongest(order)) for order in permutations(three)} == {"null"}


@pytest.mark.parametrize("text", ["blur", "last", "last(0)", "bucket", "bucket(-1)", "hash(3)", "null ", "custom(1)"])
def test_what_is_no_mask_is_none(text: str) -> None:
    assert not MASK.match(text)
