"""What may the suite ask of an engine?  More than by default, and the same of its own dialect and of the gate's."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

_ALL = frozenset({"sqlite", "postgresql", "mariadb"})
_PG, _LITE, _MARIA = frozenset({"postgresql"}), frozenset({"sqlite"}), frozenset({"mariadb"})
_OPEN = {
    "aggregate_order_by": _PG | _LITE,
    "array_type": _PG,
    "autocommit": _ALL,
    "boolean_col_expressions": _ALL,
    "check_constraint_reflection": _ALL,
    "comment_reflection": _PG | _MARIA,
    "comment_reflection_full_unicode": _PG | _MARIA,
    "computed_columns": _LITE | _MARIA,
    "computed_columns_stored": _LITE | _MARIA,
    "computed_columns_virtual": _LITE | _MARIA,
    "create_table_as": _ALL,
    "ctes": _ALL,
    "ctes_on_dml": _PG,
    "ctes_with_update_delete": _PG | _LITE,
    "date_historic": _ALL,
    "datetime_historic": _ALL,
    "datetime_interval": _PG,
    "datetime_literals": _PG | _LITE,
    "datetime_timezone": _PG,
    "delete_from": _PG | _MARIA,
    "except_": _ALL,
    "expression_server_defaults": _ALL,
    "fetch_expression": _PG,
    "fetch_first": _PG,
    "fetch_no_order_by": _PG,
    "fetch_ties": _PG,
    "foreign_key_constraint_name_reflection": _ALL,
    "foreign_key_constraint_option_reflection_ondelete": _ALL,
    "foreign_key_constraint_option_reflection_onupdate": _ALL,
    "fk_constraint_option_reflection_ondelete_noaction": _PG | _LITE,
    "fk_constraint_option_reflection_ondelete_restrict": _PG | _LITE,
    "fk_constraint_option_reflection_onupdate_restrict": _PG | _LITE,
    "identity_columns": _PG,
    "identity_columns_standard": _PG,
    "index_ddl_if_exists": _ALL,
    "indexes_with_ascdesc": _ALL,
    "indexes_with_expressions": _PG | _LITE,
    "infinity_floats": _PG | _LITE,
    "inline_check_constraint_reflection": _ALL,
    "intersect": _ALL,
    "json_type": _ALL,
    "multivalues_inserts": _ALL,
    "nullsordering": _PG | _LITE,
    "on_update_cascade": _ALL,
    "order_by_label_with_expression": _ALL,
    "precision_numerics_enotation_large": _PG | _MARIA,
    "precision_numerics_enotation_small": _PG,
    "precision_numerics_many_significant_digits": _PG | _MARIA,
    "precision_numerics_retains_significant_digits": _PG | _MARIA,
    "reflects_pk_names": _PG | _LITE,
    "regexp_match": _ALL,
    "regexp_replace": _PG | _MARIA,
    "savepoints": _PG | _MARIA | _LITE,
    "server_defaults": _ALL,
    "supports_bitwise_and": _ALL,
    "supports_bitwise_not": _ALL,
    "supports_bitwise_or": _ALL,
    "supports_bitwise_shift": _ALL,
    "supports_bitwise_xor": _PG | _MARIA,
    "supports_distinct_on": _PG,
    "table_ddl_if_exists": _ALL,
    "table_value_constructor": _PG | _LITE | _MARIA,
    "time_timezone": _PG,
    "timestamp_microseconds": _PG | _LITE,
    "tuple_in": _ALL,
    "unicode_ddl": _ALL,
    "unique_constraints_reflect_as_index": _PG | _MARIA,
    "update_from": _ALL,
    "uuid_data_type": _PG | _MARIA,
    "window_functions": _ALL,
    "window_range": _PG | _LITE,
    "window_range_numeric": _PG,
}
# A source is one namespace, in which statements leave nothing behind but rows, tables and indexes.
# What DuckDB has of these. It forgets the names of constraints, and counts by sequences alone.
_DUCKDB = frozenset(
    {
        "aggregate_order_by",
        "array_type",
        "autocommit",
        "boolean_col_expressions",
        "check_constraint_reflection",
        "create_table_as",
        "ctes",
        "ctes_with_update_delete",
        "date_historic",
        "datetime_historic",
        "datetime_interval",
        "datetime_literals",
        "datetime_timezone",
        "delete_from",
        "except_",
        "expression_server_defaults",
        "fetch_first",
        "fetch_no_order_by",
        "index_ddl_if_exists",
        "indexes_with_expressions",
        "inline_check_constraint_reflection",
        "intersect",
        "json_type",
        "multivalues_inserts",
        "nullsordering",
        "order_by_label_with_expression",
        "regexp_match",
        "regexp_replace",
        "server_defaults",
        "supports_bitwise_and",
        "supports_bitwise_not",
        "supports_bitwise_or",
        "supports_bitwise_shift",
        "supports_bitwise_xor",
        "supports_distinct_on",
        "table_ddl_if_exists",
        "table_value_constructor",
        "timestamp_microseconds",
        "tuple_in",
        "unicode_ddl",
        "update_from",
        "uuid_data_type",
        "window_functions",
        "window_range",
        "window_range_numeric",
    }
)
_CLOSED = frozenset(
    {"schemas", "sequences", "views", "materialized_views", "temp_table_reflection", "temporary_tables"}
)


def _answer(engines: frozenset[str]) -> Any:
    return exclusions.only_on(sorted(engines))


class Requirements(SuiteRequirements):
    """By name: on which engines."""

    @property
    def autoincrement_insert(self) -> Any:
        """Not on DuckDB, where a sequence counts, and nobody makes one through the gate."""
        return exclusions.skip_if("duckdb")


for _name, _engines in _OPEN.items():
    _having = _engines | {"duckdb"} if _name in _DUCKDB else _engines
    setattr(Requirements, _name, property(lambda _self, engines=_having: _answer(engines)))
for _name in _CLOSED:
    setattr(Requirements, _name, property(lambda _self: exclusions.closed()))
