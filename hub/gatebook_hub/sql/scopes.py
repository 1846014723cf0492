"""Which relations can a name of a column mean, at each level of a query?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Relation:
    """A name in a FROM clause: a base table, or a query with these output columns."""

    columns: tuple[str, ...]
    base: str | None = None


@dataclass(slots=True)
class Scope:
    """The relations visible at one level of a query, the level around it, and what a lateral sees beside it."""

    relations: dict[str, Relation] = field(default_factory=dict)
    aliases: frozenset[str] = frozenset()
    outer: Scope | None = None
    beside: Scope | None = None

    def chain(self) -> Iterator[Scope]:
        """This level, and those around it, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def lateral(self) -> Scope:
        """What a lateral or the arguments of a table function see: the relations before them, too."""
        if self.beside is None:
            return self
        return Scope(relations=self.relations, outer=Scope(relations=self.beside.relations, outer=self.outer))
