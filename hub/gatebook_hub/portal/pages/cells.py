"""How one database value is shown, so that NULL, empty and masked never look alike."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

LONG_TEXT = 120
"""Texts with more characters than this are folded: an excerpt first, the whole on request."""


class CellState(StrEnum):
    """What kind of value a cell holds."""

    TEXT = "text"
    NULL = "null"
    EMPTY = "empty"
    MASKED = "masked"
    ASSIGNED = "assigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value, ready to be read. `type_name` tells 1 from "1"; `excerpt` is there for long texts only."""

    state: CellState
    text: str = ""
    type_name: str = "text"
    excerpt: str | None = None
    says_type: bool = False


_MARKERS = {"assigned": CellState.ASSIGNED, "masked": CellState.MASKED}


def cell_of(value: object, *, is_masked: bool = False) -> Cell:
    """Return the cell of a Python value or of a value as the HTTP interface writes it (`{"$type", "value"}`)."""
    if is_masked:
        return Cell(state=CellState.MASKED, text="" if value is None else _text_of(value)[1])
    if value is None:
        return Cell(state=CellState.NULL, type_name="null")
    if isinstance(value, Mapping) and value.get("$type") in _MARKERS:
        return Cell(state=_MARKERS[value["$type"]])
    type_name, text = _text_of(value)
    if not text:
        return Cell(state=CellState.EMPTY, type_name=type_name)
    return Cell(state=CellState.TEXT, text=text, type_name=type_name, excerpt=excerpt_of(text))


def excerpt_of(text: str, start: int = 0) -> str | None:
    """Return the part of a long text that begins near `start`, None where the text is short enough as it is."""
    if len(text) <= LONG_TEXT:
        return None
    begin = min(max(0, start - 20), len(text) - LONG_TEXT)
    end = begin + LONG_TEXT
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else "")


def _text_of(value: object) -> tuple[str, str]:
    name, text = "json", ""
    match value:
        case str():
            name, text = "text", value
        case bool():
            name, text = "boolean", "true" if value else "false"
        case int() | float() | Decimal():
            name, text = "number", str(value)
        case datetime() | date() | time():
            name, text = "time", value.isoformat()
        case timedelta() | UUID():
            name, text = type(value).__name__.lower(), str(value)
        case bytes():
            name, text = "bytes", _bytes_text(value)
        case {"$type": "bytes", "value": str(encoded)}:
            name, text = "bytes", _bytes_text(base64.b64decode(encoded, validate=True))
        case {"$type": str(given), "value": str(inner)}:
            name, text = given, inner
        case _:
            text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return name, text


def _bytes_text(value: bytes) -> str:
    return f"{len(value)} bytes: {value.hex(' ')}" if value else ""
