"""What should somebody know of a write before they agree to it? Sentences, without a value of a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatebook_hub.changes import Effect, RowDiff, along_rows
from gatebook_hub.changes.request import RowKind
from gatebook_hub.model import Schema
from gatebook_hub.services.applying import Applied
from gatebook_hub.services.quorums import are_counted
from gatebook_hub.sql import WritePlan

_MANY_ROWS = 100
_DOES = {RowKind.ADDED: "adds", RowKind.CHANGED: "changes", RowKind.REMOVED: "removes", None: "writes"}


def warnings_of(plans: Sequence[WritePlan], applied: Applied, schema: Schema) -> Iterator[str]:
    """What is unusual about writes that change that; no table is named but the first, which each reader knows."""
    main = plans[0].table
    if not all(plan.has_condition for plan in plans):
        yield "the statement has no condition: it writes every row that the requester may see"
    if applied.rows > _MANY_ROWS:
        yield f"{applied.rows:,} rows are concerned"
    if main.triggers:
        named = ", ".join(f"`{name}`" for name in sorted(main.triggers))
        yield f"the database itself does more at a write of `{main.name}` than is shown here: {named}"
    if any(plan.table.triggers for plan in plans if plan.table.name != main.name):
        yield "the database itself does more at a write of another table than is shown here"
    along = sum(along_rows(applied.diffs).values())
    if along:
        yield f"{_rows(along)} that nobody asked for {'goes or changes' if along == 1 else 'go or change'} with these"
    if not all(are_counted(schema, plan) for plan in plans):
        yield "more rows go or change with these than are shown here"


def told_of(effect: Effect, found: Sequence[RowDiff], *, is_known: bool) -> str:
    """What the database itself wrote, for somebody who knows the table, or does not, and whether it was found."""
    where = f" of `{effect.table}`" if is_known and effect.table is not None else ""
    shown = sum(
        diff.total if effect.kind is None else diff.count(effect.kind)
        for diff in found
        if effect.table in {None, diff.table}
    )
    known = "" if shown == 0 else ", which were found" if shown >= effect.rows else f", of which {shown:,} were found"
    return f"the database itself {_DOES[effect.kind]} {_rows(effect.rows)}{where} beside those of the change{known}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
