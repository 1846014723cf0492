"""How much longer may a statement make a value? Calls that lengthen are multiplied, in one another and level by level.

A time limit is no bound for them: one call is not interrupted, and MariaDB's `replace` works for minutes on a value of
a million letters.
"""

from __future__ import annotations

import math

from sqlglot import exp

from gatebook_hub.errors import FunctionRefused
from gatebook_hub.model import Engine

_MOST = {Engine.MARIADB: 100_000}
_MOST_ELSEWHERE = 10_000_000
_PADS = frozenset({"LPAD", "RPAD"})
_MULTIPLIES = frozenset({"REPEAT", "REPLACE", "REGEXP_REPLACE"})


def check_growth(tree: exp.Expr, engine: Engine) -> None:
    """Raise FunctionRefused for a statement that makes huge values of small ones."""
    by_level: dict[int, float] = {}
    for node in tree.find_all(exp.Anonymous):
        if node.name.upper() in _MULTIPLIES:
            level = id(node.find_ancestor(exp.Select))
            by_level[level] = max(by_level.get(level, 1.0), _growth(node))
    most = _MOST.get(engine, _MOST_ELSEWHERE)
    if math.prod(by_level.values()) > most:
        raise FunctionRefused(f"`repeat` and `replace` may make a value {most:,} times as long here, not more")


def _growth(node: exp.Expr) -> float:
    """The length of what the expression gives, where a column's value counts as one letter."""
    if isinstance(node, exp.Literal):
        return float(max(1, len(node.name)))
    if isinstance(node, exp.Query):
        return 1.0  # a level of its own
    inner = list(node.iter_expressions())
    if isinstance(node, exp.Anonymous):
        name, given = node.name.upper(), node.expressions
        if name == "REPEAT" and len(given) == 2:
            return _growth(given[0]) * _number(given[1])
        if name in _PADS and len(given) > 1:
            return max(_growth(given[0]), _number(given[1]))
        if name == "REPLACE" and len(given) == 3:
            found = max(1, len(given[1].name)) if isinstance(given[1], exp.Literal) else 1
            return _growth(given[0]) * max(1.0, _growth(given[2]) / found)
        if name == "REGEXP_REPLACE" and len(given) > 2:
            return _growth(given[0]) * _growth(given[2])
    return max(1.0, sum(map(_growth, inner)))


def _number(node: exp.Expr) -> float:
    is_plain = isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()
    return float(node.name) if is_plain else 1.0
