"""What do Sources over a database server have alike: the pool, the schema, reads, writes, the server's identity."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from gatebook_hub.errors import GatebookError, LedgerMissing, SourceUnavailable
from gatebook_hub.model import Engine, Limits, Schema
from gatebook_hub.sources.bulk import BulkReads
from gatebook_hub.sources.identity import Pin
from gatebook_hub.sources.inspecting import Details, details_of
from gatebook_hub.sources.reflecting import SchemaCache, reflect
from gatebook_hub.sources.sizes import Size, Sizes
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.sources.stream import BatchStream, Driven
from gatebook_hub.sources.writing import ServerWriting
from gatebook_hub.sql import Plan

MOST_CONNECTIONS = 12
_SOON_S = 0.25


class ServerSource(ABC):
    """A Source over one namespace of a server; every call runs in a transaction that `_begin` pins."""

    _driver_error: ClassVar[type[Exception]]
    # Adds a change to the ledger, or no row if it is there.
    _add_line: ClassVar[str]
    # Whether the first read of a text is left for another one, when it turns out to be large.
    _begins_anew: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        url: str,
        engine: Engine,
        arguments: Mapping[str, Any],
        namespace: str | None = None,
        *,
        is_asked: bool = True,
        has_workers: bool = False,
    ) -> None:
        self.name = name
        self.pin = Pin(name)
        self.sizes = Sizes()
        self._bulk = BulkReads(engine, name, url, self.sizes) if has_workers else None
        # Whether a connection is asked for a sign of life before it serves; else `_begin` takes another for a dead one.
        self._database = create_engine(
            url,
            pool_size=MOST_CONNECTIONS,
            max_overflow=0,
            pool_use_lifo=True,
            pool_pre_ping=is_asked,
            connect_args=dict(arguments),
        )
        # For the identity, which is compared on each new connection, and to end what another one does.
        self._apart = create_engine(url, poolclass=NullPool, connect_args=dict(arguments))
        # Its connections read the catalogue alone, with the types that the driver's own loaders give.
        self._catalogue = create_engine(
            url, pool_size=1, max_overflow=4, pool_pre_ping=True, connect_args=dict(arguments)
        )
        self._namespace = namespace or self._database.url.database or ""
        event.listen(self._database, "connect", self._met)
        event.listen(self._catalogue, "connect", self._check)
        self._schema = SchemaCache(
            lambda: reflect(self._catalogue, source=name, engine=engine, namespace=self._namespace)
        )
        self._details = SchemaCache(lambda: details_of(self._catalogue, engine, self._namespace))

    def schema(self) -> Schema:
        """Its tables."""
        self.pin.ensure()
        try:
            return self._schema.get()
        except GatebookError:
            raise
        except Exception as error:  # whatever the catalogue holds: what is not known is not governed
            raise self._unreachable() from error

    def details(self) -> Details:
        """What the server says of its tables in detail."""
        self.pin.ensure()
        try:
            return self._details.get()
        except SQLAlchemyError as error:
            raise self._unreachable() from error

    def forget_schema(self) -> None:
        """Look at its tables anew the next time."""
        self._schema.forget()
        self._details.forget()

    def read(
        self,
        plan: Plan,
        parameters: Mapping[str, Any],
        limits: Limits,
        *,
        begun: Callable[[ReadStream], None] | None = None,
    ) -> ReadStream:
        """Start a read whose rows are fetched as they are asked for, in a read-only transaction."""
        if self._bulk is not None:
            self.pin.ensure()
            bulk = self._bulk.read(plan, parameters, limits, self.pin.known, begun=begun)
            if bulk is not None:
                return bulk
        is_known = self.sizes.get(plan.sql) is not None
        started = time.monotonic()
        stream = self._stream(plan, parameters, limits)
        if begun is not None:
            begun(stream)
        stream.start()
        is_large = not is_known and self.sizes.get(plan.sql) is Size.LARGE
        if is_large and self._begins_anew and time.monotonic() - started < _SOON_S:
            # Many rows were there at once, so that to ask again costs little beside reading them in a better way.
            stream.close()
            return self.read(plan, parameters, limits, begun=begun)
        return stream

    @contextmanager
    def writing(self, limits: Limits) -> Iterator[ServerWriting]:
        """Open a transaction that may write; rows are locked as they are read by key."""
        with self._transaction(limits, "READ WRITE") as connection:
            session = self._session(connection)
            try:
                yield session
            finally:
                session.end()
            if session.is_committed:
                try:
                    connection.commit()
                except Exception as error:
                    raise self._translate(error) from error

    def ledger(self, change_ids: Sequence[str]) -> frozenset[str]:
        """Which of these changes were executed: those whose line cannot be added once more, which is not kept.

        A server goes on with a commit whose caller is gone. A query would not see its line; who adds it waits.
        """
        try:
            with self._transaction(Limits(), "READ WRITE") as connection:
                session = self._session(connection)
                return frozenset(id_ for id_ in change_ids if session.run(self._add_line, {"id": id_})[1] == 0)
        except LedgerMissing:
            return frozenset()

    def identity(self) -> str:
        """What the server says of itself now, on a connection apart."""
        try:
            with self._apart.connect() as connection:
                return self._identity_on(connection.connection.driver_connection)
        except SQLAlchemyError as error:
            raise self._unreachable() from error

    def close(self) -> None:
        """Give the pool's connections back, and end the workers."""
        if self._bulk is not None:
            self._bulk.close()
        self._database.dispose()
        self._catalogue.dispose()

    @abstractmethod
    def _begin(self, limits: Limits, mode: str) -> tuple[Any, Any]:
        """A pooled connection and the driver's own, in a transaction of that mode; raises SourceUnavailable."""

    @abstractmethod
    def _stream(self, plan: Plan, parameters: Mapping[str, Any], limits: Limits) -> BatchStream:
        """A read that does not run yet; raises SourceUnavailable."""

    @abstractmethod
    def _reading(self, pooled: Any, connection: Any, plan: Plan, parameters: Mapping[str, Any]) -> Driven:
        """A read on that connection, as a stream drives it."""

    @abstractmethod
    def _reading_within(self, connection: Any, plan: Plan, parameters: Mapping[str, Any]) -> Driven:
        """A read in a transaction that goes on after it."""

    @abstractmethod
    def _limit_time(self, connection: Any, seconds: float | None) -> None:
        """What the next statements of the transaction may take; None for what is usual."""

    @abstractmethod
    def _identity_on(self, connection: Any) -> str:
        """What the server says of itself on a connection of the driver's."""

    @abstractmethod
    def _translate(self, error: Exception) -> Exception:
        """The driver's error as ours; its text may carry values, so it is not repeated."""

    def _prepare_new(self, connection: Any) -> None:  # noqa: B027 - not every driver needs it
        """Set up a connection of the driver's that is new to the pool."""

    def _pooled(self) -> Any:
        """A connection of the pool, to the server that is known."""
        self.pin.ensure()
        try:
            return self._database.raw_connection()
        except (SQLAlchemyError, self._driver_error) as error:
            raise self._unreachable() from error

    def _ask(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """A question of the gate's own, read only."""
        with self._transaction(Limits(), "READ ONLY") as connection:
            return self._session(connection).run(query, parameters)[0]

    def _session(self, connection: Any) -> ServerWriting:
        return ServerWriting(connection, self._translate, self._reading_within, self._limit_time, self._others)

    @contextmanager
    def _others(self) -> Iterator[ServerWriting]:
        """Somebody who reads while another one writes."""
        with self._transaction(Limits(), "READ ONLY") as connection:
            session = self._session(connection)
            try:
                yield session
            finally:
                session.end()

    @contextmanager
    def _transaction(self, limits: Limits, mode: str) -> Iterator[Any]:
        """The driver's connection in a transaction, which is rolled back unless it was committed."""
        pooled, connection = self._begin(limits, mode)
        try:
            yield connection
        finally:
            try:
                if _is_open(connection):
                    connection.rollback()
            except self._driver_error:  # lost: the server rolls back by itself
                pooled.invalidate()
            finally:
                pooled.close()

    def _unreachable(self) -> SourceUnavailable:
        return SourceUnavailable(f"the source `{self.name}` cannot be reached")

    def _met(self, connection: Any, record: Any) -> None:
        self._prepare_new(connection)
        self._check(connection, record)

    def _check(self, connection: Any, _record: Any) -> None:
        try:
            self.pin.check(lambda: self._identity_on(connection))
        except BaseException:
            connection.close()
            raise


def _is_open(connection: Any) -> bool:
    """Whether the driver still has it open: PyMySQL says `open`, psycopg says `closed`."""
    return bool(connection.open) if hasattr(connection, "open") else not connection.closed
