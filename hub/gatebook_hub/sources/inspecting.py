"""What does a database say of its tables in detail: types, defaults, keys, references, indexes, checks?

For drivers that reflect. SQLAlchemy's own inspector asks; its answers become plain data, types included.
"""

from __future__ import annotations

import inspect as signatures
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import inspect
from sqlalchemy.engine.reflection import Inspector, ObjectKind
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from gatebook_hub.model import Engine
from gatebook_hub.sources.source import LEDGER

Plain = dict[str, Any]
_KINDS = {"view": ObjectKind.VIEW, "materialized_view": ObjectKind.MATERIALIZED_VIEW, "table": ObjectKind.TABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDetail:
    """One table as its database describes it; names as the database spells them, values as JSON has them."""

    name: str
    kind: str
    columns: Sequence[Plain]
    comment: str | None = None
    key: Plain = field(default_factory=dict)
    references: Sequence[Plain] = ()
    indexes: Sequence[Plain] = ()
    unique: Sequence[Plain] = ()
    checks: Sequence[Plain] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The tables of one namespace, and the server's version."""

    server_version: tuple[int, ...]
    tables: tuple[TableDetail, ...]


def details_of(database: Database, engine: Engine, namespace: str | None) -> Details:
    """Ask the database; raises SQLAlchemyError."""
    schema = namespace if engine is not Engine.SQLITE else None
    with database.connect() as connection:
        inspector = inspect(connection)
        found: list[TableDetail] = []
        for kind, of_kind in _KINDS.items():
            if of_kind is ObjectKind.MATERIALIZED_VIEW and engine is not Engine.POSTGRESQL:
                continue
            found += _tables(inspector, schema, kind, of_kind)
        version = connection.dialect.server_version_info or ()
    return Details(server_version=tuple(part for part in version if isinstance(part, int)), tables=tuple(found))


def _tables(inspector: Inspector, schema: str | None, kind: str, of_kind: ObjectKind) -> list[TableDetail]:
    def ask(method: str) -> Mapping[str, Any]:
        asked: Callable[..., Mapping[Any, Any]] = getattr(inspector, method)
        try:
            return {name: value for (_, name), value in asked(schema=schema, kind=of_kind).items()}
        except (SQLAlchemyError, NotImplementedError):
            return {}  # one that the database itself cannot describe

    columns = ask("get_multi_columns")
    keys, references = ask("get_multi_pk_constraint"), ask("get_multi_foreign_keys")
    indexes, unique = ask("get_multi_indexes"), ask("get_multi_unique_constraints")
    checks, comments = ask("get_multi_check_constraints"), ask("get_multi_table_comment")
    return [
        TableDetail(
            name=name,
            kind=kind,
            columns=[_column(item) for item in found],
            comment=(comments.get(name) or {}).get("text"),
            key=_plain(keys.get(name) or {}),
            references=[_plain(item) for item in references.get(name) or ()],
            indexes=[_plain(item) for item in indexes.get(name) or ()],
            unique=[_plain(item) for item in unique.get(name) or ()],
            checks=[_plain(item) for item in checks.get(name) or ()],
        )
        for name, found in columns.items()
        if name.lower() != LEDGER
    ]


def _column(item: Mapping[str, Any]) -> Plain:
    return {**_plain({name: value for name, value in item.items() if name != "type"}), "type": plain_type(item["type"])}


def plain_type(kind: TypeEngine[Any]) -> Plain:
    """A type as its class and the arguments that made it; the other side builds it anew."""
    arguments: Plain = {}
    for ancestor in type(kind).__mro__:
        if "__init__" not in vars(ancestor) or not issubclass(ancestor, TypeEngine):
            continue
        for name in signatures.signature(ancestor.__init__).parameters:
            value = getattr(kind, name, None)
            if isinstance(value, TypeEngine):
                arguments.setdefault(name, {"type": plain_type(value)})
            elif isinstance(value, str | int | float) and name != "self":
                arguments.setdefault(name, value)
    enums = getattr(kind, "enums", None)
    values = [str(value) for value in enums] if enums else None
    return {"name": type(kind).__name__, "args": arguments, **({"values": values} if values else {})}


def _plain(value: Any) -> Any:
    """What JSON holds; the rest is left out."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return None
