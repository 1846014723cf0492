"""How does each column of PostgreSQL travel by Arrow, and become exactly what psycopg's rows would become?

What the driver for Arrow decodes as we want it travels as it is. A numeric travels as a scaled bigint or as text, which
the driver would make of it anyway; JSON and uuid as text. Everything else (arrays, intervals, addresses, ranges,
records …) is not taken: then the whole statement is read row by row.

The text that is sent is the plan's own in parentheses, with a list of its columns before it: constant text and numbers,
nothing of the plan is repeated in it. So it reads what the plan reads. PostgreSQL keeps the order of a subquery whose
outer query neither joins nor sorts, groups or filters, and `OFFSET 0` has it make each value once, however often the
list names it. The list never raises where the plan alone would not: a numeric that does not fit what it was declared
as, NaN above all, travels as a number that none of its type can be.
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
_MOST_SCALED_DIGITS = 18
_MOST_DIGITS = 38
_MOST_WIDE_DIGITS = 76  # of the wider decimal
_HEADER = 4
_MISFIT = 2**63 - 1
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
    SCALED = auto()
    DECIMAL_TEXT = auto()


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
            case Way.SCALED:
                return pa.int64()
            case Way.TEXT | Way.DECIMAL_TEXT:
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
    asked = ", ".join(_asked(name, column) for name, column in zip(names, columns, strict=True))
    inner = f"SELECT * FROM (\n{sql}\n) AS gb_in OFFSET 0"  # noqa: S608 - the plan's own text
    return f"SELECT {asked} FROM ({inner}) AS gb_out({', '.join(names)})"  # noqa: S608 - as above


def rebuilt(column: Column, arrived: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values of a column; raises StatementFailed where psycopg's rows would not fit either."""
    match column.way:
        case Way.PLAIN:
            _check_within(column.name, arrived)
            return arrived
        case Way.TEXT:
            return arrived
        case Way.SCALED:
            return _unscaled(column.name, arrived, kind)
        case Way.DECIMAL_TEXT:
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
        return Column(name=name, way=Way.DECIMAL_TEXT, type=None)
    digits, scale = (typmod - _HEADER) >> 16, (typmod - _HEADER) & 0xFFFF
    if not (scale <= digits <= _MOST_DIGITS):
        return None
    way = Way.SCALED if digits <= _MOST_SCALED_DIGITS else Way.DECIMAL_TEXT
    return Column(name=name, way=way, type=pa.decimal128(digits, scale))


def _asked(name: str, column: Column) -> str:
    match column.way:
        case Way.PLAIN:
            return name
        case Way.TEXT | Way.DECIMAL_TEXT:
            return f"{name}::pg_catalog.text"
        case Way.SCALED:
            assert column.type is not None
            return (
                f"CASE WHEN pg_catalog.scale({name}) <= {column.type.scale} "
                f"THEN ({name} OPERATOR(pg_catalog.*) {10**column.type.scale})::pg_catalog.int8 "
                f"WHEN {name} IS NOT NULL THEN {_MISFIT} END"
            )


def _unscaled(name: str, arrived: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same digits, read as a decimal: its bytes are those of the whole number."""
    found = pc.min_max(arrived).as_py()
    limit = 10**kind.precision
    if found["max"] is not None and not (-limit < found["min"] and found["max"] < limit):
        raise misfit(name, kind)
    whole = pc.cast(arrived, pa.decimal128(19, 0))
    return pa.Array.from_buffers(kind, len(whole), whole.buffers(), whole.null_count, whole.offset)


def _decimals(name: str, arrived: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as decimals. A cast drops the highest digits of what is too long for its type, so the type is wider."""
    if not pa.types.is_decimal(kind):
        return pc.cast(arrived, kind)
    longest = pc.max(pc.binary_length(arrived)).as_py() or 0
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
