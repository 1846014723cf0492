"""SQLAlchemy's own plugin runs this folder, in a process of its own: `tests/compliance/test_dialects.py` starts it."""

import pytest
from sqlalchemy.dialects import registry

# The plugin looks for helpers under the name of the engine, which SQLAlchemy's own URLs begin with.
registry.register("sqlite.gatebook", "gatebook.dialects.sqlite", "GatebookSQLite")
registry.register("postgresql.gatebook", "gatebook.dialects.postgresql", "GatebookPostgreSQL")
registry.register("mariadb.gatebook", "gatebook.dialects.mysql", "GatebookMariaDB")

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403 - as SQLAlchemy's README for dialects says
