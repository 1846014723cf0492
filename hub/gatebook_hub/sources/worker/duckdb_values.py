"""Which values of DuckDB has Arrow, or Python, no value for? They are refused, for they would come as others."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gatebook_hub.errors import StatementFailed

# DuckDB makes Python values of these that are others: of `infinity` the last day, of a month thirty days. With a zone,
# it needs a package that nothing else does.
_BENT = re.compile(r"\b(DATE|TIMESTAMP\w*|TIME_NS|INTERVAL)\b")
_DAY = dt.timedelta(days=1)


def is_bent(kind: str) -> bool:
    """Whether DuckDB itself makes Python values of this type that may be others."""
    return _BENT.search(kind.upper()) is not None


def check_finite(name: str, column: pa.Array) -> None:
    """Raise StatementFailed for an infinite moment, a plain number to all that read Arrow, and for the hour 24."""
    for leaf in _leaves(column):
        last, is_signed = _last(leaf.type)
        if last is None:
            continue
        found = pc.min_max(leaf.view(pa.int32() if pa.types.is_date32(leaf.type) else pa.int64()))
        if found["max"].as_py() == last or (is_signed and found["min"].as_py() == -last):
            raise StatementFailed(f"the column `{name}` holds a moment that does not travel; cast it to VARCHAR")


def _last(kind: pa.DataType) -> tuple[int | None, bool]:
    """The number that means something else than the others do, and whether the same below nought does."""
    if pa.types.is_date32(kind):
        return 2**31 - 1, True
    if pa.types.is_timestamp(kind):
        return 2**63 - 1, True
    if pa.types.is_time64(kind):
        return 86_400_000_000 * (1_000 if kind.unit == "ns" else 1), False
    return None, False


def values_of(name: str, column: pa.Array, kind: str) -> list[Any]:
    """A column as Python values, those that DuckDB's own driver gives where it gives them exactly."""
    try:
        return [_value(value, kind) for value in _in_microseconds(column).to_pylist()]
    except (OverflowError, ValueError) as error:
        raise StatementFailed(f"the column `{name}` holds a value that does not travel; cast it to VARCHAR") from error


def _in_microseconds(column: pa.Array) -> pa.Array:
    """Python has no nanoseconds; raises ArrowInvalid, which is a ValueError, where some would be lost."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz=column.type.tz))
    return column.cast(pa.time64("us")) if pa.types.is_time64(column.type) else column


def _value(value: Any, kind: str) -> Any:
    match value:
        case pa.MonthDayNano():
            microseconds, rest = divmod(value.nanoseconds, 1_000)
            if value.months or rest:
                raise ValueError("months have no length")
            return dt.timedelta(days=value.days, microseconds=microseconds)
        case str() if kind == "UUID":
            return uuid.UUID(value)
        case _ if kind == "HUGEINT" and value is not None:
            return int(value)
        case list():
            return [_value(item, "") for item in value]
        case _:
            return value


def _leaves(column: pa.Array) -> Iterator[pa.Array]:
    """The column itself, or what lists, structures and maps are made of."""
    kind = column.type
    if pa.types.is_struct(kind):
        for part in column.flatten():
            yield from _leaves(part)
    elif pa.types.is_map(kind):
        yield from _leaves(column.keys)
        yield from _leaves(column.items)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(column.flatten())
    else:
        yield column
