"""How do rows of MariaDB, as they came, become columns at once, exactly as the driver's values would?

A row is its values one after the other as text, each behind its length. So all rows are cut at the same time, column by
column, and each column is read by Arrow from the very texts that the driver would read. What is unusual in any way is
not read here: a number that is too large, a day that no calendar has, a text that is ill-formed, a row of other length.
Then there are no columns, and whoever asked reads these rows as the driver does, with its values, or its errors.
"""

from __future__ import annotations

import datetime as dt
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.converters import convert_timedelta

from gatebook_hub.sources.arrow import BATCH_ROWS
from gatebook_hub.sources.mariadb_packets import Packets

_TYPES: Mapping[int, pa.DataType] = {
    FIELD_TYPE.TINY: pa.int64(),
    FIELD_TYPE.SHORT: pa.int64(),
    FIELD_TYPE.LONG: pa.int64(),
    FIELD_TYPE.INT24: pa.int64(),
    FIELD_TYPE.LONGLONG: pa.int64(),
    FIELD_TYPE.YEAR: pa.int64(),
    FIELD_TYPE.BIT: pa.binary(),
    FIELD_TYPE.FLOAT: pa.float64(),
    FIELD_TYPE.DOUBLE: pa.float64(),
    FIELD_TYPE.DATE: pa.date32(),
    FIELD_TYPE.DATETIME: pa.timestamp("us"),
    FIELD_TYPE.TIMESTAMP: pa.timestamp("us"),
    FIELD_TYPE.TIME: pa.duration("us"),
    FIELD_TYPE.VAR_STRING: pa.string(),
    FIELD_TYPE.VARCHAR: pa.string(),
    FIELD_TYPE.STRING: pa.string(),
}
_TEXTS = frozenset(
    {
        *(FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING),
        *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB),
    }
)
_BINARY = 63
# What the first byte of a value says, if it is not the length itself: NULL, or that the length is in the next bytes.
_NULL = 0xFB
_LONGER = {0xFC: 2, 0xFD: 3}
_MOST_BYTES = 2**31 - 1
# From their bytes: whatever asks Arrow to look at Python's objects loads pandas, which a start has no time for.
_EVEN = pa.Array.from_buffers(pa.int32(), BATCH_ROWS, [None, pa.py_buffer(array("i", range(0, 2 * BATCH_ROWS, 2)))])
_DIGITS, _WIDE_DIGITS = 38, 76  # of a decimal, and of the wider one
# Python has no earlier ones; no later ones come, for a year has four digits.
_EPOCH = dt.date(1970, 1, 1)
_FIRST_DAY = pa.Array.from_buffers(pa.date32(), 1, [None, pa.py_buffer(array("i", [(dt.date.min - _EPOCH).days]))])[0]
_FIRST = {pa.date32(): _FIRST_DAY, pa.timestamp("us"): _FIRST_DAY.cast(pa.timestamp("us"))}


def declared(cursor: Any) -> list[pa.DataType | None]:
    """The types that the server names."""
    found: list[pa.DataType | None] = []
    for column, field in zip(cursor.description, cursor._result.fields, strict=True):  # noqa: SLF001 - charset
        kind = column[1]
        if kind == FIELD_TYPE.NEWDECIMAL:
            found.append(pa.decimal128(_DIGITS, field.scale))
        elif kind == FIELD_TYPE.LONGLONG and field.flags & FLAG.UNSIGNED:
            found.append(pa.uint64())
        elif kind in _TEXTS:
            found.append(pa.binary() if field.charsetnr == _BINARY else pa.string())
        else:
            found.append(_TYPES.get(kind))
    return found


def columns_of(packets: Packets, types: Sequence[pa.DataType]) -> list[pa.Array] | None:
    """A column of each type, or None where there is anything that the driver should look at itself."""
    try:
        found = list(_cut(packets, len(types)))
        # Until each row is known to end where it should, a length may point anywhere.
        if len(found) < len(types) or not found[-1].ends.equals(pa.array(packets.ends, pa.int64())):
            return None
        return [_column(_texts(packets, cut), kind) for cut, kind in zip(found, types, strict=True)]
    except pa.ArrowException:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """Where the values of a column lie in all the rows, and which of them are NULL."""

    starts: pa.Array
    ends: pa.Array
    missing: pa.Array | None


