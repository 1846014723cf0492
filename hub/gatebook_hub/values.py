"""How do values that JSON lacks travel? As `{"$type": "decimal", "value": "1.50"}`; one vocabulary for every edge."""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from gatebook_hub.errors import InvalidInput

_SURROGATE = re.compile("[\ud800-\udfff]")
# Seconds of the longest timedelta have 14 digits.
_MOST_DIGITS = 14


def _decimal(text: str) -> Decimal:
    found = Decimal(text)
    if found.is_snan():  # every look at one raises, wherever that is
        raise InvalidOperation
    return found


def _timedelta(text: str) -> dt.timedelta:
    seconds = Decimal(text)
    if seconds.is_finite() and seconds.adjusted() > _MOST_DIGITS:
        raise OverflowError  # `1e999990` is short, but a whole number of a million digits takes half a minute
    return dt.timedelta(microseconds=int(seconds.scaleb(6).to_integral_value()))


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "decimal": _decimal,
    "date": dt.date.fromisoformat,
    "datetime": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": _timedelta,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "uuid": uuid.UUID,
}


# What `encode` writes and can be read back: by `decode`, and a float that is no number by those who take one.
KINDS = frozenset({*_PARSERS, "float"})


def decode(value: Any, where: str) -> Any:
    """A bindable value from JSON; raises InvalidInput naming `where`."""
    match value:
        case str() if _SURROGATE.search(value):
            raise InvalidInput(f"`{where}` contains half a character (a lone surrogate)")
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case {"$type": str(kind), "value": str(text)} if len(value) == 2 and kind in _PARSERS:
            try:
                return _PARSERS[kind](text)
            except (ValueError, OverflowError, InvalidOperation) as error:
                raise InvalidInput(f"`{where}` is not a {kind}") from error
        case _:
            raise InvalidInput(f"`{where}` has a value of a type that cannot be bound")


def encode(value: Any) -> Any:
    """The JSON form of a value that a driver returned; exact, and the same for the same value."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"$type": "float", "value": str(value)}
        case Decimal():
            return {"$type": "decimal", "value": str(value)}
        case dt.datetime():
            return {"$type": "datetime", "value": value.isoformat()}
        case dt.date():
            return {"$type": "date", "value": value.isoformat()}
        case dt.time():
            return {"$type": "time", "value": value.isoformat()}
        case dt.timedelta():
            return {"$type": "timedelta", "value": str(Decimal(value // dt.timedelta(microseconds=1)).scaleb(-6))}
        case bytes() | bytearray() | memoryview():
            return {"$type": "bytes", "value": base64.b64encode(bytes(value)).decode()}
        case uuid.UUID():
            return {"$type": "uuid", "value": str(value)}
        case _:
            return {"$type": type(value).__name__, "value": str(value)}


def shown(encoded: Any) -> Any:
    """The readable form of an encoded value: numbers stay numbers, the rest is text."""
    return encoded["value"] if isinstance(encoded, Mapping) else encoded
