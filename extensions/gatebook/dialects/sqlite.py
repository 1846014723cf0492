"""gatebook+sqlite:// : a source on SQLite."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect

import gatebook.dbapi
from gatebook.dialects.gate import GateCompiler, GateDialect

# The least that a gateway has: it is the dialect's way to ask what the engine can do.
_LEAST_VERSION = (3, 35, 0)


class _Compiler(GateCompiler, SQLiteCompiler):
    """Its words, with the gate's names of parameters."""


class GatebookSQLite(GateDialect, SQLiteDialect):
    """SQLite's words, the gate's answers."""

    name = "sqlite"
    supports_statement_cache = True
    statement_compiler = _Compiler
    supports_native_boolean = False
    max_identifier_length = 63
    favor_returning_over_lastrowid = True
    type_names: ClassVar = {**vars(sqlite), **SQLiteDialect.ischema_names}

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """The driver, with the version that SQLAlchemy looks for in it."""
        found = ModuleType(gatebook.dbapi.__name__)
        vars(found).update(vars(gatebook.dbapi), sqlite_version_info=_LEAST_VERSION)
        return found
