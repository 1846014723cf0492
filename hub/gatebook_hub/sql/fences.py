"""When must a row filter be evaluated before a person's expressions, and what may go in front of it nevertheless?

A planner may evaluate an expression before a filter, and an error of it tells of a row that the filter hides. A fence
keeps it behind, and costs the use of an index. So there is one only where an expression can raise; and comparisons that
cannot raise are repeated inside, beside the filter, where an index serves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from gatebook_hub.model import Engine
from gatebook_hub.sql.analysis import COMPOSITE
from gatebook_hub.sql.conversions import Kinds, converts

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
_OF_COMPARISONS = exp.Column | exp.Identifier | exp.Literal | exp.Placeholder | exp.Paren | exp.Neg | _REPEATED


def can_raise(node: exp.Expr, kinds: Kinds | None) -> bool:
    """Whether evaluating the node can end in an error that depends on the rows it meets."""
    match node:
        case exp.Like():
            # A pattern that ends in a backslash raises on PostgreSQL, once the text matched up to there.
            pattern = node.expression
            is_plain = isinstance(pattern, exp.Literal) and "\\" not in pattern.name
            return not is_plain or len(pattern.name) > _LONG_PATTERN or not _is_text(node.this, kinds)
        case exp.Column() if COMPOSITE in node.meta:
            return True  # two rows are compared part by part, and parts may be of different types
        case exp.Subquery():
            # As a value, a query of two rows raises.
            is_relation = isinstance(node.parent, exp.From | exp.Join | exp.In | exp.Exists | exp.Query | exp.CTE)
            return not is_relation and node.parent is not None
        case exp.Anonymous():
            return node.name.upper() not in _CALLS_THAT_CANNOT_RAISE
        case _:
            return not isinstance(node, _CANNOT_RAISE) or (kinds is not None and converts(node, kinds))


def _is_text(node: exp.Expr, kinds: Kinds | None) -> bool:
    """Whether it is a column of text with the database's own collation: under others a pattern may raise."""
    if kinds is None or kinds.engine is not Engine.POSTGRESQL:
        return True
    return isinstance(node, exp.Column) and kinds.known(node.name) == "text"


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
    written = table.args.get("alias")
    if written is not None and written.args.get("columns"):
        return  # its columns have other names here
    if any(
        join.args.get("method") == "ASOF" or join.kind in {"SEMI", "ANTI"} for join in select.args.get("joins") or []
    ):
        return  # of all rows the nearest one, or names that mean nothing outside
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
        # PostgreSQL tells "T" from t; elsewhere a comparison in another case is just not repeated.
        is_own = column.table == name if column.table else is_alone
        bound = bind(column) if is_own else None
        if bound is None:
            return False
        column.replace(bound)
    return bool(columns)
