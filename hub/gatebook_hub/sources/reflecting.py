"""Which tables does a database have, and did they change?"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine as Database
from sqlalchemy import inspect, text
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SQLAlchemyError

from gatebook_hub.model import Column, Engine, Schema, Table
from gatebook_hub.sources.source import LEDGER

K = TypeVar("K")
_FRESH_S = 30.0
_log = logging.getLogger(__name__)


def reflect(database: Database, *, source: str, engine: Engine, namespace: str | None) -> Schema:
    """Read the tables and views of one namespace from the database's own catalogue; our ledger is left out."""
    inspector = inspect(database)
    schema = namespace if engine is not Engine.SQLITE else None
    views = {*inspector.get_view_names(schema=schema)}
    if engine is Engine.POSTGRESQL:
        views |= {*inspector.get_materialized_view_names(schema=schema)}
    columns = _columns(inspector, schema, views)
    keys = inspector.get_multi_pk_constraint(schema=schema)
    invisible = _invisible(database, namespace) if engine is Engine.MARIADB and namespace else frozenset()
    # As `fold` looks them up: SQLite ignores the case of every name, MariaDB that of columns.
    of_table = str.lower if engine is Engine.SQLITE else str
    of_column = str if engine is Engine.POSTGRESQL else str.lower
    tables: dict[str, Table] = {}
    for (key_schema, found_name), found in columns.items():
        name = of_table(found_name)
        if name.lower() == LEDGER:
            continue
        constraint: Mapping[str, Any] = keys.get((key_schema, found_name)) or {}
        tables[name] = Table(
            name=name,
            key=tuple(of_column(part) for part in constraint.get("constrained_columns") or ()),
            columns=tuple(
                Column(
                    name=of_column(item["name"]),
                    type=_type_name(item["type"]),
                    nullable=bool(item["nullable"]),
                    is_generated="computed" in item,
                    declared=item["name"] if of_column(item["name"]) != item["name"] else None,
                    is_invisible=(found_name, item["name"]) in invisible,
                )
                for item in found
            ),
            is_view=found_name in views,
        )
    is_postgres = engine is Engine.POSTGRESQL and bool(namespace)
    shadowed = shadowed_in(database, namespace or "") if is_postgres else frozenset()
    callables = callables_of(database) if is_postgres else frozenset()
    version = fingerprint(tables)
    return Schema(
        source=source,
        engine=engine,
        version=version,
        tables=tables,
        namespace=namespace,
        shadowed=shadowed,
        callables=callables,
    )


def _invisible(database: Database, namespace: str) -> frozenset[tuple[str, str]]:
    """MariaDB's tables and columns that a `*` does not show."""
    asked = text(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = :namespace and extra like '%INVISIBLE%'"
    )
    with database.connect() as connection:
        return frozenset((row[0], row[1]) for row in connection.execute(asked, {"namespace": namespace}))


def callables_of(database: Database) -> frozenset[str]:
    """PostgreSQL's functions of one argument, which `t.f` may call, and its types that look into catalogues."""
    asked = text(
        "select lower(proname) from pg_proc where pronargs > 0 and pronargs - pronargdefaults < 2 "
        "union select lower(typname) from pg_type where typname like 'reg%'"
    )
    with database.connect() as connection:
        return frozenset(connection.execute(asked).scalars())


def shadowed_in(database: Database, namespace: str) -> frozenset[str]:
    """Functions of the namespace itself, and `pg_typeof` where it has types: the gate's session looks into neither."""
    functions = text("select distinct upper(proname) from pg_proc where pronamespace = to_regnamespace(:namespace)")
    types = text(
        "select 'PG_TYPEOF' from pg_type where typnamespace = to_regnamespace(:namespace) and typelem = 0 "
        "and (typrelid = 0 or typrelid in (select oid from pg_class where relkind = 'c')) limit 1"
    )
    with database.connect() as connection:
        found = [connection.execute(asked, {"namespace": namespace}).scalars() for asked in (functions, types)]
        return frozenset(name for names in found for name in names)


def _columns(inspector: Inspector, schema: str | None, views: Iterable[str]) -> dict[tuple[str | None, str], list[Any]]:
    """The columns of each table and view; one that the database itself cannot describe (its table is gone) is none."""
    found: dict[tuple[str | None, str], list[Any]] = {}
    try:
        found.update(inspector.get_multi_columns(schema=schema))
        rest = [*views]
    except SQLAlchemyError:
        rest = [*inspector.get_table_names(schema=schema), *views]
    for name in rest:
        try:
            found[schema, name] = inspector.get_columns(name, schema=schema)
        except SQLAlchemyError:
            _log.warning("`%s` cannot be described by its database and is left out", name)
    return found


def _type_name(kind: Any) -> str:
    """The engine's spelling; SQLite has tables with types that no dialect can write."""
    try:
        return str(kind).lower()
    except Exception:  # noqa: BLE001 - whatever it stumbles over, the table is there, and so is the type's name
        return type(kind).__name__.lower()


def fingerprint(tables: Mapping[str, Table]) -> str:
    """The version of a schema: another table, column, type or key is another version."""
    content = {
        name: [[column.name, column.type, column.nullable, column.is_generated] for column in table.columns]
        + [list(table.key), table.is_view]
        for name, table in tables.items()
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class SchemaCache(Generic[K]):
    """A schema that is read again when it is older than half a minute."""

    def __init__(self, load: Callable[[], K]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._known: K | None = None
        self._until = 0.0

    def forget(self) -> None:
        """Read it again for the next caller."""
        with self._lock:
            self._known = None

    def get(self) -> K:
        """The schema; the first caller after its time waits for the new one."""
        with self._lock:
            if self._known is None or time.monotonic() >= self._until:
                self._known = self._load()
                self._until = time.monotonic() + _FRESH_S
            return self._known
