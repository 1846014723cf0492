"""Which types has each engine, and which of their values are hard to carry?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TEXTS = (
    "'Zoë 東京 \U0001f3b5 \U00020000'",
    "'e\u0301 \u1100\u1161 \U0001f468\u200d\U0001f469 \u202etxet'",
    "'%s %(a)s :a $1 ?'",
    "''",
    "' '",
)
MOMENTS = ("'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.5'", "'1970-01-01 00:00:00'")
DAYS = ("'0001-01-01'", "'9999-12-31'", "'1969-12-31'", "'1582-10-10'")
ID = "12345678-1234-5678-1234-567812345678"
NINES = "9" * 38


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column, what stands in it, and what the engine's own driver is to be asked, and how its value is written."""

    name: str
    type: str
    literals: Sequence[str] = ()
    own: str = ""
    form: Callable[[Any], Any] = lambda value: value
    is_declared: bool = True  # whether an answer without rows has its type too


def column(name: str, kind: str, *literals: str, **more: Any) -> Column:
    return Column(name=name, type=kind, literals=literals, **more)


def as_float32(value: float) -> float:
    """A driver that reads text has more digits than a number of 32 bits."""
    return float(np.float32(value))


def moment_of(microseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


def _floats(special: Sequence[str]) -> tuple[str, ...]:
    return ("0.1", "-1.5", "1.7976931348623157e308", "5e-324", *special)


def _bits(bits: int, *, sign: bool = True) -> tuple[str, ...]:
    if not sign:
        return ("0", str(2**bits - 1), "1")
    # The least number of MariaDB and DuckDB is written as text: a sign before a number is an operator.
    return (f"'-{2 ** (bits - 1)}'", str(2 ** (bits - 1) - 1), "0")


_NOT_FINITE = ("'NaN'", "'Infinity'", "'-Infinity'")
POSTGRESQL = (
    column("i2", "smallint", *_bits(16)),
    column("i4", "integer", *_bits(32)),
    column("i8", "bigint", *_bits(64)),
    column("o", "oid", "4294967295", "1", is_declared=False),
    column("b", "boolean", "true", "false"),
    column("f4", "real", "0.1", "3.4e38", "1e-45", *_NOT_FINITE, form=as_float32),
    column("f8", "double precision", *_floats(_NOT_FINITE)),
    column("n12", "numeric(12,2)", "1.10", "-9999999999.99", "0"),
    column("n18", "numeric(18,0)", "999999999999999999", "-999999999999999999"),
    column("n38", "numeric(38,0)", NINES, f"-{NINES}"),
    column("n38s", "numeric(38,10)", f"{NINES[:28]}.9999999999", "-0.0000000001"),
    column("n_whole", "numeric(3,-2)", "1249", "-99949"),
    column("n_tiny", "numeric(3,5)", "0.00123", "-0.00999"),
    column("n", "numeric", "1.5", "1.250", "12345678901234567890.123", is_declared=False),
    column("d", "date", *DAYS),
    column("ts", "timestamp", *MOMENTS),
    column("tz", "timestamptz", "'0001-01-01 00:00+00'", "'9999-12-31 23:59:59.999999Z'", "'1900-01-01 00:00+05:30'"),
    column("t", "time", "'00:00'", "'23:59:59.999999'"),
    column("t_zone", "timetz", "'01:02:03+02'", own="t_zone::text", is_declared=False),
    column("iv", "interval", "'3 days 4 hours'", "'-1 microsecond'", "'-2 days 00:00:01'", "'900000 days'"),
    column("u", "uuid", f"'{ID}'"),
    column("j", "json", '\'{"a": [1.50, null], "é": "\U0001f3b5"}\'', "'null'", own="j::text", is_declared=False),
    column("jb", "jsonb", "'[]'", "'{\"b\": 1e2}'", own="jb::text", is_declared=False),
    column("a_int", "integer[]", "'{1,NULL,3}'", "'{}'", is_declared=False),
    column("a_wide", "bigint[]", "'{9007199254740993,NULL,-9223372036854775808}'", is_declared=False),
    column("a_two", "integer[]", "'{{1,NULL},{3,4}}'", is_declared=False),
    column("a_text", "text[]", '\'{"a",NULL,"NULL","","é, {}"}\'', is_declared=False),
    column("a_bool", "boolean[]", "'{t,NULL,f}'", is_declared=False),
    column("a_float", "float8[]", "'{0.1,NaN}'", is_declared=False),
    column("a_num", "numeric(38,2)[]", f"'{{1.10,NULL,{NINES[:36]}.99}}'", is_declared=False),
    column("a_day", "date[]", "'{0001-01-01,NULL,9999-12-31}'", is_declared=False),
    column("a_ts", "timestamp[]", "'{1969-12-31 23:59:59.5,NULL}'", is_declared=False),
    column("a_uuid", "uuid[]", f"'{{{ID},NULL}}'", is_declared=False),
    column("a_raw", "bytea[]", "array['\\x00ff'::bytea, null, ''::bytea]", is_declared=False),
    column("raw", "bytea", "'\\x00ff00'", "''", "'\\x00'"),
    column("e", "mood", "'sad'", "'glad'", is_declared=False),
    column("tx", "text", *TEXTS),
    column("vc", "varchar(50)", *TEXTS),
    column("ch", "char(4)", "'ab'", "''"),
    column("ip", "inet", "'10.0.0.1'", "'255.255.255.255'", own="host(ip)", is_declared=False),
    column("net", "cidr", "'10.0.0.0/8'", own="net::text", is_declared=False),
    column("mac", "macaddr", "'08:00:2b:01:02:03'", own="mac::text", is_declared=False),
    column("rg", "int4range", "'[1,5)'", "'empty'", own="rg::text", is_declared=False),
    column("bits", "bit(3)", "B'101'", own="bits::text", is_declared=False),
    column("x", "xml", "'<a/>'", own="x::text", is_declared=False),
    column("pt", "point", "'(1,2)'", own="pt::text", is_declared=False),
    column("tv", "tsvector", "'a b'", own="tv::text", is_declared=False),
    column("never_int", "integer"),
    column("never_text", "text"),
)
MARIADB = (
    *(
        column(f"{name}{'' if sign else '_u'}", f"{kind}{'' if sign else ' unsigned'}", *_bits(bits, sign=sign))
        for name, kind, bits in (
            ("i1", "tinyint", 8),
            ("i2", "smallint", 16),
            ("i3", "mediumint", 24),
            ("i4", "int", 32),
        )
        for sign in (True, False)
    ),
    column("i8", "bigint", *_bits(64)),
    column("i8_u", "bigint unsigned", "9223372036854775807", "0"),
    column("b", "boolean", "true", "false"),
    column("f4", "float", "0.1", "3.4e38", "-1.5"),
    column("f8", "double", "0.1", "1.7976931348623157e308", "2.2250738585072014e-308"),
    column("n12", "decimal(12,2)", "1.10", "-9999999999.99", "0"),
    column("n38", "decimal(38,0)", NINES, f"-{NINES}"),
    column("n38s", "decimal(38,10)", f"{NINES[:28]}.9999999999", "-0.0000000001"),
    column("n65", "decimal(65,30)", "1.5", "-0.000000000000000000000000000001"),
    column("d", "date", *DAYS),
    column("ts", "datetime(6)", *MOMENTS),
    column("ts0", "datetime", "'2024-02-29 12:34:56'"),
    column("st", "timestamp(6) null", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'"),
    column("t", "time(6)", "'-838:59:59'", "'838:59:59.999999'", "'-00:00:00.000001'", "'00:00:00'"),
    column("y", "year", "1901", "2155", "0", is_declared=False),
    column("bit1", "bit(1)", "b'1'", "b'0'", is_declared=False),
    column("bit64", "bit(64)", "b'1'", f"b'{'1' * 64}'", is_declared=False),
    column("e", "enum('a','é')", "'a'", "'é'"),
    column("se", "set('a','b','c')", "'a,c'", "''"),
    column("j", "json", "'{\"a\": [1.50, null]}'", "'null'"),
    column("raw", "blob", "x'00ff00'", "x''", "x'00'"),
    column("vraw", "varbinary(10)", "x'00ff00'", "x''"),
    column("braw", "binary(4)", "x'ff'"),
    column("tx", "text", *TEXTS),
    column("vc", "varchar(50)", *TEXTS),
    column("ch", "char(4)", "'ab'", "''"),
    column("la", "varchar(9) character set latin1", "'é'"),
    column("u", "uuid", f"'{ID}'"),
    column("ip", "inet6", "'::1'", "'::ffff:10.0.0.1'"),
    column("never_int", "int"),
    column("never_text", "text"),
)
SQLITE = (
    column("i", "integer", "-9223372036854775808", "9223372036854775807", "0", is_declared=False),
    column("r", "real", *_floats(("9e999", "-9e999")), is_declared=False),
    column("n", "numeric", "1.5", "0.25", is_declared=False),
    column("b", "boolean", "true", "false", is_declared=False),
    column("tx", "text", *TEXTS),
    column("ts", "timestamp", *MOMENTS),
    column("raw", "blob", "x'00ff00'", "x''", "x'00'", is_declared=False),
    column("j", "json", "'{\"a\": [1.50, null]}'"),
    column("never_int", "integer"),
    column("never_text", "text"),
)
DUCKDB = (
    *(
        column(name, name, *_bits(bits, sign=not name.startswith("u")))
        for name, bits in (
            *(("tinyint", 8), ("smallint", 16), ("integer", 32), ("bigint", 64)),
            *(("utinyint", 8), ("usmallint", 16), ("uinteger", 32), ("ubigint", 64)),
        )
    ),
    column("huge", "hugeint", f"'{NINES}'", f"'-{NINES}'", "0"),
    column("b", "boolean", "true", "false"),
    column("f4", "float", "0.1", "3.4e38", *_NOT_FINITE),
    column("f8", "double", *_floats(_NOT_FINITE)),
    column("n12", "decimal(12,2)", "1.10", "-9999999999.99", "0"),
    column("n18", "decimal(18,18)", "0.999999999999999999"),
    column("n38", "decimal(38,0)", f"'{NINES}'", f"'-{NINES}'"),
    column("n38s", "decimal(38,10)", f"'{NINES[:28]}.9999999999'", "'-0.0000000001'"),
    column("d", "date", *DAYS),
    column("ts", "timestamp", *MOMENTS),
    column("ts_s", "timestamp_s", "'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'"),
    column("ts_ms", "timestamp_ms", "'1969-12-31 23:59:59.5'"),
    column("ts_ns", "timestamp_ns", "'1969-12-31 23:59:59.123456'", "'2261-12-31 00:00:00'"),
    column("tz", "timestamptz", "'1900-01-01 00:00:00.000001+05:30'", own="epoch_us(tz)", form=moment_of),
    column("t", "time", "'00:00'", "'23:59:59.999999'"),
    column("iv", "interval", "'3 days 4 hours'", "'-1 microsecond'"),
    column("u", "uuid", f"'{ID}'"),
    column("j", "json", "'{\"a\": [1.50, null]}'", "'null'"),
    column("e", "enum('a','é')", "'a'", "'é'"),
    column("raw", "blob", "'\\x00\\xFF\\x00'", "''"),
    column("tx", "varchar", *TEXTS),
    column("l_int", "integer[]", "[1, NULL, 3]", "[]"),
    column("l_wide", "bigint[]", "[9007199254740993, NULL]"),
    column("l_two", "integer[][]", "[[1, NULL], [], NULL]"),
    column("l_text", "varchar[]", "['a', NULL, '', 'é']"),
    column("l_fixed", "integer[2]", "[1, NULL]"),
    column("l_day", "date[]", "[date '0001-01-01', NULL]"),
    column("l_num", "decimal(38,2)[]", "[1.10, NULL]"),
    column(
        "parts", "struct(a bigint, b varchar[])", "{'a': 9007199254740993, 'b': ['x', NULL]}", "{'a': NULL, 'b': []}"
    ),
    column(
        "pairs", "map(varchar, integer)", "map {'k': 1, 'l': NULL}", "map {}", form=lambda found: list(found.items())
    ),
    column("never_int", "integer"),
    column("never_text", "varchar"),
)
COLUMNS = {"postgresql": POSTGRESQL, "mariadb": MARIADB, "sqlite": SQLITE, "duckdb": DUCKDB}
