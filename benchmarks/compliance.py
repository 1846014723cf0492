"""How much of SQLAlchemy's own compliance suite do the gate's dialects pass, of what the engines' own dialects pass?

    .venv/bin/python benchmarks/compliance.py [--postgres URL] [--mariadb URL]

Makes databases of its own and drops them at the end. Writes `docs/reference/dialects.md`, and the list of tests that
fail with the engine's own dialect as well, which are left out (`tests/compliance/suite/own_failures.txt`). DuckDB is
asked through the gate alone.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pymysql
from services import ROOT
from serving import serving
from sqlalchemy import URL, make_url

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "compliance" / "suite")]
from exclusions import EXCLUSIONS  # noqa: E402 - found by the line above
from tests.compliance.running import OWN_FAILURES, Ran, run_suite, url_of  # noqa: E402 - as above
from tests.fixtures.labs import write_lab  # noqa: E402 - as above

PAGE = ROOT / "docs" / "reference" / "dialects.md"
POSTGRES = "postgresql://root@127.0.0.1:5432/postgres"
MARIADB = "mysql://root@127.0.0.1:3306/"
_DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
_HEAD = """# SQLAlchemy's dialects, measured

SQLAlchemy brings a compliance suite for dialects, with types, reflection, inserts, `returning`, limits and much
else. It runs here through the gate, in a sandbox of each engine, and beside it with the engine's own dialect on the
same server; both are asked for more than the suite asks by default (`tests/compliance/suite/requirements.py`).

Repeat: `.venv/bin/python benchmarks/compliance.py`. `make test` runs the suite through the gate, without the tests
that are listed below and those that fail with the engine's own dialect as well.

"""
_DUCKDB = """
DuckDB has no dialect to compare with: SQLAlchemy brings none, and `duckdb-engine` writes keys that count as `serial`,
which DuckDB has not, so that most tables of the suite are not made. Through the gate {passed} tests pass, and {failed}
do not; none of them is in `make test`. Most leave a key to be counted (`JSONTest`, `InsertBehaviorTest`). Others ask
for names of constraints, lengths of texts and words of checks, which DuckDB does not keep (`ComponentReflectionTest`),
delete rows that others referred to until that moment (`CTETest`, `JoinTest`), or expect an order not asked for.
"""


@contextlib.contextmanager
def databases(postgres: str, mariadb: str, folder: Path) -> Iterator[dict[str, tuple[str, str]]]:
    """For each engine the URLs of two empty databases, for as long as the block runs: for the gate, and for itself."""
    name = f"gatebook_{secrets.token_hex(4)}"
    names = (name, f"{name}_own")
    server = make_url(mariadb)
    raw = pymysql.connect(host=server.host, port=server.port or 3306, user=server.username or "root", autocommit=True)
    with psycopg.connect(postgres, autocommit=True) as admin, raw, raw.cursor() as cursor:
        for each in names:
            admin.execute(f"create database {each} encoding 'UTF8'".encode())
            cursor.execute(f"create database {each} character set utf8mb4")
        for file in ("lab.sqlite", "own.sqlite"):
            sqlite3.connect(folder / file).close()
        try:
            yield {
                "sqlite": (f"sqlite:///{folder / 'lab.sqlite'}", f"sqlite:///{folder / 'own.sqlite'}"),
                "postgresql": (_named(postgres, "postgresql", names[0]), _named(postgres, "postgresql", names[1])),
                "mariadb": (_named(mariadb, "mariadb", names[0]), _named(mariadb, "mariadb", names[1])),
            }
        finally:
            for each in names:
                admin.execute(f"drop database {each} with (force)".encode())
                cursor.execute(f"drop database {each}")


def _named(server: str, engine: str, database: str) -> str:
    url: URL = make_url(server).set(drivername=_DRIVERS[engine], database=database)
    return url.render_as_string(hide_password=False)


def tell(found: dict[str, tuple[Ran, Ran]], of_duckdb: Ran) -> None:
    """Write the page."""
    lines = [
        _HEAD + "| engine | its own dialect passes | of these pass through the gate | share |",
        "|---|---|---|---|",
    ]
    for engine, (own, ours) in found.items():
        both = own.passed.keys() & ours.passed.keys()
        share = 100 * len(both) / max(1, len(own.passed))
        lines.append(f"| {engine} | {len(own.passed)} | {len(both)} | {share:.1f} % |")
    lines += [_DUCKDB.format(passed=len(of_duckdb.passed), failed=len(of_duckdb.failed)).rstrip()]
    lines += [
        "",
        "What is left out of the other engines' tests, and why:",
        "",
        "| tests | engines | reason |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{pattern}` | {'all' if len(engines) == 3 else ', '.join(sorted(engines))} | {reason} |"
        for pattern, engines, reason in EXCLUSIONS
    ]
    PAGE.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Run the suite seven times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", default=POSTGRES)
    parser.add_argument("--mariadb", default=MARIADB)
    given = parser.parse_args()
    found: dict[str, tuple[Ran, Ran]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="gatebook-compliance-") as name,
        databases(given.postgres, given.mariadb, Path(name)) as urls,
    ):
        folder = Path(name)
        policies = folder / "policies"
        for engine, (url, _) in urls.items():
            write_lab(policies, engine, url, "analysts")
        duckdb.connect(folder / "lab.duckdb").close()
        write_lab(policies, "duckdb", f"duckdb:///{folder / 'lab.duckdb'}", "analysts")
        owns = {engine: run_suite(own) for engine, (_, own) in urls.items()}
        OWN_FAILURES.write_text(
            "".join(f"{engine} {test}\n" for engine, own in sorted(owns.items()) for test in sorted(own.failed))
        )
        with serving(folder / "state", policies) as gateway:
            for engine, own in owns.items():
                ours = run_suite(url_of(engine, gateway.url, gateway.token, f"lab_{engine}"))
                found[engine] = own, ours
                print(f"{engine}: {len(own.passed)} with its own dialect, {len(ours.passed)} through the gate")
                for test in sorted(own.passed.keys() & ours.failed.keys()):
                    print(f"    {test}: {ours.failed[test][:200]}")
            of_duckdb = run_suite(url_of("duckdb", gateway.url, gateway.token, "lab_duckdb"))
            print(f"duckdb: {len(of_duckdb.passed)} through the gate")
    tell(found, of_duckdb)


if __name__ == "__main__":
    main()
