"""In which dialect is a source's SQL read and written?"""

from __future__ import annotations

import logging
from typing import ClassVar

from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.mysql import MySQL
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.sqlite import SQLite

from gatebook_hub.model import Engine

# It would write texts of statements, with the values in them, into the log.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


class GatedSQLite(SQLite):
    """SQLite written with backticks: an unknown name in double quotes would silently become a string there."""

    class Tokenizer(SQLite.Tokenizer):
        """Backtick first, so that the generator uses it."""

        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`", '"', ("[", "]")]


_DIALECTS: dict[Engine, type[Dialect]] = {
    Engine.SQLITE: GatedSQLite,
    Engine.POSTGRESQL: Postgres,
    Engine.MARIADB: MySQL,
}


def dialect_of(engine: Engine) -> type[Dialect]:
    """The sqlglot dialect of an engine."""
    return _DIALECTS[engine]


def fold(name: str, engine: Engine, *, is_quoted: bool) -> str:
    """A table or column name as the engine itself would look it up (SQLite and MariaDB columns ignore case)."""
    if engine is Engine.POSTGRESQL and is_quoted:
        return name
    return name.lower()
