"""Is this node of a tree one that the gate understands, with all that is set on it?"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Any

from sqlglot import exp

from gatebook_hub.errors import ConstructRefused, FunctionRefused, NotParsed
from gatebook_hub.model import Engine
from gatebook_hub.sql.allowed import ARGUMENTS, DUCKDB_JOINS, JOIN_KINDS, JOIN_METHODS, NAMED_TYPES, NODES, TYPES
from gatebook_hub.sql.borrowed import check_borrowed
from gatebook_hub.sql.costs import MAX_DEPTH
from gatebook_hub.sql.functions import CLASSES, FUNCTIONS, TABLE_FUNCTIONS

_WRITES = frozenset({"Insert", "Update", "Delete", "Merge"})
# What stands in a write alone, with the node that it belongs to.
_OF_WRITES: dict[str, tuple[type[exp.Expr], ...]] = {
    "Schema": (exp.Insert,),
    "OnConflict": (exp.Insert,),
    "Returning": (exp.Insert, exp.Update, exp.Delete),
    "Whens": (exp.Merge,),
    "When": (exp.Whens,),
    "Insert": (exp.When,),
    "Update": (exp.When,),
}
_SQLITE_MOMENTS = {"DATE", "TIME", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ"}
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
# A width of five digits, or one that an argument gives, makes a value of any size.
_WIDE_FORMAT = re.compile(r"\*|\d{4,}|\{[^{}]*\{")
_MOST_REPEATS = 1_000
# No engine's tables have more, and naming each costs as much as there are.
_MOST_COLUMNS = 2_000
_HAVE_WORDS = (
    exp.Interval,
    exp.WindowSpec,
    exp.Collate,
    exp.Extract,
    exp.TimestampDiff,
    exp.TimestampAdd,
    exp.Trim,
    exp.OnConflict,
    exp.When,
    exp.Kwarg,
    exp.IntervalSpan,
)
_HAVE_JSON_LITERALS = frozenset({Engine.POSTGRESQL, Engine.DUCKDB})
_UNIT = re.compile(
    r"(Y|MON|W|D|H|HR|M|MIN|S|SEC|MS|MSEC|US|USEC|YEAR|MONTH|QUARTER|WEEK|DAY|HOUR|MINUTE|SECOND|DECADE|CENTURY|"
    r"MILLENNIUM|MILLISECOND|MICROSECOND|NANOSECOND)S?|CENTURIES|MILLENNIA|"
    r"(DAY|HOUR|MINUTE|SECOND|YEAR)_(MONTH|HOUR|MINUTE|SECOND|MICROSECOND)",
    re.IGNORECASE,
)
_LENGTHENS = frozenset({"LPAD", "RPAD", "REPEAT"})
_FORMATS = frozenset({"PRINTF", "FORMAT"})


def check_node(node: exp.Expr, engine: Engine, functions: AbstractSet[str], *, is_top: bool) -> None:
    """Raise ConstructRefused, FunctionRefused or NotParsed unless the node is understood."""
    name = type(node).__name__
    if node.depth > MAX_DEPTH:
        raise NotParsed("the statement is nested too deeply; split it with common table expressions")
    if (is_top and name in _WRITES) or isinstance(node.parent, _OF_WRITES.get(name, ())):
        pass
    elif isinstance(node, exp.Func):
        _check_function(node, name, engine, functions)
    elif name not in NODES:
        raise ConstructRefused(f"the construct `{_shown(name)}` is not taken; write the statement without it")
    allowed = ARGUMENTS.get(name)
    if allowed is not None:
        for argument, value in node.args.items():
            if value and argument not in allowed:
                raise ConstructRefused(f"`{argument.strip('_')}` of `{_shown(name)}` is not taken; write it without")
    _check_details(node, engine)
    _check_place(node, engine)
    check_borrowed(node, engine)


def parameter_name(node: exp.Placeholder) -> str:
    """The name of a bound parameter; raises ConstructRefused for any other mark."""
    name: Any = node.args.get("this")
    if not isinstance(name, str) or not _PARAMETER_NAME.match(name):
        raise ConstructRefused("parameters are written `:name`, with a value for each name")
    return name


def is_table_function(node: exp.Expr) -> bool:
    """Whether the function stands in a from clause."""
    parent = node.parent
    return isinstance(parent, exp.Table | exp.Lateral) or (
        isinstance(node, exp.Unnest) and isinstance(parent, exp.From | exp.Join)
    )


def _check_function(node: exp.Func, name: str, engine: Engine, functions: AbstractSet[str]) -> None:
    if name not in CLASSES:
        raise FunctionRefused(f"the function `{node.sql_name().lower()}` is not on the list of allowed functions")
    is_table = is_table_function(node)
    allowed = TABLE_FUNCTIONS[engine] if is_table else FUNCTIONS[engine] | functions
    called = _called(node)
    if (is_table or isinstance(node, exp.Anonymous)) and called not in allowed:
        where = "in a from clause" if is_table else "on the list of allowed functions"
        raise FunctionRefused(f"the function `{called.lower()}` is not {'taken ' if is_table else ''}{where}")
    _check_size(node, called)


def _called(node: exp.Func) -> str:
    """The name as typed; empty for a quoted one, which no list holds."""
    if isinstance(node, exp.Anonymous):
        return node.this.upper() if isinstance(node.this, str) else ""
    return node.sql_name()


def _check_size(node: exp.Func, called: str) -> None:
    """Functions that make long values out of short ones take literal lengths and formats alone."""
    if called in _LENGTHENS:
        length = node.expressions[1] if len(node.expressions) > 1 else None
        is_small = isinstance(length, exp.Literal) and not length.is_string and length.name.isdigit()
        if length is None or not is_small or int(length.name) > _MOST_REPEATS:
            raise FunctionRefused(f"`{called.lower()}` takes a number up to {_MOST_REPEATS:,} as its length")
    if called in _FORMATS and node.expressions:
        first = node.expressions[0]
        if not isinstance(first, exp.Literal) or (first.is_string and _WIDE_FORMAT.search(first.name)):
            raise FunctionRefused("a format is a text in quotes, with widths of at most three digits and no `*`")


def _check_details(node: exp.Expr, engine: Engine) -> None:
    match node:
        case exp.Join() | exp.Table():
            _check_relation(node, engine)
        case exp.DataType():
            _check_type(node, engine)
        case exp.Var():
            is_all = isinstance(node.parent, exp.Ordered) and node.name.upper() == "ALL" and engine is Engine.DUCKDB
            if isinstance(node.parent, exp.Interval) and not _UNIT.fullmatch(node.name):
                raise ConstructRefused("an interval is of years, months, days, hours, minutes or seconds")
            if not isinstance(node.parent, _HAVE_WORDS) and not is_all:
                raise ConstructRefused(f"the word `{node.name}` is not understood here")
        case exp.Placeholder():
            parameter_name(node)
        case exp.Select() if not 0 < len(node.expressions) <= _MOST_COLUMNS:
            raise ConstructRefused(f"a select list has one column at least, and at most {_MOST_COLUMNS:,}")
        case exp.Collate():
            if not isinstance(node.expression, exp.Var | exp.Identifier) and not _is_name(node.expression):
                raise ConstructRefused("`collate` is followed by the name of a collation")
        case _:
            pass


def _check_place(node: exp.Expr, engine: Engine) -> None:
    """Refuse what is understood in one place, or on some engines, alone."""
    match node:
        case exp.LimitOptions() if node.args.get("with_ties") and engine is not Engine.POSTGRESQL:
            raise ConstructRefused("`with ties` is not taken; compare with the last value in a condition")
        case exp.ColumnDef() if not isinstance(node.parent, exp.TableAlias | exp.DataType):
            raise ConstructRefused("a column is defined behind a function in a from clause, or in a type, alone")
        case exp.Lambda() if engine is not Engine.DUCKDB:
            raise ConstructRefused("`lambda` is not taken; write the statement without it")
        case exp.Star() if any(node.args.values()) and engine is not Engine.DUCKDB:
            raise ConstructRefused("`except` of `star` is not taken; list the columns")
        case exp.ParseJSON() if not node.args.get("is_literal") or engine not in _HAVE_JSON_LITERALS:
            raise FunctionRefused("the function `parse_json` is not on the list of allowed functions")
        case exp.Returning() if node.parent is None or node.parent.parent is not None:
            raise ConstructRefused("`returning` belongs to the end of an insert, update or delete")
        case _:
            pass


def _check_relation(node: exp.Join | exp.Table, engine: Engine) -> None:
    if isinstance(node, exp.Join):
        more = DUCKDB_JOINS if engine is Engine.DUCKDB else frozenset()
        method, kind = node.args.get("method") or "", node.kind or ""
        if method not in JOIN_METHODS | more or kind not in JOIN_KINDS | more:
            raise ConstructRefused(f"the join `{node.args.get('method') or node.kind}` is not taken")
        return
    is_function = isinstance(node.this, exp.Func) and not node.args.get("db")
    is_named = isinstance(node.this, exp.Identifier) and isinstance(node.args.get("db"), exp.Identifier | None)
    if not is_named and not is_function:
        raise ConstructRefused("expressions are not taken as tables")
    if node.args.get("joins") and not isinstance(_clause_of(node), exp.Update | exp.Delete | exp.Subquery):
        raise ConstructRefused("a join is not taken here")


def _is_name(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and not node.table and isinstance(node.this, exp.Identifier)


def _clause_of(node: exp.Expr) -> exp.Expr | None:
    return node.parent.parent if isinstance(node.parent, exp.From) else node.parent


def _check_type(node: exp.DataType, engine: Engine) -> None:
    inner = node.args.get("expressions") or []
    name = str(node.this.name if hasattr(node.this, "name") else node.this).upper()
    kind = node.args.get("kind")
    if name == "USERDEFINED" and engine is Engine.POSTGRESQL and _is_named_type(str(kind)):
        return
    if name not in TYPES or not all(
        isinstance(part, exp.DataTypeParam | exp.DataType | exp.ColumnDef) for part in inner
    ):
        raise ConstructRefused(f"the type `{node.sql().lower()}` is not taken in a cast")
    if engine is Engine.SQLITE and name in _SQLITE_MOMENTS:
        # SQLite would make a number of it; sqlglot writes `date(x)`, which is something else.
        raise ConstructRefused("SQLite has no type for dates and times; write `date(x)`, `time(x)` or `datetime(x)`")


def _is_named_type(kind: str) -> bool:
    """Whether the type is known by its name, or is an array of one that is, as `_int4`."""
    name = kind.lower().removeprefix("_")
    return name in NAMED_TYPES or (kind.startswith("_") and name.upper() in TYPES)


def _shown(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
