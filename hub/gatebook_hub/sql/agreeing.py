"""Does the database's own parser understand a statement as it was understood here? A second lock where there is one.

What is compared: the text as typed with the text that is written back before anything is rewritten, as trees; and, of
the text that is sent to PostgreSQL, its kind, relations and functions; DuckDB's worker looks at what it gets.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NoReturn

from sqlglot import exp

from gatebook_hub.errors import ConstructRefused, FunctionRefused
from gatebook_hub.model import Engine
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.functions import FUNCTIONS, TABLE_FUNCTIONS
from gatebook_hub.sql.second_reading import (
    EngineFacts,
    facts_of,
    number_placeholders,
    numbered,
    serialize,
    spell,
    trees_agree,
    trees_agree_duckdb,
)

_WRITES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt"})
# Written by the grammar as functions, and of no harm.
_GRAMMAR = frozenset({"COALESCE", "GREATEST", "LEAST", "GROUPING", "NULLIF", "CURRENT_DATE", "CURRENT_TIME",
    "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "TIMEZONE", "LIKE_ESCAPE", "SIMILAR_TO_ESCAPE",
    "OVERLAPS", "EXTRACT", "POSITION", "SUBSTRING", "OVERLAY", "BTRIM", "LTRIM", "RTRIM"})  # fmt: skip


def check_reading(
    text: str, written: str, parameters: AbstractSet[str], functions: AbstractSet[str], *, is_read: bool
) -> tuple[str | None, ...]:
    """Compare the text as typed with the same as `written`, whose placeholders are numbered in order of their names.

    Returns the names that PostgreSQL gives the columns of a read. Raises NotParsed, ConstructRefused, FunctionRefused.
    """
    typed = numbered(text, sorted(parameters), dialect_of(Engine.POSTGRESQL))
    difference = trees_agree(typed, written)
    if difference is not None:
        raise ConstructRefused(f"{difference}; write it in another way, an interval as `'…'::interval`")
    if not is_read:
        return ()
    facts = facts_of(typed)
    _check_facts(facts, functions)
    return facts.labels


def check_duckdb(text: str, written: str, parameters: AbstractSet[str]) -> str:
    """As `check_reading`, by DuckDB's own parser; returns the text of a read as DuckDB spells it."""
    typed = numbered(text, sorted(parameters), dialect_of(Engine.DUCKDB))
    difference = trees_agree_duckdb(typed, written, serialize)
    if difference is not None:
        raise ConstructRefused(f"{difference}; write it in another way")
    return spell(typed)


def number(tree: exp.Expr, parameters: AbstractSet[str]) -> None:
    """Put `$n` in the place of each placeholder of the tree, in place."""
    number_placeholders(tree, sorted(parameters))


def check_sent(sql: str, namespace: str, tables: Iterable[str], functions: AbstractSet[str]) -> None:
    """Check a text that is to be sent: one plain read of these tables that calls nothing else than it may."""
    facts = facts_of(sql)
    _check_facts(facts, functions)
    _check_relations(facts, namespace, tables)


def check_sent_write(sql: str, namespace: str, tables: Iterable[str], functions: AbstractSet[str]) -> None:
    """Check the text of a write that is to be sent as it is: one insert, update or delete of these tables."""
    facts = facts_of(sql)
    if facts.kind not in _WRITES or facts.unknown:
        _refuse_kind(facts)
    _check_functions(facts, functions)
    _check_relations(facts, namespace, tables)


def _refuse_kind(facts: EngineFacts) -> NoReturn:
    what = min(facts.unknown) if facts.unknown else facts.kind
    raise ConstructRefused(f"the database's own parser finds `{what}` in it, which is not taken")


def _check_relations(facts: EngineFacts, namespace: str, tables: Iterable[str]) -> None:
    known = {(namespace, table) for table in tables}
    if strange := sorted(name for _, name in facts.relations - known):
        raise ConstructRefused(f"the table `{strange[0]}` was not resolved")


def _check_facts(facts: EngineFacts, functions: AbstractSet[str]) -> None:
    if not facts.is_plain_read:
        _refuse_kind(facts)
    _check_functions(facts, functions)


def _check_functions(facts: EngineFacts, functions: AbstractSet[str]) -> None:
    engine = Engine.POSTGRESQL
    allowed = FUNCTIONS[engine] | TABLE_FUNCTIONS[engine] | _GRAMMAR | functions
    for schema, name in sorted(facts.functions):
        if schema not in {"", "pg_catalog"} or name.upper() not in allowed:
            raise FunctionRefused(f"the function `{name}` is not on the list of allowed functions")
