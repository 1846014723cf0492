"""What does a row by its key cost through the gate, alone, beside large reads, and for many clients at once?

    .venv/bin/python benchmarks/points.py [--rows 1000000] [--runs 400]

PostgreSQL; a mask and a row filter in force; each statement has a durable intent in the book and an outcome. The ways
take turns. Writes medians of one run into `docs/reference/performance.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sales
from figures import write
from serving import Served, relaying, serving

import gatebook

_WARM = 40
_CLIENTS = 32
_LARGE = """
import sys, gatebook
gate = gatebook.connect("shop", url=sys.argv[1], token=sys.stdin.readline().strip())
while True:
    with gate.batches(sys.argv[2]) as batches:
        for batch in batches:
            pass
    print("read", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one way."""

    p50: float
    p99: float


def timed(ways: Mapping[str, Callable[[int], Any]], rows: int, runs: int) -> dict[str, Times]:
    """Each way looks up so many keys; they take turns."""
    chance = random.Random(1)  # noqa: S311 - keys to look up
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(runs + _WARM):
        for name, look_up in ways.items():
            key = chance.randrange(1, rows)
            started = time.perf_counter()
            frame = look_up(key)
            if turn >= _WARM:
                taken[name].append((time.perf_counter() - started) * 1000)
            assert frame.shape == (1, 10), frame.shape
    return {name: Times(statistics.median(ms), statistics.quantiles(ms, n=100)[-1]) for name, ms in taken.items()}


@contextlib.contextmanager
def large_reads(through: Served, count: int) -> Iterator[None]:
    """So many programs that read the whole table through the gate, again and again."""
    command = [sys.executable, "-c", _LARGE, through.url, sales.GATED]
    readers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    try:
        for reader in readers:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write(f"{through.token}\n")
            reader.stdin.flush()
            reader.stdout.readline()  # it has read everything once
        yield
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


async def per_second(through: Served, rows: int, seconds: float) -> float:
    """How many statements are answered in a second, for clients that ask again as soon as they have their answer."""
    parts = urlsplit(through.url)
    scheme = "GateToken" if through.token.startswith("gbk_") else "Bearer"
    chance = random.Random(2)  # noqa: S311 - keys to look up
    until = time.perf_counter() + seconds

    def request() -> bytes:
        asked = {"source": "shop", "sql": f"{sales.POINT}:id", "params": {"id": chance.randrange(1, rows)}}
        body = json.dumps(asked).encode()
        head = (
            f"POST {parts.path}/api/v1/query HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: {scheme} {through.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def client() -> int:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        answered = 0
        while time.perf_counter() < until:
            writer.write(request())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = await reader.readexactly(length)
            assert b"gatebook.outcome" in answer, answer[-200:]
            answered += 1
        writer.close()
        return answered

    return sum(await asyncio.gather(*(client() for _ in range(_CLIENTS)))) / seconds


def _table(found: Mapping[str, Times]) -> list[str]:
    lines = ["| way | p50 ms | p99 ms |", "|---|---|---|"]
    return [*lines, *(f"| {name} | {times.p50:.2f} | {times.p99:.2f} |" for name, times in found.items())]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=400, help="look-ups by each way")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long many clients ask")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gatebook-benchmark-"))
    try:
        with (
            sales.postgresql(folder, given.rows) as table,
            serving(folder / "state", table.policies(folder)) as gateway,
            relaying(gateway) as relay,
        ):
            two = gatebook.connect("shop", url=relay.url, token=relay.token)
            one = gatebook.connect("shop", url=gateway.url, token=gateway.token)
            ways = {
                "kernel, extension, gateway": lambda key: two.query(f"{sales.POINT}:id", id=key),
                "kernel, gateway": lambda key: one.query(f"{sales.POINT}:id", id=key),
                table.usual: lambda key: table.read(f"{sales.DIRECT_POINT}{key}"),
            }
            alone = timed(ways, given.rows, given.runs)
            rates = {
                name: asyncio.run(per_second(through, given.rows, given.seconds))
                for name, through in (("one hop", gateway), ("two hops", relay))
            }
            with large_reads(relay, 2):
                beside = timed(ways, given.rows, given.runs)
    finally:
        shutil.rmtree(folder)
    lines = [
        f"A row of {given.rows:,} by its key into a DataFrame, {given.runs} look-ups by each way.",
        "",
        *_table(alone),
        "",
        "The same beside two programs that read the whole table through the gate, again and again:",
        "",
        *_table(beside),
        "",
        f"{_CLIENTS} clients at once: "
        + ", ".join(f"{rate:,.0f} statements a second over {name}" for name, rate in rates.items())
        + ".",
    ]
    print("\n".join(lines))
    write("points", lines)


if __name__ == "__main__":
    main()
