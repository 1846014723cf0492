"""Who reads the large answers of a server? Worker processes, so that small ones need not wait for their values.

A worker opens the source anew, with connections and pins of its own, and reads as the gateway would. It is no second
lock: it has the source's account, as the gateway has, and what it is sent are the gate's own texts. Nobody waits for a
worker: where none is idle, the gateway reads itself, and one is started for the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from gatebook_hub.errors import SourceChanged, SourceUnavailable
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.embedded import DEFAULT_TIME_S, WorkerStream, request_of
from gatebook_hub.sources.sizes import LARGE_ROWS, Size, Sizes
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sources.workers import Worker, WorkerPool
from gatebook_hub.sql import Plan

_MOST_WORKERS = 4
_MEMORY_BYTES = 4_000_000_000
# What the drivers read of the environment: without it a worker might ask for less than the gateway (`PGSSLMODE`).
_OF_DRIVERS = ("PG", "SSL_CERT_")


class BulkReads:
    """The workers of one server."""

    def __init__(self, engine: Engine, name: str, url: str, sizes: Sizes) -> None:
        environment = {key: value for key, value in os.environ.items() if key.startswith(_OF_DRIVERS) or key == "HOME"}
        known = {"engine": str(engine), "name": name, "url": url, "environment": environment}
        setup = {**known, "memory_bytes": _MEMORY_BYTES}
        self._pool = WorkerPool(setup, most=_MOST_WORKERS, kept=0)
        self._sizes = sizes
        sizes.met_large = self._pool.warm
        self.close = self._pool.close

    def read(
        self,
        plan: Plan,
        parameters: Mapping[str, Any],
        limits: Limits,
        identity: str | None,
        *,
        begun: Callable[[ReadStream], None] | None = None,
    ) -> ReadStream | None:
        """Start a read of a text that is known as large; None where the gateway has to do it; raises StatementFailed.

        `identity` is that of the server that was met first, if the source is pinned to one.
        """
        if self._sizes.get(plan.sql) is not Size.LARGE:
            return None
        worker = self._pool.lease_idle()
        if worker is None:
            return None
        stream = _CountedStream(worker, self._pool.give_back, lambda: self._sizes.tell(plan.sql, Size.MIDDLING))
        if begun is not None:
            begun(stream)
        try:
            request = {"op": "read", "identity": identity, **request_of(plan, parameters)}
            stream.start(request, limits.time_s or DEFAULT_TIME_S)
        except (SourceChanged, SourceUnavailable):
            return None  # the gateway meets the same, and tells whom it concerns
        return stream


class _CountedStream(WorkerStream):
    """A stream that tells when its answer was not large after all."""

    def __init__(self, worker: Worker, give_back: Callable[[Worker], None], tell: Callable[[], None]) -> None:
        super().__init__(worker, give_back)
        self._tell = tell

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in super().__iter__():
            rows += batch.num_rows
            yield batch
            del batch
        if rows < LARGE_ROWS:
            self._tell()