def _cut(packets: Packets, count: int) -> Iterator[_Cut]:
    """Each column; raises ArrowException where a length is beyond what is there, yields fewer where one is unusual."""
    if len(packets.data) > _MOST_BYTES:
        return
    data = pa.Array.from_buffers(pa.uint8(), len(packets.data), [None, pa.py_buffer(packets.data)])
    at = pa.array(packets.starts, pa.int64())
    for _ in range(count):
        lengths = pc.cast(data.take(at), pa.int64())
        starts = pc.add(at, 1)
        missing = None
        most = pc.max(lengths).as_py()
        if most > max(_LONGER):
            return
        if most >= _NULL:
            first = lengths
            missing = pc.equal(first, _NULL)
            lengths = pc.if_else(missing, 0, first)
            for mark, size in _LONGER.items():
                if most >= mark:
                    is_longer = pc.equal(first, mark)
                    lengths = pc.if_else(is_longer, _number(data, pc.if_else(is_longer, at, 0), size), lengths)
                    starts = pc.if_else(is_longer, pc.add(starts, size), starts)
        ends = pc.add(starts, lengths)
        yield _Cut(starts=starts, ends=ends, missing=missing)
        at = ends


def _number(data: pa.Array, at: pa.Array, size: int) -> pa.Array:
    """The numbers of so many bytes behind these places."""
    found = pa.scalar(0, pa.int64())
    for index in range(size):
        octet = pc.cast(data.take(pc.add(at, index + 1)), pa.int64())
        found = pc.bit_wise_or(found, pc.shift_left(octet, 8 * index))
    return found


def _texts(packets: Packets, cut: _Cut) -> pa.Array:
    """The values of a column as bytes: every other of those that begin and end where its values do."""
    count = len(cut.starts)
    low, high = (cut.starts, cut.ends) if sys.byteorder == "little" else (cut.ends, cut.starts)
    offsets = pc.bit_wise_or(low, pc.shift_left(high, 32)).buffers()[1]
    both = pa.Array.from_buffers(pa.binary(), 2 * count - 1, [None, offsets, pa.py_buffer(packets.data)])
    which = _EVEN.slice(0, count)
    if cut.missing is not None:
        which = pc.if_else(cut.missing, pa.scalar(None, pa.int32()), which)
    return both.take(which)


def _column(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values that the texts say; raises ArrowException where one says none of that type."""
    if kind == pa.binary():
        return texts
    if kind == pa.string():
        return texts.cast(kind)  # which looks at the bytes, a view does not
    words = texts.view(pa.string())
    if pa.types.is_decimal(kind):
        return _decimals(words, kind)
    if kind == pa.duration("us"):
        return _durations(words, kind)
    found = words.cast(kind)
    first = _FIRST.get(kind)
    if first is not None and pc.any(pc.less(found, first)).as_py():
        raise pa.ArrowInvalid("a year that Python does not have")
    return found


def _decimals(words: pa.Array, kind: pa.DataType) -> pa.Array:
    """A cast may drop the highest digits of what has no room, in the text or with its zeros: there is enough of it."""
    lengths = pc.binary_length(words)
    longest = pc.max(lengths).as_py() or 0
    if longest + kind.scale <= _DIGITS:
        return words.cast(kind)
    points = pc.find_substring(words, ".")
    fractions = pc.if_else(pc.less(points, 0), 0, pc.subtract(pc.subtract(lengths, points), 1))
    if longest > _WIDE_DIGITS or pc.any(pc.not_equal(fractions, kind.scale)).as_py():
        raise pa.ArrowInvalid("not as it was declared")
    return words.cast(pa.decimal256(_WIDE_DIGITS, kind.scale)).cast(kind)


def _durations(words: pa.Array, kind: pa.DataType) -> pa.Array:
    """Arrow reads times of a day alone, as those of its first one."""
    try:
        first = pc.binary_join_element_wise("1970-01-01", words, " ")
        return first.cast(pa.timestamp("us")).view(kind)
    except pa.ArrowInvalid:
        return pa.array([None if word is None else convert_timedelta(word) for word in words.to_pylist()], kind)
