"""How are constants, types, casts and lists of values spelled?"""

from __future__ import annotations

import re

from gatebook_hub.sql.second_reading.trees import Body, Node, Tree, is_star, without_catalog, words

# The masks of `interval '1' day`: INTERVAL_MASK of PostgreSQL's datetime.h.
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
# Fields that hold a whole query, and the arms of a set operation.
_QUERIES = frozenset({"ctequery", "subquery", "subselect"})
_ARMS = frozenset({"larg", "rarg"})


def constant(body: Body) -> Node:
    """`.5` and `0.5` are one numeric; its trailing zeros are not nothing, they are its scale."""
    digits = body.get("fval", {}).get("fval")
    if digits is None:
        return "A_Const", body
    sign = digits[: digits.startswith("-")]
    digits = digits[len(sign) :].lstrip("0")
    return "A_Const", {"fval": {"fval": f"{sign}{digits if digits[:1].isdigit() else f'0{digits}'}"}}


def type_name(body: Body) -> Node:
    """`int4` and `pg_catalog.int4` are one type."""
    return "TypeName", {**body, "names": without_catalog(body["names"])}


def cast(body: Body) -> Node:
    """Casts that change nothing, and intervals."""
    target = type_name(body["typeName"])[1]
    names = words(target["names"])
    text = body["arg"].get("A_Const", {}).get("sval", {}).get("sval")
    if names == ["interval"] and text is not None and "arrayBounds" not in target:
        text, target = _interval(text, target)
        return "TypeCast", {"arg": {"A_Const": {"sval": {"sval": text}}}, "typeName": target}
    digits = body["arg"].get("A_Const", {}).get("fval", {}).get("fval", "")
    if names == ["numeric"] and digits.strip("0123456789") and target.keys() <= {"names", "typemod", "location"}:
        # A constant with a point or an exponent is numeric before any cast; one of digits alone may be a bigint.
        return constant(body["arg"]["A_Const"])
    return "TypeCast", {**body, "typeName": target}


def _interval(text: str, target: Body) -> tuple[str, Body]:
    """Words of an interval have no case, and `'1' day` is `'1 day'`; several fields and `ago` are left alone."""
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


def values_list(body: Body, field: str) -> Body:
    """`values (1)` and `select * from (values (1)) as t` are one query, and both call its columns `column1`, …

    In an arm of a set operation a bare literal takes the type of the other arm, but is text behind a `from`; in an
    insert it takes the column's. There the two are different. `field` is the field that holds the query.
    """
    rows = _wrapped_rows(body)
    if rows is None:
        return body
    is_same = field in _QUERIES or (field in _ARMS and all(_has_type(cell) for row in rows for cell in row))
    inner: Body = body["fromClause"][0]["RangeSubselect"]["subquery"]["SelectStmt"]
    return inner if is_same else body


def _wrapped_rows(body: Body) -> list[list[Tree]] | None:
    if body.keys() != {"targetList", "fromClause", "limitOption", "op"} or len(body["fromClause"]) != 1:
        return None
    relation = body["fromClause"][0].get("RangeSubselect", {})
    inner = relation.get("subquery", {}).get("SelectStmt", {})
    targets = [target["ResTarget"]["val"] for target in body["targetList"]]
    is_plain = relation.keys() <= {"subquery", "alias"} and relation.get("alias", {}).keys() == {"aliasname"}
    is_list = inner.keys() == {"valuesLists", "limitOption", "op"} and inner["limitOption"] == "LIMIT_OPTION_DEFAULT"
    is_everything = len(targets) == 1 and is_star(targets[0]) and len(targets[0]["ColumnRef"]["fields"]) == 1
    if not (is_plain and is_list and is_everything and body["limitOption"] == "LIMIT_OPTION_DEFAULT"):
        return None
    return [row["List"]["items"] for row in inner["valuesLists"]]


def _has_type(cell: Tree) -> bool:
    return "TypeCast" in cell or bool(cell.get("A_Const", {}).keys() & {"ival", "fval", "boolval", "bsval"})
