"""gatebook+mysql:// : a source on MariaDB."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Connection
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.base import MySQLCompiler, MySQLDialect
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect

from gatebook.dialects.gate import GateCompiler, GateDialect

_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


class _Compiler(GateCompiler, MySQLCompiler):
    """Its words, with the gate's names of parameters."""


class GatebookMariaDB(GateDialect, MariaDBDialect):
    """MariaDB's words, the gate's answers."""

    name = "mariadb"
    supports_statement_cache = True
    statement_compiler = _Compiler
    supports_native_boolean = False
    supports_native_decimal = True
    type_names: ClassVar = {**vars(mysql), **MySQLDialect.ischema_names}

    def initialize(self, connection: Connection) -> None:
        """What the engine's own dialect would ask for, as the gateway pins it."""
        self._connection_charset = "utf8mb4"
        super().initialize(connection)
        self._initialize_mariadb(connection)
        self._sql_mode = _MODE
        self._server_ansiquotes = False
        self._backslash_escapes = True
        self._casing = 0
        self.supports_sequences = False
        self._warn_for_mysql_on_mariadb = False

    def _get_default_schema_name(self, connection: Connection) -> str:
        return str(super()._get_default_schema_name(connection))

    def _extract_error_code(self, exception: Any) -> int | None:
        del exception
        return None
