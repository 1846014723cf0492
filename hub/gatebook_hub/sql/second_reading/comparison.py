"""Does PostgreSQL read two texts as one statement, and if not, where do they part?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading.engine_parser import TOO_DEEP, read
from gatebook_hub.sql.second_reading.spellings import one_spelling
from gatebook_hub.sql.second_reading.trees import PLACES, Node, Tree, class_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where the database would read something else than what was understood; `path` names nodes, never values."""

    path: str

    def __str__(self) -> str:
        return f"the database would read this statement differently than it was understood, at `{self.path}`"


def trees_agree(typed: str, regenerated: str) -> Difference | None:
    """None if PostgreSQL reads both texts as the same statement, else the first difference.

    Both texts must have their parameters as `$1`, `$2`, …: the same number for the same name. Raises NotParsed when
    PostgreSQL would not take the text as typed; a regenerated text that it would not take is a difference.
    """
    expected = read(typed)
    try:
        found = read(regenerated)
    except NotParsed:
        return Difference(path="the statement as a whole")
    return first_difference(expected, found)


def first_difference(expected: list[Tree], found: list[Tree]) -> Difference | None:
    """Where two lists of statements part, if they do; raises NotParsed where they are nested too deeply to tell."""
    try:
        path = _values(expected, found)
    except RecursionError as error:
        raise NotParsed(TOO_DEEP) from error
    return None if path is None else Difference(path=".".join(reversed(path)) or "the number of statements")


def _values(one: Any, other: Any, field: str = "") -> list[str] | None:
    """The way to the first difference, innermost step first; None if there is none."""
    if isinstance(one, dict) and isinstance(other, dict):
        return _nodes(one, other, field)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return []
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            path = _values(first, second, field)
            if path is not None:
                return [*path, str(index)] if len(one) > 1 else path
        return None
    return None if type(one) is type(other) and one == other else []


def _nodes(one: Tree, other: Tree, field: str) -> list[str] | None:
    kind, one = _node(one, field)
    other_kind, other = _node(other, field)
    if kind != other_kind:
        return [kind] if kind else []
    for name, value in one.items():
        if name not in PLACES:
            path = _values(value, other[name], name) if name in other else []
            if path is not None:
                return [*path, f"{kind}.{name}" if kind else name]
    for name in other:
        if name not in one and name not in PLACES:
            return [f"{kind}.{name}" if kind else name]
    return None


def _node(value: Tree, field: str) -> Node:
    found = class_of(value, field)
    return ("", value) if found is None else one_spelling(*found, field)
