"""What do parsing, analysing, deciding and rewriting cost, the first time and with a plan in the cache?

.venv/bin/python benchmarks/gate_cost.py [--runs 200]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import figures
from corpora import CACHE
from engines import SOURCE
from tpc import tpc_scripts
from trying import open_policy

from gatebook_hub import sql
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Column, Engine, Principal, PrincipalKind, Schema, Table
from gatebook_hub.policy import Circumstances
from gatebook_hub.services.gate import Call
from gatebook_hub.services.statements import PlanCache, decide_read

_ANN = Call(principal=Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"analysts"})))
_POINT = "select c_custkey, c_name, c_acctbal from customer where c_custkey = 42"
_JOIN = """
select n_name, count(*) as orders, sum(o_totalprice) as total
from orders join customer on o_custkey = c_custkey join nation on c_nationkey = n_nationkey
where o_orderdate >= date '1995-01-01' and c_mktsegment = 'BUILDING'
group by n_name order by total desc limit 10
"""


def main() -> None:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    arguments = parser.parse_args()
    suites = {title: json.loads(path.read_text()) for title, (path, _) in tpc_scripts(CACHE).items()}
    sizes = {
        "point": ("TPC-H", [_POINT]),
        "medium join": ("TPC-H", [_JOIN]),
        "TPC-H": ("TPC-H", suites["TPC-H"]["queries"]),
        "TPC-DS": ("TPC-DS", suites["TPC-DS"]["queries"]),
    }
    lines = [
        "| statement | characters, median | cold p50 ms | p99 | cached p50 ms | p99 |",
        "|---|---|---|---|---|---|",
    ]
    for title, (suite, queries) in sizes.items():
        schema = _schema(suites[suite])
        texts = [text for text in (query.strip().removesuffix(";") for query in queries) if _is_taken(text, schema)]
        cold, cached = _measure(texts, schema, arguments.runs)
        length = int(statistics.median(map(len, texts)))
        lines.append(f"| {title}: {len(texts)} | {length} | {_two(cold)} | {_two(cached)} |")
    print("\n".join(lines))
    note = "Full access, PostgreSQL's dialect: parse, analyse, decide and rewrite; cached: both from the cache."
    figures.write("cost", [note, "", *lines])


def _measure(texts: list[str], schema: Schema, runs: int) -> tuple[list[float], list[float]]:
    always = Circumstances(is_look=True)
    gate: Any = SimpleNamespace(
        policy=open_policy("postgresql"), new_id=lambda: "5eed5eed", circumstances=lambda _: always
    )
    plans = PlanCache()
    cold: list[float] = []
    cached: list[float] = []
    for _ in range(max(3, runs // len(texts))):
        for text in texts:
            cold.append(_timed(lambda text=text: decide_read(gate, _ANN, _parsed(text), schema, PlanCache())))  # type: ignore[misc]
            decide_read(gate, _ANN, plans.statement(text, schema), schema, plans)
            cached.append(
                _timed(lambda text=text: decide_read(gate, _ANN, plans.statement(text, schema), schema, plans))
            )  # type: ignore[misc]
    return cold, cached


def _is_taken(text: str, schema: Schema) -> bool:
    try:
        sql.analyse(_parsed(text), schema)
    except GatebookError:
        return False
    return True


def _parsed(text: str) -> sql.Statement:
    return sql.parse(text, Engine.POSTGRESQL)


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def _two(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} | {statistics.quantiles(times, n=100)[98]:.2f}"


def _schema(suite: dict[str, Any]) -> Schema:
    tables = {
        table["name"]: Table(
            name=table["name"],
            columns=tuple(Column(name=name, type=kind.lower()) for name, kind in table["columns"]),
        )
        for table in suite["tables"]
    }
    return Schema(source=SOURCE, engine=Engine.POSTGRESQL, version="1", tables=tables, namespace="public")


if __name__ == "__main__":
    main()
