"""How is an executed change taken back? By writes of its rows as they were, each only if the row is as it was left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from gatebook_hub import sql
from gatebook_hub.changes import RowChange, RowDiff
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import Drifted
from gatebook_hub.model import Schema, Table
from gatebook_hub.policy import Action
from gatebook_hub.services.applying import locked_rows
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.statements import DecidedWrite, Prepared, check_order, decide_write, own_values
from gatebook_hub.sources.source import WriteSession
from gatebook_hub.sql import StatementKind
from gatebook_hub.values import decode

BACK = {
    RowKind.ADDED: StatementKind.DELETE,
    RowKind.CHANGED: StatementKind.UPDATE,
    RowKind.REMOVED: StatementKind.INSERT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """What takes one row back: the statement, its values, and the row of which table it is about."""

    text: str
    parameters: Mapping[str, Any]
    table: str
    row: RowChange


def ways_back(image: Sequence[RowDiff], schema: Schema) -> tuple[WayBack, ...]:
    """The last row that was written comes first; raises Drifted when a table is another one."""
    for diff in image:
        known_table(diff, schema)
    each = [(row.place, _way_back(diff, row, schema)) for diff in image for row in diff.rows]
    return tuple(way for _, way in sorted(each, key=lambda one: -one[0]))


def known_table(diff: RowDiff, schema: Schema) -> Table:
    """The table of a diff; raises Drifted when it is another one by now."""
    table = schema.tables.get(diff.table)
    if table is None or table.key != diff.key or [column.name for column in table.columns] != list(diff.columns):
        raise Drifted(f"the table `{diff.table}` is not what it was; nothing can be undone in it")
    return table


def unmoved(session: WriteSession, ways: Sequence[WayBack], schema: Schema) -> tuple[WayBack, ...]:
    """Those whose rows are still as the change left them; the rows are locked."""
    by_table: dict[str, list[WayBack]] = {}
    for way in ways:
        by_table.setdefault(way.table, []).append(way)
    kept: set[int] = set()
    for name, some in by_table.items():
        found = locked_rows(session, schema.tables[name], [way.row.key for way in some], schema)
        kept |= {id(way) for way, row in zip(some, found, strict=True) if is_same(row, way.row.after)}
    return tuple(way for way in ways if id(way) in kept)


def prepare(
    gate: Gate, call: Call, source: str, schema: Schema, ways: Sequence[WayBack], action: Action | None
) -> tuple[Prepared, ...]:
    """Each decided as if its caller had sent it, what is alike together; raises AccessRefused and what `sql` raises."""
    decided: dict[str, DecidedWrite] = {}
    own = own_values(gate, source, call.principal)
    for way in ways:
        if way.text not in decided:
            statement = sql.parse(way.text, schema.engine, schema.functions)
            decided[way.text] = decide_write(gate, call, statement, schema, action)
    found = tuple(
        Prepared(decided=decided[text], sets=tuple({**way.parameters, **own} for way in alike))
        for text, alike in groupby(ways, key=lambda way: way.text)
    )
    check_order(found, schema)
    return found


def _way_back(image: RowDiff, row: RowChange, schema: Schema) -> WayBack:
    table = schema.tables[image.table]
    kind = BACK[row.kind]
    before = dict(zip(image.columns, row.before or (), strict=False))
    after = dict(zip(image.columns, row.after or (), strict=False))
    differing = {name for name in before.keys() & after.keys() if not is_same((before[name],), (after[name],))}
    columns = columns_back(kind, table, differing)
    keys = (
        {} if kind is StatementKind.INSERT else {f"k{index}": decode(part, "key") for index, part in enumerate(row.key)}
    )
    values = {f"v{index}": decode(before[name], name) for index, name in enumerate(columns)}
    text = sql.inverse_text(kind, table, columns, schema.engine)
    return WayBack(text=text, parameters={**keys, **values}, table=table.name, row=row)


def columns_back(kind: StatementKind, table: Table, differing: AbstractSet[str]) -> list[str]:
    """What takes a row back names these columns."""
    written = [column.name for column in table.columns if not column.is_generated]
    match kind:
        case StatementKind.INSERT:
            return written
        case StatementKind.UPDATE:
            return [name for name in written if name in differing]
        case _:
            return []


def is_same(one: Sequence[Any] | None, other: Sequence[Any] | None) -> bool:
    """Whether two rows of storable values are one; as text, for 1.0 is not 1.00."""
    return json.dumps(one) == json.dumps(other)
