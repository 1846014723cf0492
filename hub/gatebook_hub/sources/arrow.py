"""How do a cursor's rows become Arrow batches of one schema?"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from gatebook_hub.errors import StatementFailed

BATCH_ROWS = 16_384
BATCH_BYTES = 16_000_000
GOOD_BYTES = 500_000
_PLAIN: Mapping[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
    dt.date: pa.date32(),
    dt.time: pa.time64("us"),
    dt.timedelta: pa.duration("us"),
}
_FITTING: Mapping[pa.DataType, frozenset[type]] = {
    pa.bool_(): frozenset({bool}),
    pa.int64(): frozenset({int}),
    pa.float64(): frozenset({float, int}),
    pa.binary(): frozenset({bytes, bytearray, memoryview}),
}
_NO_TEXT = frozenset({*_PLAIN, Decimal, list}) - {str}
_DECIMAL_DIGITS = 38


def schema_of(names: Sequence[str], declared: Sequence[pa.DataType | None], rows: Sequence[Sequence[Any]]) -> pa.Schema:
    """The schema of a result: the declared type where the engine knows one, else what the first rows show."""
    fields = []
    for index, name in enumerate(names):
        known = declared[index]
        fields.append(pa.field(name, known if known is not None else _inferred(name, [row[index] for row in rows])))
    return pa.schema(fields)


def batch_of(schema: pa.Schema, rows: Sequence[Sequence[Any]], guessed: Container[int] = ()) -> pa.RecordBatch:
    """A batch of rows; raises StatementFailed naming a column whose values do not fit its type.

    `guessed` are the columns whose types the first rows told: what is of another kind is refused there, for pyarrow
    would make 1 of 1.5 in a column of integers.
    """
    arrays = []
    for index, (item, values) in enumerate(zip(schema, zip(*rows, strict=True), strict=True)):
        arrays.append(_of_guessed(item, values) if index in guessed else _array(item, values))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _of_guessed(item: pa.Field, values: Sequence[Any]) -> pa.Array:
    """A column that is as its first rows were; raises StatementFailed."""
    try:
        found = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        found = None
    # pyarrow takes a text among bytes for bytes.
    if found is not None and found.type == item.type and not pa.types.is_binary(found.type):
        return found
    kinds = {type(value) for value in values if value is not None}
    if not kinds <= _FITTING.get(item.type, kinds) or (pa.types.is_string(item.type) and kinds & _NO_TEXT):
        raise misfit(item.name, item.type)
    return _array(item, values)


def _array(item: pa.Field, values: Sequence[Any]) -> pa.Array:
    """A column. What pyarrow takes as it is need not be looked at, value by value."""
    try:
        return pa.array(values, type=item.type)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        plain = [_plain(value, item.type) for value in values]
    try:
        return pa.array(plain, type=item.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        _check_finite(item.name, plain)
        raise misfit(item.name, item.type) from error


def decimal_of(name: str, digits: int, scale: int) -> pa.DataType:
    """The type of exact numbers with `scale` digits after the point; raises StatementFailed where Arrow has none."""
    if scale > _DECIMAL_DIGITS:
        detail = (
            f"the column `{name}` has {scale} digits after the point, at most {_DECIMAL_DIGITS} can be handed over; "
            "`round` it or write `cast(… as double precision)`"
        )
        raise StatementFailed(detail)
    return pa.decimal128(min(digits, _DECIMAL_DIGITS), scale)


def misfit(name: str, kind: pa.DataType) -> StatementFailed:
    """The error of a column whose values do not fit its type."""
    other = "write `cast(… as double precision)`" if pa.types.is_decimal(kind) else "cast it to one type"
    return StatementFailed(f"the column `{name}` mixes types that do not fit {kind}; {other}")


def _inferred(name: str, values: Sequence[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.string()
    if kinds == {int, float}:
        return pa.float64()
    if Decimal in kinds and kinds <= {Decimal, int}:
        _check_finite(name, values)
        scales = [max(0, -int(value.as_tuple().exponent)) for value in values if isinstance(value, Decimal)]
        return decimal_of(name, _DECIMAL_DIGITS, max(scales, default=0))
    if kinds == {dt.datetime}:
        zoned = {value.tzinfo is not None for value in values if value is not None}
        return pa.timestamp("us", tz="UTC" if zoned == {True} else None)
    if kinds == {list}:
        return pa.list_(_inferred(name, [item for value in values if value is not None for item in value]))
    if len(kinds) == 1:
        found = _PLAIN.get(kinds.pop())
        return found if found is not None else pa.string()
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise StatementFailed(f"the column `{name}` mixes {names}; cast it to one type")


def _check_finite(name: str, values: Iterable[Any]) -> None:
    """Raise StatementFailed for what no exact number is: PostgreSQL has `NaN` and infinity among them."""
    for value in values:
        if isinstance(value, list):
            _check_finite(name, value)
        elif isinstance(value, Decimal) and not value.is_finite():
            detail = f"the column `{name}` holds what no decimal is; write `cast(… as double precision)`"
            raise StatementFailed(detail)


def _plain(value: Any, kind: pa.DataType) -> Any:
    """Values that pyarrow does not take as they are."""
    if value is None or isinstance(value, bool | int | float | Decimal | dt.date | dt.time | dt.timedelta):
        return value
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, list) and pa.types.is_list(kind):
        return [_plain(item, kind.value_type) for item in value]
    if pa.types.is_string(kind) and not isinstance(value, str | bytes):
        return _text(value)
    return value


def _text(value: Any) -> str:
    """What is made of parts is written as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list | tuple) else str(value)
