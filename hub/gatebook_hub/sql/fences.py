"""When must a row filter be evaluated before a person's expressions, and what may go in front of it nevertheless?

A planner may evaluate an expression before a filter, and an error of it tells of a row that the filter hides. A fence
keeps it behind, and costs the use of an index. So there is one only where an expression can raise; and comparisons that
cannot raise are repeated inside, beside the filter, where an index serves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlglot import exp

from gatebook_hub.model import Engine, Table


@dataclass(frozen=True, slots=True)
class Kinds:
    """Columns by what they hold, where the name says so; and whether any two become one type without an error."""

    of: Mapping[str, str]
    is_mixable: bool

    def known(self, name: str) -> str | None:
        """What the columns of that name hold, None if that is not sure."""
        found = self.of.get(name.lower())
        return None if found == _UNKNOWN else found


_UNKNOWN = "unknown"
# Digits that a number may have to fit beside any of 64 bits into DuckDB's widest, which has 38.
_FITTING_DIGITS = 18
_LONG_PATTERN = 1_000
# What cannot raise an error on any value, so that a planner may evaluate it before a row filter without telling.
# LIKE and queries used as values are looked at more closely by `can_raise`.
_CANNOT_RAISE = (
    exp.Select | exp.From | exp.Join | exp.Where | exp.Group | exp.Having | exp.Order | exp.Ordered | exp.Limit
    | exp.Offset | exp.With | exp.CTE | exp.TableAlias | exp.Table | exp.Subquery | exp.SetOperation | exp.Distinct
    | exp.Alias | exp.Column | exp.Identifier | exp.Star | exp.Literal | exp.Null | exp.Boolean | exp.Placeholder
    | exp.Paren | exp.Tuple | exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Is | exp.In | exp.Between
    | exp.Like | exp.Not | exp.And | exp.Or | exp.Count | exp.Coalesce | exp.Exists
)  # fmt: skip
_CALLS_THAT_CANNOT_RAISE = frozenset({"MIN", "MAX", "ROW_NUMBER", "RANK", "DENSE_RANK"})
# Comparisons that are not true of NULL: repeated inside the optional side of an outer join, they take away nothing.
_REPEATED = exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.In | exp.Between | exp.Like
_COMPARES = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between)
# DuckDB makes true or false of a text where it takes a condition, and that raises as well.
_CONDITIONS = (
    *_COMPARES, exp.Like, exp.And, exp.Or, exp.Not, exp.Is, exp.Exists, exp.Boolean, exp.Null, exp.Count,
)  # fmt: skip
_DECIMAL = re.compile(r"(?:decimal|numeric)\((\d+)")
_NUMBERS = ("int", "decimal", "numeric", "double", "float", "real")
_OF_COMPARISONS = exp.Column | exp.Identifier | exp.Literal | exp.Placeholder | exp.Paren | exp.Neg | _REPEATED


def kinds_of(tree: exp.Expr, tables: Iterable[Table], engine: Engine, masked: AbstractSet[str]) -> Kinds | None:
    """What columns hold, by name; None where values of any two types compare without an error.

    DuckDB compares a text with a number by making a number of it, row by row, and that raises. A name that the
    statement itself gives, that is masked, or that holds different things in different tables, is not known.
    """
    if engine is not Engine.DUCKDB:
        return None
    found: dict[str, set[str]] = {}
    for table in tables:
        for column in table.columns:
            found.setdefault(column.name, set()).add(_kind(column.type))
    every = set().union(*found.values())
    days = {kind for kind in every if kind.startswith(("date", "time"))}
    given = masked | {node.alias.lower() for node in tree.find_all(exp.Alias)}
    given |= {column.name.lower() for node in tree.find_all(exp.TableAlias) for column in node.columns}
    return Kinds(
        of={name: min(kinds) for name, kinds in found.items() if len(kinds) == 1 and name not in given},
        is_mixable=_UNKNOWN not in every and len(days) < 2,
    )


def can_raise(node: exp.Expr, kinds: Kinds | None) -> bool:
    """Whether evaluating the node can end in an error that depends on the rows it meets."""
    match node:
        case exp.Like():
            # A pattern that ends in a backslash raises on PostgreSQL, once the text matched up to there.
            pattern = node.expression
            is_plain = isinstance(pattern, exp.Literal) and "\\" not in pattern.name
            return not is_plain or len(pattern.name) > _LONG_PATTERN
        case exp.Subquery():
            # As a value, a query of two rows raises.
            is_relation = isinstance(node.parent, exp.From | exp.Join | exp.In | exp.Exists | exp.Query | exp.CTE)
            return not is_relation and node.parent is not None
        case exp.Anonymous():
            return node.name.upper() not in _CALLS_THAT_CANNOT_RAISE
        case _:
            return not isinstance(node, _CANNOT_RAISE) or (kinds is not None and _converts(node, kinds))


def _converts(node: exp.Expr, kinds: Kinds) -> bool:
    """Whether DuckDB makes one type of another for this node, row by row."""
    match node:
        case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE() | exp.In() | exp.Between():
            return not _is_of_one_kind(node, kinds)
        case exp.Where() | exp.Having() | exp.And() | exp.Or() | exp.Not() | exp.Is() | exp.Join():
            using = [kinds.known(column.name) for column in node.args.get("using") or []]
            is_natural = (node.args.get("method") or "").upper() == "NATURAL"
            return is_natural or None in using or not all(_is_condition(part, kinds) for part in _conditions(node))
        case exp.SetOperation() | exp.Coalesce():
            return not kinds.is_mixable
        case exp.With():
            # What a recursion adds becomes what it began with.
            return bool(node.args.get("recursive"))
        case exp.Literal():
            return not node.is_string and len(node.name) > _FITTING_DIGITS
        case _:
            return isinstance(node, exp.Placeholder)


def _is_of_one_kind(node: exp.Expr, kinds: Kinds) -> bool:
    """Whether all that is compared is of one kind; a text in quotes becomes what it is compared with, once."""
    found: set[str | None] = set()
    for part in node.iter_expressions():
        inner = part.this if isinstance(part, exp.Neg | exp.Paren) else part
        if isinstance(inner, exp.Column):
            found.add(kinds.known(inner.name))
        elif isinstance(inner, exp.Literal):
            found |= set() if inner.is_string else {"number"}
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
            return kinds.known(node.name) in {"number", "bool", "boolean"}
        case _:
            return isinstance(node, _CONDITIONS)


def _kind(declared: str) -> str:
    name = declared.lower()
    if any(word in name for word in ("[", "struct", "map", "list", "union", "huge", "interval")):
        return _UNKNOWN
    if (decimal := _DECIMAL.match(name)) and int(decimal[1]) > _FITTING_DIGITS:
        return _UNKNOWN
    if any(word in name for word in ("char", "text", "string")):
        return "text"
    return "number" if any(word in name for word in _NUMBERS) else name


def repeatable(
    table: exp.Table, name: str, bind: Callable[[exp.Column], exp.Column | None], kinds: Kinds | None
) -> Iterator[exp.Expr]:
    """The comparisons of constants with columns of this relation alone that every row of the query must meet.

    `name` is what the query calls the relation; `bind` gives the column to write instead, None for one that is not
    the table's own, or masked.
    """
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    if select is None or where is None:
        return
    is_alone = not select.args.get("joins") and not select.args.get("laterals")
    for conjunct in _conjuncts(where.this):
        if not isinstance(conjunct, _REPEATED) or can_raise(conjunct, kinds):
            continue
        copied = conjunct.copy()
        if all(isinstance(node, _OF_COMPARISONS) for node in copied.walk()) and _rebind(copied, name, bind, is_alone):
            yield copied


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(node, exp.And):
        yield from _conjuncts(node.this)
        yield from _conjuncts(node.expression)
    elif isinstance(node, exp.Paren):
        yield from _conjuncts(node.this)
    else:
        yield node


def _rebind(
    tree: exp.Expr,
    name: str,
    bind: Callable[[exp.Column], exp.Column | None],
    is_alone: bool,  # noqa: FBT001
) -> bool:
    columns = list(tree.find_all(exp.Column))
    for column in columns:
        is_own = column.table.lower() == name.lower() if column.table else is_alone
        bound = bind(column) if is_own else None
        if bound is None:
            return False
        column.replace(bound)
    return bool(columns)
