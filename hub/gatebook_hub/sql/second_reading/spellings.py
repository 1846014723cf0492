"""What is spelled in two ways and means the same? One spelling of each is kept, node by node.

A rule stands here only where the meaning is provably one, in a session whose search path is `pg_catalog` (so that a
bare name of a function, operator or type and the name with `pg_catalog.` before it are one). What looks alike and is
not: `extract` is numeric and `date_part` double precision; `not x is null` differs from `x is not null` on rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gatebook_hub.sql.second_reading.labels import label

Node = tuple[str, dict[str, Any]]
_Body = dict[str, Any]

# One function of two names: the same arguments, result and implementation in PostgreSQL.
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
# Operators whose catalog entry names the other as negator.
_NEGATED = {"!~": "~", "!~*": "~*", "!~~": "~~", "!~~*": "~~*"}
_NEGATED_KINDS = {"AEXPR_NOT_BETWEEN": "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN_SYM": "AEXPR_BETWEEN_SYM"}
_NEGATED_TESTS = {"IS_NOT_TRUE": "IS_TRUE", "IS_NOT_FALSE": "IS_FALSE"}
# On a boolean, which `is unknown` asks for.
_NULL_TESTS = {"IS_UNKNOWN": "IS_NULL", "IS_NOT_UNKNOWN": "IS_NOT_NULL"}
# FRAMEOPTION_NONDEFAULT and FRAMEOPTION_BETWEEN say how a frame was written, not what it is.
_FRAME_SPELLING = 0x1 | 0x10
# Fields that hold a whole query, and the arms of a set operation.
_QUERIES = frozenset({"ctequery", "subquery", "subselect"})
_ARMS = frozenset({"larg", "rarg"})
# The masks of `interval '1' day`: INTERVAL_MASK of datetime.h.
_FIELDS = {1 << 2: "year", 1 << 1: "month", 1 << 3: "day", 1 << 10: "hour", 1 << 11: "minute", 1 << 12: "second"}
_UNITS = {
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "year"),
    **dict.fromkeys(("mon", "mons", "month", "months"), "month"),
    **dict.fromkeys(("w", "week", "weeks"), "week"),
    **dict.fromkeys(("d", "day", "days"), "day"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "hour"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "minute"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "second"),
}
_AMOUNT = re.compile(r"(?:@ ?)?([+-]?\d{1,9}(?:\.\d+)?) ?([a-z]+)")
_NUMBER = re.compile(r"[+-]?\d{1,9}")


def one_spelling(node: dict[str, Any], field: str = "") -> Node:
    """The class and the fields of a node in its one spelling; the nodes inside it are left as they are.

    `field` is the field that holds the node.
    """
    ((name, body),) = node.items()
    if name == "SelectStmt":
        body = _values(body, field)
    rule = _RULES.get(name)
    return (name, body) if rule is None else rule(body)


def _function(body: _Body) -> Node:
    names = _without_catalog(body["funcname"])
    arguments = body.get("args", [])
    if len(names) == 1:
        name = names[0]["String"].get("sval", "")
        name = _ONE_NAME.get(name, name)
        is_plain = body.keys() <= {"funcname", "args", "funcformat", "location"}
        if name == "now" and is_plain and not arguments:
            return "SQLValueFunction", {"op": "SVFOP_CURRENT_TIMESTAMP", "typmod": -1}
        if name == "mod" and is_plain and len(arguments) == 2:
            return _operator("%", arguments)
        if name == "date_trunc" and arguments:
            arguments = [_without_case(arguments[0]), *arguments[1:]]
        if name == "substring":
            arguments = [*arguments[:2], *map(_without_int_cast, arguments[2:])]
        names = [{"String": {"sval": name}}]
    kept = {key: value for key, value in body.items() if key not in {"funcformat", "location"}}
    if arguments:
        kept["args"] = arguments
    return "FuncCall", {**kept, "funcname": names}


def _without_int_cast(node: dict[str, Any]) -> dict[str, Any]:
    """The grammar casts the 3 of `substring(x for 3)` to int4, which is all that can stand there without a cast."""
    cast = node.get("TypeCast")
    if cast and _type(cast["typeName"])[1]["names"] == [{"String": {"sval": "int4"}}]:
        inner: dict[str, Any] = cast["arg"]
        return inner
    return node


def _without_case(node: dict[str, Any]) -> dict[str, Any]:
    """The field of `date_trunc`, as a literal, has no case."""
    text = node.get("A_Const", {}).get("sval", {}).get("sval")
    return {"A_Const": {"sval": {"sval": text.lower()}}} if text is not None and text.isascii() else node


def _operator(symbol: str, arguments: list[dict[str, Any]]) -> Node:
    left, right = arguments
    return "A_Expr", {"kind": "AEXPR_OP", "name": [{"String": {"sval": symbol}}], "lexpr": left, "rexpr": right}


def _not(name: str, body: _Body) -> Node:
    return "BoolExpr", {"boolop": "NOT_EXPR", "args": [{name: body}]}


def _expression(body: _Body) -> Node:
    names = _without_catalog(body["name"])
    kind = body["kind"]
    body = {**body, "name": names}
    if kind in {"AEXPR_LIKE", "AEXPR_ILIKE"}:
        kind = body["kind"] = "AEXPR_OP"
    symbol = names[0]["String"].get("sval", "") if len(names) == 1 else ""
    if kind in _NEGATED_KINDS:
        body["name"] = [{"String": {"sval": "BETWEEN"}}]
        return _not("A_Expr", {**body, "kind": _NEGATED_KINDS[kind]})
    if kind in {"AEXPR_BETWEEN", "AEXPR_BETWEEN_SYM"}:
        body["name"] = [{"String": {"sval": "BETWEEN"}}]
    elif kind == "AEXPR_IN" and symbol == "<>":
        return _not("A_Expr", {**body, "name": [{"String": {"sval": "="}}]})
    elif kind == "AEXPR_OP" and symbol in _NEGATED:
        return _not("A_Expr", {**body, "name": [{"String": {"sval": _NEGATED[symbol]}}]})
    elif kind == "AEXPR_OP" and symbol == "^" and "lexpr" in body:
        return "FuncCall", {"funcname": [{"String": {"sval": "power"}}], "args": [body["lexpr"], body["rexpr"]]}
    return "A_Expr", body


def _boolean(body: _Body) -> Node:
    """`and` and `or` are associative, and PostgreSQL evaluates both from left to right in any nesting."""
    if body["boolop"] == "NOT_EXPR":
        return "BoolExpr", body
    flat: list[dict[str, Any]] = []
    for argument in body["args"]:
        inner = argument.get("BoolExpr")
        if inner is not None and inner["boolop"] == body["boolop"]:
            flat.extend(_boolean(inner)[1]["args"])
        else:
            flat.append(argument)
    return "BoolExpr", {**body, "args": flat}


def _test(body: _Body) -> Node:
    null = _NULL_TESTS.get(body["booltesttype"])
    if null:
        return "NullTest", {"arg": body["arg"], "nulltesttype": null}
    positive = _NEGATED_TESTS.get(body["booltesttype"])
    return _not("BooleanTest", {**body, "booltesttype": positive}) if positive else ("BooleanTest", body)


def _type(body: _Body) -> Node:
    return "TypeName", {**body, "names": _without_catalog(body["names"])}


def _cast(body: _Body) -> Node:
    target = _type(body["typeName"])[1]
    is_interval = target["names"] == [{"String": {"sval": "interval"}}] and "arrayBounds" not in target
    text = body["arg"].get("A_Const", {}).get("sval", {}).get("sval")
    if is_interval and text is not None:
        text, target = _interval(text, target)
        return "TypeCast", {"arg": {"A_Const": {"sval": {"sval": text}}}, "typeName": target}
    if target["names"] == [{"String": {"sval": "numeric"}}] and target.keys() <= {"names", "typemod", "location"}:
        digits = body["arg"].get("A_Const", {}).get("fval", {}).get("fval", "")
        if not digits.isdigit() and digits:
            # A constant with a point or an exponent is numeric before any cast; one of digits alone may be bigint.
            return _constant(body["arg"]["A_Const"])
    return "TypeCast", {**body, "typeName": target}


def _interval(text: str, target: _Body) -> tuple[str, _Body]:
    """Words of an interval have no case, and `'1' day` is `'1 day'`; fractions and several fields are left alone."""
    if not text.isascii() or text.lstrip()[:1] in {"P", "p"}:
        # The format of ISO 8601 is told by its case.
        return text, target
    text = text.lower()
    masks = target.get("typmods", [])
    field = _FIELDS.get(masks[0].get("A_Const", {}).get("ival", {}).get("ival")) if len(masks) == 1 else None
    if field is not None and _NUMBER.fullmatch(text):
        text = f"{text} {field}"
        target = {key: value for key, value in target.items() if key != "typmods"}
    amount = _AMOUNT.fullmatch(text.strip())
    if amount and amount[2] in _UNITS:
        text = f"{amount[1].removeprefix('+')} {_UNITS[amount[2]]}"
    return text, target


def _constant(body: _Body) -> Node:
    """`.5` and `0.5` are one numeric; its trailing zeros are not nothing, they are its scale."""
    digits = body.get("fval", {}).get("fval")
    if digits is None:
        return "A_Const", body
    sign = digits[: digits.startswith("-")]
    digits = digits[len(sign) :].lstrip("0")
    return "A_Const", {"fval": {"fval": f"{sign}{digits if digits[:1].isdigit() else f'0{digits}'}"}}


def _sort(body: _Body) -> Node:
    direction = "SORTBY_ASC" if body["sortby_dir"] == "SORTBY_DEFAULT" else body["sortby_dir"]
    nulls = body["sortby_nulls"]
    if nulls == "SORTBY_NULLS_DEFAULT" and direction != "SORTBY_USING":
        nulls = "SORTBY_NULLS_LAST" if direction == "SORTBY_ASC" else "SORTBY_NULLS_FIRST"
    return "SortBy", {**body, "sortby_dir": direction, "sortby_nulls": nulls}


def _select(body: _Body) -> Node:
    body = {**body}
    limit = body.get("limitCount", {}).get("A_Const", {})
    if limit.get("isnull"):
        del body["limitCount"]
        body["limitOption"] = "LIMIT_OPTION_DEFAULT"
    if "targetList" in body:
        body["targetList"] = [_named(target) for target in body["targetList"]]
    return "SelectStmt", body


def _values(body: _Body, field: str) -> _Body:
    """`values (1)` and `select * from (values (1)) as t` are one query, and both call its columns `column1`, …

    In an arm of a set operation a bare literal takes the type of the other arm, but is text behind a `from`; in an
    insert it takes the column's. There the two are different.
    """
    rows = _wrapped_values(body)
    if rows is None:
        return body
    is_same = field in _QUERIES or (field in _ARMS and all(_has_type(cell) for row in rows for cell in row))
    inner: _Body = body["fromClause"][0]["RangeSubselect"]["subquery"]["SelectStmt"]
    return inner if is_same else body


def _wrapped_values(body: _Body) -> list[list[dict[str, Any]]] | None:
    if body.keys() != {"targetList", "fromClause", "limitOption", "op"} or len(body["fromClause"]) != 1:
        return None
    relation = body["fromClause"][0].get("RangeSubselect", {})
    inner = relation.get("subquery", {}).get("SelectStmt", {})
    is_plain = relation.keys() <= {"subquery", "alias"} and relation.get("alias", {}).keys() == {"aliasname"}
    is_list = inner.keys() == {"valuesLists", "limitOption", "op"} and inner["limitOption"] == "LIMIT_OPTION_DEFAULT"
    if not (is_plain and is_list and _is_star(body["targetList"]) and body["limitOption"] == "LIMIT_OPTION_DEFAULT"):
        return None
    return [row["List"]["items"] for row in inner["valuesLists"]]


def _is_star(targets: list[dict[str, Any]]) -> bool:
    fields = targets[0]["ResTarget"]["val"].get("ColumnRef", {}).get("fields", [])
    return len(targets) == 1 and len(fields) == 1 and "A_Star" in fields[0]


def _has_type(cell: dict[str, Any]) -> bool:
    return "TypeCast" in cell or bool(cell.get("A_Const", {}).keys() & {"ival", "fval", "boolval", "bsval"})


def _named(target: dict[str, Any]) -> dict[str, Any]:
    """An output column without an alias has the name that PostgreSQL gives it."""
    body = target["ResTarget"]
    if "name" in body or any("A_Star" in part for part in body["val"].get("ColumnRef", {}).get("fields", ())):
        return target
    return {"ResTarget": {**body, "name": label(body["val"])}}


def _sublink(body: _Body) -> Node:
    operator = [name["String"].get("sval") for name in body.get("operName", [])]
    if body["subLinkType"] == "ANY_SUBLINK" and operator == ["="]:
        return "SubLink", {key: value for key, value in body.items() if key != "operName"}
    return "SubLink", body


def _window(body: _Body) -> Node:
    return "WindowDef", {**body, "frameOptions": body.get("frameOptions", 0) & ~_FRAME_SPELLING}


def _without_catalog(names: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return names[1:] if len(names) == 2 and names[0]["String"].get("sval") == "pg_catalog" else names


_RULES: dict[str, Callable[[_Body], Node]] = {
    "A_Const": _constant,
    "A_Expr": _expression,
    "BoolExpr": _boolean,
    "BooleanTest": _test,
    "FuncCall": _function,
    "SelectStmt": _select,
    "SortBy": _sort,
    "SubLink": _sublink,
    "TypeCast": _cast,
    "TypeName": _type,
    "WindowDef": _window,
}
