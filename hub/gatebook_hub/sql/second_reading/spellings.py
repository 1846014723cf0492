"""What is spelled in two ways and means the same? One spelling of each is kept, node by node.

A rule stands here only where the meaning is provably one, in a session whose search path is `pg_catalog` (so that a
bare name of a function, operator or type and the name with `pg_catalog.` before it are one). What looks alike and is
not: `extract` is numeric and `date_part` double precision; `not x is null` differs from `x is not null` on rows;
`group by (a, b)` has two terms and `group by row(a, b)` one.
"""

from __future__ import annotations

from collections.abc import Callable

from gatebook_hub.sql.second_reading.labels import label
from gatebook_hub.sql.second_reading.spelled_calls import function, negation, operator
from gatebook_hub.sql.second_reading.spelled_values import cast, constant, type_name, values_list
from gatebook_hub.sql.second_reading.trees import Body, Node, Tree, is_star, words

_NEGATED_TESTS = {"IS_NOT_TRUE": "IS_TRUE", "IS_NOT_FALSE": "IS_FALSE"}
# On a boolean, which `is unknown` asks for.
_NULL_TESTS = {"IS_UNKNOWN": "IS_NULL", "IS_NOT_UNKNOWN": "IS_NOT_NULL"}
# FRAMEOPTION_NONDEFAULT and FRAMEOPTION_BETWEEN say how a frame was written, not what it is.
_FRAME_SPELLING = 0x1 | 0x10


def one_spelling(name: str, body: Body, field: str = "") -> Node:
    """The class and the fields of a node in its one spelling; the nodes inside it are left as they are.

    `field` is the field that holds the node.
    """
    if name == "SelectStmt":
        return _select(values_list(body, field), is_named=field != "selectStmt")
    rule = _RULES.get(name)
    return (name, body) if rule is None else rule(body)


def _boolean(body: Body) -> Node:
    """`and` and `or` are associative, and PostgreSQL evaluates both from left to right in any nesting."""
    if body["boolop"] == "NOT_EXPR":
        return "BoolExpr", body
    flat: list[Tree] = []
    pending = body["args"][::-1]
    while pending:
        argument = pending.pop()
        inner = argument.get("BoolExpr", {})
        if inner.get("boolop") == body["boolop"]:
            pending.extend(inner["args"][::-1])
        else:
            flat.append(argument)
    return "BoolExpr", {**body, "args": flat}


def _test(body: Body) -> Node:
    kind = body["booltesttype"]
    if kind in _NULL_TESTS:
        return "NullTest", {"arg": body["arg"], "nulltesttype": _NULL_TESTS[kind]}
    if kind in _NEGATED_TESTS:
        return negation("BooleanTest", {**body, "booltesttype": _NEGATED_TESTS[kind]})
    return "BooleanTest", body


def _sort(body: Body) -> Node:
    direction = "SORTBY_ASC" if body["sortby_dir"] == "SORTBY_DEFAULT" else body["sortby_dir"]
    nulls = body["sortby_nulls"]
    if nulls == "SORTBY_NULLS_DEFAULT" and direction != "SORTBY_USING":
        nulls = "SORTBY_NULLS_LAST" if direction == "SORTBY_ASC" else "SORTBY_NULLS_FIRST"
    return "SortBy", {**body, "sortby_dir": direction, "sortby_nulls": nulls}


def _select(body: Body, *, is_named: bool) -> Node:
    """The names of its columns count, but for the query of an insert, which goes by position."""
    body = {**body}
    if body.get("limitCount", {}).get("A_Const", {}).get("isnull"):
        # `limit all`
        del body["limitCount"]
        body["limitOption"] = "LIMIT_OPTION_DEFAULT"
    if is_named and "targetList" in body:
        body["targetList"] = [_named(target) for target in body["targetList"]]
    return "SelectStmt", body


def _named(target: Tree) -> Tree:
    """An output column without an alias has the name that PostgreSQL gives it."""
    body = target["ResTarget"]
    return target if "name" in body or is_star(body["val"]) else {"ResTarget": {**body, "name": label(body["val"])}}


def _sublink(body: Body) -> Node:
    """`x in (select …)` is `x = any (select …)`."""
    if body["subLinkType"] == "ANY_SUBLINK" and words(body.get("operName", [])) == ["="]:
        return "SubLink", {key: value for key, value in body.items() if key != "operName"}
    return "SubLink", body


def _window(body: Body) -> Node:
    return "WindowDef", {**body, "frameOptions": body.get("frameOptions", 0) & ~_FRAME_SPELLING}


_RULES: dict[str, Callable[[Body], Node]] = {
    "A_Const": constant,
    "A_Expr": operator,
    "BoolExpr": _boolean,
    "BooleanTest": _test,
    "FuncCall": function,
    "SortBy": _sort,
    "SubLink": _sublink,
    "TypeCast": cast,
    "TypeName": type_name,
    "WindowDef": _window,
}
