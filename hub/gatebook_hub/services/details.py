"""What may a driver know of the tables? Types, keys and references, of what its user sees and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gatebook_hub import policy
from gatebook_hub.audit import EventKind
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Access, Allowed, Engine, Schema, TableObligation, TableUse
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.sources.inspecting import Details, Plain, TableDetail

# What is told of a table that is not seen whole; the rest may be texts of SQL, which tell of values.
_OF_COLUMNS = ("name", "nullable", "autoincrement", "primary_key", "comment")
_OF_KEYS = ("name", "constrained_columns")
_OF_INDEXES = ("name", "column_names", "unique")
_OF_TYPES = ("length", "precision", "scale", "timezone", "display_width", "unsigned", "name")


class TableDetails:
    """The databases' own descriptions, through the policy."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @under_one_set
    def of_source(self, call: Call, source_name: str) -> tuple[Schema, Details]:
        """The schema, and what the caller may know of its tables; raises NotFound, SourceUnavailable."""
        gate = self._gate
        try:
            source, _, schema = gate.source(source_name, call.principal)
            found = source.details()
        except GatebookError as error:
            error.reference = gate.refuse(EventKind.SCHEMA_READ, call, error, source=source_name[:64])
            raise
        gate.book.append(gate.event(EventKind.SCHEMA_READ, call, source=source_name))
        seen = {name: sight for name in schema.tables if (sight := self._sight(call, schema, name)) is not None}
        tables = tuple(
            _governed(detail, seen, schema) for detail in found.tables if _known_as(detail.name, schema.engine) in seen
        )
        return schema, replace(found, tables=tables)

    def _sight(self, call: Call, schema: Schema, table: str) -> TableObligation | None:
        gate = self._gate
        use = TableUse(table=table, access=Access.SELECT)
        decision = policy.decide(gate.policy, call.principal, schema, [use], at=gate.circumstances(is_look=True))
        return decision.obligations[table] if isinstance(decision, Allowed) else None


def _governed(detail: TableDetail, seen: Mapping[str, TableObligation], schema: Schema) -> TableDetail:
    name = _known_as(detail.name, schema.engine)
    obligation, table = seen[name], schema.tables[name]
    is_whole = obligation.shows_all_of(table)
    declared = {column.declared or column.name for column in table.columns if column.name in obligation.columns}

    def shown(items: Sequence[Plain], *keys: str) -> list[Plain]:
        return [item for item in items if all(set(_names(item.get(key))) <= declared for key in keys)]

    return replace(
        detail,
        columns=[
            item if is_whole else _without_expressions(item, obligation, schema.engine)
            for item in detail.columns
            if item["name"] in declared
        ],
        key={key: value for key, value in detail.key.items() if is_whole or key in _OF_KEYS}
        if set(_names(detail.key.get("constrained_columns"))) <= declared
        else {},
        references=[
            {key: value for key, value in item.items() if key != "referred_schema"}
            for item in shown(detail.references, "constrained_columns")
            if _may_refer(item, seen, schema.engine)
        ],
        # Of a table that is seen in part: those of plain columns, without conditions and what else hangs on them.
        indexes=list(detail.indexes) if is_whole else _plain(shown(detail.indexes, "column_names")),
        unique=list(detail.unique) if is_whole else _plain(shown(detail.unique, "column_names")),
        checks=list(detail.checks) if is_whole else [],
    )


def _plain(items: Sequence[Plain]) -> list[Plain]:
    return [
        {key: item[key] for key in _OF_INDEXES if key in item}
        for item in items
        if not any(item.get(key) for key in ("dialect_options", "include_columns", "expressions"))
    ]


def _without_expressions(item: Plain, obligation: TableObligation, engine: Engine) -> Plain:
    """A column without texts of SQL, its type without what a domain says and, if it is masked, without its values."""
    name = item["name"] if engine is Engine.POSTGRESQL else item["name"].lower()
    kind = item["type"]
    arguments = {key: value for key, value in dict(kind.get("args") or {}).items() if key in _OF_TYPES}
    values = {"values": kind["values"]} if "values" in kind and name not in obligation.masks else {}
    kept = {key: value for key, value in item.items() if key in _OF_COLUMNS}
    # Where the database's own words are the name, values stand in them: `ENUM('a', 'b')`.
    return {**kept, "type": {"name": kind["name"].partition("(")[0], "args": arguments, **values}}


def _may_refer(reference: Plain, seen: Mapping[str, TableObligation], engine: Engine) -> bool:
    other = seen.get(_known_as(str(reference.get("referred_table")), engine))
    columns = {name if engine is Engine.POSTGRESQL else name.lower() for name in _names(reference["referred_columns"])}
    return other is not None and columns <= set(other.columns)


def _known_as(table: str, engine: Engine) -> str:
    """The name in the gate's schema."""
    return table.lower() if engine in {Engine.SQLITE, Engine.DUCKDB} else table


def _names(value: Any) -> list[str]:
    return [str(name) for name in value or () if name is not None]
