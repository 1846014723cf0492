"""Is this text a question about a source, rather than about its rows? The gate answers those itself.

No engine's catalogue is ever read for a person, and no engine explains: its numbers tell of hidden rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BEFORE = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_NAME = r"(?:[A-Za-z_][A-Za-z0-9_]*\.)?[\"`\[]?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[\"`\]]?"
_END = r"\s*;?\s*"
_TABLES = re.compile(rf"\s*show\s+(?:full\s+)?tables{_END}", re.IGNORECASE)
_COLUMNS = re.compile(
    rf"\s*(?:describe|desc|show\s+(?:full\s+)?columns\s+(?:from|in))\s+(?:table\s+)?{_NAME}{_END}", re.IGNORECASE
)
_EXPLAIN = re.compile(
    r"\s*explain\s+(?:query\s+plan\s+)?(?P<statement>(?!query\b|analy[sz]e\b|\()\S.*)", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class ShowTables:
    """Which tables are there?"""


@dataclass(frozen=True, slots=True)
class ShowColumns:
    """Which columns has this table?"""

    table: str


@dataclass(frozen=True, slots=True)
class Explain:
    """What would be decided about this statement?"""

    statement: str


Asked = ShowTables | ShowColumns | Explain


def bare(text: str) -> str:
    """The text without blanks and comments before it."""
    return _BEFORE.sub("", text, count=1)


def asked(text: str) -> Asked | None:
    """The question, or None for a statement about rows."""
    text = bare(text)
    if _TABLES.fullmatch(text):
        return ShowTables()
    if found := _COLUMNS.fullmatch(text):
        return ShowColumns(found["name"].lower())
    if found := _EXPLAIN.fullmatch(text):
        return Explain(found["statement"])
    return None
