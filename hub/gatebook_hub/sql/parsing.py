"""Is this text exactly one statement of a kind and shape that the gate understands?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from gatebook_hub.errors import ConstructRefused, InvalidInput, KindRefused, NotOneStatement, NotParsed
from gatebook_hub.model import Access, Engine
from gatebook_hub.sql import agreeing
from gatebook_hub.sql.borrowed import check_spelling
from gatebook_hub.sql.checking import check_node, parameter_name
from gatebook_hub.sql.costs import check_cost
from gatebook_hub.sql.dialects import dialect_of, fold_identifiers
from gatebook_hub.sql.expanding import check_expansion
from gatebook_hub.sql.generating import check_calls, write
from gatebook_hub.sql.growth import check_growth
from gatebook_hub.sql.kinds import refusal_of

MAX_LENGTH = 100_000
MOST_STATEMENTS = 50
_EXECUTABLE_COMMENT = re.compile(r"/\*[M!+]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HAVE_PARSERS = frozenset({Engine.POSTGRESQL, Engine.DUCKDB})
# Half an expression, as in `select 1 ?#`, makes the parser stumble over its own parts.
_PARSER_BUGS = (TypeError, AttributeError, LookupError, ValueError)
# What may stand before a colon that begins no parameter.
_OPERANDS = frozenset(
    {
        *(TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER),
        *(TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE),
    }
)
_NAME = re.compile(r"[A-Za-z_]")
_LONGEST_NAME = 63
_TOO_DEEP = "the statement is nested too deeply; split it with common table expressions"


class StatementKind(StrEnum):
    """What a statement is, seen from its top node alone."""

    READ = "read"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MERGE = "merge"

    @property
    def access(self) -> Access:
        """The access that its target needs; a merge has none of its own, but its steps have."""
        return Access.SELECT if self is StatementKind.READ else Access(self.value)


_KINDS: dict[type[exp.Expr], StatementKind] = {
    exp.Select: StatementKind.READ,
    exp.Union: StatementKind.READ,
    exp.Intersect: StatementKind.READ,
    exp.Except: StatementKind.READ,
    exp.Subquery: StatementKind.READ,
    exp.Values: StatementKind.READ,
    exp.Insert: StatementKind.INSERT,
    exp.Update: StatementKind.UPDATE,
    exp.Delete: StatementKind.DELETE,
    exp.Merge: StatementKind.MERGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One understood statement; `tree` belongs to this room and is never changed in place.

    `functions` are those that policy allows beside the engine's own list; `labels` the names that PostgreSQL gives the
    columns of a read as typed, None for a star, and `spelled` the whole as DuckDB writes it.
    """

    engine: Engine
    kind: StatementKind
    text: str
    parameters: frozenset[str]
    tree: exp.Expr
    functions: AbstractSet[str] = frozenset()
    labels: tuple[str | None, ...] = ()
    spelled: str | None = None


def parse(text: str, engine: Engine, functions: AbstractSet[str] = frozenset()) -> Statement:
    """Parse one statement in the engine's dialect and refuse whatever is not understood.

    Raises NotParsed, NotOneStatement, KindRefused, ConstructRefused, FunctionRefused, InvalidInput.
    """
    tree = parse_tree(text, engine)
    kind = _KINDS.get(type(tree))
    if kind is None:
        raise KindRefused(refusal_of(text))
    try:
        statement = statement_from(tree, kind=kind, text=text, engine=engine, functions=functions)
        statement = _read_back(statement)
    except RecursionError as error:
        raise NotParsed(_TOO_DEEP) from error
    return statement


def parse_script(text: str, engine: Engine, functions: AbstractSet[str] = frozenset()) -> tuple[Statement, ...]:
    """Parse statements that a semicolon parts from each other, each as `parse` does; raises what it raises."""
    return tuple(parse(part, engine, functions) for part in split(text, engine))


