"""Is this text exactly one statement of a kind and shape that the gate understands?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from gatebook_hub.errors import ConstructRefused, FunctionRefused, InvalidInput, KindRefused, NotOneStatement, NotParsed
from gatebook_hub.model import Access, Engine
from gatebook_hub.sql.allowed import ARGUMENTS, FUNCTION_NODES, FUNCTIONS, JOIN_KINDS, JOIN_METHODS, NODES, TYPES
from gatebook_hub.sql.costs import MAX_DEPTH, check_cost
from gatebook_hub.sql.dialects import dialect_of

MAX_LENGTH = 100_000
_EXECUTABLE_COMMENT = re.compile(r"/\*[M!+]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOO_DEEP = "the statement is nested too deeply; split it with common table expressions"
_SQLITE_MOMENTS = {"DATE", "TIME", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ"}
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


class StatementKind(StrEnum):
    """What a statement is, seen from its top node alone."""

    READ = "read"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"

    @property
    def access(self) -> Access:
        """The access that its target needs."""
        return Access.SELECT if self is StatementKind.READ else Access(self.value)


_KINDS: dict[type[exp.Expr], StatementKind] = {
    exp.Select: StatementKind.READ,
    exp.Union: StatementKind.READ,
    exp.Intersect: StatementKind.READ,
    exp.Except: StatementKind.READ,
    exp.Subquery: StatementKind.READ,
    exp.Insert: StatementKind.INSERT,
    exp.Update: StatementKind.UPDATE,
    exp.Delete: StatementKind.DELETE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One understood statement; `tree` belongs to this room and is never changed in place."""

    engine: Engine
    kind: StatementKind
    text: str
    parameters: frozenset[str]
    tree: exp.Expr


def parse(text: str, engine: Engine) -> Statement:
    """Parse one statement in the engine's dialect and refuse whatever is not understood.

    Raises NotParsed, NotOneStatement, KindRefused, ConstructRefused, FunctionRefused, InvalidInput.
    """
    tree = _parse_one(text, engine)
    kind = _KINDS.get(type(tree))
    if kind is None:
        detail = f"`{_first_word(text)}` statements are not taken here; `select`, `insert`, `update` and `delete` are"
        raise KindRefused(detail)
    try:
        return statement_from(tree, kind=kind, text=text, engine=engine)
    except RecursionError as error:
        raise NotParsed(_TOO_DEEP) from error


def statement_from(tree: exp.Expr, *, kind: StatementKind, text: str, engine: Engine) -> Statement:
    """A checked statement from a tree, typed by a person or composed by the gate."""
    parameters = set()
    for node in tree.walk():
        _check_node(node, engine, is_top=node is tree)
        if isinstance(node, exp.Placeholder):
            parameters.add(_parameter_name(node))
    return Statement(engine=engine, kind=kind, text=text, parameters=frozenset(parameters), tree=tree)


def parse_condition(text: str, engine: Engine) -> exp.Expr:
    """Parse a boolean condition of policy; raises the same errors as `parse`."""
    tree = _parse_one(f"SELECT 1 WHERE {text}", engine)
    where = tree.args.get("where")
    others = [name for name, value in tree.args.items() if value and name not in {"expressions", "where"}]
    if not isinstance(tree, exp.Select) or where is None or others:
        raise NotParsed(f"`{text}` is not a condition")
    for node in where.walk():
        if node is not where:
            _check_node(node, engine, is_top=False)
    condition: exp.Expr = where.this
    return condition


def _parse_one(text: str, engine: Engine) -> exp.Expr:
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"a statement may have {MAX_LENGTH:,} characters, this one has {len(text):,}")
    if "\0" in text:
        raise NotParsed("the statement contains a NUL character")
    if _SURROGATE.search(text):
        raise NotParsed("the statement contains half a character (a lone surrogate)")
    if _EXECUTABLE_COMMENT.search(text):
        raise ConstructRefused("comments that databases execute (`/*!`, `/*M!`, `/*+`) are refused; remove them")
    try:
        check_cost(sqlglot.tokenize(text, dialect=dialect_of(engine)))
        found = sqlglot.parse(text, dialect=dialect_of(engine))
    except SqlglotError as error:
        raise NotParsed(_parse_failure(error)) from error
    except RecursionError as error:
        raise NotParsed(_TOO_DEEP) from error
    trees = [tree for tree in found if tree is not None and not isinstance(tree, exp.Semicolon)]
    if len(trees) != 1:
        raise NotOneStatement(f"exactly one statement is taken at a time, this is {len(trees) or 'none'}")
    for node in trees[0].walk():
        # A comment `sqlglot.meta name=value` would write into the metadata that the analysis keeps its marks in.
        node.comments = None
        node.meta.clear()
    return trees[0]


