"""What text goes to the database, and is it exactly what was understood?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.tokenizer_core import TokenType

from gatebook_hub.errors import ConstructRefused, FunctionRefused
from gatebook_hub.model import Engine
from gatebook_hub.sql import agreeing
from gatebook_hub.sql.allowed import BEFORE_PARENTHESIS, TYPES
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.functions import FUNCTIONS, TABLE_FUNCTIONS

# `fetch first (n) rows`; PostgreSQL's own parser sees whether it is a call.
_FETCH = {Engine.POSTGRESQL: frozenset({"FIRST"})}
_INTERPOLATE = frozenset({Engine.POSTGRESQL, Engine.MARIADB})
# A clause without the one that it stands on, as in `select 1 full join t`, makes the generator stumble.
_GENERATOR_BUGS = (TypeError, AttributeError, LookupError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A read that may be sent: text in the driver's own parameter style, the parameters it binds, what it reads.

    `functions` are those that masks and policy bring, beside the engine's own list; `views` the reads that are views.
    """

    engine: Engine
    sql: str
    parameters: frozenset[str]
    reads: Mapping[str, frozenset[str]]
    functions: frozenset[str] = frozenset()
    views: frozenset[str] = frozenset()


def quote(name: str, engine: Engine) -> str:
    """An identifier quoted for the engine."""
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect_of(engine))


def quote_for_driver(name: str, engine: Engine) -> str:
    """As `quote`, in a text that goes to the driver as it is: some take a `%` for the begin of a parameter."""
    quoted = quote(name, engine)
    return quoted.replace("%", "%%") if engine in _INTERPOLATE else quoted


def bound(name: str, engine: Engine) -> str:
    """A bound parameter in the style of the engine's driver."""
    match engine:
        case Engine.SQLITE:
            return f":{name}"
        case Engine.DUCKDB:
            return f"${name}"
        case Engine.POSTGRESQL | Engine.MARIADB:
            return f"%({name})s"


def generate(
    tree: exp.Expr,
    *,
    engine: Engine,
    namespace: str | None,
    reads: Mapping[str, frozenset[str]],
    nonce: str,
    functions: AbstractSet[str],
    views: AbstractSet[str],
) -> Plan:
    """Write the rewritten tree, read it back, and refuse any difference; consumes the tree.

    `functions` are those that masks and policy bring, beside the engine's own list.

    Raises ConstructRefused, FunctionRefused.
    """
    names, sql = _written(tree, engine, namespace, reads.keys(), nonce, functions)
    if engine is Engine.POSTGRESQL:
        agreeing.check_sent(sql, namespace or "", reads.keys(), functions)
    return Plan(
        engine=engine,
        sql=_with_parameters(sql, names, engine, nonce),
        parameters=names,
        reads=dict(reads),
        functions=frozenset(functions),
        views=frozenset(views),
    )


def generate_write(
    tree: exp.Expr, *, engine: Engine, namespace: str, tables: Iterable[str], nonce: str, functions: AbstractSet[str]
) -> Plan:
    """As `generate`, for an insert, update or delete of these tables that is sent as one statement."""
    known = frozenset(tables)
    names, sql = _written(tree, engine, namespace, known, nonce, functions)
    if engine is Engine.POSTGRESQL:
        agreeing.check_sent_write(sql, namespace, known, functions)
    return Plan(engine=engine, sql=_with_parameters(sql, names, engine, nonce), parameters=names, reads={})


def _written(
    tree: exp.Expr,
    engine: Engine,
    namespace: str | None,
    tables: Iterable[str],
    nonce: str,
    functions: AbstractSet[str],
) -> tuple[frozenset[str], str]:
    """The names of the parameters, and the text with a marker for each, read back and found the same."""
    names = frozenset(node.name for node in tree.find_all(exp.Placeholder))
    for node in list(tree.find_all(exp.Placeholder)):
        node.replace(exp.column(exp.to_identifier(_marker(node.name, nonce), quoted=True)))
    sql = write(tree, engine)
    try:
        again = sqlglot.parse(sql, dialect=dialect_of(engine))
    except (SqlglotError, RecursionError) as error:
        raise ConstructRefused("the statement cannot be written back safely; write it in a simpler way") from error
    if len(again) != 1 or again[0] is None or write(again[0], engine) != sql:
        raise ConstructRefused("the statement cannot be written back unchanged; write it in a simpler way")
    _check_tables(again[0], namespace, tables, nonce)
    check_calls(sql, engine, functions)
    return names, sql


def _with_parameters(sql: str, names: AbstractSet[str], engine: Engine, nonce: str) -> str:
    """The text with the driver's own marks in the place of ours."""
    if engine in _INTERPOLATE:
        sql = sql.replace("%", "%%")
    for name in names:
        sql = sql.replace(quote(_marker(name, nonce), engine), bound(name, engine))
    return sql


def without_replacing(sql: str, engine: Engine) -> str:
    """An insert or update that no `on conflict` of a constraint of SQLite turns into a deletion of other rows."""
    if engine is not Engine.SQLITE:
        return sql
    for begins, plainly in (("INSERT INTO ", "INSERT OR ABORT INTO "), ("UPDATE ", "UPDATE OR ABORT ")):
        if sql.startswith(begins):
            return plainly + sql.removeprefix(begins)
    return sql


def cte_name(index: int, nonce: str) -> str:
    """The random name that a common table expression gets."""
    return f"gb_{nonce}_{index}"


def _marker(name: str, nonce: str) -> str:
    return f"gbp_{nonce}_{name}"


def write(tree: exp.Expr, engine: Engine) -> str:
    """The text of a tree with every name quoted; raises ConstructRefused for what the dialect cannot say."""
    try:
        return tree.sql(dialect=dialect_of(engine), identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, *_GENERATOR_BUGS) as error:
        raise ConstructRefused(
            "the statement cannot be written for this database; write it in a simpler way"
        ) from error


def _check_tables(tree: exp.Expr, namespace: str | None, bases: Iterable[str], nonce: str) -> None:
    known = set(bases)
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            continue  # its name is looked at with all calls
        is_base = table.db == (namespace or "") and bool(table.db) and table.name in known
        is_cte = not table.db and table.name.startswith(f"gb_{nonce}_")
        if not (is_base or is_cte):
            raise ConstructRefused(f"the table `{table.name}` was not resolved")


def check_calls(sql: str, engine: Engine, functions: AbstractSet[str]) -> None:
    """Every name that is sent before a parenthesis is an allowed function, a type or a word of the grammar."""
    try:
        tokens = sqlglot.tokenize(sql, dialect=dialect_of(engine))
    except SqlglotError as error:
        raise ConstructRefused("the statement cannot be written back safely; write it in a simpler way") from error
    allowed = FUNCTIONS[engine] | TABLE_FUNCTIONS[engine] | TYPES | BEFORE_PARENTHESIS | functions
    allowed |= _FETCH.get(engine, frozenset())
    for before, token in pairwise(tokens):
        if token.token_type is not TokenType.L_PAREN or before.token_type is TokenType.IDENTIFIER:
            continue
        word = before.text.upper()
        if word and (word[0].isalpha() or word[0] == "_") and before.token_type is not TokenType.STRING:
            last = word.split()[-1]
            if last not in allowed:
                raise FunctionRefused(f"the function `{word.lower()}` is not on the list of allowed functions")
