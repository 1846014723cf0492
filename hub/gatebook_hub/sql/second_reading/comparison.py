"""Does PostgreSQL read two texts as one statement, and if not, where do they part?"""

from __future__ import annotations

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading.differences import Difference, first_difference
from gatebook_hub.sql.second_reading.engine_parser import read
from gatebook_hub.sql.second_reading.spellings import one_spelling
from gatebook_hub.sql.second_reading.trees import PLACES, Node, Tree, class_of


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
    return first_difference(expected, found, canonical, PLACES)


def canonical(value: Tree, field: str) -> Node:
    """What a field of PostgreSQL's tree holds, in one spelling."""
    found = class_of(value, field)
    return ("", value) if found is None else one_spelling(*found, field)
