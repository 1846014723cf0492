"""What does a large read through the gate cost? One gateway here, PostgreSQL, a mask and a row filter in force.

    .venv/bin/python benchmarks/bulk.py [--rows 1000000] [--runs 3] [--url postgresql://root@127.0.0.1:5432/postgres]

Makes a database of its own and drops it at the end. Writes medians of one run, and ratios to the same rows read with
pandas and SQLAlchemy, into `docs/reference/performance.md`.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import adbc_driver_postgresql.dbapi
import pandas as pd
import psycopg
from figures import write
from serving import serving
from sqlalchemy import create_engine, make_url

import gatebook

URL = "postgresql://root@127.0.0.1:5432/postgres"
COLUMNS = "id, quantity, price, weight, is_paid, paid_at, day, email, city, note"
# The gate adds the condition and the mask to its own; the others read the same rows with the addresses as they are.
GATED = f"select {COLUMNS} from sale"  # noqa: S608 - constants
DIRECT = f"select {COLUMNS} from public.sale where city <> 'hidden'"  # noqa: S608 - constants
_TABLE = """
create table public.sale (
  id bigint primary key, quantity int, price numeric(12, 2), weight double precision, is_paid bool,
  paid_at timestamptz, day date, email text, city text, note text
)
"""
_ROWS = """
insert into public.sale
select n, case when n % 7 > 0 then n % 1000 end, (n % 100000) * 0.37, n / 3.0, n % 2 = 0,
  timestamptz '2024-01-01' + n * interval '1 second', date '2024-01-01' + n % 1000, 'person' || n || '@example.org',
  case when n > {rows} then 'hidden' else (array['Wien', 'Zürich', 'Berlin', 'Graz'])[1 + n % 4] end, md5(n::text)
from generate_series(1, {rows} + {rows} / 100) n
"""
_SOURCE = """
source: shop
title: a shop
engine: postgresql
url: "{url}"
production: false
limits: {{rows: 1000000000, time_s: 600, concurrent: 4}}
default_quorum:
  - {{groups: [reviewers], needed: 1}}
"""
_RULES = """
classification:
  pii.email: [shop.sale.email]
grants:
  - id: analysts
    to: group:analysts
    on: shop.sale
    allow: [select]
    where: city <> 'hidden'
protections:
  - id: mask-email
    tag: pii.email
    mask: email
"""


@contextlib.contextmanager
def database(server: str, rows: int) -> Iterator[str]:
    """A database with the table, for as long as the block runs."""
    name = f"gatebook_bulk_{secrets.token_hex(4)}"
    url = make_url(server).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_TABLE)
                connection.execute(_ROWS.format(rows=rows).encode())
                connection.execute("vacuum analyze public.sale")
            yield url
        finally:
            admin.execute(f"drop database {name} with (force)".encode())


def with_sqlalchemy(url: str) -> Callable[[], pd.DataFrame]:
    """How it is done without a gate."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    return lambda: pd.read_sql(DIRECT, engine)


def with_adbc(url: str) -> Callable[[], pd.DataFrame]:
    """How it is done without a gate, and fast."""

    def read() -> pd.DataFrame:
        with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(DIRECT)
            return cursor.fetch_arrow_table().to_pandas(types_mapper=pd.ArrowDtype)

    return read


def seconds(read: Callable[[], pd.DataFrame], rows: int, runs: int) -> float:
    """The median of so many reads, each of all rows."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        frame = read()
        taken.append(time.perf_counter() - started)
        assert frame.shape == (rows, 10), frame.shape
        del frame
        gc.collect()
    return statistics.median(taken)


def first_batch_ms(gate: gatebook.Connection, runs: int) -> float:
    """How long until the first rows are there; the rest is left."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        with gate.batches(GATED) as batches:
            next(iter(batches))
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def peak_mb(process: int) -> float:
    """The most memory that a process has had."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3, help="reads per figure")
    parser.add_argument("--url", default=URL, help="a server where a database may be made")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gatebook-benchmark-"))
    figures: dict[str, float] = {}
    try:
        with database(given.url, given.rows) as url:
            policies = folder / "policies"
            (policies / "sources").mkdir(parents=True)
            (policies / "sources" / "shop.yaml").write_text(_SOURCE.format(url=url))
            (policies / "rules.yaml").write_text(_RULES)
            with serving(folder / "state", policies) as served:
                gate = gatebook.connect("shop", url=served.url, token=served.token)
                gate.query(f"{GATED} where id < 3")
                idle_mb = peak_mb(served.process)
                # One hop. Another way through the gate is another line.
                figures["kernel, gateway"] = seconds(lambda: gate.query(GATED), given.rows, given.runs)
                above_mb = peak_mb(served.process) - idle_mb
                first_ms = first_batch_ms(gate, given.runs)
            figures["ADBC directly"] = seconds(with_adbc(url), given.rows, given.runs)
            figures["pd.read_sql directly"] = seconds(with_sqlalchemy(url), given.rows, given.runs)
    finally:
        shutil.rmtree(folder)
    slowest = figures["pd.read_sql directly"]
    lines = [
        f"{given.rows:,} rows of 10 columns into a DataFrame, medians of {given.runs}; one hop, kernel to gateway.",
        "The first run of a text goes row by row, those after it are copied.",
        "",
        "| way | seconds | times as fast as pd.read_sql |",
        "|---|---|---|",
        *(f"| {name} | {taken:.2f} | {slowest / taken:.1f} |" for name, taken in figures.items()),
        "",
        f"The first batch is there after {first_ms:.0f} ms. The gateway's memory peaks {above_mb:.0f} MB above idle.",
    ]
    print("\n".join(lines))
    write("bulk", lines)


if __name__ == "__main__":
    main()
