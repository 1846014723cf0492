"""How does a worker read and write a DuckDB file?

The file is opened with everything off that reaches beyond it, and the configuration locked. DuckDB's own parser reads
each statement first: one SELECT, over tables that the analysis named. A file that nobody asks for is let go after a
moment, since DuckDB's lock on it keeps all writers out, other programs' too.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from gatebook_hub.errors import GatebookError, SourceUnavailable, StatementFailed
from gatebook_hub.sources.source import SeenMore, within
from gatebook_hub.sources.worker.duckdb_batches import DuckdbBatches, rows_of
from gatebook_hub.sources.worker.duckdb_errors import translate
from gatebook_hub.sources.worker.duckdb_parsed import reached
from gatebook_hub.sources.worker.serving import is_select
from gatebook_hub.sources.worker.watching import Clock

_IDLE_S = 1.0
_RETRY_S = 0.05
_CONFIG: Mapping[str, Any] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    # It drops conditions, with the errors in them, by what it knows of the values in hidden rows.
    "disabled_optimizers": "statistics_propagation",
    "lock_configuration": True,
}
_REFLECT = """
SELECT c.table_name, c.column_name, c.data_type, c.is_nullable, c.column_default IS NOT NULL, t.sql, k.names,
  t.comment, false AS is_view, c.column_index AS place
FROM duckdb_columns() c
JOIN duckdb_tables() t ON t.table_oid = c.table_oid AND t.schema_oid = c.schema_oid AND t.database_oid = c.database_oid
LEFT JOIN (SELECT table_oid, schema_oid,
            any_value(to_json(constraint_column_names))::VARCHAR AS names FROM duckdb_constraints()
           WHERE constraint_type = 'PRIMARY KEY' GROUP BY ALL) k
  ON k.table_oid = t.table_oid AND k.schema_oid = t.schema_oid
