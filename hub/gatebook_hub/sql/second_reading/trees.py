"""What do PostgreSQL's trees look like in Python?

As its parser prints them in JSON: a node is a dictionary with its class as the one key and its fields below, a list
is a list, and some fields hold a structure without the name of its class.
"""

from __future__ import annotations

from typing import Any

Tree = dict[str, Any]
Body = dict[str, Any]
Node = tuple[str, Body]

# Where something stood in the text.
PLACES = frozenset(
    {"location", "stmt_location", "stmt_len", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end"}
)

# Fields that hold a structure without the name of its class.
STRUCTURES = {
    "alias": "Alias",
    "boolval": "Boolean",
    "bsval": "BitString",
    "fval": "Float",
    "infer": "InferClause",
    "ival": "Integer",
    "join_using_alias": "Alias",
    "larg": "SelectStmt",
    "onConflictClause": "OnConflictClause",
    "over": "WindowDef",
    "rarg": "SelectStmt",
    "relation": "RangeVar",
    "sval": "String",
    "typeName": "TypeName",
    "withClause": "WithClause",
}


def class_of(value: Tree, field: str) -> Node | None:
    """The class and the fields of what `field` holds; None for a structure that nobody knows."""
    first = next(iter(value), "")
    if len(value) == 1 and first[:1].isupper():
        return first, value[first]
    name = STRUCTURES.get(field)
    return None if name is None else (name, value)


def string(text: str) -> Tree:
    """A name of one word is a list of one of these."""
    return {"String": {"sval": text}}


def words(parts: list[Tree]) -> list[str]:
    """The words of a name; a star is none."""
    return [part["String"].get("sval", "") for part in parts if "String" in part]


def without_catalog(parts: list[Tree]) -> list[Tree]:
    """`pg_catalog.x` is `x` where the search path is `pg_catalog`."""
    return parts[1:] if len(parts) == 2 and words(parts[:1]) == ["pg_catalog"] else parts


def is_star(value: Tree) -> bool:
    """Whether an output column is `*` or `t.*`."""
    return any("A_Star" in part for part in value.get("ColumnRef", {}).get("fields", ()))
