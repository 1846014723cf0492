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
from sqlalchemy import Enum, inspect, text
from sqlalchemy.engine.reflection import Inspector

from gatebook_hub.model import Column, Engine, Reference, Schema, Table
from gatebook_hub.sources.source import LEDGER

K = TypeVar("K")
_REACHING = frozenset({"CASCADE", "SET NULL", "SET DEFAULT", "C", "N", "D"})
# The table that is referred to, the one that refers, what a deletion and what a change does, the column.
_REFERENCES = {
    Engine.SQLITE: 'select r."table", t.name, r.on_delete, r.on_update, r."to" '
    "from sqlite_master t, pragma_foreign_key_list(t.name) r where t.type = 'table'",
    # What refers to a part of a table, or to a child, goes with rows of the whole.
    Engine.POSTGRESQL: "with recursive up (part, whole) as (select oid, oid from pg_class union "
    "select u.part, i.inhparent from up u join pg_inherits i on i.inhrelid = u.whole) select p.relname, "
    "case when c.relnamespace = p.relnamespace then c.relname else '(elsewhere)' end, "
    "k.confdeltype, k.confupdtype, a.attname from pg_constraint k join up on up.part = k.confrelid "
    "join pg_class p on p.oid = up.whole "
    "join pg_class c on c.oid = k.conrelid "
    "join pg_attribute a on a.attrelid = k.confrelid and a.attnum = any (k.confkey) "
    "where k.contype = 'f' and p.relnamespace = to_regnamespace(:namespace)",
    Engine.MARIADB: "select r.referenced_table_name, "
    "case when r.constraint_schema = r.unique_constraint_schema then r.table_name else '(elsewhere)' end, "
    "r.delete_rule, r.update_rule, k.referenced_column_name from information_schema.referential_constraints r "
    "join information_schema.key_column_usage k on k.constraint_schema = r.constraint_schema "
    "and k.constraint_name = r.constraint_name and k.table_name = r.table_name "
    "where r.unique_constraint_schema = :namespace",
}
# Tables, and what their database does at a write of them; of rules of PostgreSQL, those of tables.
_TRIGGERS = {
    Engine.SQLITE: "select tbl_name, name from sqlite_master where type = 'trigger'",
    Engine.POSTGRESQL: "select c.relname, t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid "
    "where not t.tgisinternal and t.tgenabled <> 'D' and c.relnamespace = to_regnamespace(:namespace) "
    "union select c.relname, r.rulename from pg_rewrite r join pg_class c on c.oid = r.ev_class "
    "where c.relkind in ('r', 'p') and r.ev_enabled <> 'D' and c.relnamespace = to_regnamespace(:namespace)",
    Engine.MARIADB: "select event_object_table, trigger_name from information_schema.triggers "
    "where trigger_schema = :namespace",
}
_FRESH_S = 30.0
# They look at the session's zone or formats, and are on the list of functions anyway.
_CONVERSIONS = (
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval", "text", "char", "name", "varchar", "bpchar"),
    *("bool", "numeric", "json", "jsonb", "xml"),
)
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
    parts = _parts(database, engine, namespace or "")
    cascades, followed = _references(database, engine, namespace or "")
    triggers = _triggers(database, engine, namespace or "")
    foreign_keys = (
        _foreign_keys(database) if engine is Engine.SQLITE else inspector.get_multi_foreign_keys(schema=schema)
    )
    invisible = _invisible(database, namespace) if engine is Engine.MARIADB and namespace else frozenset()
    # As `fold` looks them up: SQLite ignores the case of every name, MariaDB that of columns.
    of_table = str.lower if engine is Engine.SQLITE else str
    of_column = str if engine is Engine.POSTGRESQL else str.lower
    tables: dict[str, Table] = {}
    for (key_schema, found_name), found in columns.items():
        name = of_table(found_name)
        if name.lower() == LEDGER or (engine is Engine.SQLITE and found_name in parts):
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
                    is_enumeration=isinstance(item["type"], Enum),
                )
                for item in found
            ),
            is_view=found_name in views or found_name in parts,
            cascades=frozenset(cascades.get(name, ())),
            followed=frozenset(followed.get(name, ())),
            triggers=frozenset(triggers.get(name, ())),
            references=_following(foreign_keys.get((key_schema, found_name)) or (), of_table, of_column),
        )
    is_postgres = engine is Engine.POSTGRESQL and bool(namespace)
    shadowed = shadowed_in(database, engine, namespace or "")
    callables, intrusive = callables_of(database) if is_postgres else (frozenset(), frozenset())
    return Schema(
        source=source,
        engine=engine,
        version=fingerprint(tables, shadowed),
        tables=tables,
        namespace=namespace,
        shadowed=shadowed,
        callables=callables,
        intrusive=intrusive,
    )


