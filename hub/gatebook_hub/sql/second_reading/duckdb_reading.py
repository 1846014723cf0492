"""Does DuckDB read two texts as one query, and if not, where do they part?

By its own `json_serialize_sql`, which takes queries alone. The rules hold under the configuration that the gate locks:
`default_order = 'asc'`, `default_null_order = 'nulls_last'`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading.differences import TOO_DEEP, Difference, first_difference
from gatebook_hub.sql.second_reading.trees import Body, Node, Tree

_PLACES = frozenset({"query_location"})
# `alias_of` in `duckdb_functions()`: two names of one function.
_ONE_NAME = {
    "array_agg": "list",
    "ceiling": "ceil",
    "char_length": "length",
    "character_length": "length",
    "group_concat": "string_agg",
    "lcase": "lower",
    "len": "length",
    "list_pack": "list_value",
    "listagg": "string_agg",
    "mean": "avg",
    "mod": "%",
    "now": "get_current_timestamp",
    "pow": "**",
    "position": "instr",
    "^": "**",
    "power": "**",
    "split": "string_split",
    "stddev": "stddev_samp",
    "str_split": "string_split",
    "string_to_array": "string_split",
    "strpos": "instr",
    "substr": "substring",
    "transaction_timestamp": "get_current_timestamp",
    "ucase": "upper",
    "variance": "var_samp",
}
_MOMENTS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
_NEGATED = {"COMPARE_NOT_IN": "COMPARE_IN", "OPERATOR_IS_NOT_NULL": "OPERATOR_IS_NULL"}
_PARTS = {"dow": "dayofweek", "weekday": "dayofweek", "doy": "dayofyear"}
_WITH_PART = frozenset({"date_part", "date_trunc"})
_UNITS = {f"to_{unit}s": unit for unit in ("year", "month", "week", "day", "hour", "minute", "second")}
_AMOUNT = re.compile(r"(-?\d{1,9}) ?(year|month|week|day|hour|minute|second)s?", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,9}")


def trees_agree_duckdb(typed: str, regenerated: str, serialize: Callable[[str], str]) -> Difference | None:
    """None if DuckDB reads both texts as the same query, else the first difference.

    `serialize` runs `select json_serialize_sql($1)` on a connection of the caller's. An output column of the outermost
    query that has no alias may get one in the regenerated text, if it is the name of no column there: whether it is
    the right label is not seen here. Raises NotParsed when DuckDB would not take the text as typed.
    """
    expected = _statements(typed, serialize)
    try:
        found = _statements(regenerated, serialize)
    except NotParsed:
        return Difference(path="the statement as a whole")
    try:
        _take_labels(expected, found)
    except RecursionError as error:
        raise NotParsed(TOO_DEEP) from error
    return first_difference(expected, found, _canonical, _PLACES)


def _statements(text: str, serialize: Callable[[str], str]) -> list[Tree]:
    if "\0" in text:
        raise NotParsed("the statement contains a NUL character")
    try:
        answer = json.loads(serialize(text))
    except RecursionError as error:
        raise NotParsed(TOO_DEEP) from error
    except ValueError:
        raise NotParsed("the database's own parser gave no answer") from None
    if answer.get("error", True):
        position = answer.get("position")
        where = f" at character {int(position):,}" if str(position).isdigit() else ""
        raise NotParsed(f"the database's own parser does not take the statement{where}")
    statements: list[Tree] = answer["statements"]
    return statements


def _take_labels(expected: list[Tree], found: list[Tree]) -> None:
    names = {name.lower() for tree in (expected, found) for name in _column_names(tree)}
    for one, other in zip(_outputs(expected), _outputs(found), strict=False):
        if one.get("alias") == "" and str(other.get("alias", "")).lower() not in names:
            one["alias"] = other["alias"]


def _outputs(statements: list[Tree]) -> list[Tree]:
    node = statements[0]["node"] if len(statements) == 1 else {}
    while node.get("type") == "SET_OPERATION_NODE" and "left" in node:
        node = node["left"]
    outputs: list[Tree] = node.get("select_list", [])
    return outputs


def _column_names(tree: Any) -> Iterator[str]:
    pending = [tree]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from value.get("column_names", ())
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def _canonical(value: Tree, field: str) -> Node:
    body = _values_list(value) if field == "node" else value
    match body.get("class"), body.get("type"):
        case "FUNCTION", _:
            body = _function(body)
        case "WINDOW", _:
            body = {**body, "function_name": _ONE_NAME.get(body["function_name"], body["function_name"])}
        case "COLUMN_REF", _:
            body = _moment(body)
        case "OPERATOR", ("COMPARE_NOT_IN" | "OPERATOR_IS_NOT_NULL") as kind:
            inner = {**body, "type": _NEGATED[kind], "alias": ""}
            body = {"class": "OPERATOR", "type": "OPERATOR_NOT", "alias": body["alias"], "children": [inner]}
        case "OPERATOR", "ARRAY_CONSTRUCTOR":
            body = _call("list_value", body["children"], body["alias"])
        case "CAST", _:
            body = _interval_cast(body)
        case None, "ORDER_DEFAULT" | "ASCENDING" | "DESCENDING":
            body = _order(body)
        case _:
            pass
    if field == "type_info" and isinstance(body.get("name"), str):
        # A type that DuckDB looks up later, without regard to case.
        body = {**body, "name": body["name"].lower()}
    return str(body.get("type") or "") if isinstance(body.get("type"), str) else "", body


def _moment(body: Body) -> Body:
    """`current_date` is read as a column; the case of its name is nothing."""
    names = [str(name).lower() for name in body["column_names"]]
    return {**body, "column_names": names} if len(names) == 1 and names[0] in _MOMENTS else body


def _order(body: Body) -> Body:
    direction = "ASCENDING" if body["type"] == "ORDER_DEFAULT" else body["type"]
    nulls = "NULLS LAST" if body.get("null_order") == "ORDER_DEFAULT" else body.get("null_order")
    return {**body, "type": direction, "null_order": nulls}


def _call(name: str, children: list[Tree], alias: str) -> Body:
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": alias,
        "function_name": name,
        "schema": "",
        "children": children,
        "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": False,
        "export_state": False,
        "catalog": "",
    }


def _function(body: Body) -> Body:
    name = _ONE_NAME.get(body["function_name"], body["function_name"])
    children = body["children"]
    unit = _UNITS.get(str(name))
    if unit is not None and len(children) == 1:
        number = _whole_number(children[0])
        if number is not None:
            return _interval(f"{number} {unit}", body["alias"])
    if name in _WITH_PART and children:
        children = [_part(children[0]), *children[1:]]
    kept = {key: value for key, value in body.items() if key != "is_operator"}
    # What the grammar calls (`[1]`, `substring(x from 1)`) it calls in `main`, where all built-in functions are.
    schema = "" if body["schema"] == "main" and not body["catalog"] else body["schema"]
    return {**kept, "function_name": name, "children": children, "schema": schema}


def _part(child: Tree) -> Tree:
    value = child.get("value")
    text = value.get("value") if child.get("class") == "CONSTANT" and isinstance(value, dict) else None
    if not isinstance(text, str):
        return child
    return {**child, "value": {**child["value"], "value": _PARTS.get(text.lower(), text.lower())}}


def _whole_number(node: Tree) -> str | None:
    """The number inside the casts that the grammar puts around that of `interval 10 days`."""
    while node.get("class") == "CAST" or node.get("function_name") == "trunc":
        node = node["child"] if node["class"] == "CAST" else node["children"][0]
    value = node.get("value", {}).get("value") if node.get("class") == "CONSTANT" else None
    return str(value) if _NUMBER.fullmatch(str(value)) else None


def _interval(text: str, alias: str) -> Body:
    value = {"type": {"id": "VARCHAR", "type_info": None}, "is_null": False, "value": text}
    child = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "value": value}
    cast_type = {"id": "INTERVAL", "type_info": None}
    return {
        "class": "CAST",
        "type": "OPERATOR_CAST",
        "alias": alias,
        "child": child,
        "cast_type": cast_type,
        "try_cast": False,
    }


def _interval_cast(body: Body) -> Body:
    value = body["child"].get("value") if body["child"].get("class") == "CONSTANT" else None
    text = value.get("value") if isinstance(value, dict) else None
    if body["cast_type"].get("id") != "INTERVAL" or body["try_cast"] or not isinstance(text, str):
        return body
    amount = _AMOUNT.fullmatch(text)
    return _interval(f"{amount[1]} {amount[2].lower()}", body["alias"]) if amount else body


def _values_list(body: Body) -> Body:
    """`select * from (values (1)) as t` is `values (1)`, and both call their columns `col0`, …"""
    relation = body.get("from_table") or {}
    if relation.get("type") != "SUBQUERY" or relation.get("column_name_alias") or relation.get("sample"):
        return body
    inner: Body = relation["subquery"]["node"]
    if inner.get("type") != "SELECT_NODE" or (inner.get("from_table") or {}).get("type") != "EXPRESSION_LIST":
        return body
    outer = {key: value for key, value in body.items() if key != "from_table"}
    same = {key: value for key, value in inner.items() if key != "from_table"}
    is_star = [column.get("class") for column in outer.get("select_list", ())] == ["STAR"]
    return inner if is_star and _plain(outer) == _plain(same) else body


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key not in _PLACES}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
