"""Make the tables and the queries of TPC-H and TPC-DS: run by an environment of its own, which has DuckDB's extensions.

python tpc_make.py FOLDER SCALE
"""

import importlib.resources
import json
import sys
from pathlib import Path

import duckdb

MAKERS = {"tpch": "CALL dbgen(sf={})", "tpcds": "CALL dsdgen(sf={})"}


def main() -> None:
    """Write one JSON file per suite: tables with their columns and rows as CSV, and the queries in their order."""
    folder, scale = Path(sys.argv[1]), float(sys.argv[2])
    for name, make in MAKERS.items():
        connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        files = importlib.resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
        connection.execute(f"LOAD '{files / name}.duckdb_extension'")
        connection.execute(make.format(scale))
        tables = []
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall():
            path = folder / f"{table}.csv"
            connection.execute(f"COPY {table} TO '{path}' (HEADER false)")
            query = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index"
            tables.append(
                {"name": table, "columns": connection.execute(query, [table]).fetchall(), "csv": path.read_text()}
            )
            path.unlink()
        found = connection.execute(f"SELECT query FROM {name}_queries() ORDER BY query_nr")  # noqa: S608 - a constant
        queries = [text for (text,) in found.fetchall()]
        (folder / f"{name}.json").write_text(json.dumps({"tables": tables, "queries": queries}))


if __name__ == "__main__":
    main()
