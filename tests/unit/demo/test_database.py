"""The demo database is the same on three engines, whole or absent, and never made over something else."""

from __future__ import annotations

import sqlite3
import stat
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gatebook_hub.demo import Rows, build
from gatebook_hub.demo.errors import DatabaseNotBuilt, DatabaseOccupied
from gatebook_hub.demo.tables import METADATA

COUNTS = {
    "album": 347,
    "artist": 275,
    "customer": 59,
    "employee": 8,
    "genre": 25,
    "invoice": 412,
    "invoiceline": 2240,
    "mediatype": 5,
    "playlist": 18,
    "playlisttrack": 8715,
    "refund": 12,
    "support_ticket": 40,
    "track": 3503,
}
ENGINES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


def connect(url: str | URL) -> Engine:
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    return engine


@pytest.fixture(params=ENGINES)
def shared(request: pytest.FixtureRequest) -> Engine:
    """The session's demo database, to be read."""
    if request.param == "sqlite":
        return connect(f"sqlite:///{request.getfixturevalue('chinook_template')}")
    return connect(request.getfixturevalue(f"chinook_{request.param}"))


@pytest.fixture(params=ENGINES)
def own(request: pytest.FixtureRequest) -> Engine:
    """A demo database of this test's own, to be written."""
    if request.param == "sqlite":
        return connect(f"sqlite:///{request.getfixturevalue('chinook_sqlite')}")
    return connect(request.getfixturevalue(f"fresh_chinook_{request.param}"))


@pytest.fixture(params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A place where there is no demo database yet."""
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "chinook.sqlite"))
    return make_url(request.getfixturevalue(f"{request.param}_url"))


def content(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables in the order of their keys, in the values that all engines share."""
    found = {}
    with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            columns = ", ".join(table.columns.keys())
            keys = ", ".join(column.name for column in table.primary_key)
            rows = connection.execute(text(f"SELECT {columns} FROM {table.name} ORDER BY {keys}"))
            found[table.name] = [tuple(plain(value) for value in row) for row in rows]
    return found


def plain(value: Any) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, date | datetime) else value


def test_the_counts_are_those_of_the_sample_database(shared: Engine) -> None:
    assert {name: len(rows) for name, rows in content(shared).items()} == COUNTS


def test_the_sums_are_exact(shared: Engine) -> None:
    with shared.connect() as connection:
        total, lines, refunds = connection.execute(
            text(
                "SELECT (SELECT sum(total) FROM invoice), (SELECT sum(unitprice * quantity) FROM invoiceline), "
                "(SELECT sum(amount) FROM refund)"
            )
        ).one()
    assert [round(Decimal(value), 2) for value in (total, lines, refunds)] == [
        Decimal("2328.60"),
        Decimal("2328.60"),
        Decimal("41.58"),
    ]


@pytest.mark.postgres
@pytest.mark.mariadb
def test_all_engines_hold_the_same_rows(chinook_template: Path, chinook_postgres: str, chinook_mariadb: str) -> None:
    sqlite = content(connect(f"sqlite:///{chinook_template}"))
    assert content(connect(chinook_postgres)) == sqlite
    assert content(connect(chinook_mariadb)) == sqlite


def test_every_foreign_key_is_declared_and_indexed(shared: Engine) -> None:
    found = inspect(shared)
    for table in METADATA.sorted_tables:
        expected = {key.parent.name for key in table.foreign_keys}
        declared = {column for key in found.get_foreign_keys(table.name) for column in key["constrained_columns"]}
        leading = {index["column_names"][0] for index in found.get_indexes(table.name)}
        leading.add(found.get_pk_constraint(table.name)["constrained_columns"][0])
        assert declared == expected, table.name
        assert expected <= leading, table.name


