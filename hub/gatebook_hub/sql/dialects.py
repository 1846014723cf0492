"""In which dialect is a source's SQL read and written?"""

from __future__ import annotations

import logging
import re
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.mysql import MySQL
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.sqlite import SQLite
from sqlglot.tokenizer_core import TokenType

from gatebook_hub.model import Engine

NUMBER = re.compile(r"-?\d+(\.\d+)?")
# It would write texts of statements, with the values in them, into the log.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


class GatedSQLite(SQLite):
    """SQLite written with backticks: an unknown name in double quotes would silently become a string there."""

    class Tokenizer(SQLite.Tokenizer):
        """Backtick first, so that the generator uses it."""

        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`", '"', ("[", "]")]


# Parsed into classes of their own: aggregates that rewriting knows, and calls whose arguments are no expressions.
_KNOWN_CALLS = frozenset({"COUNT", "COALESCE", "UNNEST"})
_KNOWN_SYNTAX = frozenset(
    {"CAST", "TRY_CAST", "EXTRACT", "SUBSTRING", "SUBSTR", "TRIM", "POSITION", "OVERLAY", "GROUP_CONCAT"}
)
_KNOWN_BY_ENGINE: dict[Engine, frozenset[str]] = {
    Engine.MARIADB: frozenset({"TIMESTAMPDIFF", "TIMESTAMPADD", "CONVERT"}),
    Engine.DUCKDB: frozenset({"PERCENTILE_CONT", "PERCENTILE_DISC"}),
}

_DIALECTS: dict[Engine, type[Dialect]] = {
    Engine.SQLITE: GatedSQLite,
    Engine.POSTGRESQL: Postgres,
    Engine.MARIADB: MySQL,
    Engine.DUCKDB: DuckDB,
}


def dialect_of(engine: Engine) -> type[Dialect]:
    """The sqlglot dialect of an engine."""
    return _DIALECTS[engine]


def fold(identifier: exp.Expr, engine: Engine) -> str:
    """A table or column name as the engine itself would look it up (only PostgreSQL minds the case)."""
    if engine is Engine.POSTGRESQL and identifier.args.get("quoted"):
        return identifier.name
    return identifier.name.lower()


def fold_identifiers(tree: exp.Expr, engine: Engine) -> None:
    """Write names without quotes as the engine reads them, in place: all names are sent with quotes."""
    if engine is not Engine.POSTGRESQL:
        return
    for identifier in tree.find_all(exp.Identifier):
        if not identifier.args.get("quoted"):
            identifier.set("this", identifier.name.lower())


def _send_calls_as_typed(engine: Engine) -> None:
    """Make the parser read a call as a name and its arguments, so that it is written back as it was typed.

    It would translate hundreds of functions into classes and write other functions for them: `date_part` comes back as
    `extract`, which has another type. Its parsers are compiled and take no subclass, so their tables are changed.
    """
    parser = _DIALECTS[engine].parser_class
    kept = _KNOWN_CALLS | _KNOWN_BY_ENGINE.get(engine, frozenset())
    for name in parser.FUNCTIONS.keys() - kept:
        del parser.FUNCTIONS[name]
    for name in parser.FUNCTION_PARSERS.keys() - _KNOWN_SYNTAX - kept:
        del parser.FUNCTION_PARSERS[name]


def _keep_affinities() -> None:
    """Write SQLite's casts as typed: the name of the type decides how values compare."""
    generator = GatedSQLite.generator_class
    names = {"DECIMAL": "NUMERIC", "BOOLEAN": "BOOLEAN"}
    generator.TYPE_MAPPING = {**generator.TYPE_MAPPING, **{exp.DType[name]: kept for name, kept in names.items()}}


def _keep_commas() -> None:
    """SQLite keeps the order of a `cross join` and chooses that of a comma, so one is not written for the other."""
    GatedSQLite.parser_class.JOINS_HAVE_EQUAL_PRECEDENCE = False


def _keep_plus(engine: Engine) -> None:
    """Keep a plus before a value: on SQLite it takes away an affinity, and PostgreSQL has an operator for it.

    The parser would drop it, and knows no class for it; neither engine has another use for the one taken here.
    """
    dialect = _DIALECTS[engine]
    parser, generator = dialect.parser_class, dialect.generator_class
    parser.UNARY_PARSERS = {
        **parser.UNARY_PARSERS,
        TokenType.PLUS: lambda own: exp.Prior(this=own._parse_unary()),  # noqa: SLF001 - as its own table does
    }
    generator.TRANSFORMS = {**generator.TRANSFORMS, exp.Prior: lambda own, node: f"+{own.sql(node, 'this')}"}


def _keep_moments() -> None:
    """PostgreSQL's `current_time` takes no empty parentheses, and DuckDB calls a column by the word as it is sent."""
    generator = _DIALECTS[Engine.POSTGRESQL].generator_class
    generator.TRANSFORMS = {**generator.TRANSFORMS, exp.CurrentTime: lambda _, __: "CURRENT_TIME"}
    generator = _DIALECTS[Engine.DUCKDB].generator_class
    generator.TRANSFORMS = {
        **generator.TRANSFORMS,
        exp.CurrentDate: lambda _, __: "current_date",
        exp.CurrentTimestamp: lambda _, __: "current_timestamp",
        exp.CurrentTime: lambda _, __: "current_time",
    }


def _keep_powers() -> None:
    """PostgreSQL's operators of powers and roots stay operators: as functions they would give columns other names."""
    generator = _DIALECTS[Engine.POSTGRESQL].generator_class
    generator.TRANSFORMS = {
        **generator.TRANSFORMS,
        exp.Pow: lambda own, node: own.binary(node, "^"),
        exp.Sqrt: lambda own, node: f"|/ {own.sql(node, 'this')}",
        exp.Cbrt: lambda own, node: f"||/ {own.sql(node, 'this')}",
    }


def _keep_intervals() -> None:
    """MariaDB reckons in microseconds with a number in quotes, and the parser has quoted every number."""
    generator = _DIALECTS[Engine.MARIADB].generator_class
    written = generator.TRANSFORMS.get(exp.Interval)

    def interval(own: Any, node: exp.Interval) -> str:
        amount = node.this
        if (
            isinstance(amount, exp.Literal)
            and amount.is_string
            and NUMBER.fullmatch(amount.name)
            and node.args.get("unit")
        ):
            return f"INTERVAL {amount.name} {own.sql(node, 'unit')}"
        return str(written(own, node) if written is not None else own.interval_sql(node))

    # MariaDB has the operator alone, and MySQL's function of that name not.
    generator.TRANSFORMS = {
        **generator.TRANSFORMS,
        exp.Interval: interval,
        exp.RegexpLike: lambda own, node: own.binary(node, "REGEXP"),
    }


for _engine in Engine:
    _send_calls_as_typed(_engine)
_keep_affinities()
_keep_commas()
_keep_moments()
_keep_powers()
_keep_intervals()
_keep_plus(Engine.SQLITE)
_keep_plus(Engine.POSTGRESQL)
