"""How does a worker read a database server? As the gateway does, by a Source of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from gatebook_hub.errors import StatementFailed
from gatebook_hub.model import Engine, Limits
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.registry import open_server
from gatebook_hub.sources.sizes import Size
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sql import Plan

_LATER = 10


class ServerServed:
    """One server; its large answers alone are read here."""

    threads = 1
    idle_s: float | None = None
    last_id: int | None = None

    def __init__(self, setup: Mapping[str, Any]) -> None:
        self._engine = Engine(setup["engine"])
        self._name, self._url = str(setup["name"]), str(setup["url"])
        os.environ.update(setup["environment"])
        self._source: PostgresqlSource | MariadbSource | None = None
        self._identity: str | None = None
        self._running: ReadStream | None = None
        self._stopped = 0
        self._number = 0
        os.nice(_LATER)  # whoever asks for a row goes first

    def read(self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int) -> _Read:
        """Start a read."""
        self._number = number
        sql = str(request["sql"])
        source = self._opened(request["identity"])
        source.sizes.tell(sql, Size.LARGE)
        plan = Plan(engine=self._engine, sql=sql, parameters=frozenset(parameters), reads={})
        limits = Limits(time_s=max(0.001, deadline - time.monotonic()))
        return _Read(source.read(plan, parameters, limits, begun=self._begun), self._ended)

    def do(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Nothing but reads is done here."""
        del request, parameters, deadline, number
        raise StatementFailed("there is no open session")

    def interrupt(self, number: int) -> None:
        """Stop what runs; the worker calls again until it has ended."""
        self._stopped = number
        running = self._running
        if running is not None and number == self._number:
            running.close()

    def rest(self) -> None:
        """Nothing is held between statements but connections."""

    def _opened(self, identity: str | None) -> PostgresqlSource | MariadbSource:
        """The source, pinned to the server that the gateway knows now."""
        if self._source is None or identity != self._identity:
            if self._source is not None:
                self._source.close()
            self._source, self._identity = open_server(self._name, self._engine, self._url), identity
            if identity is not None:
                self._source.pin.hold(_Told(identity))
        return self._source

    def _begun(self, stream: ReadStream) -> None:
        self._running = stream
        if self._stopped == self._number:
            stream.close()

    def _ended(self) -> None:
        self._running = None


class _Read:
    """A read under way, which is closed at its end too."""

    def __init__(self, stream: ReadStream, ended: Any) -> None:
        self._stream = stream
        self._ended = ended
        self.schema = stream.schema

    def __iter__(self) -> Any:
        return iter(self._stream)

    def close(self) -> None:
        """Free the database."""
        self._ended()
        self._stream.close()


class _Told:
    """The memory of a source that was told whom it has to meet."""

    def __init__(self, identity: str) -> None:
        self._identity = identity

    def recall(self, source: str) -> str:
        """What was told."""
        del source
        return self._identity

    def remember(self, source: str, identity: str) -> None:
        """Nothing is met first here."""

    def alarm(self, source: str, sentence: str) -> None:
        """The gateway meets the same, and tells the book."""
