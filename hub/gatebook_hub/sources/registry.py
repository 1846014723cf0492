"""Which governed databases are there, and how is each opened?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from gatebook_hub.errors import NotFound, PolicyInvalid
from gatebook_hub.model import Engine
from gatebook_hub.sources.duckdb import DuckdbSource
from gatebook_hub.sources.identity import Memory
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.placeholders import fill
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.source import Source
from gatebook_hub.sources.sqlite import SqliteSource

_SERVERS: Mapping[Engine, tuple[type[PostgresqlSource | MariadbSource], str]] = {
    Engine.POSTGRESQL: (PostgresqlSource, "postgresql+psycopg"),
    Engine.MARIADB: (MariadbSource, "mysql+pymysql"),
}


class Sources:
    """The open sources by name."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)
        self.memory: Memory | None = None

    def get(self, name: str) -> Source:
        """One source; raises NotFound."""
        found = self._sources.get(name)
        if found is None:
            raise NotFound(f"there is no source `{name}` that you may use")
        return found

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return iter(sorted(self._sources))

    def hold(self, memory: Memory) -> None:
        """Pin each source to the identity that is remembered for it."""
        self.memory = memory
        for source in self._sources.values():
            source.pin.hold(memory)

    def close(self) -> None:
        """Close all."""
        for source in self._sources.values():
            source.close()


def open_sources(declared: Mapping[str, tuple[Engine, str]], state: Path) -> Sources:
    """Open the declared sources (engine, URL with placeholders); raises PolicyInvalid for an unusable URL."""
    return Sources({name: _open(name, engine, url, state) for name, (engine, url) in declared.items()})


def _open(name: str, engine: Engine, url: str, state: Path) -> Source:
    filled = fill(f"the URL of source `{name}`", url, state)
    if engine in {Engine.SQLITE, Engine.DUCKDB}:
        prefix = f"{engine}:///"
        if not filled.startswith(prefix):
            raise PolicyInvalid(f"source `{name}`: the URL of such a source begins with `{prefix}`")
        path = Path(filled.removeprefix(prefix))
        return SqliteSource(name, path) if engine is Engine.SQLITE else DuckdbSource(name, path)
    try:
        return open_server(name, engine, filled, has_workers=True)
    except ArgumentError as error:
        raise PolicyInvalid(f"source `{name}`: its URL is not a database URL") from error


def open_server(name: str, engine: Engine, url: str, *, has_workers: bool = False) -> PostgresqlSource | MariadbSource:
    """A source over a database server; raises ArgumentError. With workers, they read what is large."""
    kind, driver = _SERVERS[engine]
    text = make_url(url).set(drivername=driver).render_as_string(hide_password=False)
    return kind(name, text, has_workers=has_workers)
