"""What may stand in a tool's address? The parameters that it declares, checked before a notebook sees them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import Any

LONGEST = 200
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_WORDS = frozenset({"type", "title", "required", "minimum", "maximum", "maxLength", "pattern", "enum"})

Value = int | float | bool | str


class NotDeclared(Exception):
    """The address is not one that the tool takes; the text is a sentence for the person."""


def checked(declared: Mapping[str, Any], query: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """The values of an address's query by their declarations; raises NotDeclared.

    A declaration that is not understood lets nothing through.
    """
    found: dict[str, Value] = {}
    for name, texts in query.items():
        if name not in declared:
            raise NotDeclared(f"This tool takes no {_shown(name)} in its address.")
        if len(texts) != 1:
            raise NotDeclared(f"{_shown(name)} stands in the address more than once.")
        found[name] = _value(name, declared[name], texts[0])
    for name, schema in declared.items():
        if isinstance(schema, Mapping) and schema.get("required") is True and name not in found:
            raise NotDeclared(f"This tool needs {_shown(name)} in its address.")
    return found


def assignments(values: Mapping[str, Value]) -> str:
    """The values as a cell of a notebook: literals and nothing else."""
    return "\n".join(f"{name} = {value!r}" for name, value in sorted(values.items()))


def _value(name: str, schema: Any, text: str) -> Value:
    is_understood = isinstance(schema, Mapping) and schema.keys() <= _WORDS
    if not is_understood or not _NAME.match(name) or iskeyword(name):
        raise NotDeclared(f"What {_shown(name)} may be is not declared in words that are known. Tell the tool's owner.")
    if len(text) > LONGEST or not text.isprintable():
        raise NotDeclared(f"{_shown(name)} is too long, or has characters that cannot be shown.")
    value = _typed(name, str(schema.get("type")), text)
    _check_bounds(name, schema, value)
    return value


def _typed(name: str, kind: str, text: str) -> Value:
    match kind:
        case "integer" if _INTEGER.match(text):
            return int(text)
        case "number" if _NUMBER.match(text):
            return float(text)
        case "boolean" if text.lower() in _FLAGS:
            return _FLAGS[text.lower()]
        case "string":
            return text
        case "integer":
            raise NotDeclared(f"{_shown(name)} is a whole number, not {_shown(text)}.")
        case "number":
            raise NotDeclared(f"{_shown(name)} is a number, not {_shown(text)}.")
        case "boolean":
            raise NotDeclared(f"{_shown(name)} is yes or no, not {_shown(text)}.")
        case _:
            raise NotDeclared(f"What {_shown(name)} may be is not declared. Tell the tool's owner.")


def _check_bounds(name: str, schema: Mapping[str, Any], value: Value) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not least <= value:
            raise NotDeclared(f"{_shown(name)} is at least {least}.")
        if not value <= most:
            raise NotDeclared(f"{_shown(name)} is at most {most}.")
    if isinstance(value, str):
        longest = schema.get("maxLength", LONGEST)
        if len(value) > longest:
            raise NotDeclared(f"{_shown(name)} has at most {longest} characters.")
        pattern = schema.get("pattern")
        if pattern is not None and not re.fullmatch(pattern, value):
            raise NotDeclared(f"{_shown(name)} does not look as it should.")
    if "enum" in schema and not any(type(item) is type(value) and item == value for item in schema["enum"]):
        raise NotDeclared(f"{_shown(name)} is one of: {', '.join(map(str, schema['enum']))}.")


def _shown(text: str) -> str:
    kept = "".join(character if character.isprintable() else "?" for character in text[:60])
    return f"“{kept}”"
