"""What does a DuckDB file say of its tables in detail? Its own functions answer, as an inspector would.

There is no inspector for it: of `duckdb-engine`, the dialect that others keep, reflection fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gatebook_hub.model import Schema
from gatebook_hub.sources.inspecting import Details, Plain, TableDetail
from gatebook_hub.sources.source import LEDGER

Ask = Callable[[str], Sequence[Sequence[Any]]]
_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns()
WHERE schema_name = 'main' AND database_name = current_database() AND NOT internal ORDER BY table_name, column_index
"""
_CONSTRAINTS = """
SELECT table_name, constraint_type, constraint_name, to_json(constraint_column_names)::VARCHAR, referenced_table,
  to_json(referenced_column_names)::VARCHAR, expression FROM duckdb_constraints()
WHERE schema_name = 'main' AND database_name = current_database() ORDER BY table_name, constraint_index
"""
_INDEXES = """
SELECT table_name, index_name, is_unique, to_json(expressions::VARCHAR[])::VARCHAR FROM duckdb_indexes()
WHERE schema_name = 'main' AND database_name = current_database() ORDER BY table_name, index_name
"""
# DuckDB's words for a type, and SQLAlchemy's class with its arguments where the name is another.
_NAMES: Mapping[str, tuple[str, Plain]] = {
    "FLOAT": ("REAL", {}),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP", {"timezone": True}),
    "TIMESTAMP_S": ("TIMESTAMP", {}),
    "TIMESTAMP_MS": ("TIMESTAMP", {}),
    "TIMESTAMP_NS": ("TIMESTAMP", {}),
    "TIME WITH TIME ZONE": ("TIME", {"timezone": True}),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_LIST = re.compile(r"(.*?)((?:\[\d*\])+)", re.DOTALL)
_VALUES = re.compile(r"'((?:[^']|'')*)'")
_PLAIN_NAME = re.compile(r'\w+|"(?:[^"]|"")+"')


def details_from(ask: Ask, schema: Schema, server_version: tuple[int, ...]) -> Details:
    """The tables of `schema` as the file describes them; `ask` runs a query of the gate's own."""
    found = {str(name): list(rows) for name, rows in _by_table(ask(_COLUMNS))}
    constraints = dict(_by_table(ask(_CONSTRAINTS)))
    indexes = dict(_by_table(ask(_INDEXES)))
    return Details(
        server_version=server_version,
        tables=tuple(
            _table(name, columns, constraints.get(name, ()), indexes.get(name, ()), schema)
            for name, columns in found.items()
            if name.lower() in schema.tables and name.lower() != LEDGER
        ),
    )


def plain_type(text: str) -> Plain:
    """DuckDB's words for a type as a class of SQLAlchemy's and its arguments."""
    if text.endswith("]") and (parts := _LIST.fullmatch(text)):
        dimensions = {"dimensions": parts[2].count("[")} if parts[2].count("[") > 1 else {}
        return {"name": "ARRAY", "args": {"item_type": {"type": plain_type(parts[1])}, **dimensions}}
    if digits := _DECIMAL.fullmatch(text):
        return {"name": "DECIMAL", "args": {"precision": int(digits[1]), "scale": int(digits[2])}}
    if text.startswith("ENUM("):
        values = [value.replace("''", "'") for value in _VALUES.findall(text)]
        return {"name": "Enum", "args": {}, "values": values}
    name, arguments = _NAMES.get(text, (text.partition("(")[0], {}))
    return {"name": name, "args": dict(arguments)}


def _by_table(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    found: dict[str, list[Sequence[Any]]] = {}
    for name, *rest in rows:
        found.setdefault(str(name), []).append(rest)
    yield from found.items()


def _table(
    name: str,
    columns: Sequence[Sequence[Any]],
    constraints: Sequence[Sequence[Any]],
    indexes: Sequence[Sequence[Any]],
    schema: Schema,
) -> TableDetail:
    table = schema.tables[name.lower()]
    generated = {column.name for column in table.columns if column.is_generated}
    by_kind: dict[str, list[Sequence[Any]]] = {}
    for kind, *rest in constraints:
        by_kind.setdefault(str(kind), []).append(rest)
    keys = [{"name": named, "constrained_columns": _listed(of)} for named, of, *_ in by_kind.get("PRIMARY KEY", ())]
    return TableDetail(
        name=name,
        kind="view" if table.is_view else "table",
        comment=table.comment,
        columns=[_column(*column, is_generated=str(column[0]).lower() in generated) for column in columns],
        key=keys[0] if keys else {},
        references=[
            {
                "name": named,
                "constrained_columns": _listed(of),
                "referred_schema": None,
                "referred_table": other,
                "referred_columns": _listed(others),
                "options": {},
            }
            for named, of, other, others, _ in by_kind.get("FOREIGN KEY", ())
        ],
        indexes=[_index(*index) for index in indexes],
        unique=[{"name": named, "column_names": _listed(of)} for named, of, *_ in by_kind.get("UNIQUE", ())],
        checks=[{"name": named, "sqltext": str(text)} for named, *_, text in by_kind.get("CHECK", ())],
    )


def _column(
    name: str, kind: str, is_nullable: Any, default: str | None, comment: str | None, *, is_generated: bool
) -> Plain:
    more: Plain = {"computed": {"sqltext": default, "persisted": False}} if is_generated else {}
    if comment is not None:
        more["comment"] = comment
    return {
        "name": name,
        "type": plain_type(kind),
        "nullable": bool(is_nullable),
        "default": None if is_generated else default,
        **more,
    }


def _index(name: str, is_unique: Any, expressions: str) -> Plain:
    parts = _listed(expressions)
    names = [_unquoted(part) if _PLAIN_NAME.fullmatch(part) else None for part in parts]
    found: Plain = {"name": name, "column_names": names, "unique": bool(is_unique)}
    return found if None not in names else {**found, "expressions": [_unquoted(part) for part in parts]}


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _listed(text: str | None) -> list[str]:
    return [str(item) for item in json.loads(text or "[]")]
