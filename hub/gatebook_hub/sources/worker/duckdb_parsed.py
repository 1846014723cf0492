"""What does DuckDB's own parser see in a statement? Tables and table functions, out of its JSON form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Everything else that stands in FROM with parentheses reads files, settings, or a text that it runs.
_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "generate_subscripts", "repeat_row"})
_SCHEMAS = frozenset({"", "main"})


def reached(parsed: Mapping[str, Any], reads: Mapping[str, Any]) -> str | None:
    """What the statement reaches for beyond `reads`, as words; None if nothing."""
    if parsed.get("error", True):
        return "something that its parser does not understand"
    nodes = list(_nodes(parsed))
    ctes = {str(item.get("key", "")).lower() for node in nodes for item in _ctes(node)}
    known = {table.lower() for table in reads}
    for node in nodes:
        kind = str(node.get("type"))
        if kind == "BASE_TABLE":
            name, schema = str(node.get("table_name", "")).lower(), str(node.get("schema_name", "")).lower()
            is_cte = not schema and not node.get("catalog_name") and name in ctes
            if not is_cte and (schema not in _SCHEMAS or node.get("catalog_name") or name not in known):
                return f"`{schema or 'main'}.{name}`"
        elif kind == "TABLE_FUNCTION":
            function = node.get("function") or {}
            name = str(function.get("function_name", "")).lower() if isinstance(function, Mapping) else ""
            if name not in _TABLE_FUNCTIONS:
                return f"the table function `{name}`"
        elif kind in {"SHOW_REF", "COLUMN_DATA", "DELIM_GET", "PIVOT"}:
            return f"`{kind}`"
    return None


def _ctes(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = node.get("cte_map")
    entries = found.get("map", []) if isinstance(found, Mapping) else []
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
