"""Of the statements that others wrote for an engine, how many come through the gate as the engine answers them alone?

    .venv/bin/python benchmarks/compatibility.py [--engine sqlite] [--sample 60] [--full]

Fetches the engines' own tests and writes `docs/reference/compatibility.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import page
from corpora import CACHE, Corpus, duckdb_corpora, mariadb_corpus, postgres_corpus, sqlite_corpus, tpc_corpora
from engine_duckdb import StockDuckdb
from engine_mariadb import StockMariadb
from engine_postgres import StockPostgres
from engine_sqlite import StockSqlite
from engines import Answer, Refused, Stock
from services import ROOT, services
from steps import Script, Step, changes_schema, is_read
from trying import Outcome, Result, attempt, open_policy

from gatebook_hub.model import Engine

_SLOW_S = 20


def main() -> None:
    """Measure, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", action="append", choices=[str(engine) for engine in Engine])
    parser.add_argument("--scripts", default="", help="only scripts whose name holds this")
    parser.add_argument("--corpus", default="", help="only corpora whose name holds this")
    parser.add_argument("--sample", type=int, default=0, help="so many scripts per corpus, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=1500, help="seconds per corpus")
    parser.add_argument("--full", action="store_true", help="every script, however long it takes")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")  # SQLAlchemy tells of each type that it does not know
    for name in arguments.engine or [str(engine) for engine in Engine]:
        with _opened(Engine(name)) as (stock, corpora):
            for corpus in corpora:
                if arguments.corpus in corpus.name:
                    report(corpus, measure(stock, corpus, arguments), stock, is_kept=not arguments.scripts)
    page.write()


@contextlib.contextmanager
def _opened(engine: Engine) -> Iterator[tuple[Stock, list[Corpus]]]:
    with contextlib.ExitStack() as stack:
        match engine:
            case Engine.SQLITE:
                # What the tests attach lands in the current folder.
                corpora = [sqlite_corpus()]
                stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))
                yield StockSqlite(), corpora
            case Engine.POSTGRESQL:
                yield StockPostgres(services().own_postgres(stack)), [*tpc_corpora(engine), postgres_corpus()]
            case Engine.DUCKDB:
                corpora = [*tpc_corpora(engine), *duckdb_corpora()]
                stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))
                yield StockDuckdb(), corpora
            case Engine.MARIADB:
                yield StockMariadb(lambda: str(services().own_mariadb(stack))), [mariadb_corpus()]


@dataclass(slots=True, kw_only=True)
class Measured:
    """Each statement that counted with its script and its result; `how` says which scripts were run."""

    how: str
    found: list[tuple[str, str, Result]] = field(default_factory=list)
    is_cut: bool = False


def measure(stock: Stock, corpus: Corpus, arguments: argparse.Namespace) -> Measured:
    """Run the scripts in their order and try each read once."""
    rules = open_policy(str(stock.engine))
    scripts = [script for script in corpus.scripts if arguments.scripts in script.name]
    measured = Measured(how=f"{len(scripts)} scripts")
    if arguments.sample and len(scripts) > arguments.sample:
        # What sets up the others' database is always among them.
        first = [script for script in scripts if script.is_fresh and not scripts[-1].is_fresh]
        chosen = random.Random(arguments.seed).sample(scripts, arguments.sample)  # noqa: S311 - a sample
        scripts = [script for script in scripts if script in chosen or script in first]
        measured.how = f"{len(scripts)} of {len(corpus.scripts)} scripts, seed {arguments.seed}"
    if all(script.is_fresh for script in scripts):
        # Should the time be over before the end, then what was run is a sample.
        random.Random(arguments.seed).shuffle(scripts)  # noqa: S311 - as above
    seen: set[str] = set()
    until = math.inf if arguments.full else time.monotonic() + arguments.budget
    for index, script in enumerate(scripts):
        if time.monotonic() > until:
            measured.is_cut = True
            measured.how = f"{index} of {len(scripts)} scripts, then the time was over"
            print(f"{corpus.name}: {measured.how}", file=sys.stderr)
            break
        started = time.monotonic()
        stock.time_s = script.time_s
        stock.fresh() if script.is_fresh else stock.reset()
        _run(stock, script, rules, seen, measured.found)
        if time.monotonic() - started > _SLOW_S:
            print(f"slow: {script.name} {time.monotonic() - started:.0f} s", file=sys.stderr)
    return measured


def _run(stock: Stock, script: Script, rules: Any, seen: set[str], found: list[tuple[str, str, Result]]) -> None:
    for step in script.steps(script.variables):
        try:
            answer = _stepped(stock, step)
            if answer is None or not step.is_read or step.sql in seen or not is_read(step.sql):
                continue
            result = attempt(stock, step, answer, rules)
        except Refused:
            continue
        except Exception as error:  # noqa: BLE001 - one statement does not end the measurement
            print(f"{script.name}: {type(error).__name__}: {error}: {step.sql[:200]}", file=sys.stderr)
            continue
        if result is not None:
            seen.add(step.sql)
            found.append((script.name, step.sql, result))


def _stepped(stock: Stock, step: Step) -> Answer | None:
    """Run a step as the script would; what it answers."""
    if step.is_reset:
        stock.reset()
        stock.changed()
        return None
    try:
        answer = stock.execute(step)
    finally:
        if changes_schema(step.sql):
            stock.changed()
    if step.store is not None and answer is not None and answer.rows:
        row = answer.rows[0]
        step.store({name: str(value) for name, value in zip(answer.names, row, strict=True) if value is not None})
    return answer


def report(corpus: Corpus, measured: Measured, stock: Stock, *, is_kept: bool) -> None:
    """Print a summary and keep everything in the cache, unless only some scripts were looked at."""
    found = measured.found
    total = len(found)
    counts = Counter(result.outcome for _, _, result in found)
    print(f"== {corpus.name} {stock.version} {corpus.package} {corpus.sha256[:12]}: {total} statements")
    for outcome in Outcome:
        print(f"{outcome:20} {counts[outcome]:6} {100 * counts[outcome] / max(1, total):6.2f} %")
    if not is_kept:
        return
    rows = [{"script": script, "sql": text, **asdict(result)} for script, text, result in found]
    meta = {
        "corpus": corpus.name,
        "engine": str(stock.engine),
        "version": stock.version,
        "package": corpus.package,
        "sha256": corpus.sha256,
        "cut": measured.is_cut,
        "run": measured.how,
        "gate": _revision(),
    }
    (CACHE / f"results-{stock.engine}-{corpus.slug}.json").write_text(
        json.dumps({"meta": meta, "rows": rows}, indent=0)
    )


def _revision() -> str:
    """The commit of the gate that was measured."""
    command = ["/usr/bin/git", "log", "-1", "--format=%h", "--", "hub"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "not a checkout"


if __name__ == "__main__":
    main()
