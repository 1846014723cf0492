"""How does DuckDB's own parser read a text, and how does it spell it?

An empty database in memory, with nothing in its reach, is asked for `json_serialize_sql`, which runs nothing.
"""

from __future__ import annotations

from functools import lru_cache

import duckdb

from gatebook_hub.errors import NotParsed

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "256MB",
    "threads": "1",
}
_SERIALIZE = "SELECT json_serialize_sql(CAST($text AS VARCHAR))"
_SPELL = "SELECT json_deserialize_sql(json_serialize_sql(CAST($text AS VARCHAR)))"


def serialize(text: str) -> str:
    """The tree of a query as JSON, or JSON that says why there is none."""
    return _ask(_SERIALIZE, text)


def spell(text: str) -> str:
    """The query as DuckDB itself writes it: an unnamed column is called by its text there. Raises NotParsed."""
    return _ask(_SPELL, text)


def _ask(question: str, text: str) -> str:
    try:
        row = _database().cursor().execute(question, {"text": text}).fetchone()
    except (duckdb.Error, UnicodeError) as error:
        del error  # its text quotes the statement
        raise NotParsed("the database's own parser does not take the statement") from None
    return str(row[0]) if row else ""


@lru_cache(maxsize=1)
def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config=_CONFIG)
    connection.execute("SET lock_configuration = true")
    return connection
