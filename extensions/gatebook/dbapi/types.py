"""What do PEP 249's types mean here? The types of Arrow, which every answer arrives in."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


class TypeObject:
    """Equal to the names of the Arrow types that it stands for."""

    def __init__(self, *prefixes: str) -> None:
        self._prefixes = prefixes

    def __eq__(self, other: object) -> bool:
        return other is self or (isinstance(other, str) and other.startswith(self._prefixes))

    def __hash__(self) -> int:
        return hash(self._prefixes)

    def __repr__(self) -> str:
        return f"<type of {', '.join(self._prefixes)}>"


STRING = TypeObject("string", "large_string", "dictionary", "list", "struct", "map")
BINARY = TypeObject("binary", "large_binary", "fixed_size_binary")
NUMBER = TypeObject("int", "uint", "float", "double", "halffloat", "decimal", "bool")
DATETIME = TypeObject("timestamp", "date", "time", "duration", "month_day_nano")
ROWID = TypeObject("int64")

Date = dt.date
Time = dt.time
Timestamp = dt.datetime
Binary = bytes
Column = tuple[str, str | None, None, None, int | None, int | None, bool | None]


def DateFromTicks(ticks: float) -> dt.date:  # noqa: N802 - PEP 249 names it
    """A date from seconds since 1970, UTC."""
    return TimestampFromTicks(ticks).date()


def TimeFromTicks(ticks: float) -> dt.time:  # noqa: N802 - PEP 249 names it
    """A time of day from seconds since 1970, UTC."""
    return TimestampFromTicks(ticks).time()


def TimestampFromTicks(ticks: float) -> dt.datetime:  # noqa: N802 - PEP 249 names it
    """A moment from seconds since 1970, without a zone, UTC."""
    return dt.datetime.fromtimestamp(ticks, dt.UTC).replace(tzinfo=None)


def described(schema: pa.Schema) -> tuple[Column, ...]:
    """A cursor's `description`: names, types, and digits of decimals."""
    return tuple(_column(item) for item in schema)


def _column(item: pa.Field) -> Column:
    is_decimal = str(item.type).startswith("decimal")
    precision, scale = (item.type.precision, item.type.scale) if is_decimal else (None, None)
    return item.name, str(item.type), None, None, precision, scale, item.nullable
