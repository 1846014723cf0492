"""How does Alembic compare a model with a source on DuckDB? By what the dialect says, as with most."""

from alembic.ddl.impl import DefaultImpl


class DuckDBMigrations(DefaultImpl):
    """Alembic finds it by its dialect as soon as the class is there."""

    __dialect__ = "duckdb"
    transactional_ddl = True
