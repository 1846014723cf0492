"""What do all dialects of the gate have alike: the driver, the address, transactions, no catalogue of the engine?"""

from __future__ import annotations

import hashlib
import re
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, exc
from sqlalchemy.engine import URL
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import SQLCompiler

import gatebook.dbapi
from gatebook.dialects.reflection import GateReflection

_LEVELS = ("AUTOCOMMIT", "READ COMMITTED")
_LOST = ("GB-509", "GB-902")


_LONGEST = 40
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class GateCompiler(SQLCompiler):
    """Before the engine's own compiler among the ancestors: parameters have names that the gate reads."""

    def bindparam_string(self, name: str, *, escaped_from: str | None = None, **kw: Any) -> str:
        """A parameter; one whose name has signs, or begins with a digit, gets another."""
        if not _PLAIN.fullmatch(name):
            # With every sign spelled out, so that no two names become one.
            plain = re.sub(r"[^A-Za-z0-9]", lambda sign: f"_{ord(sign[0]):x}_", name)
            if len(plain) > _LONGEST:
                plain = plain[:_LONGEST] + hashlib.sha256(name.encode()).hexdigest()[:12]
            escaped_from, name = escaped_from or name, f"e_{plain}"
        return super().bindparam_string(name, escaped_from=escaped_from, **kw)


class GateDialect(GateReflection):
    """Before the engine's own dialect among the ancestors."""

    driver = "gatebook"
    default_paramstyle = "named"
    supports_statement_cache = True
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = True
    supports_sane_rowcount_returning = True
    supports_native_boolean = True
    supports_constraint_comments = False

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """The driver."""
        return gatebook.dbapi

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """The source, and where the gate is if not where the environment says; raises ArgumentError."""
        if not url.database:
            message = "the URL names no source: `gatebook+postgresql:///chinook`"
            raise exc.ArgumentError(message)
        given = dict(url.query)
        arguments: dict[str, Any] = {name: given.pop(name) for name in ("reason", "purpose") if name in given}
        is_tls = given.pop("tls", "0") not in {"0", "no", "false"}
        if given:
            message = f"`{next(iter(given))}` is nothing that the URL of a source says"
            raise exc.ArgumentError(message)
        if url.host:
            port = f":{url.port}" if url.port else ""
            arguments["url"] = f"{'https' if is_tls else 'http'}://{url.host}{port}"
        if url.password:
            arguments["token"] = str(url.password)
        return [url.database], arguments

    def initialize(self, connection: Connection) -> None:
        """What the engine's own dialect would ask its catalogue for."""
        described = connection.connection.driver_connection.describe()  # type: ignore[union-attr]
        self._described = described
        DefaultDialect.initialize(self, connection)

    def _get_server_version_info(self, connection: Connection) -> tuple[int, ...]:
        del connection
        return tuple(self._described["server_version"])

    def _get_default_schema_name(self, connection: Connection) -> str | None:
        del connection
        return str(self._described["namespace"]) if self._described["namespace"] else None

    def get_isolation_level_values(self, dbapi_connection: Any) -> list[str]:
        """The levels that there are."""
        del dbapi_connection
        return list(_LEVELS)

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """Each statement alone, or together until a commit."""
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """The level that is set."""
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "READ COMMITTED"

    def get_default_isolation_level(self, dbapi_conn: Any) -> Any:
        """Reads see what is committed."""
        del dbapi_conn
        return "READ COMMITTED"

    def reset_isolation_level(self, dbapi_conn: Any) -> None:
        """As it was."""
        self.set_isolation_level(dbapi_conn, self._on_connect_isolation_level or "READ COMMITTED")

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Whether each statement stands alone."""
        return bool(dbapi_conn.autocommit)

    def do_begin(self, dbapi_connection: Any) -> None:
        """Do nothing: a transaction begins with its first write."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Commit."""
        dbapi_connection.commit()

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Roll back."""
        dbapi_connection.rollback()

    def do_close(self, dbapi_connection: Any) -> None:
        """Close."""
        dbapi_connection.close()

    def do_savepoint(self, connection: Connection, name: str) -> None:
        """Set a savepoint."""
        connection.connection.driver_connection.savepoint(name)  # type: ignore[union-attr]

    def do_rollback_to_savepoint(self, connection: Connection, name: str) -> None:
        """Roll back to one."""
        connection.connection.driver_connection.rollback_to(name)  # type: ignore[union-attr]

    def do_release_savepoint(self, connection: Connection, name: str) -> None:
        """Release one."""
        connection.connection.driver_connection.release(name)  # type: ignore[union-attr]

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Whether the gate answers."""
        dbapi_connection.gate.get("me")
        return True

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Whether what the connection held is gone."""
        del connection, cursor
        return getattr(e, "code", None) in _LOST

    def on_connect(self) -> None:
        """Nothing to set: the gateway pins its sessions."""