def _invisible(database: Database, namespace: str) -> frozenset[tuple[str, str]]:
    """MariaDB's tables and columns that a `*` does not show."""
    asked = text(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = :namespace and extra like '%INVISIBLE%'"
    )
    with database.connect() as connection:
        return frozenset((row[0], row[1]) for row in connection.execute(asked, {"namespace": namespace}))


def callables_of(database: Database) -> tuple[frozenset[str], frozenset[str]]:
    """PostgreSQL's functions of one argument and its types, which `t.f` may call; and those of them that are intrusive.

    A function that always gives the same for the same value is not, nor is one that makes a date or a text of it.
    """
    functions = text(
        "select lower(proname), bool_and(provolatile = 'i' or pronamespace = 'pg_catalog'::regnamespace "
        "and proname = any (:conversions)) from pg_proc where pronargs > 0 and pronargs - pronargdefaults < 2 "
        "and not 'internal'::regtype = any (proargtypes) group by 1"
    )
    types = text(
        "select lower(typname), not (typname ~ '^_?(reg|acl|pg_)' or typrelid <> 0) from pg_type "
        "where typnamespace = 'pg_catalog'::regnamespace"
    )
    with database.connect() as connection:
        found = [tuple(row) for row in connection.execute(functions, {"conversions": list(_CONVERSIONS)})]
        found += [tuple(row) for row in connection.execute(types)]
    return frozenset(name for name, _ in found), frozenset(name for name, is_plain in found if not is_plain)


def shadowed_in(database: Database, engine: Engine, namespace: str) -> frozenset[str]:
    """Functions of the namespace itself: the owner's may do anything, under a name that is on the list."""
    asked = {
        Engine.POSTGRESQL: "select upper(proname) from pg_proc where pronamespace = to_regnamespace(:namespace)",
        Engine.MARIADB: "select upper(routine_name) from information_schema.routines where routine_schema = :namespace",
    }.get(engine)
    if asked is None:
        return frozenset()  # SQLite keeps none in its file; DuckDB is asked by its worker
    with database.connect() as connection:
        return frozenset(connection.execute(text(asked), {"namespace": namespace}).scalars())


def _parts(database: Database, engine: Engine, namespace: str) -> frozenset[str]:
    """Tables whose rows are another's: partitions and children on PostgreSQL, what full-text search keeps on SQLite."""
    children = text(
        "select relname from pg_inherits join pg_class on pg_class.oid = inhrelid "
        "where relnamespace = to_regnamespace(:namespace)"
    )
    virtual = text("select name from sqlite_master where type = 'table' and sql like 'create virtual table%'")
    with database.connect() as connection:
        match engine:
            case Engine.POSTGRESQL:
                return frozenset(connection.execute(children, {"namespace": namespace}).scalars())
            case Engine.SQLITE:
                names = frozenset(connection.execute(virtual).scalars())
                every = connection.execute(text("select name from sqlite_master where type = 'table'")).scalars()
                return names | {one for one in every if any(one.startswith(f"{name}_") for name in names)}
            case _:
                return frozenset()