def split(text: str, engine: Engine) -> tuple[str, ...]:
    """The statements of a text, as typed; the whole, where it is one, or where it has no tokens to part it by.

    Raises NotParsed, ConstructRefused, InvalidInput.
    """
    if ";" not in text:
        return (text,)
    _check_text(text)
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect_of(engine))
    except SqlglotError as error:
        raise NotParsed(_parse_failure(error)) from error
    parts: list[str] = []
    begins: int | None = None
    for token in tokens:
        if token.token_type is not TokenType.SEMICOLON:
            begins = token.start if begins is None else begins
        elif begins is not None:
            parts.append(text[begins : token.start])
            begins = None
    if begins is not None:
        parts.append(text[begins:])
    if len(parts) < 2:
        return (text,)
    if len(parts) > MOST_STATEMENTS:
        raise NotOneStatement(f"a cell may have {MOST_STATEMENTS} statements, this one has {len(parts):,}")
    return tuple(parts)


def statement_from(
    tree: exp.Expr, *, kind: StatementKind, text: str, engine: Engine, functions: AbstractSet[str] = frozenset()
) -> Statement:
    """A checked statement from a tree, typed by a person or composed by the gate."""
    parameters = set()
    for node in tree.walk():
        check_node(node, engine, functions, is_top=node is tree)
        if isinstance(node, exp.Placeholder):
            parameters.add(parameter_name(node))
    check_growth(tree, engine)
    if len({name.lower() for name in parameters}) < len(parameters):
        raise ConstructRefused("two parameters differ by the case of their letters alone; give them other names")
    return Statement(
        engine=engine, kind=kind, text=text, parameters=frozenset(parameters), tree=tree, functions=functions
    )


def parse_condition(text: str, engine: Engine, functions: AbstractSet[str] = frozenset()) -> exp.Expr:
    """Parse a boolean condition of policy; raises the same errors as `parse`."""
    tree = parse_tree(f"SELECT 1 WHERE {text}", engine)
    where = tree.args.get("where")
    if not isinstance(tree, exp.Select) or where is None or _others(tree, {"expressions", "where"}):
        raise NotParsed(f"`{text}` is not a condition")
    _check_all(where, engine, functions)
    condition: exp.Expr = where.this
    return condition


def parse_value(text: str, engine: Engine, functions: AbstractSet[str] = frozenset()) -> exp.Expr:
    """Parse one expression of policy; raises the same errors as `parse`."""
    tree = parse_tree(f"SELECT {text}", engine)
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or _others(tree, {"expressions"}):
        raise NotParsed(f"`{text}` is not an expression")
    _check_all(tree, engine, functions)
    value: exp.Expr = tree.expressions[0]
    if isinstance(value, exp.Alias):
        raise NotParsed(f"`{text}` is not an expression")
    return value


def _check_all(root: exp.Expr, engine: Engine, functions: AbstractSet[str]) -> None:
    for node in root.walk():
        if node is not root:
            check_node(node, engine, functions, is_top=False)


def _others(tree: exp.Expr, wanted: AbstractSet[str]) -> bool:
    return any(value and name not in wanted for name, value in tree.args.items())


def parse_tree(text: str, engine: Engine) -> exp.Expr:
    """The one tree of a text, without comments; raises NotParsed, NotOneStatement, ConstructRefused, InvalidInput."""
    _check_text(text)
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect_of(engine))
        check_cost(tokens, engine)
        check_spelling(tokens, engine)
        if engine is Engine.DUCKDB:
            text = _with_dollars(text, tokens)
        found = sqlglot.parse(text, dialect=dialect_of(engine))
    except SqlglotError as error:
        raise NotParsed(_parse_failure(error)) from error
    except RecursionError as error:
        raise NotParsed(_TOO_DEEP) from error
    except _PARSER_BUGS as error:
        raise NotParsed("the statement does not parse") from error
    trees = [tree for tree in found if tree is not None and not isinstance(tree, exp.Semicolon)]
    if len(trees) != 1:
        raise NotOneStatement(f"exactly one statement is taken at a time, this is {len(trees) or 'none'}")
    for node in trees[0].walk():
        # A comment `sqlglot.meta name=value` would write into the metadata that the analysis keeps its marks in.
        node.comments = None
        node.meta.clear()
    _drop_what_plans(trees[0], engine)
    _check_names(trees[0], engine)
    _put_joins_in_place(trees[0])
    check_expansion(trees[0], engine)
    return trees[0]


