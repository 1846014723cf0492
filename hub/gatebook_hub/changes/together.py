"""How do several writes, one after the other, become one diff? Each row once: as it was first, and as it is last."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
            merged = _then(found.pop(name, None), replace(row, place=place))
            place += 1
            if merged is not None:
                found[name] = merged
    diffs = [
        replace(shapes[table], rows=tuple(found.values()), assigned=assigned.get(table, frozenset()))
        for table, found in rows.items()
    ]
    first = next((step.table for step in steps if not step.is_along), "")
    return tuple(sorted(diffs, key=lambda diff: diff.table != first))


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
