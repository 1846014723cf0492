"""Does the database's own parser understand a statement as it was understood here? A second lock, on PostgreSQL.

What is compared: the text as typed with the text that is written back before anything is rewritten, as trees; and, of
the text that is sent, its kind, relations and functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from sqlglot import exp

from gatebook_hub.errors import ConstructRefused, FunctionRefused
from gatebook_hub.model import Engine
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.functions import FUNCTIONS, TABLE_FUNCTIONS
from gatebook_hub.sql.second_reading import EngineFacts, facts_of, number_placeholders, numbered, trees_agree

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


def number(tree: exp.Expr, parameters: AbstractSet[str]) -> None:
    """Put `$n` in the place of each placeholder of the tree, in place."""
    number_placeholders(tree, sorted(parameters))


def check_sent(sql: str, namespace: str, tables: Iterable[str], functions: AbstractSet[str]) -> None:
    """Check a text that is to be sent: one plain read of these tables that calls nothing else than it may."""
    facts = facts_of(sql)
    _check_facts(facts, functions)
    known = {(namespace, table) for table in tables}
    if strange := sorted(name for _, name in facts.relations - known):
        raise ConstructRefused(f"the table `{strange[0]}` was not resolved")


def _check_facts(facts: EngineFacts, functions: AbstractSet[str]) -> None:
    if not facts.is_plain_read:
        what = min(facts.unknown) if facts.unknown else facts.kind
        raise ConstructRefused(f"the database's own parser finds `{what}` in it, which is not taken")
    engine = Engine.POSTGRESQL
    allowed = FUNCTIONS[engine] | TABLE_FUNCTIONS[engine] | _GRAMMAR | functions
    for schema, name in sorted(facts.functions):
        if schema not in {"", "pg_catalog"} or name.upper() not in allowed:
            raise FunctionRefused(f"the function `{name}` is not on the list of allowed functions")
