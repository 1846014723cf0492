"""Is every single change of a statement a difference, wherever it is?"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ErrorLevel

from gatebook_hub.sql.second_reading import trees_agree
from gatebook_hub.sql.second_reading.comparison import canonical
from gatebook_hub.sql.second_reading.differences import first_difference
from gatebook_hub.sql.second_reading.engine_parser import read
from gatebook_hub.sql.second_reading.trees import PLACES

FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "sql" / "second_reading"

# Each slot of the statement below, and fillings of which no two mean the same.
SLOTS = {
    "distinct": ["", "distinct", "distinct on (a)"],
    "column": ["a", "b", '"A"', "t.a", "u.a", "a.b.c", "(a).b"],
    "aggregate": ["count", "sum", "min", "max", "pg_temp.sum"],
    "of": ["", "distinct "],
    "order_within": ["", " order by b", " order by b desc", " order by b nulls first"],
    "filter": ["", "filter (where a > 1)", "filter (where a >= 1)"],
    "alias": ["as x", "as y", 'as "X"', ""],
    "frame": [
        "",
        "rows 1 preceding",
        "rows 2 preceding",
        "range between unbounded preceding and unbounded following",
        "groups 1 preceding",
        "rows between 1 preceding and 1 following exclude ties",
        "rows between 1 following and 2 following",
    ],
    "partition": ["", "partition by a", "partition by b", "partition by a, b"],
    "table": ["t", "u t", "public.t", "other.t", '"T" t', "only t", "(select * from t) t"],
    "join": ["join", "left join", "right join", "full join"],
    "on": ["on t.a = u.a", "on t.a = u.b", "using (a)", "using (a, b)", "on true"],
    "operator": ["=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from", "+", "||", "like", "~"],
    "literal": ["1", "2", "1.0", "'1'", "'2'", "null", "true", "$1", "$2", "-1", "1::int", "1::bigint", "b", "''"],
    "connective": ["and", "or", "and not", "or not"],
    "test": ["is null", "is not null", "is true", "is false", "is not true", "in (1, 2)", "in (2, 1)", "not in (1, 2)",
             "between 1 and 2", "between symmetric 1 and 2", "not between 1 and 2", "= any (select 1)",
             "= all (select 1)", 'collate "C" is null', "similar to 'x'", "ilike 'x'", "like 'x' escape '!'"],
    "interval": ["'1 day'", "'2 days'", "'1 month'", "'1 minute'", "'-1 day'", "'1 day ago'", "'1.5 days'",
                 "'1 day 1'"],
    "moment": ["current_date", "current_timestamp", "localtimestamp", "current_timestamp(0)", "current_time"],
    "group": ["group by a", "group by a, b", "group by b", "group by rollup (a)", "group by cube (a)", "group by ()",
              "group by grouping sets ((a), ())", "group by distinct a"],
    "having": ["", "having count(*) > 1", "having count(*) > 2", "having count(a) > 1"],
    "set": ["union", "union all", "intersect", "intersect all", "except", "except all"],
    "direction": ["", "desc", "nulls first", "desc nulls last"],
    "limit": ["", "limit 1", "limit 2", "fetch first 2 rows with ties"],
    "offset": ["", "offset 0", "offset 1"],
    "lock": ["", "for update", "for share", "for update skip locked"],
}  # fmt: skip
STATEMENT = """
with w as (select 1 as a)
select {distinct} {column} {alias}, {aggregate}({of}a{order_within}) {filter},
    sum(a) over ({partition} order by a {frame}), case when a {operator} {literal} then {moment} end
