"""What does a large read through the gate cost? One gateway and one relay here, four engines.

    .venv/bin/python benchmarks/bulk.py [--engine postgresql] [--rows 1000000] [--runs 5]

Makes a database, or a file, of its own and drops it at the end. The ways take turns. Writes medians of one run, and
ratios to the same rows read around the gate, into `docs/reference/performance.md`.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sales
from figures import write
from serving import relaying, serving

import gatebook


def timed(ways: Mapping[str, Callable[[], Any]], rows: int, runs: int) -> dict[str, float]:
    """The medians of so many reads by each way, which take turns, each of all rows; the first is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(runs + 1):
        for name, read in ways.items():
            started = time.perf_counter()
            frame = read()
            if turn:
                taken[name].append(time.perf_counter() - started)
            assert frame.shape == (rows, 10), frame.shape
            del frame
            gc.collect()
    return {name: statistics.median(times) for name, times in taken.items()}


def first_batch_ms(gate: gatebook.Connection, runs: int) -> float:
    """How long until the first rows are there; the rest is left."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        with gate.batches(sales.GATED) as batches:
            next(iter(batches))
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def measured(engine: str, rows: int, runs: int, folder: Path) -> list[str]:
    """One engine."""
    with (
        sales.ENGINES[engine](folder, rows) as table,
        serving(folder / "state", table.policies(folder)) as gateway,
        relaying(gateway) as relay,
    ):
        two = gatebook.connect("shop", url=relay.url, token=relay.token)
        one = gatebook.connect("shop", url=gateway.url, token=gateway.token)
        two.query(f"{sales.POINT}1")
        idle = {name: served.forget_peak() for name, served in (("gateway", gateway), ("extension", relay))}
        two.query(sales.GATED)  # the first read of a text tells that its answer is large
        ways = {
            "kernel, extension, gateway": lambda: two.query(sales.GATED),
            "kernel, gateway": lambda: one.query(sales.GATED),
            table.usual: lambda: table.read(sales.DIRECT),
        }
        if engine == "postgresql":
            ways["ADBC, pandas with Arrow types"] = lambda: sales.by_adbc(table.url)
        found = timed(ways, rows, runs)
        first_ms = first_batch_ms(two, runs)
        above = {"gateway": gateway.peak_mb - idle["gateway"], "extension": relay.peak_mb - idle["extension"]}
    usual = found[table.usual]
    lines = [
        "| way | seconds | times as fast as the usual way |",
        "|---|---|---|",
        *(f"| {name} | {taken:.2f} | {usual / taken:.1f} |" for name, taken in found.items()),
        "",
        f"The first batch is there after {first_ms:.0f} ms, by two hops.",
        f"Above idle, the gateway peaks at {above['gateway']:.0f} MB, the extension at {above['extension']:.0f} MB.",
    ]
    print("\n".join([engine, *lines]))
    return [
        f"{rows:,} rows of 10 columns into a DataFrame, medians of {runs} after one that is not counted.",
        "",
        *lines,
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", action="append", choices=sorted(sales.ENGINES))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5, help="reads per figure")
    given = parser.parse_args()
    for engine in given.engine or sales.ENGINES:
        folder = Path(tempfile.mkdtemp(prefix="gatebook-benchmark-"))
        try:
            write(f"bulk-{engine}", measured(engine, given.rows, given.runs, folder))
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
