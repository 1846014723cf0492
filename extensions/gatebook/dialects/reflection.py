"""How does a dialect reflect? It asks the gate, which describes what its user may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exc
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.reflection import ReflectionDefaults

from gatebook.dialects.types import type_of

Plain = dict[str, Any]


class GateReflection(DefaultDialect):
    """The inspector's questions; before the engine's own dialect among the ancestors, whose catalogues stay closed."""

    type_names: Mapping[str, Any]

    def get_schema_names(self, connection: Connection, **_: Any) -> list[str]:
        """The one namespace that the source has."""
        return [str(self.default_schema_name)] if self.default_schema_name else []

    def get_table_names(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[str]:
        """The tables."""
        return self._names(connection, schema, "table", kw)

    def get_view_names(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[str]:
        """The views."""
        return self._names(connection, schema, "view", kw)

    def get_materialized_view_names(self, connection: Connection, schema: str | None = None, **kw: Any) -> list[str]:
        """The materialised views."""
        return self._names(connection, schema, "materialized_view", kw)

    def get_temp_table_names(self, connection: Connection, schema: str | None = None, **_: Any) -> list[str]:
        """None: no statement of the gate leaves one behind."""
        return []

    def get_temp_view_names(self, connection: Connection, schema: str | None = None, **_: Any) -> list[str]:
        """None, as above."""
        return []

    def get_sequence_names(self, connection: Connection, schema: str | None = None, **_: Any) -> list[str]:
        """None: the gate speaks of tables."""
        return []

    def get_enums(self, connection: Connection, schema: str | None = None, **_: Any) -> list[Plain]:
        """None: the gate speaks of tables, and tells an enum's values with its column."""
        return []

    def get_view_definition(self, connection: Connection, view_name: str, schema: str | None = None, **_: Any) -> str:
        """What a view is made of is not told."""
        raise exc.NoSuchTableError(f"the gate does not tell what `{view_name}` is made of")

    def has_table(self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        """Whether there is a table or view that its user may see."""
        return self._is_ours(schema) and table_name in self._tables(connection, kw)

    def has_multi_table(
        self, connection: Connection, table_names: Sequence[str], schema: str | None = None, **kw: Any
    ) -> list[tuple[tuple[str | None, str], bool]]:
        """Which of them there are."""
        known = self._tables(connection, kw) if self._is_ours(schema) else {}
        return [((schema, name), name in known) for name in table_names]

    def has_schema(self, connection: Connection, schema_name: str, **_: Any) -> bool:
        """Whether it is the one that the source has."""
        return schema_name in self.get_schema_names(connection)

    def has_type(self, connection: Connection, type_name: str, schema: str | None = None, **_: Any) -> bool:
        """No: the gate speaks of tables."""
        return False

    def has_index(
        self, connection: Connection, table_name: str, index_name: str, schema: str | None = None, **kw: Any
    ) -> bool:
        """Whether the table has the index."""
        found = self._tables(connection, kw).get(table_name) if self._is_ours(schema) else None
        return any(item["name"] == index_name for item in found["indexes"]) if found else False

    def has_sequence(self, connection: Connection, sequence_name: str, schema: str | None = None, **_: Any) -> bool:
        """No: the gate speaks of tables."""
        return False

    def get_columns(self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any) -> list[Plain]:
        """The columns, with their types."""
        found = self._table(connection, table_name, schema, kw)["columns"]
        return [{"default": None, **item, "type": type_of(item["type"], self.type_names)} for item in found]

    def get_pk_constraint(self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any) -> Plain:
        """The primary key."""
        found = self._table(connection, table_name, schema, kw)["key"]
        return _constraint(found) if found else ReflectionDefaults.pk_constraint()

    def get_foreign_keys(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Plain]:
        """References to tables that the user may see."""
        found = self._table(connection, table_name, schema, kw)["references"]
        return [{**_constraint(item), "referred_schema": schema} for item in found]

    def get_indexes(self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any) -> list[Plain]:
        """The indexes."""
        return [_index(item) for item in self._table(connection, table_name, schema, kw)["indexes"]]

    def get_unique_constraints(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Plain]:
        """The unique constraints."""
        return [_constraint(item) for item in self._table(connection, table_name, schema, kw)["unique"]]

    def get_check_constraints(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Plain]:
        """The checks, for whoever sees the whole table."""
        return [_constraint(item) for item in self._table(connection, table_name, schema, kw)["checks"]]

    def get_table_comment(self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any) -> Plain:
        """The comment."""
        return {"text": self._table(connection, table_name, schema, kw)["comment"]}

    def get_table_options(self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any) -> Plain:
        """None that concern anybody."""
        self._table(connection, table_name, schema, kw)
        return {}

    def _names(self, connection: Connection, schema: str | None, kind: str, kw: Plain) -> list[str]:
        if not self._is_ours(schema):
            return []
        return [name for name, item in self._tables(connection, kw).items() if item["kind"] == kind]

    def _table(self, connection: Connection, name: str, schema: str | None, kw: Plain) -> Plain:
        found = self._tables(connection, kw).get(name) if self._is_ours(schema) else None
        if found is None:
            raise exc.NoSuchTableError(f"{schema}.{name}" if schema else name)
        return found

    def _is_ours(self, schema: str | None) -> bool:
        return schema is None or schema == self.default_schema_name

    def _tables(self, connection: Connection, kw: Plain) -> dict[str, Plain]:
        """The gate's answer, which an inspector asks for once."""
        cache = kw.get("info_cache")
        known: dict[str, Plain] | None = cache.get("gatebook") if cache is not None else None
        if known is None:
            document = connection.connection.driver_connection.describe()  # type: ignore[union-attr]
            known = {str(item["name"]): item for item in document["tables"]}
            if cache is not None:
                cache["gatebook"] = known
        return known


def _constraint(item: Plain) -> Plain:
    """As the inspector has it: a comment only where there is one."""
    return {name: value for name, value in item.items() if name != "comment" or value is not None}


def _index(item: Plain) -> Plain:
    """As the inspector has it: the words of a column's sorting in a tuple."""
    sorting = item.get("column_sorting")
    return {**item, "column_sorting": {name: tuple(words) for name, words in sorting.items()}} if sorting else item


def _by_default(name: str) -> Callable[..., Any]:
    """The questions about many tables, answered one by one as SQLAlchemy does by default."""
    asked = getattr(DefaultDialect, name)

    def answer(self: GateReflection, connection: Connection, **kw: Any) -> Any:
        return asked(self, connection, **kw)

    return answer


for _name in (
    "get_multi_columns",
    "get_multi_pk_constraint",
    "get_multi_foreign_keys",
    "get_multi_indexes",
    "get_multi_unique_constraints",
    "get_multi_check_constraints",
    "get_multi_table_comment",
    "get_multi_table_options",
):
    setattr(GateReflection, _name, _by_default(_name))
