"""What does PostgreSQL call a column that has no alias? Follows `FigureColname` of its parser (parse_target.c)."""

from __future__ import annotations

from gatebook_hub.sql.second_reading.trees import Body, Tree, is_star, words

UNNAMED = "?column?"
_STAR = "*"
_FIXED = {
    "A_ArrayExpr": "array",
    "CoalesceExpr": "coalesce",
    "GroupingFunc": "grouping",
    "RowExpr": "row",
    "AEXPR_NULLIF": "nullif",
    "IS_GREATEST": "greatest",
    "IS_LEAST": "least",
    "SVFOP_CURRENT_DATE": "current_date",
    "SVFOP_CURRENT_TIME": "current_time",
    "SVFOP_CURRENT_TIME_N": "current_time",
    "SVFOP_CURRENT_TIMESTAMP": "current_timestamp",
    "SVFOP_CURRENT_TIMESTAMP_N": "current_timestamp",
    "SVFOP_LOCALTIME": "localtime",
    "SVFOP_LOCALTIME_N": "localtime",
    "SVFOP_LOCALTIMESTAMP": "localtimestamp",
    "SVFOP_LOCALTIMESTAMP_N": "localtimestamp",
    "SVFOP_CURRENT_ROLE": "current_role",
    "SVFOP_CURRENT_USER": "current_user",
    "SVFOP_USER": "user",
    "SVFOP_SESSION_USER": "session_user",
    "SVFOP_CURRENT_CATALOG": "current_catalog",
    "SVFOP_CURRENT_SCHEMA": "current_schema",
}


def label(value: Tree) -> str:
    """The name of an output column with this value and no alias."""
    return _figure(value)[0] or UNNAMED


def column_labels(statement: Tree) -> tuple[str | None, ...]:
    """The names of the output columns of a query as PostgreSQL would tell them; None for a star."""
    select = statement.get("SelectStmt", {})
    while "larg" in select:
        select = select["larg"]
    if "valuesLists" in select:
        return tuple(f"column{index}" for index, _ in enumerate(select["valuesLists"][0]["List"]["items"], start=1))
    targets = [target["ResTarget"] for target in select.get("targetList", ())]
    return tuple(None if is_star(target["val"]) else target.get("name") or label(target["val"]) for target in targets)


def _figure(node: Tree) -> tuple[str | None, int]:
    """The name, and how sure it is: 0 for none, 1 for a type or `case`, 2 for a column or function."""
    ((name, body),) = node.items()
    match name:
        case "ColumnRef" | "FuncCall":
            return _last_string(body["fields" if name == "ColumnRef" else "funcname"])
        case "A_Indirection":
            found = _last_string(body["indirection"])
            return found if found[1] else _figure(body["arg"])
        case "TypeCast":
            return _weak(body["arg"], _last_string(body["typeName"]["names"])[0])
        case "CollateClause":
            return _figure(body["arg"])
        case "CaseExpr":
            return _weak(body.get("defresult"), "case")
        case "SubLink":
            return _sublink(body)
        case _:
            fixed = _FIXED.get(name) or _FIXED.get(body.get("op", "")) or _FIXED.get(body.get("kind", ""))
            return fixed, 2 if fixed else 0


def _weak(inner: Tree | None, otherwise: str | None) -> tuple[str | None, int]:
    found = _figure(inner) if inner else (None, 0)
    return found if found[1] > 1 else (otherwise, 1)


def _last_string(parts: list[Tree]) -> tuple[str | None, int]:
    names = words(parts)
    return (names[-1], 2) if names else (None, 0)


def _sublink(body: Body) -> tuple[str | None, int]:
    match body["subLinkType"]:
        case "EXISTS_SUBLINK":
            return "exists", 2
        case "ARRAY_SUBLINK":
            return "array", 2
        case "EXPR_SUBLINK":
            return _first_output(body["subselect"].get("SelectStmt", {})), 2
        case _:
            return None, 0


def _first_output(select: Body) -> str:
    """The name of the first column of a query; a mark where only the schema tells."""
    while "larg" in select:
        select = select["larg"]
    if "valuesLists" in select:
        return "column1"
    targets = select.get("targetList") or [{"ResTarget": {}}]
    target = targets[0]["ResTarget"]
    if "name" in target:
        return str(target["name"])
    value = target.get("val", {})
    return label(value) if value and not is_star(value) else _STAR
