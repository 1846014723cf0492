"""Where may PostgreSQL fail to compare two values, row by row?

It makes one type of two: a numeric of any length becomes a double, a date a timestamp, and either may not fit. Rows,
arrays and JSON are compared part by part, and parts may have no comparison. Values of one plain type never fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlglot import exp

_UNKNOWN = "unknown"
_NUMBER = re.compile(r"(small|big)?int(eger)?|real|float|double precision|double_precision")
_BOUNDED = re.compile(r"numeric\((?P<digits>\d{1,3})(, ?\d+)?\)")
_TEXT = re.compile(r"text|(varchar|char|character|character varying)(\(\d+\))?")
_PLAIN = frozenset({"boolean", "date", "timestamp", "timestamptz", "time", "uuid", "bytea", "interval"})
# Of more digits a double may be too small.
_MOST_DIGITS = 300
_COMPARES = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Coalesce)
_LIKE_ANY = "any"


def pg_converts(node: exp.Expr, of: Mapping[str, str]) -> bool:
    """Whether the comparison, or the choice of a value, may fail for some values; `of` are the kinds by name."""
    if isinstance(node, exp.Join):
        # Columns of one name, which may be of two types.
        using = [_of(exp.column(name.copy()), of) for name in node.args.get("using") or []]
        return node.args.get("method") == "NATURAL" or None in using
    if not isinstance(node, _COMPARES):
        return False
    parts = [part.unnest() for part in node.iter_expressions()]
    if isinstance(parts[0], exp.Tuple):
        rows = [part.expressions for part in parts if isinstance(part, exp.Tuple)]
        is_even = len(rows) == len(parts) and len({len(row) for row in rows}) == 1
        return not is_even or any(_differ(place, of) for place in zip(*rows, strict=True))
    return _differ(parts, of)


def _differ(parts: Iterable[exp.Expr], of: Mapping[str, str]) -> bool:
    kinds = {_of(part, of) for part in parts} - {_LIKE_ANY}
    # A bound number may be a double.
    has_parameter = any(isinstance(part, exp.Placeholder) for part in parts)
    return len(kinds) > 1 or None in kinds or (has_parameter and "numeric" in kinds)


def _of(node: exp.Expr, of: Mapping[str, str]) -> str | None:
    """What the expression holds; None where that is not sure."""
    match node:
        case exp.Paren() | exp.Neg() | exp.Alias():
            return _of(node.this, of)
        case exp.Column():
            found = of.get(node.name.lower())
            return None if found == _UNKNOWN else found
        case exp.Literal() | exp.Placeholder() | exp.Null() | exp.Boolean():
            return _LIKE_ANY  # becomes what it is compared with, once
        case exp.Count():
            return "number"
        case exp.Subquery():
            return _of(node.this, of)
        case exp.Select() if len(node.expressions) == 1:
            return _of(node.expressions[0], of)
        case exp.Anonymous() if node.name.upper() in {"MIN", "MAX"} and len(node.expressions) == 1:
            return _of(node.expressions[0], of)
        case _:
            return None


def pg_kind(declared: str) -> str:
    """What a column of that type holds."""
    name = declared.lower()
    bounded = _BOUNDED.fullmatch(name)
    if _NUMBER.fullmatch(name) or (bounded is not None and int(bounded["digits"]) <= _MOST_DIGITS):
        return "number"
    if _TEXT.fullmatch(name):
        return "text"
    return name if name in _PLAIN or name == "numeric" else _UNKNOWN
