"""Which rows would change, and how each cell looks before and after."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gatebook_hub.portal.pages.cells import Cell, cell_of, excerpt_of
from gatebook_hub.portal.pages.frame import Pager


class RowKind(StrEnum):
    """What would happen to a row."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffCell:
    """A value before and after; `before` is None in an added row, `after` in a removed one."""

    before: Cell | None
    after: Cell | None

    @property
    def is_changed(self) -> bool:
        """Tell whether the reader has to look at this cell."""
        return self.before != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRow:
    """One row by key: first the key's cells, then the others in the order of the columns.

    The database itself changes one that goes along.
    """

    kind: RowKind
    key: tuple[DiffCell, ...]
    cells: tuple[DiffCell, ...]
    is_along: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDiff:
    """The rows of a change request in one table, under the reader's own masks; `table` is None where they may not know.

    `columns` are those beside the key, first those in which a row changes (`changed`): a wide table must not hide, to
    the right of the screen, what a reviewer has to look at. `masked` names columns whose values the reader sees
    masked, `hidden` those left out. `is_complete` is False for a sample; `total` counts the rows of the whole change,
    and `counts` those of each kind that there is.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[DiffRow, ...]
    total: int
    is_complete: bool = True
    changed: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    pager: Pager | None = None
    table: str | None = None
    counts: tuple[tuple[RowKind, int], ...] = ()

    @property
    def along(self) -> int:
        """How many of the rows that are shown the database itself changes with others."""
        return sum(row.is_along for row in self.rows)

    @property
    def is_along(self) -> bool:
        """Tell whether nobody asked for any of the rows that are shown."""
        return bool(self.rows) and self.along == len(self.rows)


def row_diff_of(
    document: Mapping[str, Any],
    *,
    total: int | None = None,
    masked: Sequence[str] = (),
    hidden: Sequence[str] = (),
    pager: Pager | None = None,
) -> RowDiff:
    """Return the row diff that a member of `diffs` of a change request's JSON describes.

    The document itself may mark cells as masked and name `masked` and `hidden` columns. In columns that the caller
    names in `masked` every cell counts as masked, whatever it holds.
    Raises KeyError or ValueError for a document of another shape, so that a reviewer never sees half of a change.
    """
    names, key = tuple(document["columns"]), tuple(document["key"])
    made = []
    for row in document["rows"]:
        before, after = _named(names, row["before"], masked), _named(names, row["after"], masked)
        made.append((RowKind(row["kind"]), _named(key, row["key"], masked), before, after, bool(row.get("is_along"))))
    changed = {
        name
        for kind, _, before, after, _ in made
        if kind is RowKind.CHANGED
        for name in names
        if before[name] != after[name]
    }
    beside_key = tuple(sorted((name for name in names if name not in key), key=lambda name: name not in changed))
    rows = [
        DiffRow(
            kind=kind,
            key=tuple(_key_cell(name, before, after, given_key) for name in key),
            cells=tuple(_diff_cell(before.get(name), after.get(name)) for name in beside_key),
            is_along=is_along,
        )
        for kind, given_key, before, after, is_along in made
    ]
    return RowDiff(
        key=key,
        columns=beside_key,
        rows=tuple(rows),
        total=document.get("total", len(rows)) if total is None else total,
        is_complete=bool(document["is_complete"]),
        changed=tuple(name for name in names if name in changed),
        masked=tuple(name for name in names if name in {*masked, *document.get("masked", ())}),
        hidden=(*hidden, *document.get("hidden", ())),
        pager=pager,
        table=document.get("table"),
        counts=_counts(document.get("counts"), rows),
    )


def _counts(given: Mapping[str, int] | None, rows: Sequence[DiffRow]) -> tuple[tuple[RowKind, int], ...]:
    found = Counter(row.kind for row in rows) if given is None else {RowKind(name): given[name] for name in given}
    return tuple((kind, found[kind]) for kind in RowKind if found.get(kind))


def _named(names: tuple[str, ...], values: Sequence[object] | None, masked: Sequence[str]) -> dict[str, Cell]:
    if values is None:
        return {}
    return {name: cell_of(value, is_masked=name in masked) for name, value in zip(names, values, strict=True)}


def _key_cell(name: str, before: dict[str, Cell], after: dict[str, Cell], given: dict[str, Cell]) -> DiffCell:
    # The diff's columns need not hold the key; where they do, an UPDATE of the key itself has to show.
    if name in before or name in after:
        return _diff_cell(before.get(name), after.get(name))
    return DiffCell(before=given[name], after=given[name])


def _diff_cell(before: Cell | None, after: Cell | None) -> DiffCell:
    if before is None or after is None or before == after:
        return DiffCell(before=before, after=after)
    if (before.state, before.text) == (after.state, after.text):
        # 1 and "1" read alike: say the types, else the reader sees a change without a difference.
        return DiffCell(before=replace(before, says_type=True), after=replace(after, says_type=True))
    pairs = enumerate(zip(before.text, after.text, strict=False))
    start = next((place for place, (one, other) in pairs if one != other), min(len(before.text), len(after.text)))
    return DiffCell(before=_around(before, start), after=_around(after, start))


def _around(cell: Cell, start: int) -> Cell:
    return replace(cell, excerpt=excerpt_of(cell.text, start)) if cell.excerpt is not None else cell