def _parse_failure(error: SqlglotError) -> str:
    details = getattr(error, "errors", None) or [{}]
    line, near = details[0].get("line"), details[0].get("highlight")
    where = f" at line {line}, near `{near}`" if line and near else ""
    return f"the statement does not parse{where}"


def _check_node(node: exp.Expr, engine: Engine, *, is_top: bool) -> None:
    name = type(node).__name__
    if node.depth > MAX_DEPTH:
        raise NotParsed(_TOO_DEEP)
    if (is_top and name in {"Insert", "Update", "Delete"}) or (
        name == "Schema" and isinstance(node.parent, exp.Insert)
    ):
        pass
    elif isinstance(node, exp.Func):
        _check_function(node, name, engine)
    elif name not in NODES:
        raise ConstructRefused(f"the construct `{_shown(name)}` is not taken; write the statement without it")
    allowed = ARGUMENTS.get(name)
    if allowed is not None:
        for argument, value in node.args.items():
            if value and argument not in allowed:
                raise ConstructRefused(f"`{argument.strip('_')}` of `{_shown(name)}` is not taken; write it without")
    _check_details(node, engine)


def _check_function(node: exp.Func, name: str, engine: Engine) -> None:
    if name not in FUNCTION_NODES:
        raise FunctionRefused(f"the function `{node.sql_name().lower()}` is not on the list of allowed functions")
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        this = node.this
        if not isinstance(this, str) or this.upper() not in FUNCTIONS[engine]:
            raise FunctionRefused(f"the function `{node.name.lower()}` is not on the list of allowed functions")


def _check_details(node: exp.Expr, engine: Engine) -> None:
    match node:
        case exp.Join():
            if (node.args.get("method") or "") not in JOIN_METHODS or (node.kind or "") not in JOIN_KINDS:
                raise ConstructRefused(f"the join `{node.args.get('method') or node.kind}` is not taken")
        case exp.Table():
            if not isinstance(node.this, exp.Identifier):
                raise ConstructRefused("functions and expressions are not taken as tables")
        case exp.DataType():
            _check_type(node, engine)
        case exp.Var():
            if not isinstance(node.parent, exp.Interval | exp.Func | exp.WindowSpec):
                raise ConstructRefused(f"the word `{node.name}` is not understood here")
        case exp.Placeholder():
            _parameter_name(node)
        case _:
            pass


def _check_type(node: exp.DataType, engine: Engine) -> None:
    inner = node.args.get("expressions") or []
    name = node.this.name if hasattr(node.this, "name") else str(node.this)
    is_known = str(name).upper() in TYPES or str(name).upper() in {"TIMESTAMPNTZ", "DOUBLE", "UBIGINT", "VARBINARY"}
    if not is_known or not all(isinstance(part, exp.DataTypeParam) for part in inner):
        raise ConstructRefused(f"the type `{node.sql().lower()}` is not taken in a cast")
    if engine is Engine.SQLITE and name.upper() in _SQLITE_MOMENTS:
        # SQLite would make a number of it; sqlglot writes `date(x)`, which is something else.
        raise ConstructRefused("SQLite has no type for dates and times; write `date(x)`, `time(x)` or `datetime(x)`")


def _parameter_name(node: exp.Placeholder) -> str:
    name: Any = node.args.get("this")
    if not isinstance(name, str) or not _PARAMETER_NAME.match(name):
        raise ConstructRefused("parameters are written `:name`, with a value for each name")
    return name


def _first_word(text: str) -> str:
    words = re.findall(r"[A-Za-z]+", text)
    return words[0].lower() if words else text[:20]


def _shown(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
