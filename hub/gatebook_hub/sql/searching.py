"""Which statements find records by what somebody typed? Text that is parsed, decided and rewritten like anybody's."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from gatebook_hub.model import Engine, Table
from gatebook_hub.sql.dialects import dialect_of

ESCAPE = "!"


def search_text(table: Table, shown: Sequence[str], columns: Sequence[str], limit: int, engine: Engine) -> str:
    """The records of which a column, in small letters, is like the parameter `wanted`: their keys and what is shown."""
    found = (f"LOWER({_quoted(name, engine)}) LIKE :wanted ESCAPE '{ESCAPE}'" for name in columns)
    return _selecting(table, shown, " OR ".join(found), limit, engine)


def lookup_text(table: Table, column: str, limit: int, engine: Engine) -> str:
    """The keys of the records of which a column is the parameter `wanted`, whatever its letters' case is."""
    where = f"LOWER({_quoted(column, engine)}) = :wanted"
    return _selecting(table, (), where, limit, engine)


def record_text(table: Table, shown: Sequence[str], limit: int, engine: Engine) -> str:
    """The record whose key is `k0`, `k1` and so on: its key and what is shown."""
    parts = (f"{_quoted(part, engine)} = :k{index}" for index, part in enumerate(table.key))
    return _selecting(table, shown, " AND ".join(parts), limit, engine)


def like(text: str, match: str) -> str:
    """The pattern by which a text is found: it `begins`, is contained, or is the whole; in small letters."""
    escaped = text.lower()
    for sign in (ESCAPE, "%", "_"):
        escaped = escaped.replace(sign, ESCAPE + sign)
    return {"begins": f"{escaped}%", "contains": f"%{escaped}%"}.get(match, escaped)


def _selecting(table: Table, shown: Sequence[str], where: str, limit: int, engine: Engine) -> str:
    names = list(dict.fromkeys([*table.key, *shown]))
    columns = ", ".join(_quoted(name, engine) for name in names)
    order = ", ".join(_quoted(name, engine) for name in table.key)
    return f"SELECT {columns} FROM {_quoted(table.name, engine)} WHERE {where} ORDER BY {order} LIMIT {int(limit)}"  # noqa: S608 - quoted names


def _quoted(name: str, engine: Engine) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect_of(engine))
