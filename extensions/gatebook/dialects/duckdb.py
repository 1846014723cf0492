"""gatebook+duckdb:// : a source on DuckDB.

It stands on SQLAlchemy's PostgreSQL dialect, as that of the package `duckdb-engine` does, and not on the latter: its
import opens a database in memory, its dialect changes what PostgreSQL's quotes, and what it adds is mostly reflection.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection, types
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.json import JSONIndexType, JSONPathType
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.engine.interfaces import BindTyping
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts

from gatebook.dialects import duckdb_migrations  # noqa: F401 - Alembic knows what is loaded
from gatebook.dialects.duckdb_types import INTERVAL, WHOLE, TypeWords, Whole
from gatebook.dialects.duckdb_words import Names, TableWords, Words
from gatebook.dialects.gate import GateDialect
from gatebook.dialects.postgresql import TextTime, TextUuid


class GatebookDuckDB(GateDialect, PGDialect):
    """DuckDB's words, the gate's answers."""

    name = "duckdb"
    supports_statement_cache = True
    statement_compiler = Words
    ddl_compiler = TableWords
    type_compiler_cls = TypeWords
    preparer = Names
    # PostgreSQL's own look at its catalogues, and ask its sequences.
    inspector: Any = Inspector
    execution_ctx_cls: Any = DefaultExecutionContext
    supports_native_decimal = True
    supports_native_enum = False
    # Constraints stand in the table; it takes no more of them later.
    supports_alter = False
    supports_comments = False
    supports_sequences = False
    supports_identity_columns = False
    preexecute_autoincrement_sequences = False
    insertmanyvalues_implicit_sentinel = InsertmanyvaluesSentinelOpts.NOT_SUPPORTED
    # A parameter has the type of its value.
    bind_typing = BindTyping.NONE
    div_is_floordiv = False
    type_names: ClassVar = {**vars(postgresql), **PGDialect.ischema_names, **WHOLE, "INTERVAL": INTERVAL}
    colspecs: ClassVar = {
        **PGDialect.colspecs,
        types.Integer: Whole,
        types.Interval: INTERVAL,
        postgresql.INTERVAL: INTERVAL,
        types.JSON: types.JSON,
        types.JSON.JSONIndexType: JSONIndexType,
        types.JSON.JSONPathType: JSONPathType,
        types.Uuid: TextUuid,
        types.Time: TextTime,
    }

    def initialize(self, connection: Connection) -> None:
        """What the engine's own dialect would ask its server for."""
        super().initialize(connection)
        self.supports_smallserial = False
        self.supports_virtual_generated_columns = True
        self._supports_create_index_concurrently = False
        self._supports_drop_index_concurrently = False
