"""Would the database call another function than the gate understood, or one where it understood none?"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from gatebook_hub.errors import FunctionRefused, UnknownColumn
from gatebook_hub.model import Schema
from gatebook_hub.sql.functions import FUNCTIONS


def check_shadowed(tree: exp.Expr, schema: Schema) -> None:
    """Refuse a call that the database would take for one of its own functions, and the gate for the engine's."""
    for node in tree.find_all(exp.Func) if schema.shadowed else ():
        name = node.name.upper() if isinstance(node, exp.Anonymous) else node.sql_name().upper()
        if name in schema.shadowed - schema.functions:
            raise FunctionRefused(
                f"`{schema.source}` has functions or types of its own, so `{name.lower()}` is not taken"
            )


def check_notation(tree: exp.Expr, schema: Schema, bases: Iterable[str]) -> None:
    """Refuse `t.f` where `f` is a function and no column of the tables that are read: whatever `t` means to PostgreSQL.

    Each such name was resolved; this is for a scope that PostgreSQL would see in another way. What reads files, the
    catalogue or anything else beside its value is not taken as a column of a table either.
    """
    if not schema.callables:
        return
    columns = {column.name for base in bases for column in schema.tables[base].columns}
    listed = FUNCTIONS[schema.engine] | schema.functions
    for node in tree.find_all(exp.Column):
        name = node.name.lower()
        is_call = node.args.get("table") is not None and name in schema.callables and name.upper() not in listed
        if is_call and (name not in columns or name in schema.intrusive):
            raise UnknownColumn(f"`{name}` is the name of a function; give the column another one")
