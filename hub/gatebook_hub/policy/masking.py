"""Which mask does a rule name, and which of two is the stronger?"""

from __future__ import annotations

import re

from gatebook_hub.model import Mask

MASK = re.compile(
    r"^(null|redact|hash|email|year|custom"
    r"|last\(([1-9][0-9]?)\)|first\(([1-9][0-9]?)\)|bucket\(([1-9][0-9]{0,8})\))$"
)
# null > redact > hash > last, first, email > year > bucket. The three in the middle hide different parts: their order
# among each other is a choice, made once so that the order of rules makes none.
_STRENGTH = {"null": 80, "redact": 70, "hash": 60, "last": 52, "first": 51, "email": 50, "year": 40, "bucket": 30}
_CUSTOM = "custom"


def parse_mask(text: str, expression: str | None = None, *, rule: str) -> Mask:
    """The mask of a rule; the text is one that `MASK` takes."""
    match = MASK.match(text)
    assert match is not None
    argument = match[2] or match[3] or match[4]
    name = text.split("(", maxsplit=1)[0]
    return Mask(name=name, argument=int(argument) if argument else None, rule=rule, expression=expression)


def stronger(first: Mask, second: Mask) -> Mask:
    """Of two masks of one column the one that shows less, whichever comes first.

    Nobody can say how much a custom expression shows: beside a mask that is not sure to show less, NULL is shown.
    """
    if _is_same(first, second):
        return min(first, second, key=lambda mask: mask.rule)
    one, other = sorted((first, second), key=lambda mask: mask.name == _CUSTOM)
    if other.name == _CUSTOM:
        if one.name in {"null", "redact"}:
            return one
        return Mask(name="null", rule=min(first.rule, second.rule))
    return max(first, second, key=lambda mask: (_rank(mask), [-ord(letter) for letter in mask.rule]))


def _is_same(first: Mask, second: Mask) -> bool:
    return (first.name, first.argument, first.expression) == (second.name, second.argument, second.expression)


def _rank(mask: Mask) -> tuple[int, int]:
    argument = mask.argument or 0
    return _STRENGTH[mask.name], argument if mask.name == "bucket" else -argument
