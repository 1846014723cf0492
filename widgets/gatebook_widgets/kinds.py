"""What kind of value does a column hold, and does a text that was typed or uploaded fit it? As the schema says.

This spares a person a round trip. The database checks what it gets, and the gateway decides about it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from gatebook.model import Column
from gatebook_widgets.fields import NotFitting

LONGEST_NUMBER = 60
_YES, _NO = frozenset({"true", "yes", "t", "y", "1"}), frozenset({"false", "no", "f", "n", "0"})
_SIZE = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


class Kind(StrEnum):
    """A kind of column, whatever the engine calls its type."""

    TEXT = "text"
    WHOLE = "whole number"
    DECIMAL = "decimal number"
    FLOAT = "number"
    DATE = "date"
    MOMENT = "date and time"
    TIME = "time of day"
    TRUTH = "yes or no"
    ID = "identifier"
    OTHER = "other"

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self in {Kind.WHOLE, Kind.DECIMAL, Kind.FLOAT}

    @property
    def is_ordered(self) -> bool:
        """Whether rows can be sorted by it."""
        return self is not Kind.OTHER


_WORDS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r".*\[\]|.*(?:array|interval|json|xml|blob|bytea|binary|point|money|struct|map|set\b).*", Kind.OTHER),
        (r"bool.*", Kind.TRUTH),
        (r"(?:timestamp|datetime|smalldatetime).*", Kind.MOMENT),
        (r"date", Kind.DATE),
        (r"time.*", Kind.TIME),
        (r".*int.*|.*serial|year", Kind.WHOLE),
        (r"(?:dec|num|fixed).*", Kind.DECIMAL),
        (r"(?:real|float|double).*", Kind.FLOAT),
        (r"uuid", Kind.ID),
        (r".*(?:char|text|clob|string|enum).*", Kind.TEXT),
    )
)


def kind_of(type_name: str) -> Kind:
    """The kind of a column whose type the gateway calls so; `OTHER` for what is not known here."""
    name = _SIZE.sub("", type_name).strip().lower()
    return next((kind for pattern, kind in _WORDS if pattern.fullmatch(name)), Kind.OTHER)


def read(column: Column, raw: str) -> object:
    """The value of a text for this column; raises `NotFitting`, whose text follows the column's name."""
    kind = kind_of(column.type)
    text = raw.strip()
    match kind:
        case Kind.TEXT:
            return _text(column, raw)
        case Kind.WHOLE:
            if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
                raise NotFitting("has to be a whole number")
            return int(text)
        case Kind.DECIMAL:
            return _decimal(column, text)
        case Kind.FLOAT:
            return _float(text)
        case Kind.TRUTH:
            if text.lower() in _YES | _NO:
                return text.lower() in _YES
            raise NotFitting("has to be yes or no")
        case Kind.OTHER:
            raise NotFitting("has a type that cannot be typed in here")
        case _:
            return _parsed(kind, text)


def _text(column: Column, raw: str) -> str:
    size = _SIZE.search(column.type)
    if size and len(raw) > int(size[1]):
        raise NotFitting(f"may have at most {size[1]} characters, and has {len(raw)}")
    if "\0" in raw:
        raise NotFitting("has a character that no database keeps")
    return raw


def _decimal(column: Column, text: str) -> Decimal:
    number = _number(text)
    size = _SIZE.search(column.type)
    if size is None:
        return number
    digits, places = int(size[1]), int(size[2] or 0)
    if number != round(number, places):
        raise NotFitting(f"may have at most {places} digits after the point")
    if abs(number) >= Decimal(10) ** (digits - places):
        raise NotFitting(f"may have at most {digits - places} digits before the point")
    return number


def _float(text: str) -> float:
    number = float(_number(text))
    if not math.isfinite(number):
        raise NotFitting("is too large")
    return number


def _number(text: str) -> Decimal:
    plain = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    try:
        number = Decimal(plain) if plain.isascii() else None
    except InvalidOperation:
        number = None
    if (
        number is None
        or not number.is_finite()
        or len(plain) > LONGEST_NUMBER
        or abs(number.adjusted()) > LONGEST_NUMBER
    ):
        raise NotFitting("has to be a number")
    return number


_READERS = {
    Kind.DATE: (dt.date.fromisoformat, "a date such as 2026-01-31"),
    Kind.MOMENT: (dt.datetime.fromisoformat, "a date and time such as 2026-01-31 14:30"),
    Kind.TIME: (dt.time.fromisoformat, "a time such as 14:30"),
    Kind.ID: (uuid.UUID, "an identifier such as 123e4567-e89b-12d3-a456-426614174000"),
}


def _parsed(kind: Kind, text: str) -> object:
    parse, example = _READERS[kind]
    try:
        return parse(text)
    except ValueError:
        raise NotFitting(f"has to be {example}") from None
