"""How does DuckDB alone answer, and how what the gate sends?"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
from engines import MOST_ROWS, SOURCE, Answer, Refused
from steps import Step

from gatebook_hub.model import Column, Engine, Schema, Table
from gatebook_hub.sql import Plan


class StockDuckdb:
    """DuckDB in memory, within this process."""

    engine = Engine.DUCKDB
    time_s = 5
    version = f"DuckDB {duckdb.__version__}"

    def __init__(self) -> None:
        self._connection: Any = None
        self._known: dict[str, Table] | None = None
        self.fresh()

    def fresh(self) -> None:
        """An empty database."""
        if self._connection is not None:
            self._connection.close()
        self._connection = duckdb.connect(
            config={"threads": 1, "memory_limit": "3GB", "python_enable_replacements": False}
        )
        self._known = None

    reset = fresh

    def execute(self, step: Step) -> Answer | None:
        """Run a statement under the clock."""
        if step.data is not None:
            return self._copied(step)
        return self._run(step.sql, None)

    again = execute

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Reads leave no trace."""
        yield

    def governed(self, plan: Plan, parameters: Mapping[str, Any]) -> Answer:
        """What the gate sends, on the same connection."""
        answer = self._run(plan.sql, dict(parameters))
        if answer is None:
            raise Refused("no columns")
        return answer

    def schema(self, words: frozenset[str]) -> Schema:
        """The tables of `main`, from DuckDB's own catalogue."""
        del words  # all are read at once
        if self._known is None:
            self._known = self._tables()
        return Schema(source=SOURCE, engine=self.engine, version="1", tables=self._known, namespace="main")

    def changed(self) -> None:
        """The tables may be others now."""
        self._known = None

    def kind_of(self, name: str) -> str:
        """View, catalogue, file, …"""
        bare = [part.strip('"') for part in name.split(".")]
        if bare[0].lower() in {"information_schema", "pg_catalog"} or bare[-1].lower().startswith(
            ("duckdb_", "sqlite_")
        ):
            return "catalogue"
        for kind in ("view", "table"):
            query = f"SELECT schema_name FROM duckdb_{kind}s() WHERE lower({kind}_name) = lower(?)"  # noqa: S608 - constants
            rows = self._connection.execute(query, [bare[-1]]).fetchall()
            if rows:
                return kind if ("main",) in rows else f"{kind} of another schema"
        return "not a relation: a file or an alias"

    def _tables(self) -> dict[str, Table]:
        query = (
            "SELECT lower(table_name), lower(column_name), lower(data_type), is_nullable FROM duckdb_columns() "
            "WHERE schema_name = 'main' AND NOT internal "
            "AND database_name = current_database() ORDER BY table_name, column_index"
        )
        columns: dict[str, list[Column]] = {}
        for table, name, kind, nullable in self._connection.execute(query).fetchall():
            columns.setdefault(table, []).append(Column(name=name, type=kind, nullable=bool(nullable)))
        views = self._connection.execute("SELECT lower(view_name) FROM duckdb_views() WHERE NOT internal").fetchall()
        return {
            table: Table(name=table, columns=tuple(found), is_view=(table,) in views)
            for table, found in columns.items()
        }

    def _copied(self, step: Step) -> None:
        """A CSV text goes in through Arrow's reader, since this engine reads files only."""
        import io

        import pyarrow.csv as arrow_csv

        name = step.sql.split()[1]
        columns = [row[0] for row in self._connection.execute(f"DESCRIBE {name}").fetchall()]
        options = arrow_csv.ReadOptions(column_names=columns)
        convert = arrow_csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
        rows = arrow_csv.read_csv(io.BytesIO((step.data or "").encode()), options, convert_options=convert)
        self._connection.register("gatebook_rows", rows)
        self._connection.execute(f"INSERT INTO {name} SELECT * FROM gatebook_rows")  # noqa: S608 - a constant
        self._connection.unregister("gatebook_rows")

    def _run(self, sql: str, parameters: dict[str, Any] | None) -> Answer | None:
        connection = self._connection
        clock = threading.Timer(self.time_s, connection.interrupt)
        clock.start()
        try:
            cursor = connection.execute(sql, parameters) if parameters else connection.execute(sql)
            if not cursor.description:
                return None
            rows = cursor.fetchmany(MOST_ROWS + 1)
            description = cursor.description
        except Exception as error:
            # Whatever the driver raises, it is this statement's own failure.
            raise Refused(str(error)) from error
        finally:
            clock.cancel()
        if len(rows) > MOST_ROWS:
            raise Refused("more rows than are compared")
        names, types = tuple(item[0] for item in description), tuple(str(item[1]) for item in description)
        return Answer(names=names, types=types, rows=[tuple(row) for row in rows])
