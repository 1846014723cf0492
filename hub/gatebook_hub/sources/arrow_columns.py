"""How does each column of PostgreSQL travel by Arrow, and become exactly what psycopg's rows would become?

What the driver for Arrow decodes as we want it travels as it is. A numeric travels as text: the server makes that of it
sooner than the driver does, and sooner than a scaled whole number. So do JSON and uuid. Everything else (arrays,
intervals, addresses, ranges, records …) is not taken: then the whole statement is read row by row.

The text that is sent is the plan's own in parentheses, with a list of its columns before it: constant text and numbers,
nothing of the plan is repeated in it, and the list names each column once. So it reads what the plan reads. PostgreSQL
keeps the order of a subquery whose outer query neither joins nor sorts, groups or filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import pyarrow as pa
import pyarrow.compute as pc

from gatebook_hub.errors import StatementFailed
from gatebook_hub.sources.arrow import decimal_of, misfit

_PLAIN = {
    "bool": pa.bool_(),
    "bytea": pa.binary(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_CHAR = "char"  # its bytes may be in no encoding
_AS_TEXT = {"json": pa.json_(), "jsonb": pa.json_(), "uuid": pa.uuid()}
_NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")
_TYPE, _TYPMOD = b"POSTGRESQL:type", b"POSTGRESQL:typmod"
_MOST_DIGITS = 38
_MOST_WIDE_DIGITS = 76  # of the wider decimal
_HEADER = 4
# Years 1 to 9999, which is what Python can say; `infinity` and what lies beyond arrives outside of them.
_DAYS = (-719_162, 2_932_896)
_DAY_US = 86_400_000_000
_WITHIN = {
    pa.date32(): (pa.int32(), _DAYS),
    pa.time64("us"): (pa.int64(), (0, _DAY_US - 1)),
    pa.timestamp("us"): (pa.int64(), (_DAYS[0] * _DAY_US, (_DAYS[1] + 1) * _DAY_US - 1)),
    pa.timestamp("us", tz="UTC"): (pa.int64(), (_DAYS[0] * _DAY_US, (_DAYS[1] + 1) * _DAY_US - 1)),
}


class Way(Enum):
    """How a column travels."""

    PLAIN = auto()
    TEXT = auto()
    DECIMAL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the answer: its name, its way, and the type it gets; none if the first rows tell it."""

    name: str
    way: Way
    type: pa.DataType | None

    @property
    def travels_as(self) -> pa.DataType:
        """What the driver hands over."""
        match self.way:
            case Way.PLAIN:
                return self.type
            case Way.TEXT | Way.DECIMAL:
                return pa.string()


def columns_of(described: pa.Schema) -> list[Column] | None:
    """The columns of a statement that the driver described, or None if one of them cannot travel by Arrow."""
    columns = [_column(field) for field in described]
    return [column for column in columns if column is not None] if columns and None not in columns else None


def outer(sql: str, columns: Sequence[Column]) -> str:
    """The text to send: the plan's own, or its columns in the form in which they travel."""
    if all(column.way is Way.PLAIN for column in columns):
        return sql
    names = [f"gb_{number}" for number in range(len(columns))]
    asked = [
        name if column.way is Way.PLAIN else f"{name}::pg_catalog.text"
        for name, column in zip(names, columns, strict=True)
    ]
    return f"SELECT {', '.join(asked)} FROM (\n{sql}\n) AS gb_out({', '.join(names)})"  # noqa: S608 - the plan's own text


def rebuilt(column: Column, arrived: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values of a column; raises StatementFailed where psycopg's rows would not fit either."""
    match column.way:
        case Way.PLAIN:
            _check_within(column.name, arrived)
            return arrived
        case Way.TEXT:
            return arrived
        case Way.DECIMAL:
            if pa.types.is_string(kind) and arrived.null_count < len(arrived):  # the first rows were NULL, each of them
                raise misfit(column.name, kind)
            try:
                return _decimals(column.name, arrived, kind)
            except pa.ArrowInvalid as error:
                raise misfit(column.name, kind) from error


def inferred(name: str, arrived: pa.Array) -> pa.DataType:
    """The type of a column that has no declared one, as the first rows show it: the longest fraction, or text."""
    if arrived.null_count == len(arrived):
        return pa.string()
    lengths = pc.binary_length(arrived)
    points = pc.find_substring(arrived, ".")
    fractions = pc.if_else(pc.less(points, 0), 0, pc.subtract(pc.subtract(lengths, points), 1))
    return decimal_of(name, _MOST_DIGITS, pc.max(fractions).as_py())


def _column(field: pa.Field) -> Column | None:
    metadata = field.metadata or {}
    name, kind = field.name, metadata.get(_TYPE, b"").decode()
    if _AS_TEXT.get(kind) == field.type:
        return Column(name=name, way=Way.TEXT, type=pa.string())
    if field.type == _NUMERIC:
        return _numeric(name, int(metadata.get(_TYPMOD, b"-1")))
    # What the driver takes for text, and does not know by name, is an enumeration, or text by another name.
    if _PLAIN.get(kind, pa.string()) == field.type and kind != _CHAR:
        return Column(name=name, way=Way.PLAIN, type=field.type)
    return None


def _numeric(name: str, typmod: int) -> Column | None:
    if typmod < _HEADER:
        return Column(name=name, way=Way.DECIMAL, type=None)
    digits, scale = (typmod - _HEADER) >> 16, (typmod - _HEADER) & 0xFFFF
    if not (scale <= digits <= _MOST_DIGITS):
        return None
    return Column(name=name, way=Way.DECIMAL, type=pa.decimal128(digits, scale))


def _decimals(name: str, arrived: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as decimals. A cast drops the highest digits of what is too long for its type, so there is room enough."""
    if not pa.types.is_decimal(kind):
        return pc.cast(arrived, kind)
    longest = pc.max(pc.binary_length(arrived)).as_py() or 0
    if longest + kind.scale <= _MOST_DIGITS:
        return pc.cast(pc.cast(arrived, pa.decimal128(_MOST_DIGITS, kind.scale)), kind)
    if longest > _MOST_WIDE_DIGITS:
        raise misfit(name, kind)
    return pc.cast(pc.cast(arrived, pa.decimal256(_MOST_WIDE_DIGITS, kind.scale)), kind)


def _check_within(name: str, arrived: pa.Array) -> None:
    known = _WITHIN.get(arrived.type)
    if known is None:
        return
    numbers, (least, most) = known
    found = pc.min_max(arrived.view(numbers)).as_py()
    if found["max"] is not None and not (least <= found["min"] and found["max"] <= most):
        raise StatementFailed(f"the column `{name}` has a time that Python cannot say; cast it to text")
