"""What differs between two notebooks, cell by cell? As a person reads them, with everything that runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, ndiff
from typing import Any

from gatebook_hub.portal.pages.tool_versions import CellDiff, Line
from gatebook_hub.services.notebook_form import Cell, ToolNotebook

_WORDS = {"code": "Code", "markdown": "Text", "raw": "Raw text, which is not shown"}
_SIGNS = {"  ": "same", "+ ": "added", "- ": "removed"}
_MOST_COMPARED = 400
# Where Python ends a line, and nowhere else: a sign that a browser alone breaks at would move code out of a comment.
_LINE = re.compile(r"\r\n|\r|\n")


def about_of(before: ToolNotebook | None, after: ToolNotebook) -> tuple[Line, ...]:
    """What the notebook says about itself, with its parameters, as lines."""
    return tuple(_lines(_described(before.described) if before else "", _described(after.described)))


def cells_of(before: ToolNotebook | None, after: ToolNotebook) -> tuple[CellDiff, ...]:
    """Every cell of the new notebook, and those that it has no more, in order."""
    old, new = before.cells if before else (), after.cells
    if before is None:
        return tuple(_whole(cell, number, "added") for number, cell in enumerate(new, 1))
    return tuple(_compared(old, new))


def _compared(old: Sequence[Cell], new: Sequence[Cell]) -> Iterator[CellDiff]:
    for word, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if word == "equal":
            for number in range(new_start, new_end):
                yield _whole(new[number], number + 1, "same")
            continue
        pairs = min(end - start, new_end - new_start)
        for place in range(pairs):
            yield _changed(old[start + place], new[new_start + place], new_start + place + 1)
        for number in range(start + pairs, end):
            yield _whole(old[number], None, "removed")
        for number in range(new_start + pairs, new_end):
            yield _whole(new[number], number + 1, "added")


def _whole(cell: Cell, number: int | None, kind: str) -> CellDiff:
    lines = tuple(Line(kind=kind, text=text) for text in _split(cell.source))
    return CellDiff(title=_title(cell, number), kind=kind, lines=lines)


def _changed(old: Cell, new: Cell, number: int) -> CellDiff:
    title = _title(new, number)
    if _title(old, number) != title:
        title = f"{title}, before: {_title(old, None)}"
    return CellDiff(title=title, kind="changed", lines=tuple(_lines(old.source, new.source)))


def _lines(before: str, after: str) -> Iterator[Line]:
    old, new = _split(before), _split(after)
    if max(len(old), len(new)) > _MOST_COMPARED:
        # Comparing line by line takes long: all of the old text, then all of the new.
        yield from (Line(kind="removed", text=text) for text in old)
        yield from (Line(kind="added", text=text) for text in new)
        return
    for line in ndiff(old, new, linejunk=None, charjunk=None):
        kind = _SIGNS.get(line[:2])
        if kind is not None:  # the others are hints
            yield Line(kind=kind, text=line[2:])


def _split(text: str) -> list[str]:
    lines = _LINE.split(text)
    return lines if lines[-1] else lines[:-1]


def _title(cell: Cell, number: int | None) -> str:
    place = f"Cell {number}" if number is not None else "A cell"
    tags = f", tagged {', '.join(cell.tags)}" if cell.tags else ""
    return f"{place}: {_WORDS.get(cell.kind, cell.kind)}{tags}"


def _described(described: Any) -> str:
    return json.dumps(described, indent=2, ensure_ascii=False, sort_keys=True)
