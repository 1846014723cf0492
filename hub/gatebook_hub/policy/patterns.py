"""Can a regular expression of a policy file stall the gate? Repetitions inside repetitions can, so they are refused."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

with warnings.catch_warnings():
    # The standard library's own reader of patterns: the only one that reads them as `re` does.
    warnings.simplefilter("ignore", DeprecationWarning)
    from re import _constants as codes  # type: ignore[attr-defined]
    from re import _parser as reader  # type: ignore[attr-defined]

_MOST_CHARACTERS = 500
_MOST_REPEATS = 4
_FEW = 16
# Ways to match that a second is enough to try.
_MOST_WAYS = 30_000_000
LONGEST_TEXT = 10_000
# A `$`, or what is none: a sign after a backslash, and a set.
_BEGINNINGS = (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING)
_ENDS = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\$", re.DOTALL)


def why_slow(pattern: str) -> str | None:
    """Why the pattern is refused, or None.

    Backtracking is exponential where a repetition holds a repetition or a choice; it is a polynomial of as many
    degrees as there are open repetitions beside each other.
    """
    if len(pattern) > _MOST_CHARACTERS:
        return f"a pattern has at most {_MOST_CHARACTERS} characters"
    try:
        re.compile(pattern)
        tree = reader.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"the pattern is not a regular expression: {error}"
    if any(code in {codes.GROUPREF, codes.GROUPREF_EXISTS, codes.ASSERT, codes.ASSERT_NOT} for code, _ in _nodes(tree)):
        return "a pattern looks neither back nor ahead"
    repeats = [body for code, body in _nodes(tree) if _is_repeat(code) and body[1] > 1]
    for _, _, inner in repeats:
        if any(_is_variable(code, body) or code is codes.BRANCH for code, body in _nodes(inner)):
            return "a pattern has no repetition or choice inside a repetition: a long value could stall the gate"
    if sum(most > _FEW for _, most, _ in repeats) > _MOST_REPEATS:
        return f"a pattern has at most {_MOST_REPEATS} repetitions without a small bound"
    if longest(pattern) < _FEW:
        return "a pattern has fewer repetitions and optional parts: a short value could stall the gate"
    return None


@lru_cache(maxsize=500)
def longest(pattern: str) -> int:
    """How many characters a text may have that is held against the pattern.

    Each open repetition, and a beginning anywhere, is one more place in the text that is chosen: n of them have
    about `length ** n / n!` ways. A repetition with a small bound has as many ways as numbers of turns.
    """
    tree = reader.parse(pattern)
    is_anchored = bool(tree) and tree[0][0] is codes.AT and tree[0][1] in _BEGINNINGS
    is_anchored = is_anchored and not tree.state.flags & re.MULTILINE
    spans = [body[1] - body[0] for code, body in _nodes(tree) if _is_repeat(code) and body[1] > _FEW]
    places = len([span for span in spans if span]) + (not is_anchored)
    small = [body for code, body in _nodes(tree) if _is_repeat(code) and body[1] <= _FEW]
    ways = _MOST_WAYS * math.factorial(places) / math.prod(most - least + 1 for least, most, _ in small)
    return min(LONGEST_TEXT, int(ways ** (1 / max(1, places))))


@lru_cache(maxsize=500)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as JSON Schema means it (ECMA-262): `$` is the end, and not what comes before a last line break."""
    return re.compile(_ENDS.sub(lambda found: found[1] or r"\Z", pattern))


def _is_variable(code: Any, body: Any) -> bool:
    return _is_repeat(code) and body[0] != body[1]


def _is_repeat(code: Any) -> bool:
    return code in {codes.MAX_REPEAT, codes.MIN_REPEAT}


def _nodes(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every node of a parsed pattern, from the outside in."""
    for code, body in tree:
        yield code, body
        for part in body if isinstance(body, tuple | list) else (body,):
            for inner in part if isinstance(part, list) else (part,):
                if isinstance(inner, reader.SubPattern):
                    yield from _nodes(inner)
