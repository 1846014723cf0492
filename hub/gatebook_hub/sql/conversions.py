"""Where does DuckDB make one type of another, row by row?

It compares a text with a number by making a number of it, takes a text for a condition, and gives two decimals one type
of 38 digits. Each raises on a value that does not fit, and tells of the row that holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlglot import exp

from gatebook_hub.model import Engine, Table
from gatebook_hub.sql.pg_conversions import pg_converts, pg_kind

_UNKNOWN = "unknown"
COMPARES = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between)
_CONDITIONS = (*COMPARES, exp.Like, exp.And, exp.Or, exp.Not, exp.Is, exp.Exists, exp.Boolean, exp.Null)
# Of any two of these DuckDB makes a number of at most 20 digits before the point and 18 behind it: it has 38.
_NUMBERS = re.compile(r"u?(tiny|small|big)?int(eger)?|float|double|real|decimal\((?P<all>\d+), ?(?P<behind>\d+)\)")
_MOST_DIGITS = 18
_SMALL_NUMBER = re.compile(r"\d{1,18}(\.\d{0,18})?|\.\d{1,18}")


@dataclass(frozen=True, slots=True)
class Kinds:
    """Columns by what they hold, where the name says so; and whether any two become one type without an error."""

    of: Mapping[str, str]
    is_mixable: bool
    engine: Engine = Engine.DUCKDB

    def known(self, name: str) -> str | None:
        """What the columns of that name hold, None if that is not sure."""
        found = self.of.get(name.lower())
        return None if found == _UNKNOWN else found


def kinds_of(tree: exp.Expr, tables: Iterable[Table], engine: Engine, masked: AbstractSet[str]) -> Kinds | None:
    """What columns hold, by name; None where values of any two types compare without an error.

    A name that the statement itself gives, that is masked, or that holds different things in different tables, is not
    known.
    """
    if engine not in {Engine.DUCKDB, Engine.POSTGRESQL}:
        return None
    kind_of = pg_kind if engine is Engine.POSTGRESQL else _kind
    found: dict[str, set[str]] = {}
    for table in tables:
        for column in table.columns:
            found.setdefault(column.name.lower(), set()).add(kind_of(column.type))
    every = set().union(*found.values())
    days = {kind for kind in every if kind.startswith(("date", "time"))}
    given = masked | {node.alias.lower() for node in tree.find_all(exp.Alias)}
    given |= {column.name.lower() for node in tree.find_all(exp.TableAlias) for column in node.columns}
    return Kinds(
        of={name: min(kinds) for name, kinds in found.items() if len(kinds) == 1 and name not in given},
        is_mixable=_UNKNOWN not in every and len(days) < 2,
        engine=engine,
    )


def converts(node: exp.Expr, kinds: Kinds) -> bool:
    """Whether the engine may have to make a value of one type into another for this node, row by row."""
    if kinds.engine is Engine.POSTGRESQL:
        return pg_converts(node, kinds.of)
    match node:
        case exp.Where() | exp.Having() | exp.And() | exp.Or() | exp.Not() | exp.Is() | exp.Join():
            using = [kinds.known(column.name) for column in node.args.get("using") or []]
            is_natural = bool(node.args.get("method"))
            return is_natural or None in using or not all(_is_condition(part, kinds) for part in _conditions(node))
        case exp.SetOperation():
            return True
        case exp.Coalesce():
            return not kinds.is_mixable or not _is_of_one_kind(node, kinds)
        case exp.With():
            # What a recursion adds becomes what it began with.
            return bool(node.args.get("recursive"))
        case exp.Literal():
            return not node.is_string and _SMALL_NUMBER.fullmatch(node.name) is None
        case exp.Placeholder():
            return True
        case _:
            return isinstance(node, COMPARES) and not _is_of_one_kind(node, kinds)


def _is_of_one_kind(node: exp.Expr, kinds: Kinds) -> bool:
    """Whether all that is compared is of one kind; a text in quotes becomes what it is compared with, once."""
    found: set[str | None] = set()
    for part in node.iter_expressions():
        inner = part.this if isinstance(part, exp.Neg | exp.Paren) else part
        if isinstance(inner, exp.Column):
            found.add(kinds.known(inner.name))
        elif isinstance(inner, exp.Literal):
            is_small = _SMALL_NUMBER.fullmatch(inner.name) is not None
            found |= set() if inner.is_string else {"number" if is_small else None}
        elif not isinstance(inner, exp.Null):
            found.add(None)
    return len(found) <= 1 and None not in found


def _conditions(node: exp.Expr) -> Iterator[exp.Expr]:
    """What the node takes as true or false."""
    match node:
        case exp.Join():
            yield from filter(None, [node.args.get("on")])
        case exp.Is():
            if not isinstance(node.expression, exp.Null):
                yield node.this
        case exp.And() | exp.Or():
            yield from (node.this, node.expression)
        case _:
            yield node.this


def _is_condition(node: exp.Expr, kinds: Kinds) -> bool:
    """Whether it is true or false by itself, or becomes so without an error; a text does not."""
    match node:
        case exp.Paren():
            return _is_condition(node.this, kinds)
        case exp.Column():
            return kinds.known(node.name) in {"number", "boolean"}
        case _:
            return isinstance(node, _CONDITIONS)


def _kind(declared: str) -> str:
    name = declared.lower()
    if name == "varchar" or name.startswith("varchar("):
        return "text"
    found = _NUMBERS.fullmatch(name)
    if found is None:
        return _UNKNOWN if "(" in name or "[" in name else name
    if found["all"] is None:
        return "number"
    behind = int(found["behind"])
    return "number" if behind <= _MOST_DIGITS and int(found["all"]) - behind <= _MOST_DIGITS else _UNKNOWN
