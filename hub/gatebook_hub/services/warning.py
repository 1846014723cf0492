"""What should somebody know of a write before they agree to it? Sentences, without a value of a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatebook_hub.changes import Effect, along_rows
from gatebook_hub.changes.request import RowKind
from gatebook_hub.model import Schema
from gatebook_hub.services.applying import Applied
from gatebook_hub.services.quorums import are_counted
from gatebook_hub.sql import WritePlan

_MANY_ROWS = 100
_DOES = {RowKind.ADDED: "adds", RowKind.CHANGED: "changes", RowKind.REMOVED: "removes", None: "writes"}


def warnings_of(plans: Sequence[WritePlan], applied: Applied, schema: Schema) -> Iterator[str]:
    """What is unusual about writes that change that."""
    if not all(plan.has_condition for plan in plans):
        yield "the statement has no condition: it writes every row that the requester may see"
    if applied.rows > _MANY_ROWS:
        yield f"{applied.rows:,} rows are concerned"
    for table in {plan.table.name: plan.table for plan in plans}.values():
        if table.triggers:
            named = ", ".join(f"`{name}`" for name in sorted(table.triggers))
            yield f"the database itself does more at a write of `{table.name}` than is shown here: {named}"
    yield from map(_effect, applied.effects)
    for name, rows in along_rows(applied.diffs).items():
        yield f"{_rows(rows)} of `{name}` {'goes or changes' if rows == 1 else 'go or change'} with these"
    hidden = sorted({name for plan in plans if not are_counted(schema, plan) for name in plan.reached})
    if hidden:
        named = ", ".join(f"`{name}`" for name in hidden)
        yield f"rows of {named} go or change with these, and are not all shown here"


def _effect(effect: Effect) -> str:
    where = f" of `{effect.table}`" if effect.table is not None else ""
    what = f"{_rows(effect.rows)}{where}"
    return f"the database itself {_DOES[effect.kind]} {what} beside those that are shown"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
