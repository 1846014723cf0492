"""How do Python's values travel as parameters, and back?

JSON has strings, numbers, booleans and null; everything else goes as `{"$type": …, "value": …}`, so that a decimal
stays exact and a date stays a date. What has no type here is refused: a guess could change what a statement means.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from gatebook.errors import ParameterRefused

TYPE_KEY = "$type"
LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**64 - 1


@dataclass(frozen=True, slots=True)
class Masked:
    """A value that arrived masked; `text` is what may be seen of it."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Assigned:
    """A value that the database gives at execution, such as the number of a new row; `text` says so."""

    text: str

    def __str__(self) -> str:
        return self.text


_READERS: Mapping[str, Callable[[str], object]] = {
    "decimal": Decimal,
    "float": float,
    "date": dt.date.fromisoformat,
    "datetime": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda text: dt.timedelta(seconds=float(text)),
    "bytes": base64.b64decode,
    "uuid": uuid.UUID,
    "masked": Masked,
    "assigned": Assigned,
}


def encode_parameters(parameters: Mapping[str, object]) -> dict[str, object]:
    """Every parameter by name, ready for JSON.

    Raises `ParameterRefused` for a value of a type that has no place in a statement.
    """
    return {name: _encode(name, value) for name, value in parameters.items()}


def encode_lists(parameters: Mapping[str, object]) -> dict[str, object]:
    """As `encode_parameters`, where a parameter may also be a list of values."""
    return {
        name: [_encode(name, one) for one in value] if isinstance(value, list | tuple) else _encode(name, value)
        for name, value in parameters.items()
    }


def decode(value: object) -> object:
    """A value of a row diff as Python holds it; what is not understood stays as it came."""
    if not isinstance(value, Mapping) or TYPE_KEY not in value:
        return value
    read = _READERS.get(str(value[TYPE_KEY]))
    if read is None:
        return value
    text = str(value.get("value", ""))
    try:
        return read(text)
    except (ValueError, InvalidOperation):
        return text


def _encode(name: str, value: object) -> object:
    try:
        value = _plain(value)
    except ValueError as error:
        message = f"parameter `{name}` is {error}"
        raise ParameterRefused(message) from error
    match value:
        case None | bool() | str():
            return value
        case int():
            # A key of 64 bits stays an integer, which the gate reads exactly; no engine has wider ones but as decimals.
            return value if LEAST_INTEGER <= value <= GREATEST_INTEGER else _typed("decimal", str(value))
        case float() | Decimal() if not math.isfinite(value):
            message = f"parameter `{name}` is {value}, which no database takes as a number; use None for NULL"
            raise ParameterRefused(message)
        case float():
            return value
        case Decimal():
            return _typed("decimal", format(value, "f"))
        case dt.date() | dt.time() | dt.timedelta():
            return _encode_time(value)
        case bytes() | bytearray() | memoryview():
            return _typed("bytes", base64.b64encode(value).decode())
        case uuid.UUID():
            return _typed("uuid", str(value))
        case _:
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            message = (
                f"parameter `{name}` is a {kind}; a parameter is one value: text, number, boolean, None, Decimal, "
                f"date, time, datetime, timedelta, bytes or UUID"
            )
            raise ParameterRefused(message)


def _encode_time(value: dt.date | dt.time | dt.timedelta) -> dict[str, str]:
    match value:
        case dt.timedelta():
            return _typed("timedelta", _seconds(value))
        case dt.datetime():  # before date, of which it is a kind
            return _typed("datetime", value.isoformat())
        case dt.date():
            return _typed("date", value.isoformat())
        case _:
            return _typed("time", value.isoformat())


def _plain(value: Any) -> object:
    """Numpy scalars and pandas timestamps as the plain values they stand for, without importing either."""
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if home == "pandas":
        return _plain_pandas(value)
    if home == "numpy":
        match kind.__name__:
            case "datetime64" | "timedelta64":
                return _plain_numpy_time(value)
            case "str_" | "bytes_":
                return value.item()
            case "longdouble" | "float128" | "clongdouble":
                return value  # `.item()` would give the same again
            case _ if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
                return value.item()
    return value


def _plain_pandas(value: Any) -> object:
    match type(value).__name__:
        case "NAType" | "NaTType":
            return None
        case "Timestamp":
            if value.nanosecond:
                raise ValueError(f"{value}, finer than a microsecond; round it first")
            return value.to_pydatetime()
        case "Timedelta":
            if value.nanoseconds:
                raise ValueError(f"{value}, finer than a microsecond; round it first")
            return value.to_pytimedelta()
        case _:
            return value


def _plain_numpy_time(value: Any) -> object:
    if str(value) == "NaT":
        return None
    plain = value.astype(f"{type(value).__name__}[us]")
    if plain != value:
        raise ValueError(f"{value}, finer than a microsecond; round it first")
    item = plain.item()
    day_only = type(value).__name__ == "datetime64" and str(value.dtype) == "datetime64[D]"
    return item.date() if day_only else item


def _seconds(value: dt.timedelta) -> str:
    whole, rest = divmod(value, dt.timedelta(seconds=1))
    if whole < 0 and rest:
        # Floor division gives -1 s + 0.5 s for -0.5 s; write the number that a person would.
        return f"-{_seconds(-value)}"
    return f"{whole}.{rest.microseconds:06d}" if rest else str(whole)


def _typed(kind: str, text: str) -> dict[str, str]:
    return {TYPE_KEY: kind, "value": text}