def _drop_what_plans(tree: exp.Expr, engine: Engine) -> None:
    """Leave out which index a person would take, and MariaDB's table of no columns: no row depends on either."""
    if engine not in {Engine.MARIADB, Engine.SQLITE}:
        return
    for table in list(tree.find_all(exp.Table)):
        if all(isinstance(hint, exp.IndexTableHint) for hint in table.args.get("hints") or []):
            table.set("hints", None)
        table.set("indexed", None)
        if engine is Engine.MARIADB and _is_dual(table) and table.parent is not None:
            table.parent.pop()


def _put_joins_in_place(tree: exp.Expr) -> None:
    """Where `from` comes first, the parser hangs the joins on the first relation: they are the query's."""
    for select in tree.find_all(exp.Select):
        clause = select.args.get("from_")
        own = clause.this.args.get("joins") if clause is not None else None
        if clause is not None and own:
            clause.this.set("joins", None)
            select.set("joins", [*own, *(select.args.get("joins") or [])])


def _check_names(tree: exp.Expr, engine: Engine) -> None:
    """PostgreSQL cuts longer names, and two of them may become one that means something else."""
    if engine is not Engine.POSTGRESQL:
        return
    for identifier in tree.find_all(exp.Identifier):
        if len(identifier.name.encode(errors="replace")) > _LONGEST_NAME:
            raise ConstructRefused(f"a name has {_LONGEST_NAME} bytes at most; give `{identifier.name[:20]}…` another")


def _is_dual(table: exp.Table) -> bool:
    clause = table.parent
    select = clause.parent if isinstance(clause, exp.From) else None
    is_alone = isinstance(select, exp.Select) and not select.args.get("joins") and not table.args.get("joins")
    return is_alone and not table.db and table.name.lower() == "dual"


def _with_dollars(text: str, tokens: Sequence[Token]) -> str:
    """The text with `$name` for `:name`: DuckDB's grammar has aliases, slices and keys before a colon."""
    parts: list[str] = []
    done = 0
    before: TokenType | None = None
    for token, following in pairwise(tokens):
        is_mark = token.token_type is TokenType.COLON and following.start == token.end + 1
        if is_mark and before not in _OPERANDS and _NAME.match(text, following.start):
            # `$a,$` would begin a string between dollars.
            parts += [text[done : token.start], "$" if before is TokenType.L_PAREN else " $"]
            done = following.start
        before = token.token_type
    return "".join([*parts, text[done:]])


def _check_text(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"a statement may have {MAX_LENGTH:,} characters, this one has {len(text):,}")
    if "\0" in text:
        raise NotParsed("the statement contains a NUL character")
    if _SURROGATE.search(text):
        raise NotParsed("the statement contains half a character (a lone surrogate)")
    if _EXECUTABLE_COMMENT.search(text):
        raise ConstructRefused("comments that databases execute (`/*!`, `/*M!`, `/*+`) are refused; remove them")


def _read_back(statement: Statement) -> Statement:
    """Refuse what is written back otherwise than it was typed: names of functions, and the database's own reading."""
    engine, is_read = statement.engine, statement.kind is StatementKind.READ
    if not is_read and engine is not Engine.POSTGRESQL:
        return statement  # a write is never sent: its reads are, and they are written back by themselves
    tree = statement.tree.copy()
    fold_identifiers(tree, engine)
    if engine in _HAVE_PARSERS:
        agreeing.number(tree, statement.parameters)
    written = write(tree, engine)
    if is_read:
        check_calls(written, engine, statement.functions)
    match engine:
        case Engine.POSTGRESQL:
            labels = agreeing.check_reading(
                statement.text, written, statement.parameters, statement.functions, is_read=is_read
            )
            return replace(statement, labels=labels)
        case Engine.DUCKDB:
            spelled = agreeing.check_duckdb(statement.text, written, statement.parameters)
            return replace(statement, spelled=spelled)
        case Engine.SQLITE | Engine.MARIADB:
            return statement


def _parse_failure(error: SqlglotError) -> str:
    details = getattr(error, "errors", None) or [{}]
    line, near = details[0].get("line"), details[0].get("highlight")
    where = f" at line {line}, near `{near}`" if line and near else ""
    return f"the statement does not parse{where}"
