"""What does a read through the gate cost? One gateway on this machine, SQLite, a mask and a row filter in force.

    .venv/bin/python benchmarks/reads.py [--reads 200]

Prints medians of one run, and ratios to the same read made directly with pandas; absolute times say more about the
machine than about Gatebook.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from serving import serving

import gatebook
from gatebook_hub import demo

ROOT = Path(__file__).resolve().parent.parent
POINT = "select customerid, firstname, email, country from customer where customerid = :id"
TABLE = "select * from track"


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Run a gateway over a fresh demo database: its address, an analyst's token, and the database's path."""
    state = folder / "state"
    database = state / "databases" / "chinook.sqlite"
    database.parent.mkdir(parents=True)
    cache = Path(os.environ.get("GATEBOOK_CACHE") or ROOT / ".state" / "cache")
    demo.build(f"sqlite:///{database}", demo.load_rows(demo.fetch(cache)))
    with serving(state, ROOT / "policies") as served:
        yield served.url, served.token, database


def median_ms(read: Callable[[int], object], times: int) -> float:
    """The median of so many reads after a warm-up, milliseconds."""
    for number in range(5):
        read(number)
    taken = []
    for number in range(times):
        started = time.perf_counter()
        read(number)
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reads", type=int, default=200, help="reads per figure")
    reads = parser.parse_args().reads
    folder = Path(tempfile.mkdtemp(prefix="gatebook-benchmark-"))
    try:
        with gateway(folder) as (url, token, database), contextlib.closing(sqlite3.connect(database)) as direct:
            gate = gatebook.connect("chinook", url=url, token=token)
            figures = {
                "point read by key": (
                    median_ms(lambda number: gate.query(POINT, id=number % 60), reads),
                    median_ms(lambda number: pd.read_sql(POINT, direct, params={"id": number % 60}), reads),
                ),
                "3,503 rows of 9 columns": (
                    median_ms(lambda _: gate.query(TABLE), max(reads // 10, 5)),
                    median_ms(lambda _: pd.read_sql(TABLE, direct), max(reads // 10, 5)),
                ),
            }
    finally:
        shutil.rmtree(folder)
    print(f"{'median, milliseconds':28}{'through the gate':>18}{'pandas directly':>18}{'ratio':>8}")
    for name, (gated, plain) in figures.items():
        print(f"{name:28}{gated:18.1f}{plain:18.1f}{gated / plain:8.1f}")


if __name__ == "__main__":
    main()
