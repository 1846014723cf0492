"""How much longer may a statement make a value? What lengthens is reckoned through all that a statement is made of.

A time limit is no bound for it: one call is not interrupted, and MariaDB's `replace` works for minutes on a value of a
million letters. A value of a table counts as one letter and a table as one row; what a subquery or a common table
expression gives is as long as it was made there, so that a text put beside itself twenty times over is a million.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from sqlglot import exp

from gatebook_hub.errors import FunctionRefused
from gatebook_hub.model import Engine
from gatebook_hub.sql.functions import AGGREGATES
from gatebook_hub.sql.lengthening import length_of_call, number

_MOST = {Engine.MARIADB: 100_000}
_MOST_ELSEWHERE = 10_000_000
# They give a truth or a number, however long what they are given is.
_SHORT = (
    *(exp.Predicate, exp.Connector, exp.Not, exp.In, exp.Exists, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv),
    *(exp.Mod, exp.Neg, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot, exp.BitwiseLeftShift),
    *(exp.BitwiseRightShift, exp.Extract, exp.Count, exp.Pow, exp.Sqrt, exp.Cbrt, exp.TimestampDiff, exp.DataType),
)
# What stands behind the value in them is looked at, and is no part of it.
_ONE_VALUE = (
    exp.Order,
    exp.Filter,
    exp.Window,
    exp.WithinGroup,
    exp.Cast,
    exp.Collate,
    exp.Bracket,
    exp.Alias,
    exp.Lambda,
)
# Of a recursion, whose values are as long as what each round adds to them.
_ROUNDS = 1_000.0
# Columns of a recursion that are reckoned one by one.
_MOST_FOLLOWED = 12
_RELATIONS = frozenset({"from_", "joins", "laterals", "with_", "using"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A relation: the lengths of its columns, of those whose names are not known, and the number of its rows."""

    columns: Mapping[str, float] = field(default_factory=dict)
    rest: float = 1.0
    rows: float = 1.0

    @property
    def longest(self) -> float:
        """Of any column."""
        return max([self.rest, *self.columns.values()])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What an expression sees: common table expressions, the relations around it, innermost first, and its aliases."""

    ctes: Mapping[str, _Made] = field(default_factory=dict)
    seen: tuple[Mapping[str, _Made], ...] = ()
    aliases: dict[str, float] = field(default_factory=dict)
    rows: float = 1.0


def check_growth(tree: exp.Expr, engine: Engine) -> None:
    """Raise FunctionRefused for a statement that makes huge values of small ones."""
    _Reckoner(_MOST.get(engine, _MOST_ELSEWHERE)).relation(tree, _Scope())


class _Reckoner:
    """Reckons one statement; the methods go down the tree by one another."""

    def __init__(self, most: int) -> None:
        self._most = most

    def relation(self, node: exp.Expr, scope: _Scope) -> _Made:
        """What a query, a table or a whole write is made of."""
        if isinstance(node, exp.SetOperation):
            return self._set(node, scope)
        scope = self._with(node, scope)
        match node:
            case exp.Values():
                values = [item for row in node.expressions for item in getattr(row, "expressions", None) or [row]]
                rest = max((self.length(value, scope) for value in values), default=1.0)
                found = _Made(rest=rest, rows=float(len(node.expressions)))
            case exp.Subquery() | exp.Lateral():
                found = self.relation(node.this, replace(scope, aliases={}))
                if node.args.get("joins"):
                    found = self._clause(node, scope)
            case exp.Table() if isinstance(node.this, exp.Identifier):
                found = self._clause(node, scope) if node.args.get("joins") else scope.ctes.get(_name(node), _Made())
            case exp.Func() | exp.Table():
                found = self._function(node.this if isinstance(node, exp.Table) else node, scope)
            case _:
                return self._clause(node, scope)
        alias = node.args.get("alias")
        if isinstance(alias, exp.TableAlias) and alias.columns:
            return _unnamed(found)
        return found

    def length(self, node: exp.Expr, scope: _Scope) -> float:
        """The length of what the expression gives; raises FunctionRefused if it is too much."""
        found = self._length(node, scope)
        if found > self._most:
            raise FunctionRefused(
                f"a value may become {self._most:,} times as long here, not more: `repeat`, `replace`, and texts or "
                "lists that are put together again and again"
            )
        return found

    def _length(self, node: exp.Expr, scope: _Scope) -> float:
        match node:
            case exp.Array() if isinstance(node.expressions[0] if node.expressions else None, exp.Query):
                made = self.relation(node.expressions[0], replace(scope, aliases={}))
                return 2.0 * made.longest * made.rows
            case exp.Literal():
                return float(max(1, len(node.name)))
            case exp.Column():
                return _of_column(node, scope)
            case exp.Query():
                return self.relation(node, replace(scope, aliases={})).longest
            case exp.Case() | exp.If():
                # A condition is looked at; the value is that of one branch.
                self._look(node.this, scope)
                parts = [*node.args.get("ifs", ()), *map(node.args.get, ("default", "true", "false"))]
                return max((self.length(part, scope) for part in parts if part is not None), default=1.0)
        if isinstance(node, _ONE_VALUE):
            self._look([part for key, part in node.args.items() if key != "this"], scope)
            return self.length(node.this, scope) if isinstance(node.this, exp.Expr) else 1.0
        given = [*node.iter_expressions()]
        lengths = [self.length(part, scope) for part in given]
        if isinstance(node, _SHORT):
            return 1.0
        if isinstance(node, exp.Array | exp.Struct):
            # As a text, with signs before signs.
            return 2.0 * max(1.0, sum(lengths))
        if isinstance(node, exp.Func):
            name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
            return max(1.0, length_of_call(name.upper(), given, lengths, scope.rows))
        return max(1.0, sum(lengths))

    def _look(self, part: object, scope: _Scope) -> None:
        """Look at what is no part of a value."""
        for item in part if isinstance(part, list) else [part]:
            if isinstance(item, list):
                self._look(item, scope)
            elif isinstance(item, exp.Expr):
                self.length(item, scope)

    def _with(self, node: exp.Expr, scope: _Scope) -> _Scope:
        clause = node.args.get("with_")
        if not isinstance(clause, exp.With):
            return scope
        for cte in clause.expressions:
            is_recursive = bool(clause.args.get("recursive")) and isinstance(cte.this, exp.SetOperation)
            made = self._recursion(cte, scope) if is_recursive else self.relation(cte.this, scope)
            made = _unnamed(made) if cte.args["alias"].columns else made
            scope = replace(scope, ctes={**scope.ctes, cte.alias.lower(): made})
        return scope

    def _set(self, node: exp.SetOperation, scope: _Scope) -> _Made:
        """Both sides."""
        scope = self._with(node, scope)
        left = self.relation(node.this, scope)
        right = self.relation(node.expression, scope)
        self._look([node.args.get(key) for key in ("order", "limit", "offset")], scope)
        return _either(left, right)

    def _recursion(self, cte: exp.CTE, scope: _Scope) -> _Made:
        """What goes round by its own name, how often is the engine's affair: each round may add a part, and not more.

        Two spans of rounds are reckoned, each as long as a value needs to come back to its column by way of all others.
        A column to which the second span adds more than the first one doubles sooner or later.
        """
        name = cte.alias.lower()
        scope = self._with(cte.this, scope)
        parts = list(_parts_of(cte.this))
        fixed = [part for part in parts if not _names(part, name)]
        going = [part for part in parts if _names(part, name)]
        self._look([cte.this.args.get(key) for key in ("order", "limit", "offset")], scope)
        if not fixed or not going:
            return self._set(cte.this, scope)
        known = reduce(_either, [self.relation(part, scope) for part in fixed])
        aliases = [alias.name.lower() for alias in cte.args["alias"].columns]
        if len(known.columns) > _MOST_FOLLOWED or (aliases and len(aliases) != len(known.columns)):
            known = _unnamed(known)  # all of its columns as one
        elif aliases:
            known = replace(known, columns=dict(zip(aliases, known.columns.values(), strict=True)))
        span = max(2, len(known.columns) + 1)
        lengths = []
        for number_of_round in range(2 * span + 2):
            known = self._round(going, scope, name, known)
            if number_of_round % span == 1:  # after the first two, which bring the texts of the statement in
                lengths.append(_lengths(known))
        added = [last - middle for middle, last in zip(lengths[1], lengths[2], strict=True)]
        if any(more > middle - first + 0.5 for more, first, middle in zip(added, *lengths[:2], strict=True)):
            raise FunctionRefused("a recursion that doubles a value each time makes a huge one soon; let it add a part")
        return self._round(going, scope, name, _longer(known, added, _ROUNDS / span))

    def _round(self, going: list[exp.Expr], scope: _Scope, name: str, known: _Made) -> _Made:
        """What is known of the recursion, with what its parts make of it once more."""
        inner = replace(scope, ctes={**scope.ctes, name: known})
        found = known
        for part in going:
            made = self.relation(part, inner)
            is_alike = len(made.columns) == len(known.columns)
            columns = dict(zip(known.columns, made.columns.values(), strict=True)) if is_alike else {}
            made = replace(made, columns=columns, rest=made.rest if is_alike else made.longest)
            found = _either(found, made)
        return replace(found, rows=known.rows)

    def _clause(self, node: exp.Expr, scope: _Scope) -> _Made:
        """A select, or a write: its relations, and then all its expressions."""
        relations: dict[str, _Made] = {}
        rows = 1.0
        inner = replace(scope, seen=(relations, *scope.seen), aliases={})
        for item in _relations_of(node):
            made = self.relation(item, inner)
            relations[_alias(item) or f" {len(relations)}"] = made
            rows *= max(1.0, made.rows)
        inner = replace(inner, rows=rows)
        columns: dict[str, float] = {}
        rest = 1.0
        if isinstance(node, exp.Table | exp.Subquery):  # a join in parentheses
            columns, rest = _starred(columns, rest, relations)
        for item in node.expressions:
            length = self.length(item, inner)
            name = (item.alias_or_name or "").lower()
            if isinstance(item, exp.Star) or name == "*":
                columns, rest = _starred(columns, max(rest, length), relations)
            elif name and name not in columns:
                columns[name] = inner.aliases[name] = length
            else:
                columns[f" {len(columns)}"] = length
        others = [part for key, part in node.args.items() if key not in _RELATIONS and key != "expressions"]
        self._look([*others, *(join.args.get("on") for join in node.args.get("joins") or ())], inner)
        limit = node.args.get("limit")
        limited = number(limit.expression) if isinstance(limit, exp.Limit) and limit.expression is not None else None
        rows = 1.0 if node.args.get("group") is None and _has_aggregate(node) else rows
        return _Made(columns=columns, rest=rest, rows=rows if limited is None else min(rows, limited))

    def _function(self, node: exp.Expr, scope: _Scope) -> _Made:
        """A call in a from clause: as many rows as what it is given has parts."""
        lengths = [self.length(part, scope) for part in node.iter_expressions()]
        total = max(1.0, sum(lengths))
        numbers = [number(part) for part in getattr(node, "expressions", [])]
        counted = [value for value in numbers if value is not None]
        return _Made(rest=max([1.0, *lengths]), rows=max([total, *counted]))


def _parts_of(node: exp.Expr) -> Iterator[exp.Expr]:
    """The queries that a chain of set operations puts together."""
    if isinstance(node, exp.SetOperation) and node.args.get("with_") is None:
        yield from _parts_of(node.this)
        yield from _parts_of(node.expression)
    else:
        yield node


def _names(node: exp.Expr, name: str) -> bool:
    return any(_name(table) == name for table in node.find_all(exp.Table))


def _either(left: _Made, right: _Made) -> _Made:
    """A relation that may be one or the other, by the names of the first."""
    if len(left.columns) != len(right.columns):
        return _Made(rest=max(left.longest, right.longest), rows=left.rows + right.rows)
    pairs = zip(left.columns.items(), right.columns.values(), strict=True)
    columns = {name: max(length, other) for (name, length), other in pairs}
    return _Made(columns=columns, rest=max(left.rest, right.rest), rows=left.rows + right.rows)


def _lengths(made: _Made) -> list[float]:
    return [*made.columns.values(), made.rest]


def _longer(made: _Made, added: list[float], rounds: float) -> _Made:
    """After so many rounds that add as much as the last one did."""
    *lengths, rest = (length + more * rounds for length, more in zip(_lengths(made), added, strict=True))
    return replace(made, columns=dict(zip(made.columns, lengths, strict=True)), rest=rest)


def _relations_of(node: exp.Expr) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    if isinstance(node, exp.Table | exp.Subquery):
        bare = node.copy()
        bare.set("joins", None)
        found.append(bare)
    for key in ("from_", "joins", "laterals", "using"):
        part = node.args.get(key)
        for item in part if isinstance(part, list) else [part]:
            inside = item.this if isinstance(item, exp.From | exp.Join) else item
            if isinstance(inside, exp.Expr) and not isinstance(inside, exp.Identifier | exp.Column):
                found.append(inside)
    return found


def _starred(
    columns: Mapping[str, float], rest: float, relations: Mapping[str, _Made]
) -> tuple[dict[str, float], float]:
    """The columns with those of all relations behind them, and the rest with theirs."""
    found = dict(columns)
    for made in relations.values():
        for name, length in made.columns.items():
            found[name] = max(length, found.get(name, 1.0))
        rest = max(rest, made.rest)
    return found, rest


def _of_column(node: exp.Column, scope: _Scope) -> float:
    """What the column may be at most: a name that is not found is one of a table, or within parentheses."""
    name, table = node.name.lower(), node.table.lower()
    if isinstance(node.this, exp.Star):
        return 1.0
    for relations in scope.seen:
        if table in relations:
            return relations[table].columns.get(name, relations[table].rest)
    for relations in scope.seen:
        found = [made.columns.get(name, made.rest) for made in relations.values()]
        # A relation itself may be a value: all its columns.
        found += [sum(made.columns.values()) + made.rest for alias, made in relations.items() if alias == name]
        if max(found, default=1.0) > 1.0:
            return max(found)
    return scope.aliases.get(name, 1.0)


def _has_aggregate(node: exp.Expr) -> bool:
    """Whether the query itself makes one value of its rows."""
    calls = (call for item in node.expressions for call in item.find_all(exp.Func))
    return any(_is_aggregate(call) and call.find_ancestor(exp.Select) is node for call in calls)


def _is_aggregate(call: exp.Func) -> bool:
    name = call.name.upper() if isinstance(call, exp.Anonymous) else call.sql_name()
    holder = call.parent.parent if isinstance(call.parent, exp.Filter) else call.parent
    return name in AGGREGATES and not isinstance(holder, exp.Window)


def _unnamed(made: _Made) -> _Made:
    """The same under other names."""
    return replace(made, columns={}, rest=made.longest)


def _name(node: exp.Table) -> str:
    return "" if node.db else node.name.lower()


def _alias(node: exp.Expr) -> str:
    return str(node.alias_or_name).lower()
