"""How does the demo database come to be? Whole or not at all, and never over something that is already there."""

from __future__ import annotations

import os
import tempfile
from datetime import date
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from gatebook_hub.demo.calendar import TODAY, move_calendar
from gatebook_hub.demo.desk import staff_desk
from gatebook_hub.demo.errors import DatabaseNotBuilt, DatabaseOccupied
from gatebook_hub.demo.fixture import Rows
from gatebook_hub.demo.tables import ARTIST, METADATA


def build(target: str | URL | Engine, rows: Rows, today: date = TODAY) -> bool:
    """Make the demo database in `target` and say whether it was made: one that is complete is left as it is.

    An SQLite file appears at once, readable by its owner alone. Raises DatabaseOccupied, DatabaseNotBuilt.
    """
    url = target.url if isinstance(target, Engine) else make_url(target)
    stock = staff_desk(move_calendar(rows, today))
    try:
        if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
            return _build_file(Path(str(url.database)), stock)
        if isinstance(target, Engine):
            return _build_in(target, stock)
        engine = create_engine(url, poolclass=NullPool)
        try:
            return _build_in(engine, stock)
        finally:
            engine.dispose()
    except SQLAlchemyError as exc:
        raise DatabaseNotBuilt(url.render_as_string(hide_password=True), type(exc).__name__) from exc


def _build_file(path: Path, stock: Rows) -> bool:
    if path.exists():
        _require_complete(path)
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600 from its first moment
    os.close(handle)
    try:
        engine = _file_engine(Path(name))
        _build_in(engine, stock)
        engine.dispose()
        # A link, for unlike a rename it does not replace what somebody else made meanwhile.
        Path(path).hardlink_to(name)
    except FileExistsError:
        _require_complete(path)
        return False
    finally:
        Path(name).unlink()
    _sync_folder(path.parent)
    return True


def _require_complete(path: Path) -> None:
    if path.stat().st_size == 0:
        raise DatabaseOccupied(str(path), "it is an empty file")
    try:
        with _file_engine(path).connect() as connection:
            complete = _is_complete(connection)
    except DatabaseError as exc:
        raise DatabaseOccupied(str(path), "it cannot be read as a database") from exc
    if not complete:
        raise DatabaseOccupied(str(path), "it is another database")


def _file_engine(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def keep_foreign_keys(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    return engine


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _build_in(engine: Engine, stock: Rows) -> bool:
    with engine.begin() as connection:
        if _is_complete(connection):
            return False
        # MariaDB commits at each CREATE, so an interrupted build may leave tables there, but empty ones: all rows
        # arrive in one transaction, and the next build takes over.
        METADATA.create_all(connection)
        for table in METADATA.sorted_tables:
            connection.execute(table.insert(), stock[table.name])
        if connection.dialect.name == "postgresql":
            _count_on_from_here(connection)
    return True


def _is_complete(connection: Connection) -> bool:
    """Whether all tables are there and filled. Raises DatabaseOccupied where their names serve something else."""
    present = set(inspect(connection).get_table_names()) & set(METADATA.tables)
    if len(present) == len(METADATA.tables) and connection.scalar(select(select(ARTIST.c.artistid).exists())):
        return True
    quote = connection.dialect.identifier_preparer.quote
    for name in sorted(present):
        if connection.scalar(text(f"SELECT 1 FROM {quote(name)} LIMIT 1")):  # noqa: S608  (one of our own names)
            place = connection.engine.url.render_as_string(hide_password=True)
            raise DatabaseOccupied(place, f"its table `{name}` has rows, but the rest of the demo is missing")
    return False


def _count_on_from_here(connection: Connection) -> None:
    """PostgreSQL does not notice keys that rows brought along."""
    for table in METADATA.sorted_tables:
        key = table.autoincrement_column
        if key is not None:
            newest = select(func.max(key)).scalar_subquery()
            connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, key.name), newest)))