@pytest.mark.parametrize(
    "statement, refusal",
    [
        ("INSERT INTO invoice (customerid, invoicedate, total) VALUES (60, '2013-12-31 00:00:00', 1)", "foreign key"),
        ("INSERT INTO refund (invoiceid, amount, reason, createdby) VALUES (413, 1, 'a', 'jane')", "foreign key"),
        ("INSERT INTO refund (invoiceid, amount, reason, createdby) VALUES (1, 0, 'a', 'jane')", "ck_refund_amount"),
        (
            "INSERT INTO support_ticket (customerid, subject, body, status) VALUES (1, 'a', 'b', 'lost')",
            "ck_support_ticket_status",
        ),
        (
            "INSERT INTO support_ticket (customerid, subject, body, priority) VALUES (1, 'a', 'b', 'soon')",
            "ck_support_ticket_priority",
        ),
        ("DELETE FROM customer WHERE customerid = 1", "foreign key"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_engine(shared: Engine, statement: str, refusal: str) -> None:
    with shared.connect() as connection, pytest.raises(DBAPIError, match=f"(?i){refusal}"):
        connection.execute(text(statement))


def test_keys_count_on_from_the_rows_and_moments_come_by_themselves(own: Engine) -> None:
    with own.begin() as connection:
        connection.execute(
            text("INSERT INTO refund (invoiceid, amount, reason, createdby) VALUES (412, 1.99, 'late', 'jane')")
        )
        connection.execute(text("INSERT INTO artist (name) VALUES ('New Band')"))
        row = connection.execute(text("SELECT refundid, amount, createdat FROM refund ORDER BY refundid DESC")).first()
        assert connection.scalar(text("SELECT max(artistid) FROM artist")) == 276
    assert row is not None
    assert (row[0], float(row[1])) == (13, 1.99)
    datetime.fromisoformat(str(row[2]))


def test_a_complete_database_is_left_as_it_is(own: Engine, chinook_rows: Rows) -> None:
    with own.begin() as connection:
        connection.execute(text("UPDATE customer SET city = 'Elsewhere' WHERE customerid = 1"))
        connection.execute(text("DELETE FROM support_ticket"))
    before = content(own)
    assert build(own.url, chinook_rows, today=date(2020, 1, 1)) is False
    assert content(own) == before


def test_an_engine_serves_as_well_as_a_url(empty: URL, chinook_rows: Rows) -> None:
    engine = connect(empty)
    assert build(engine, chinook_rows) is True
    assert build(engine, chinook_rows) is False
    assert {name: len(rows) for name, rows in content(engine).items()} == COUNTS


def test_an_sqlite_database_may_live_in_memory(chinook_rows: Rows) -> None:
    engine = create_engine("sqlite://")
    assert build(engine, chinook_rows) is True
    assert len(content(engine)["track"]) == COUNTS["track"]
    engine.dispose()


def test_an_sqlite_file_is_its_owners_alone_and_nothing_lies_beside_it(tmp_path: Path, chinook_rows: Rows) -> None:
    path = tmp_path / "databases" / "chinook.sqlite"
    assert build(f"sqlite:///{path}", chinook_rows) is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_nlink == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_build_leaves_no_sqlite_file(tmp_path: Path, chinook_rows: Rows) -> None:
    broken = chinook_rows | {"album": [*chinook_rows["album"], {"albumid": 348, "title": "Lost", "artistid": 999}]}
    with pytest.raises(DatabaseNotBuilt):
        build(f"sqlite:///{tmp_path / 'chinook.sqlite'}", broken)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_a_failed_build_is_finished_by_the_next_one(
    request: pytest.FixtureRequest, engine: str, chinook_rows: Rows
) -> None:
    broken = chinook_rows | {"album": [*chinook_rows["album"], {"albumid": 348, "title": "Lost", "artistid": 999}]}
    url = request.getfixturevalue(f"{engine}_url")
    with pytest.raises(DatabaseNotBuilt):
        build(url, broken)
    assert build(url, chinook_rows) is True
    assert {name: len(rows) for name, rows in content(connect(url)).items()} == COUNTS


def test_a_database_with_other_things_under_our_names_is_not_touched(empty: URL, chinook_rows: Rows) -> None:
    with connect(empty).begin() as connection:
        connection.execute(text("CREATE TABLE customer (name VARCHAR(40))"))
        connection.execute(text("INSERT INTO customer VALUES ('somebody')"))
    with pytest.raises(DatabaseOccupied, match="customer"):
        build(empty, chinook_rows)
    assert inspect(connect(empty)).get_table_names() == ["customer"]


@pytest.mark.parametrize("there", [b"", b"a letter, not a database" * 100])
def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path, chinook_rows: Rows, there: bytes) -> None:
    path = tmp_path / "chinook.sqlite"
    path.write_bytes(there)
    with pytest.raises(DatabaseOccupied, match="is taken"):
        build(f"sqlite:///{path}", chinook_rows)
    assert path.read_bytes() == there


def test_an_sqlite_file_of_somebody_else_is_not_touched(tmp_path: Path, chinook_rows: Rows) -> None:
    path = tmp_path / "chinook.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE diary (entry TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseOccupied, match="another database"):
        build(f"sqlite:///{path}", chinook_rows)
    assert path.read_bytes() == before


def test_a_server_that_is_not_there_is_told_without_its_password(chinook_rows: Rows) -> None:
    with pytest.raises(DatabaseNotBuilt) as told:
        build("postgresql+psycopg://demo:hush@127.0.0.1:1/demo", chinook_rows)
    assert "hush" not in str(told.value)
    assert "127.0.0.1" in str(told.value)
