"""How does a type that the gateway describes become one of SQLAlchemy's?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import types
from sqlalchemy.types import TypeEngine


def type_of(described: Mapping[str, Any], known: Mapping[str, Any]) -> TypeEngine[Any]:
    """The type by its class's name, of those that the dialect or SQLAlchemy knows; `NullType` for any other."""
    kind = _class(str(described.get("name", "")), known)
    if kind is None:
        return types.NULLTYPE
    arguments = {name: _argument(value, known) for name, value in dict(described.get("args") or {}).items()}
    values = described.get("values")
    if not values and issubclass(kind, types.Enum):
        return types.String()  # its values are not told, and what arrives may be masked
    try:
        return kind(*values, **_only(arguments, "name")) if values else kind(**arguments)
    except TypeError:
        return _plainly(kind, arguments)


def _plainly(kind: type[TypeEngine[Any]], arguments: Mapping[str, Any]) -> TypeEngine[Any]:
    """With fewer and fewer arguments, until the class takes them."""
    for names in (("length", "collation"), ("length",), ("precision", "scale"), ("precision",), ("item_type",), ()):
        try:
            return kind(**_only(arguments, *names))
        except TypeError:
            continue
    return types.NULLTYPE


def _class(name: str, known: Mapping[str, Any]) -> type[TypeEngine[Any]] | None:
    found = known.get(name) or getattr(types, name, None)
    return found if isinstance(found, type) and issubclass(found, TypeEngine) else None


def _argument(value: Any, known: Mapping[str, Any]) -> Any:
    return type_of(value["type"], known) if isinstance(value, Mapping) and "type" in value else value


def _only(arguments: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: arguments[name] for name in names if arguments.get(name) is not None}
