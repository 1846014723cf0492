"""Where do two trees part? The walk that both engines share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading.trees import Node, Tree

# The class and the fields of what a field holds, in one spelling.
Canonical = Callable[[Tree, str], Node]
TOO_DEEP = "the statement is nested too deeply for the database's own parser; use common table expressions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where the database would read something else than what was understood; `path` names nodes, never values."""

    path: str

    def __str__(self) -> str:
        return f"the database would read this statement differently than it was understood, at `{self.path}`"


def first_difference(expected: Any, found: Any, canonical: Canonical, places: frozenset[str]) -> Difference | None:
    """The first difference of two trees, fields that say where something stood (`places`) apart.

    Raises NotParsed where they are nested too deeply to tell.
    """
    try:
        path = _Walk(canonical, places).values(expected, found, "")
    except RecursionError as error:
        raise NotParsed(TOO_DEEP) from error
    return None if path is None else Difference(path=".".join(reversed(path)) or "the number of statements")


@dataclass(frozen=True, slots=True)
class _Walk:
    """Both trees at once; answers are the way to the first difference, innermost step first, None if there is none."""

    canonical: Canonical
    places: frozenset[str]

    def values(self, one: Any, other: Any, field: str) -> list[str] | None:
        if isinstance(one, dict) and isinstance(other, dict):
            return self.nodes(self.canonical(one, field), self.canonical(other, field))
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return []
            for index, (first, second) in enumerate(zip(one, other, strict=True)):
                path = self.values(first, second, field)
                if path is not None:
                    return [*path, str(index)] if len(one) > 1 else path
            return None
        return None if type(one) is type(other) and one == other else []

    def nodes(self, one: Node, other: Node) -> list[str] | None:
        kind, fields = one
        other_kind, other_fields = other
        if kind != other_kind:
            return [kind] if kind else []
        for name, value in fields.items():
            if name not in self.places:
                path = self.values(value, other_fields[name], name) if name in other_fields else []
                if path is not None:
                    return [*path, f"{kind}.{name}" if kind else name]
        for name in other_fields:
            if name not in fields and name not in self.places:
                return [f"{kind}.{name}" if kind else name]
        return None
