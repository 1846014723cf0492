"""Which mask does a rule name, and which of two is the stronger?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatebook_hub.model import Mask

MASK = re.compile(
    r"^(null|redact|hash|email|year|custom"
    r"|last\(([1-9][0-9]?)\)|first\(([1-9][0-9]?)\)|bucket\(([1-9][0-9]{0,8})\))$"
)
# null > redact > hash > last, first, email > year > bucket. The three in the middle hide different parts: their order
# among each other is a choice, made once so that the order of rules makes none.
_STRENGTH = {"null": 80, "redact": 70, "hash": 60, "last": 52, "first": 51, "email": 50, "year": 40, "bucket": 30}
_CUSTOM = "custom"
_SURE = frozenset({"null", "redact"})


def parse_mask(text: str, expression: str | None = None, *, rule: str) -> Mask:
    """The mask of a rule; the text is one that `MASK` takes."""
    match = MASK.match(text)
    assert match is not None
    argument = match[2] or match[3] or match[4]
    name = text.split("(", maxsplit=1)[0]
    return Mask(name=name, argument=int(argument) if argument else None, rule=rule, expression=expression)


def strongest(masks: Iterable[Mask]) -> Mask:
    """Of all masks of one column the one that shows least, in whatever order they come; raises for none at all.

    Nobody can say how much a custom expression shows: beside another mask that is not sure to show less, NULL is shown.
    """
    found = sorted(masks, key=lambda mask: mask.rule)
    known = [mask for mask in found if mask.name != _CUSTOM]
    customs = [mask for mask in found if mask.name == _CUSTOM]
    best = max(known, key=_rank, default=None)
    if not customs:
        assert best is not None
        return best
    if best is not None and best.name in _SURE:
        return best
    if best is None and len({mask.expression for mask in customs}) == 1:
        return customs[0]
    return Mask(name="null", rule=found[0].rule)


def _rank(mask: Mask) -> tuple[int, int]:
    argument = mask.argument or 0
    return _STRENGTH[mask.name], argument if mask.name == "bucket" else -argument
