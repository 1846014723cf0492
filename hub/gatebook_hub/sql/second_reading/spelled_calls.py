"""How are functions and operators spelled?

Two names are one only where PostgreSQL resolves both to the same implementation, for arguments of every type for
which the statement as typed runs at all.
"""

from __future__ import annotations

from gatebook_hub.sql.second_reading.spelled_values import constant, type_name
from gatebook_hub.sql.second_reading.trees import Body, Node, Tree, string, without_catalog, words

_ONE_NAME = {
    "substr": "substring",
    "char_length": "length",
    "character_length": "length",
    "pow": "power",
    "ceiling": "ceil",
    "strpos": "position",
    "stddev": "stddev_samp",
    "variance": "var_samp",
}
# Operators whose entry in the catalog names the other as negator.
_NEGATED = {"!~": "~", "!~*": "~*", "!~~": "~~", "!~~*": "~~*"}
_KINDS = {"AEXPR_LIKE": "AEXPR_OP", "AEXPR_ILIKE": "AEXPR_OP"}
_BETWEENS = {
    "AEXPR_BETWEEN": ("AEXPR_BETWEEN", False),
    "AEXPR_BETWEEN_SYM": ("AEXPR_BETWEEN_SYM", False),
    "AEXPR_NOT_BETWEEN": ("AEXPR_BETWEEN", True),
    "AEXPR_NOT_BETWEEN_SYM": ("AEXPR_BETWEEN_SYM", True),
}
# What a call has besides name and arguments makes it more than a plain one.
_PLAIN = frozenset({"funcname", "args", "funcformat", "location"})


def negation(name: str, body: Body) -> Node:
    """`not` of a node."""
    return "BoolExpr", {"boolop": "NOT_EXPR", "args": [{name: body}]}


def function(body: Body) -> Node:
    """One name of each function; how its arguments were written (`substring(x from 1)`) is nothing."""
    names = words(without_catalog(body["funcname"]))
    arguments = body.get("args", [])
    kept = {key: value for key, value in body.items() if key not in {"funcformat", "location"}}
    if len(names) != 1:
        return "FuncCall", kept
    name = _ONE_NAME.get(names[0], names[0])
    is_plain = body.keys() <= _PLAIN
    if name == "now" and is_plain and not arguments:
        return "SQLValueFunction", {"op": "SVFOP_CURRENT_TIMESTAMP", "typmod": -1}
    if name == "mod" and is_plain and len(arguments) == 2:
        left, right = arguments
        return "A_Expr", {"kind": "AEXPR_OP", "name": [string("%")], "lexpr": left, "rexpr": right}
    if name == "date_trunc" and arguments:
        kept["args"] = [_without_case(arguments[0]), *arguments[1:]]
    elif name == "substring":
        kept["args"] = [*arguments[:2], *map(_without_int_cast, arguments[2:])]
    return "FuncCall", {**kept, "funcname": [string(name)]}


def _without_int_cast(node: Tree) -> Tree:
    """The grammar casts the 3 of `substring(x for 3)` to int4, which is all that can stand there without a cast."""
    cast = node.get("TypeCast")
    if cast and words(type_name(cast["typeName"])[1]["names"]) == ["int4"]:
        inner: Tree = cast["arg"]
        return inner
    return node


def _without_case(node: Tree) -> Tree:
    """The field of `date_trunc`, as a literal, has no case."""
    text = node.get("A_Const", {}).get("sval", {}).get("sval")
    return {"A_Const": {"sval": {"sval": text.lower()}}} if text is not None and text.isascii() else node


def operator(body: Body) -> Node:
    """Each operator by its name in the catalog, and no negated ones."""
    kind = _KINDS.get(body["kind"], body["kind"])
    if kind in _BETWEENS:
        kind, is_negated = _BETWEENS[kind]
        body = {**body, "kind": kind, "name": [string("BETWEEN")]}
        return negation("A_Expr", body) if is_negated else ("A_Expr", body)
    names = without_catalog(body["name"])
    body = {**body, "kind": kind, "name": names}
    symbol = words(names)[0] if len(names) == 1 else ""
    if kind == "AEXPR_IN" and symbol == "<>":
        return negation("A_Expr", {**body, "name": [string("=")]})
    if kind == "AEXPR_OP" and symbol in _NEGATED:
        return negation("A_Expr", {**body, "name": [string(_NEGATED[symbol])]})
    if kind == "AEXPR_OP" and symbol == "^" and "lexpr" in body:
        return "FuncCall", {"funcname": [string("power")], "args": [body["lexpr"], body["rexpr"]]}
    if kind == "AEXPR_OP" and symbol == "+" and "lexpr" not in body:
        number = body["rexpr"].get("A_Const", {})
        if number.keys() & {"ival", "fval"}:
            return constant(number)
    return "A_Expr", body
