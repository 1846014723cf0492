"""gatebook+postgresql:// : a source on PostgreSQL."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from sqlalchemy import Connection, types
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.engine.interfaces import BindTyping
from sqlalchemy.types import TypeEngine

from gatebook.dialects.gate import GateCompiler, GateDialect


def _cast(base: type[TypeEngine[Any]]) -> type[TypeEngine[Any]]:
    """The type with its parameters written as `:name::type`, so that the server need not guess."""
    return type(base.__name__, (base,), {"render_bind_cast": True, "__module__": base.__module__})


class TextUuid(types.Uuid[Any]):
    """Arrives as text."""

    render_bind_cast = True

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any] | None:
        """It becomes one of Python's."""
        if not self.native_uuid:
            inherited: Any = super().result_processor
            return inherited(dialect, coltype)
        kind = uuid.UUID if self.as_uuid else str
        return lambda value: None if value is None else kind(str(value))


class TextTime(types.Time):
    """One with a zone arrives as text."""

    render_bind_cast = True

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any] | None:
        """As above."""
        del dialect, coltype
        return lambda value: dt.time.fromisoformat(value) if isinstance(value, str) else value


_CASTS = (
    types.String,
    types.Date,
    types.DateTime,
    types.Integer,
    types.SmallInteger,
    types.BigInteger,
    types.Boolean,
    types.LargeBinary,
)


class GatePGCompiler(GateCompiler, PGCompiler):
    """Its words, with the gate's names of parameters."""

    def limit_clause(self, select: Any, **kw: Any) -> str:
        """Without `limit all`, which says nothing."""
        return str(super().limit_clause(select, **kw)).replace("\n LIMIT ALL OFFSET", "\n OFFSET", 1)  # type: ignore[no-untyped-call]


class GatebookPostgreSQL(GateDialect, PGDialect):
    """PostgreSQL's words, the gate's answers."""

    name = "postgresql"
    supports_statement_cache = True
    statement_compiler = GatePGCompiler
    supports_native_decimal = True
    # Types are not made through the gate: an enumeration of SQLAlchemy's is a text with a check.
    supports_native_enum = False
    bind_typing = BindTyping.RENDER_CASTS
    type_names: ClassVar = {**vars(postgresql), **PGDialect.ischema_names}
    colspecs: ClassVar = {
        **PGDialect.colspecs,
        **{base: _cast(base) for base in _CASTS},
        types.Uuid: TextUuid,
        types.Time: TextTime,
    }

    def initialize(self, connection: Connection) -> None:
        """What depends on the server's version."""
        super().initialize(connection)
        version = self.server_version_info or (0,)
        self.supports_smallserial = True
        self.supports_identity_columns = version >= (10,)
        self._backslash_escapes = False
        self._supports_jsonb_subscripting = version >= (14,)
        self._supports_drop_index_concurrently = False
        self.supports_virtual_generated_columns = version >= (18,)
