"""How much could go wrong with a write? Points with a sentence each, so that a reviewer reads why."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

_MANY_ROWS, _VERY_MANY_ROWS = 20, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One thing that counts: how much, and in words."""

    points: int
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What is known of a write: its rows, whether it has a condition, removes rows, is in production, and when it is.

    `tags` are the classification of what it writes, `is_most` says that it changes more than half of the table.
    """

    rows: int
    has_condition: bool = True
    removes: bool = False
    is_production: bool = False
    is_off_hours: bool = False
    is_most: bool = False
    tags: Collection[str] = ()


def risks_of(stakes: Stakes) -> tuple[Risk, ...]:
    """What counts about it, the heaviest first."""
    return tuple(sorted(_found(stakes), key=lambda risk: -risk.points))


def score(risks: Collection[Risk]) -> int:
    """The points together: what `risk` means in an approval rule."""
    return sum(risk.points for risk in risks)


def _found(stakes: Stakes) -> Iterator[Risk]:
    if not stakes.has_condition:
        yield Risk(points=3, sentence="it has no condition: every row that the requester may see is meant")
    if stakes.rows > _VERY_MANY_ROWS:
        yield Risk(points=3, sentence=f"it concerns more than {_VERY_MANY_ROWS} rows")
    elif stakes.rows > _MANY_ROWS:
        yield Risk(points=1, sentence=f"it concerns more than {_MANY_ROWS} rows")
    if stakes.is_most and stakes.has_condition:
        yield Risk(points=2, sentence="it changes or removes more than half of the rows of a table")
    if stakes.tags:
        named = ", ".join(f"`{tag}`" for tag in sorted(stakes.tags))
        yield Risk(points=2, sentence=f"it writes what is classified as {named}")
    if stakes.removes:
        yield Risk(points=1, sentence="it removes rows")
    if stakes.is_production:
        yield Risk(points=1, sentence="it is in production")
    if stakes.is_off_hours:
        yield Risk(points=1, sentence="it was asked for outside of working hours")
