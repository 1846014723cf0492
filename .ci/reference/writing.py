"""How do tables and types look on a reference page?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WRITTEN = "<!-- written by `make docs` from the code; edit there -->"


def whole_page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", WRITTEN, *(part.strip("\n") for part in parts)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; `|` in a cell is escaped, and so is a line's end."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def first_sentence(text: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def literal(value: Any) -> str:
    """A value as JSON in backticks."""
    return f"`{json.dumps(value)}`"


def type_of(schema: Mapping[str, Any], named: Mapping[str, Any] | None = None) -> str:
    """The type that a JSON Schema states, in words; a `named` document is linked to its own table, a choice is told."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        choice = (named or {}).get(name, {})
        return type_of(choice) if "enum" in choice else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_of(part, named) for part in schema["anyOf"]))
    if "const" in schema:
        return literal(schema["const"])
    if "enum" in schema:
        return ", ".join(literal(value) for value in schema["enum"])
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema.get('items', {}), named)}"
        case "object" if "patternProperties" in schema:
            return f"object of {type_of(next(iter(schema['patternProperties'].values())), named)}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {type_of(schema['additionalProperties'], named)}"
        case "null":
            return "`null`"
        case str() as name:
            return name
        case _:
            return "any"


def bounds_of(schema: Mapping[str, Any]) -> str:
    """The limits that a JSON Schema states, in a sentence's end."""
    schema = {**next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), {}), **schema}
    said = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "minItems": "at least {} of them",
        "pattern": "matches `{}`",
    }
    return "; ".join(text.format(schema[key]) for key, text in said.items() if key in schema)
