"""When must a row filter be evaluated before a person's expressions, and what may go in front of it nevertheless?

A planner may evaluate an expression before a filter, and an error of it tells of a row that the filter hides. A fence
keeps it behind, and costs the use of an index. So there is one only where an expression can raise; and comparisons that
cannot raise are repeated inside, beside the filter, where an index serves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from sqlglot import exp

from gatebook_hub.model import Engine, Table

# Columns by what they hold, where the name says so.
Kinds = Mapping[str, str]

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
_COMPARES = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Coalesce)
# What DuckDB takes as true or false; it makes a boolean of anything else, row by row.
_PREDICATES = (*_COMPARES[:-1], exp.Like, exp.Is, exp.And, exp.Or, exp.Not, exp.Exists, exp.Boolean, exp.Null)
# Of any two of these DuckDB makes a number of at most 20 digits before the point and 18 behind it: it has 38.
_NUMBERS = re.compile(r"u?(tiny|small|big)?int(eger)?|float|double|real|decimal\((?P<all>\d+), ?(?P<behind>\d+)\)")
_MOST_DIGITS = 18
_SMALL_NUMBER = re.compile(r"\d{1,18}(\.\d{0,18})?|\.\d{1,18}")
_OF_COMPARISONS = exp.Column | exp.Identifier | exp.Literal | exp.Placeholder | exp.Paren | exp.Neg | _REPEATED


def kinds_of(tree: exp.Expr, tables: Iterable[Table], engine: Engine, masked: AbstractSet[str]) -> Kinds | None:
    """What columns hold, by name; None where values of any two types compare without an error.

    DuckDB compares a text with a number by making a number of it, row by row, and an integer with a long decimal by
    making a decimal of it; both raise. A name that the statement itself gives, that is masked, or that holds different
    things in different tables, is not known.
    """
    if engine is not Engine.DUCKDB:
        return None
    found: dict[str, set[str]] = {}
    for table in tables:
        for column in table.columns:
            found.setdefault(column.name, set()).add(_kind(column.type))
    given = masked | {node.alias.lower() for node in tree.find_all(exp.Alias)}
    given |= {column.name.lower() for node in tree.find_all(exp.TableAlias) for column in node.columns}
    return {name: kinds.pop() for name, kinds in found.items() if len(kinds) == 1 and name not in given}


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
    """Whether DuckDB may have to make a value of one type into another, row by row."""
    match node:
        case exp.SetOperation():
            return True
        case exp.Is():
            return isinstance(node.expression, exp.Boolean) and not _is_predicate(node.this, kinds)
        case exp.And() | exp.Or() | exp.Not() | exp.Where() | exp.Having():
            return not all(_is_predicate(part, kinds) for part in node.iter_expressions())
        case exp.Join():
            on = node.args.get("on")
            names = [name.name.lower() for name in node.args.get("using") or []]
            is_unknown = bool(node.args.get("method")) or any(name not in kinds for name in names)
            return is_unknown or (on is not None and not _is_predicate(on, kinds))
        case _:
            return isinstance(node, _COMPARES) and not _is_of_one_kind(node, kinds)


def _is_predicate(node: exp.Expr, kinds: Kinds) -> bool:
    inner = node.unnest() if isinstance(node, exp.Paren) else node
    if isinstance(inner, exp.Column):
        return kinds.get(inner.name.lower()) == "boolean"
    return isinstance(inner, _PREDICATES)


def _is_of_one_kind(node: exp.Expr, kinds: Kinds) -> bool:
    """Whether all that is compared is of one kind; a text in quotes becomes what it is compared with, once."""
    found = set()
    for part in node.iter_expressions():
        inner = part.this if isinstance(part, exp.Neg | exp.Paren) else part
        if isinstance(inner, exp.Column):
            found.add(kinds.get(inner.name.lower(), "unknown"))
        elif isinstance(inner, exp.Literal):
            is_small = _SMALL_NUMBER.fullmatch(inner.name) is not None
            found |= set() if inner.is_string else {"number" if is_small else "unknown"}
        elif not isinstance(inner, exp.Null):
            found.add("unknown")
    return len(found) <= 1 and "unknown" not in found


def _kind(declared: str) -> str:
    name = declared.lower()
    if name == "varchar" or name.startswith("varchar("):
        return "text"
    found = _NUMBERS.fullmatch(name)
    if found is None:
        return "unknown" if "(" in name or "[" in name else name
    if found["all"] is None:
        return "number"
    behind = int(found["behind"])
    return "number" if behind <= _MOST_DIGITS and int(found["all"]) - behind <= _MOST_DIGITS else "unknown"


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
        # PostgreSQL tells "T" from t; elsewhere a comparison in another case is just not repeated.
        is_own = column.table == name if column.table else is_alone
        bound = bind(column) if is_own else None
        if bound is None:
            return False
        column.replace(bound)
    return bool(columns)