def _references(database: Database, engine: Engine, namespace: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """What references do: by table, those that a deletion reaches, and the columns whose change is followed.

    A table of another namespace has a name that no table has.
    """
    asked = text(_REFERENCES[engine])
    given = {} if engine is Engine.SQLITE else {"namespace": namespace}
    fold_table = str.lower if engine is Engine.SQLITE else str
    fold_column = str if engine is Engine.POSTGRESQL else str.lower
    direct: dict[str, set[str]] = {}
    followed: dict[str, set[str]] = {}
    with database.connect() as connection:
        for referred, name, on_delete, on_update, column in connection.execute(asked, given):
            if str(on_delete).upper() in _REACHING:
                direct.setdefault(fold_table(referred), set()).add(fold_table(name))
            if str(on_update).upper() in _REACHING:
                # Without a name it is the primary key, which no write of the gate changes.
                followed.setdefault(fold_table(referred), set()).update([fold_column(column)] if column else [])
    every: dict[str, set[str]] = {}
    for table in direct:
        reached, waiting = set[str](), [table]
        while waiting:
            waiting += (more := direct.get(waiting.pop(), set()) - reached)
            reached |= more
        every[table] = reached
    return every, followed


def _foreign_keys(database: Database) -> dict[tuple[str | None, str], list[dict[str, Any]]]:
    """SQLite's own list of them, in the inspector's form, which leaves out what is declared with a column."""
    asked = (
        'select t.name, r.id, r."table", r."from", r."to", r.on_delete '
        "from sqlite_master t, pragma_foreign_key_list(t.name) r where t.type = 'table' order by t.name, r.id, r.seq"
    )
    keys = "select name from pragma_table_info(:table) where pk > 0 order by pk"
    found: dict[tuple[str, int], dict[str, Any]] = {}
    with database.connect() as connection:
        for name, number, referred, here, there, on_delete in connection.execute(text(asked)):
            item = found.setdefault(
                (name, number),
                {
                    "constrained_columns": [],
                    "referred_table": referred,
                    "referred_columns": [],
                    "options": {"ondelete": on_delete},
                },
            )
            item["constrained_columns"].append(here)
            if there is not None:
                item["referred_columns"].append(there)
        for item in found.values():
            if not item["referred_columns"]:  # the primary key is meant
                item["referred_columns"] = list(
                    connection.execute(text(keys), {"table": item["referred_table"]}).scalars()
                )
    by_table: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
    for (name, _), item in found.items():
        by_table.setdefault((None, name), []).append(item)
    return by_table


def _following(
    foreign_keys: Iterable[Any], of_table: Callable[[str], str], of_column: Callable[[str], str]
) -> tuple[Reference, ...]:
    """The references of one table to rows that its own rows follow when those are deleted."""
    found = []
    for item in foreign_keys:
        action = str(item["options"].get("ondelete") or "").upper()
        if action in _REACHING:
            found.append(
                Reference(
                    columns=tuple(map(of_column, item["constrained_columns"])),
                    table=of_table(item["referred_table"]),
                    key=tuple(map(of_column, item["referred_columns"])),
                    is_cascade=action == "CASCADE",
                )
            )
    return tuple(found)


def _triggers(database: Database, engine: Engine, namespace: str) -> dict[str, set[str]]:
    """By table, the names of its triggers and rules; MariaDB tells an account of those alone that it may see."""
    given = {} if engine is Engine.SQLITE else {"namespace": namespace}
    fold = str.lower if engine is Engine.SQLITE else str
    found: dict[str, set[str]] = {}
    with database.connect() as connection:
        for table, name in connection.execute(text(_TRIGGERS[engine]), given):
            found.setdefault(fold(table), set()).add(name)
    return found


def _columns(inspector: Inspector, schema: str | None, views: Iterable[str]) -> dict[tuple[str | None, str], list[Any]]:
    """The columns of each table and view; one that the database itself cannot describe (its table is gone) is none."""
    found: dict[tuple[str | None, str], list[Any]] = {}
    try:
        found.update(inspector.get_multi_columns(schema=schema))
        rest = [*views]
    except Exception:  # noqa: BLE001 - as below
        rest = [*inspector.get_table_names(schema=schema), *views]
    for name in rest:
        try:
            found[schema, name] = inspector.get_columns(name, schema=schema)
        except Exception:  # noqa: BLE001 - whatever it stumbles over, the other tables are there
            _log.warning("`%s` cannot be described by its database and is left out", name)
    return found


def _type_name(kind: Any) -> str:
    """The engine's spelling; SQLite has tables with types that no dialect can write."""
    try:
        return str(kind).lower()
    except Exception:  # noqa: BLE001 - whatever it stumbles over, the table is there, and so is the type's name
        return type(kind).__name__.lower()


def fingerprint(tables: Mapping[str, Table], shadowed: Iterable[str] = ()) -> str:
    """The version of a schema: another table, column, type, key or function of its own is another version."""
    content: dict[str, Any] = {
        name: [[column.name, column.type, column.nullable, column.is_generated] for column in table.columns]
        + [list(table.key), table.is_view, sorted(table.cascades), sorted(table.followed), sorted(table.triggers)]
        for name, table in tables.items()
    }
    content["functions "] = sorted(shadowed)
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
