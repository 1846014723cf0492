"""How do several writes, one after the other, become one diff? Each row once: as it was first, and as it is last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gatebook_hub.changes.request import RowChange, RowDiff, RowKind
from gatebook_hub.errors import WriteRefused


def together(steps: Sequence[RowDiff]) -> tuple[RowDiff, ...]:
    """One diff for each table, that which was written first before the others; raises WriteRefused.

    The places of their rows are such that a change is taken back from the last to the first: an added row has that of
    its addition, another one that of its last change.
    """
    shapes: dict[str, RowDiff] = {}
    assigned: dict[str, frozenset[str]] = {}
    given: dict[str, set[str]] = {}
    rows: dict[str, dict[str, RowChange]] = {}
    place = 0
    for step in steps:
        shapes.setdefault(step.table, step)
        if any(row.kind is RowKind.ADDED for row in step.rows) and assigned.setdefault(step.table, step.assigned) != (
            step.assigned
        ):
            # What an insert does not name is given at execution, and no approval binds it: it must be the same for all.
            raise WriteRefused(f"every insert into `{step.table}` of one request names the same columns")
        found = rows.setdefault(step.table, {})
        for row in step.rows:
            name = json.dumps(row.key)
            first = found.pop(name, None)
            given.setdefault(step.table, set()).update(_given_later(first, row, step.columns))
            merged = _then(first, replace(row, place=place))
            place += 1
            if merged is not None:
                found[name] = merged
    diffs = [
        replace(
            shapes[table],
            rows=tuple(found.values()),
            assigned=assigned.get(table, frozenset()) - given.get(table, set()),
        )
        for table, found in rows.items()
    ]
    main = next((step.table for step in steps if not step.is_along), "")
    return tuple(sorted(diffs, key=lambda diff: diff.table != main))


def _given_later(first: RowChange | None, row: RowChange, columns: Sequence[str]) -> Iterator[str]:
    """The columns that a later step gives to an added row: no longer what the database assigns, but bound."""
    if first is not None and first.kind is RowKind.ADDED and first.after is not None and row.after is not None:
        for name, before, after in zip(columns, first.after, row.after, strict=True):
            if repr(before) != repr(after):
                yield name


def _then(first: RowChange | None, row: RowChange) -> RowChange | None:
    """What two changes of a row are together; None for nothing."""
    if first is None:
        return row
    is_along = first.is_along and row.is_along
    match first.kind, row.kind:
        case RowKind.ADDED, RowKind.REMOVED:
            return None
        case RowKind.ADDED, _:
            return replace(first, after=row.after, is_along=is_along)
        case _, RowKind.REMOVED:
            return replace(row, before=first.before, is_along=is_along)
        case _:
            is_as_before = json.dumps(first.before) == json.dumps(row.after)
            both = replace(row, kind=RowKind.CHANGED, before=first.before, is_along=is_along)
            return None if is_as_before else both
