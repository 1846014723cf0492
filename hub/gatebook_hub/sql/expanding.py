"""How often would MariaDB read the texts of common table expressions?

It reads each one where it is written, and anew wherever it is named, with all that is in it: fifty of them, one inside
of the other, keep it busy for years before the statement begins, and neither a time limit nor `kill` is looked at then.
"""

from __future__ import annotations

from sqlglot import exp

from gatebook_hub.errors import ConstructRefused
from gatebook_hub.model import Engine

_MOST = 2_000


def check_expansion(tree: exp.Expr, engine: Engine) -> None:
    """Refuse what would be read too often; raises ConstructRefused."""
    if engine is not Engine.MARIADB:
        return
    expressions: dict[str, list[exp.CTE]] = {}
    for cte in tree.find_all(exp.CTE):
        expressions.setdefault(cte.alias.lower(), []).append(cte)
    try:
        count = _Readings(expressions).of(tree) if expressions else 0
    except RecursionError:
        count = _MOST + 1
    if count > _MOST:
        raise ConstructRefused("MariaDB reads a `with` anew wherever it is named, and these too often; nest them less")


class _Readings:
    """Counts texts that are read; of expressions with one name, the one that costs most counts."""

    def __init__(self, expressions: dict[str, list[exp.CTE]]) -> None:
        self._expressions = expressions
        self._known: dict[int, int] = {}

    def of(self, query: exp.Expr) -> int:
        """How many texts are read for a query, those of its expressions included; a recursion counts once."""
        if id(query) not in self._known:
            self._known[id(query)] = 1  # while it is counted: one that names itself
            self._known[id(query)] = min(1 + sum(map(self._part, self._direct(query))), 10 * _MOST)
        return self._known[id(query)]

    def _part(self, node: exp.Expr) -> int:
        if isinstance(node, exp.CTE):
            return self.of(node)
        return max(map(self.of, self._expressions.get(node.name.lower(), ())), default=0)

    def _direct(self, query: exp.Expr) -> list[exp.Expr]:
        """The expressions that are defined right inside, and the names that are used there."""
        found: list[exp.Expr] = []
        waiting = list(query.iter_expressions())
        while waiting:
            node = waiting.pop()
            if isinstance(node, exp.CTE) or (isinstance(node, exp.Table) and not node.db):
                found.append(node)
            if not isinstance(node, exp.CTE):
                waiting += node.iter_expressions()
        return found