WHERE t.schema_name = 'main' AND t.database_name = current_database() AND NOT t.internal AND NOT t.temporary
UNION ALL
SELECT c.table_name, c.column_name, c.data_type, c.is_nullable, false, NULL, NULL, v.comment, true, c.column_index
FROM duckdb_columns() c
JOIN duckdb_views() v ON v.view_oid = c.table_oid AND v.schema_oid = c.schema_oid AND v.database_oid = c.database_oid
WHERE v.schema_name = 'main' AND v.database_name = current_database() AND NOT v.internal AND NOT v.temporary
ORDER BY table_name, place
"""


class DuckdbServed:
    """One DuckDB file."""

    idle_s: float | None = _IDLE_S
    last_id: int | None = None

    def __init__(self, setup: Mapping[str, Any]) -> None:
        self._path = str(setup["path"])
        self._lock_wait_s = float(setup["lock_wait_s"])
        self.threads = int(setup["threads"])
        self._config = {**_CONFIG, "threads": self.threads, "memory_limit": f"{int(setup['engine_bytes'])}B"}
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._reader_file = 0
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._running: duckdb.DuckDBPyConnection | None = None
        self._number = 0
        self._clock = Clock(self.interrupt)

    def read(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int
    ) -> DuckdbBatches:
        """Start a person's read; inside of the transaction, if one is open."""
        writer = self._writer
        cursor = self._open_reader().cursor() if writer is None else writer
        self._watch(cursor, deadline, number)

        def end() -> None:
            self._unwatch()
            if writer is None:
                cursor.close()

        try:
            self._check(cursor, request)
            cursor.execute(str(request["sql"]), dict(parameters) or None)
            return DuckdbBatches(cursor, lambda error: self._translate(error, number), end)
        except Exception as error:
            end()
            raise self._translate(error, number) from error

    def do(
        self, request: Mapping[str, Any], parameters: Mapping[str, Any], deadline: float, number: int
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """A step of the write session, or a question of the gate's own."""
        match request["op"]:
            case "rest":
                self.rest()
                return [], 0
            case "begin":
                self._begin()
                return [], 0
            case "end":
                self._end(is_committed=bool(request["commit"]))
                return [], 0
            case "reflect":
                return self._run(self._open_reader(), {"sql": _REFLECT}, {}, deadline, number)
            case "ask":
                return self._run(self._open_reader(), request, parameters, deadline, number)
            case "select" if self._writer is not None:
                return self._select(self._writer, request, parameters, deadline, number)
            case "run" if self._writer is not None:
                return self._run(self._writer, request, parameters, deadline, number)
            case _:
                raise StatementFailed("there is no open session")

    def interrupt(self, number: int) -> None:
        """Stop what runs; the gateway and the clock ask again until it has ended."""
        running = self._running
        if running is not None and number == self._number:
            running.interrupt()

    def rest(self) -> None:
        """Let go of the file, so that writers get in."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open_reader(self) -> duckdb.DuckDBPyConnection:
        try:
            file = os.stat(self._path).st_ino  # noqa: PTH116 - on every statement
        except OSError as error:
            raise SourceUnavailable("the source cannot be opened") from error
        if self._reader is not None and self._reader_file != file:
            self.rest()  # another file lies there now
        if self._reader is None:
            self._reader = self._open(is_reader=True)
            self._reader_file = file
        return self._reader

    def _open(self, *, is_reader: bool) -> duckdb.DuckDBPyConnection:
        until = time.monotonic() + self._lock_wait_s
        while True:
            try:
                return duckdb.connect(self._path, read_only=is_reader, config=dict(self._config))
            except duckdb.Error as error:
                if "Could not set lock" not in str(error):
                    raise SourceUnavailable("the source cannot be opened") from error
                if time.monotonic() >= until:
                    raise SourceUnavailable("the source is busy with another write; try again") from error
                time.sleep(_RETRY_S)

    def _begin(self) -> None:
        self._end(is_committed=False)
        self.rest()
        self._writer = self._open(is_reader=False)
        self._writer.begin()

    def _end(self, *, is_committed: bool) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            if is_committed:
                writer.commit()
            else:
                writer.rollback()
        except duckdb.TransactionException as error:
            if is_committed:  # one of its statements failed before: nothing was kept
                raise translate(error) from error
        except duckdb.Error as error:
            raise translate(error) from error
        finally:
            writer.close()

    def _select(
        self,
        connection: duckdb.DuckDBPyConnection,
        request: Mapping[str, Any],
        parameters: Mapping[str, Any],
        deadline: float,
        number: int,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        limit_rows = int(request["limit_rows"])
        self._watch(connection, deadline, number)
        try:
            self._check(connection, request)
            rows = rows_of(connection.execute(str(request["sql"]), dict(parameters) or None), limit_rows + 1)
        except Exception as error:
            raise self._translate(error, number) from error
        finally:
            self._unwatch()
        return within(rows, limit_rows), len(rows)

    def _run(
        self,
        connection: duckdb.DuckDBPyConnection,
        request: Mapping[str, Any],
        parameters: Mapping[str, Any],
        deadline: float,
        number: int,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        sql = str(request["sql"])
        self._watch(connection, deadline, number)
        try:
            found = connection.execute(sql, dict(parameters) or None)
            rows = rows_of(found, None)
            names = [item[0] for item in found.description or ()]
        except Exception as error:
            raise self._translate(error, number) from error
        finally:
            self._unwatch()
        is_read = bool(request.get("returns")) or is_select(sql)
        if names == ["Count"] and not is_read:
            return [], int(rows[0][0]) if rows else 0
        return rows, len(rows)

    def _check(self, connection: duckdb.DuckDBPyConnection, request: Mapping[str, Any]) -> None:
        """What DuckDB's own parser sees: one SELECT, over what the analysis named."""
        sql = str(request["sql"])
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise SeenMore("the database saw something else than one read")
        row = connection.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchone()
        refused = reached(json.loads(row[0]) if row else {}, request["reads"])
        if refused is not None:
            raise SeenMore(f"the database saw the statement reach for {refused}, which the analysis did not name")

    def _watch(self, connection: duckdb.DuckDBPyConnection, deadline: float, number: int) -> None:
        self._running, self._number = connection, number
        self._clock.arm(deadline, number)

    def _unwatch(self) -> None:
        self._running = None
        self._clock.disarm()

    def _translate(self, error: Exception, number: int) -> Exception:
        if isinstance(error, GatebookError):
            return error
        if isinstance(error, duckdb.FatalException):
            self.rest()  # the database in this process is spoilt; the next statement opens it anew
        return translate(error, is_late=self._clock.late == number)