from {table} {join} u {on}
where a {operator} {literal} {connective} b {test} and d > {moment} - interval {interval}
{group} {having}
order by a {direction} {limit} {offset}
"""
UNION = "(select a from t where {column} {test}) {set} (select b from u order by b {direction}) order by 1 {limit}"
FILLINGS = st.fixed_dictionaries({name: st.sampled_from(fillings) for name, fillings in SLOTS.items()})


def _written(text: str) -> str | None:
    """What sqlglot makes of a text; None where it does not read or write it."""
    try:
        tree = sqlglot.parse_one(text, dialect=Postgres)
        for name in tree.find_all(exp.Identifier):
            if not name.args.get("quoted"):
                name.set("this", name.name.lower())
        return tree.sql(dialect=Postgres, identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except sqlglot.errors.SqlglotError:
        return None


@pytest.mark.parametrize("template", [STATEMENT, UNION], ids=["select", "union"])
@settings(max_examples=25, deadline=None)
@given(filling=FILLINGS)
def test_each_other_filling_of_each_slot_is_a_difference(template: str, filling: dict[str, str]) -> None:
    typed = template.format(**filling)
    assert trees_agree(typed, typed) is None
    for name, fillings in SLOTS.items():
        if f"{{{name}}}" not in template:
            continue
        for other in fillings:
            mutated = template.format(**{**filling, name: other})
            if other != filling[name] and mutated != typed:
                assert trees_agree(typed, mutated) is not None, f"{name}: {filling[name]} / {other}"


# What sqlglot 30.30 writes differently; with these left out, all that it writes is what was typed.
UNFAITHFUL = {"'1 day 1'", "'1 day ago'"}


@settings(max_examples=60, deadline=None)
@given(filling=FILLINGS)
def test_what_sqlglot_writes_is_what_was_typed_but_for_its_known_faults(filling: dict[str, str]) -> None:
    typed = STATEMENT.format(**filling)
    regenerated = _written(typed)
    if regenerated is not None:
        assert (trees_agree(typed, regenerated) is None) is not bool(UNFAITHFUL & set(filling.values()))


@settings(max_examples=40, deadline=None)
@given(filling=FILLINGS, others=FILLINGS, name=st.sampled_from(sorted(SLOTS)))
def test_a_change_is_seen_through_what_sqlglot_writes(
    filling: dict[str, str], others: dict[str, str], name: str
) -> None:
    plain = {**filling, "moment": "current_date", "interval": "'1 day'", "column": "a"}
    changed = {**plain, name: others[name]}
    regenerated = _written(STATEMENT.format(**plain))
    if regenerated is not None and STATEMENT.format(**changed) != STATEMENT.format(**plain):
        assert trees_agree(STATEMENT.format(**changed), regenerated) is not None


def _nodes(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        if key not in PLACES:
            yield (*path, key), value
            yield from _nodes(value, (*path, key))


def _mutants(tree: Any) -> Iterator[tuple[str, Any]]:
    for path, value in list(_nodes(tree)):
        changed = copy.deepcopy(tree)
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        if isinstance(value, bool):
            holder[path[-1]] = not value
        elif isinstance(value, int):
            holder[path[-1]] = value + 4
        elif isinstance(value, str):
            holder[path[-1]] = f"{value}x"
        else:
            del holder[path[-1]]
        yield ".".join(map(str, path)), changed


def _is_spelling(path: str, value: Any) -> bool:
    """What is left out on purpose: how a call was written, the catalog before a name; and what is never made."""
    return (
        path.endswith((".funcformat", ".typemod", ".String", ".operName"))
        or value == {"String": {"sval": "pg_catalog"}}
        or "BETWEEN" in str(value)
    )


@pytest.mark.parametrize(
    "text",
    [
        pair["typed"]
        for pair in itertools.chain(*(YAML(typ="safe").load(FOLDER / f"{n}.yaml") for n in ("same", "different")))
    ],
)
def test_every_leaf_and_every_node_of_a_tree_counts(text: str) -> None:
    statements = read(text)
    values = {".".join(map(str, path)): value for path, value in _nodes(statements)}
    for path, mutant in _mutants(statements):
        if path.endswith("limitOption") and "limit all" in text:
            continue
        if _is_spelling(path, values[path]):
            continue
        try:
            found = first_difference(statements, mutant, canonical, PLACES)
        except (KeyError, IndexError, ValueError, TypeError, StopIteration):
            continue  # a tree that the parser never makes
        assert found is not None, path
