"""Which table and column names fit where the cursor is in a `%%sql` cell?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion, context_matcher

from gatebook import catalogue
from gatebook.errors import GatebookError

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult

_CELL = re.compile(r"\s*%{1,2}sql[ \t]+(?P<source>[^\s-]\S*)(?P<rest>\s.*)", re.DOTALL)
_WORD_BEFORE_CURSOR = re.compile(r"(?:(?P<owner>\w+)\.)?(?P<begun>\w*)$")


def names_fitting(text: str, cell: str) -> tuple[tuple[str, str], ...]:
    """(name, kind) of the tables and columns that continue `text`, what is before the cursor of `cell`.

    After `table.` or `alias.` only that table's columns; the gate's refusals and silence give nothing.
    """
    head = _CELL.match(text)
    if head is None:
        return ()
    word = _WORD_BEFORE_CURSOR.search(text)
    owner, begun = (word["owner"], word["begun"].lower()) if word else (None, "")
    try:
        tables = catalogue.recent_schema(head["source"]).tables
    except GatebookError:
        return ()
    named = [table for table in tables if re.search(rf"\b{re.escape(table.name)}\b", cell, re.IGNORECASE)]
    if owner:
        aliased = [
            table
            for table in named
            if table.name.lower() == owner.lower()
            or re.search(rf"\b{re.escape(table.name)}\s+(?:as\s+)?{re.escape(owner)}\b", cell, re.IGNORECASE)
        ]
        found = {column.name: "column" for table in aliased for column in table.columns}
    else:
        found = {column.name: "column" for table in named for column in table.columns}
        found |= {table.name: "table" for table in tables}
    return tuple((name, kind) for name, kind in sorted(found.items()) if name.lower().startswith(begun))


@context_matcher()  # type: ignore[untyped-decorator]
def complete_sql(context: CompletionContext) -> SimpleMatcherResult:
    """IPython's matcher: says nothing outside of SQL, and inside of it silences Python's names."""
    lines = context.full_text.split("\n")
    until_cursor = "\n".join([*lines[: context.cursor_line], lines[context.cursor_line][: context.cursor_position]])
    found = names_fitting(until_cursor, context.full_text)
    word = _WORD_BEFORE_CURSOR.search(until_cursor)
    return {
        "completions": [SimpleCompletion(name, type=kind) for name, kind in found],
        "matched_fragment": word["begun"] if word else "",
        "suppress": bool(found),
    }
