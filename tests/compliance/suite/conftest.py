"""SQLAlchemy's own plugin runs this folder, in a process of its own: `tests/compliance/test_dialects.py` starts it."""

import pytest
from sqlalchemy.dialects import registry
from sqlalchemy.exc import NoSuchModuleError

# The plugin looks for helpers under the name of the engine, which SQLAlchemy's own URLs begin with.
registry.register("sqlite.gatebook", "gatebook.dialects.sqlite", "GatebookSQLite")
registry.register("postgresql.gatebook", "gatebook.dialects.postgresql", "GatebookPostgreSQL")
registry.register("mariadb.gatebook", "gatebook.dialects.mysql", "GatebookMariaDB")
registry.register("duckdb.gatebook", "gatebook.dialects.duckdb", "GatebookDuckDB")
try:  # and asks for the engine's own dialect, which SQLAlchemy does not bring for DuckDB
    registry.load("duckdb")
except NoSuchModuleError:
    registry.register("duckdb", "gatebook.dialects.duckdb", "GatebookDuckDB")

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403 - as SQLAlchemy's README for dialects says
