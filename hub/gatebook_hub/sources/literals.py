"""How are bound values written into a text, so that it says the same as with parameters? For PostgreSQL.

A bulk copy takes no parameters. The server itself is asked which type each parameter has where it stands, and the value
is written as that type's text, as psycopg would bind it: `('2024-02-29'::pg_catalog.date)`. A type that is not on the
short list below, or a value that psycopg would bind as another type, is not written at all: `None` is returned, and the
statement goes the usual way. Quoting is libpq's own, for the connection at hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Escaping, ExecStatus

# Types whose text means the same on every connection that is pinned as ours are.
_TYPES: Mapping[int, str] = {
    16: "bool",
    17: "bytea",
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    700: "float4",
    701: "float8",
    1042: "bpchar",
    1043: "varchar",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamptz",
    1186: "interval",
    1700: "numeric",
    2950: "uuid",
}
_UNKNOWN = 0
_MARK = re.compile(r"%(?:%|\(([A-Za-z_]\w*)\)s)?")


def with_literals(connection: psycopg.Connection[Any], sql: str, values: Mapping[str, Any]) -> str | None:
    """The text of a plan with its parameters as literals, or None; raises psycopg.Error, DataError above all.

    `connection` is in a transaction of its own, with `standard_conforming_strings` on and UTF-8 between it and the
    server.
    """
    if connection.info.encoding != "utf-8":
        return None
    text, names = numbered(sql)
    if any(match[0] == "%" for match in _MARK.finditer(sql)) or not values.keys() >= set(names):
        return None
    if any(name.startswith("gb_mask_") for name in names):
        return None  # a key of the gate's does not go into a text, which servers log
    if not names:
        return text
    dumped = [_dumped(connection, values[name]) for name in names]
    types = _types(connection, text, [oid for oid, _ in dumped])
    literals = {}
    for name, (oid, data), kind in zip(names, dumped, types, strict=True):
        if kind not in _TYPES or oid not in {_UNKNOWN, kind}:
            return None
        literals[name] = f"({_literal(connection, data)}::pg_catalog.{_TYPES[kind]})"
    return _filled(sql, literals)


@lru_cache(maxsize=1_000)
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The text with its parameters as PostgreSQL numbers them, `$1` and so on, and their names in that order."""
    names = tuple(dict.fromkeys(match[1] for match in _MARK.finditer(sql) if match[1]))
    return _filled(sql, {name: f"${number}" for number, name in enumerate(names, 1)}), names


def _filled(sql: str, texts: Mapping[str, str]) -> str:
    return _MARK.sub(lambda match: texts[match[1]] if match[1] else "%", sql)


def _dumped(connection: psycopg.Connection[Any], value: Any) -> tuple[int, bytes | None]:
    """The type as which psycopg binds a value, and its text."""
    if value is None:
        return _UNKNOWN, None
    transformer = Transformer(connection)
    oid = transformer.get_dumper(value, PyFormat.AUTO).oid
    dumper = transformer.get_dumper(value, PyFormat.TEXT)
    data = dumper.dump(value)
    return (oid if oid == dumper.oid else -1), None if data is None else bytes(data)


def _types(connection: psycopg.Connection[Any], sql: str, oids: list[int]) -> list[int]:
    """The types of the parameters where they stand, as the server finds them."""
    link = connection.pgconn
    prepared = link.prepare(b"", sql.encode(), oids)
    if prepared.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(prepared)
    described = link.describe_prepared(b"")
    if described.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(described)
    return [described.param_type(index) for index in range(described.nparams)]


def _literal(connection: psycopg.Connection[Any], data: bytes | None) -> str:
    if data is None:
        return "NULL"
    if b"\0" in data:
        raise psycopg.DataError("a text of PostgreSQL cannot hold NUL")
    return bytes(Escaping(connection.pgconn).escape_literal(data)).decode()
