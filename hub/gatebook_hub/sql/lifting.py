"""Which values does a statement carry, and do they belong to protected columns?

The book keeps a statement's shape with its literals lifted out, so that who looked up what can be answered without
everybody reading it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError

from gatebook_hub.errors import ConstructRefused
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.parsing import Statement

# Everything that holds a value as it was typed.
VALUES = (
    exp.Literal,
    exp.ByteString,
    exp.RawString,
    exp.BitString,
    exp.HexString,
    exp.National,
    exp.UnicodeString,
    exp.JSONPath,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftedValue:
    """A literal of the statement, as text; `is_protected` unless it is compared with unprotected columns alone."""

    text: str
    is_protected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftedStatement:
    """The statement with `?1…` for its literals, the literals, and which named parameters are protected."""

    shape: str
    values: tuple[LiftedValue, ...]
    protected_parameters: frozenset[str]


def lift(statement: Statement, protected: Collection[str], unprotected: Collection[str]) -> LiftedStatement:
    """Lift literals; a value is open only where it meets columns that are known and unprotected, by column name.

    Raises ConstructRefused.
    """
    tree = statement.tree.copy()
    values: list[LiftedValue] = []
    hidden: set[str] = set()
    closed = set(protected)
    # A name that the statement itself gives may hide a protected column behind an unprotected one's name.
    known = set(unprotected) - _given_names(tree)
    is_all_open = not closed
    met: dict[int, bool] = {}
    for node in list(tree.find_all(*VALUES, exp.Placeholder)):
        is_open = is_all_open or _is_open(node, closed, known, met)
        if isinstance(node, exp.Placeholder):
            if not is_open:
                hidden.add(node.name)
            continue
        text = node.sql() if isinstance(node, exp.JSONPath) else str(node.this)
        values.append(LiftedValue(text=text, is_protected=not is_open))
        if isinstance(node, exp.Literal):
            # In place: to replace one of many siblings costs as much as there are siblings. A number is written bare.
            node.set("this", f"?{len(values)}")
            node.set("is_string", False)
        else:
            node.replace(exp.Var(this=f"?{len(values)}"))
    try:
        shape = tree.sql(dialect=dialect_of(statement.engine), comments=False)
    except SqlglotError as error:
        raise ConstructRefused("the statement's shape cannot be recorded; write it in a simpler way") from error
    return LiftedStatement(shape=shape, values=tuple(values), protected_parameters=frozenset(hidden))


def _given_names(tree: exp.Expr) -> set[str]:
    names = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    return names | {column.name.lower() for alias in tree.find_all(exp.TableAlias) for column in alias.columns}


def _is_open(node: exp.Expr, protected: set[str], unprotected: set[str], met: dict[int, bool]) -> bool:
    """Whether the nearest comparison, assignment or limit around the value names unprotected columns alone.

    `met` remembers what was found of each comparison: one may hold thousands of values.
    """
    parent = node.parent
    if isinstance(parent, exp.Limit | exp.Offset | exp.Interval | exp.DataTypeParam | exp.Ordered | exp.Group):
        return True  # a number of rows or a position: the value itself stands there, not an expression around it
    while parent is not None:
        if isinstance(parent, exp.Predicate | exp.Between | exp.In | exp.EQ | exp.Like):
            if id(parent) not in met:
                names = {column.name.lower() for column in parent.find_all(exp.Column)}
                met[id(parent)] = bool(names) and names <= unprotected and not names & protected
            return met[id(parent)]
        if isinstance(parent, exp.Query | exp.Insert | exp.Delete):
            return False
        parent = parent.parent
    return False
