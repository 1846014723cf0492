"""How does an engine alone answer a statement, and how does it answer what the gate sends instead?"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from steps import Step

from gatebook_hub.model import Engine, Schema
from gatebook_hub.sources import reflecting
from gatebook_hub.sql import Plan

MOST_ROWS = 50_000
SOURCE = "stock"
_WORD = re.compile(r"\w+|\"[^\"]+\"|`[^`]+`")


class Refused(Exception):
    """The engine refused a statement, or took too long; the text is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Names, types (as the driver tells them) and rows."""

    names: tuple[str, ...]
    types: tuple[Any, ...]
    rows: list[tuple[Any, ...]]


class Stock(Protocol):
    """One engine with a scratch database."""

    engine: Engine
    version: str
    time_s: int

    def fresh(self) -> None:
        """An empty database and a new session."""

    def reset(self) -> None:
        """A new session; for SQLite, an empty database."""

    def execute(self, step: Step) -> Answer | None:
        """Run a step for good; the answer if it has one. Raises Refused."""

    def again(self, step: Step) -> Answer | None:
        """Run a read a second time, in the session as the gate would find it."""

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """What is run inside leaves no trace."""

    def governed(self, plan: Plan, parameters: Mapping[str, Any]) -> Answer:
        """Run the gate's plan as the source does. Raises Refused."""

    def schema(self, words: frozenset[str]) -> Schema:
        """The tables that these words may name, as the source reflects them."""

    def changed(self) -> None:
        """The tables may be others now."""

    def kind_of(self, name: str) -> str:
        """What the engine itself knows under a relation's name: view, catalogue, …"""


class Reflected:
    """The product's own reflection, asked for the tables that a statement may name, and kept until they change."""

    def __init__(self, engine: Engine, database: Callable[[], Any], names: Callable[[], Sequence[str]]) -> None:
        self._engine = engine
        self._database = database
        self._list = names
        self._names: dict[str, str] | None = None
        self._known: dict[str, Any] = {}
        self._shadowed: frozenset[str] | None = None
        self._callables: frozenset[str] = frozenset()

    def forget(self) -> None:
        """What was known may be wrong now."""
        self._names = None
        self._known = {}
        self._shadowed = None

    def schema(self, words: frozenset[str], namespace: str) -> Schema:
        """The tables among these words."""
        if self._names is None:
            self._names = {name.lower(): name for name in self._list()}
        missing = sorted({self._names[word] for word in words if word in self._names} - self._known.keys())
        if missing:
            found = self._reflect(missing, namespace)
            self._known.update(dict.fromkeys(missing))
            self._known.update({name: table for name, table in found.tables.items() if table is not None})
        tables = {name: table for name, table in self._known.items() if table is not None}
        if self._shadowed is None:
            is_postgres = self._engine is Engine.POSTGRESQL
            if is_postgres and not self._callables:
                self._callables = reflecting.callables_of(self._database())
            self._shadowed = reflecting.shadowed_in(self._database(), namespace) if is_postgres else frozenset()
        return Schema(
            source=SOURCE,
            engine=self._engine,
            version="1",
            tables=tables,
            namespace=namespace,
            shadowed=self._shadowed,
            callables=self._callables,
        )

    def _reflect(self, names: list[str], namespace: str) -> Schema:
        inspect = reflecting.inspect
        reflecting.inspect = lambda database: _Narrow(inspect(database), names)  # type: ignore[assignment]
        try:
            return reflecting.reflect(self._database(), source=SOURCE, engine=self._engine, namespace=namespace)
        finally:
            reflecting.inspect = inspect


class _Narrow:
    """An inspector that looks at some tables only: thousands of reflections would take hours otherwise."""

    def __init__(self, inspector: Any, names: list[str]) -> None:
        self._inspector = inspector
        self._names = names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inspector, name)
        if not name.startswith("get_multi_"):
            return found
        return lambda *args, **kwargs: found(*args, filter_names=self._names, **kwargs)


def words_of(sql: str) -> frozenset[str]:
    """Every word that may be a table's name, in small letters."""
    return frozenset(word.strip('"`').lower() for word in _WORD.findall(sql))


def engine_on(url: str, connection: Any) -> Any:
    """SQLAlchemy on a connection that stays ours: it neither commits nor rolls back."""
    database = create_engine(url, creator=lambda: connection, poolclass=StaticPool, pool_reset_on_return=None)
    for name in ("do_rollback", "do_commit", "do_close", "do_terminate"):
        setattr(database.dialect, name, lambda *_: None)
    return database
