"""A program speaks PEP 249 to sources behind the gate: reads, writes in a sandbox, and what needs people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from tests.stories.alone import Alone
from tests.stories.sandboxes import ENGINES, opened

import gatebook.dbapi
from gatebook.dbapi import Connection

TABLE = "create table item (id integer primary key, name varchar(50), price numeric(10,2), bought date)"


@pytest.fixture(scope="module")
def gateway(
    chinook_template: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    yield from opened(request, tmp_path_factory.mktemp("driver"), chinook_template)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connection(gateway: Alone, engine: str) -> Iterator[Connection]:
    """A builder's connection to the sandbox of an engine, with an empty table."""
    made = connect(gateway, f"lab_{engine}")
    made.execute(TABLE)
    yield made
    made.rollback()
    made.execute("drop table item")
    made.close()


def connect(gateway: Alone, source: str, *, user: str = "ann", **options: Any) -> Connection:
    return gatebook.dbapi.connect(source, gateway.url, gateway.token(user, "builders", "analysts"), **options)


def test_what_is_written_together_is_committed_or_gone(connection: Connection, gateway: Alone, engine: str) -> None:
    cursor = connection.cursor()
    rows = [{"id": i, "name": f"n{i}", "price": Decimal("1.50"), "day": dt.date(2026, 1, i)} for i in (1, 2, 3)]
    cursor.executemany("insert into item (id, name, price, bought) values (:id, :name, :price, :day)", rows)
    assert cursor.rowcount == 3
    assert connection.is_in_transaction
    assert cursor.execute("select count(*) as n from item").fetchall() == [(3,)]
    if engine in {"postgresql", "mariadb"}:  # the others let one in at a time
        assert connect(gateway, f"lab_{engine}").execute("select count(*) as n from item").fetchall() == [(0,)]
    connection.rollback()
    assert cursor.execute("select count(*) as n from item").fetchall() == [(0,)]
    cursor.execute("insert into item (id, name) values (:id, :name)", {"id": 7, "name": "seven"})
    connection.commit()
    assert not connection.is_in_transaction
    assert connect(gateway, f"lab_{engine}").execute("select id, name from item").fetchall() == [(7, "seven")]


def test_a_savepoint_undoes_a_part(connection: Connection, engine: str) -> None:
    connection.savepoint("early")
    connection.execute("insert into item (id) values (9)")
    connection.rollback_to("early")
    assert connection.execute("select count(*) as n from item").fetchall() == [(0,)]
    connection.execute("insert into item (id) values (1)")
    if engine == "duckdb":
        with pytest.raises(gatebook.dbapi.ProgrammingError, match="no savepoints"):
            connection.savepoint("one")
        return
    connection.savepoint('x"; drop table item; --')
    connection.execute("insert into item (id) values (2)")
    connection.rollback_to('x"; drop table item; --')
    connection.execute("insert into item (id) values (3)")
    connection.release('x"; drop table item; --')
    connection.commit()
    assert connection.execute("select id from item order by id").fetchall() == [(1,), (3,)]


def test_whatever_fails_ends_the_transaction(connection: Connection) -> None:
    for sql in ("insert into item (id) values (1)", "select nothing from item", "delete from nowhere"):
        connection.execute("insert into item (id) values (1)")
        with pytest.raises(gatebook.dbapi.Error):
            connection.execute(sql)
        assert not connection.is_in_transaction
        connection.rollback()
        assert connection.execute("select count(*) as n from item").fetchall() == [(0,)]


def test_errors_are_those_of_the_standard(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("insert into item (id) values (1)")
    connection.commit()
    for sql, values, kind in (
        ("insert into item (id) values (1)", {}, gatebook.dbapi.IntegrityError),
        ("select nothing from item", {}, gatebook.dbapi.ProgrammingError),
        ("select id from item where id = :id", {}, gatebook.dbapi.ProgrammingError),
        ("select id from item where id = :id", {"id": object()}, gatebook.dbapi.ProgrammingError),
        ("select id from item where id = :id", (1,), gatebook.dbapi.ProgrammingError),
        ("create view v as select 1", {}, gatebook.dbapi.NotSupportedError),
        ("select 1; select 2", {}, gatebook.dbapi.ProgrammingError),
    ):
        with pytest.raises(kind) as told:
            cursor.execute(sql, values)  # type: ignore[arg-type]
        assert isinstance(told.value, gatebook.dbapi.Error)
        connection.rollback()
    with pytest.raises(gatebook.dbapi.Error):
        connection.cursor().fetchone()
    cursor.close()
    with pytest.raises(gatebook.dbapi.InterfaceError):
        cursor.execute("select 1 as one")


def test_rows_are_fetched_as_the_standard_says_and_as_arrow(connection: Connection) -> None:
    connection.cursor().executemany(
        "insert into item (id, name, price) values (:id, :name, :price)",
        [{"id": i, "name": None if i % 2 else "ü", "price": Decimal("0.10")} for i in range(10)],
    )
    connection.commit()
    cursor = connection.execute("select id, name from item order by id")
    assert [column[0] for column in cursor.description or ()] == ["id", "name"]
    assert (cursor.description or ())[0][1] == gatebook.dbapi.NUMBER
    assert (cursor.description or ())[1][1] == gatebook.dbapi.STRING
    assert cursor.fetchone() == (0, "ü")
    assert cursor.fetchmany(2) == [(1, None), (2, "ü")]
    assert [row[0] for row in cursor] == [3, 4, 5, 6, 7, 8, 9]
    assert cursor.fetchall() == []
    assert cursor.rowcount == 10
    table = connection.execute("select id, name from item where id < 3 order by id").fetch_arrow_table()
    assert table.to_pydict() == {"id": [0, 1, 2], "name": ["ü", None, "ü"]}
    assert connection.execute("select id from item where id > 99").fetchall() == []


def test_a_transaction_is_its_owners_alone(connection: Connection, gateway: Alone, engine: str) -> None:
    connection.execute("insert into item (id) values (1)")
    id_ = connection._transaction
    assert id_
    other = gateway.token("eve", "builders")
    with gateway.client(other) as client:
        taken = client.post(f"/api/v1/transactions/{id_}", json={"do": "commit"})
        assert (taken.status_code, taken.json()["code"]) == (409, "GB-509")
        asked = {"source": f"lab_{engine}", "sql": "select count(*) as n from item", "transaction": id_}
        assert client.post("/api/v1/query", json=asked).json()["code"] == "GB-509"
        guessed = client.post("/api/v1/transactions/0123456789abcdef", json={"do": "rollback"})
        assert guessed.json()["code"] == "GB-509"
    connection.commit()
    assert connection.execute("select count(*) as n from item").fetchall() == [(1,)]
    connection.execute("insert into item (id) values (2)")
    elsewhere = {"source": "chinook", "sql": "select genreid from genre", "transaction": connection._transaction}
    with gateway.client(gateway.token("ann", "builders", "analysts")) as client:
        assert client.post("/api/v1/query", json=elsewhere).json()["code"] == "GB-104"
    with pytest.raises(gatebook.dbapi.OperationalError):
        connection.commit()


def test_the_book_has_the_transaction(connection: Connection, gateway: Alone, engine: str) -> None:
    connection.cursor().executemany("insert into item (id) values (:id)", [{"id": 1}, {"id": 2}])
    id_ = connection._transaction
    connection.commit()
    kinds = ["transaction.intent", "query.intent"]
    for kind in kinds:
        found = [
            event
            for event in gateway.events(kind=kind, source=f"lab_{engine}")
            if event.get("extra", {}).get("transaction") == id_
        ]
        assert len(found) == 1, kind
    assert found[0]["extra"]["sets"] == "2"
    assert found[0]["extra"]["sets_digest"]


def test_a_change_of_the_schema_stands_alone(connection: Connection) -> None:
    connection.execute("insert into item (id) values (1)")
    with pytest.raises(gatebook.dbapi.OperationalError, match="commit or roll back first"):
        connection.execute("create table another (id integer primary key)")
    assert not connection.is_in_transaction
    connection.rollback()
    assert connection.execute("select count(*) as n from item").fetchall() == [(0,)]


def test_what_needs_people_is_not_done_inside_of_a_transaction(gateway: Alone) -> None:
    """Alone it becomes a request; together with others it is refused, and nothing of it remains."""
    token = gateway.token("wanda", "lab")
    sql = "update support_ticket set subject = 'changed' where ticketid = 1"
    with gatebook.dbapi.connect("chinook", gateway.url, token) as inside:
        with pytest.raises(gatebook.dbapi.ApprovalRequired):
            inside.execute(sql)
        assert not inside.is_in_transaction
    alone = gatebook.dbapi.connect("chinook", gateway.url, token, autocommit=True)
    with pytest.raises(gatebook.dbapi.ChangeRequested) as asked:
        alone.execute(sql)
    assert asked.value.id in asked.value.url
    several = "update support_ticket set subject = 'changed' where ticketid = :id"
    with pytest.raises(gatebook.dbapi.ChangeRequested, match="2 rows"):
        alone.cursor().executemany(several, [{"id": 1}, {"id": 2}])
    with pytest.raises(gatebook.dbapi.ApprovalRequired):
        alone.cursor().executemany(several, [{"id": number % 5} for number in range(5_001)])


def test_many_rows_that_need_people_are_one_request(gateway: Alone) -> None:
    """So is a frame that pandas writes through SQLAlchemy."""
    token = gateway.token("wanda", "lab")
    alone = gatebook.dbapi.connect("chinook", gateway.url, token, autocommit=True)
    sets = [{"id": number, "subject": f"new {number}"} for number in (1, 2, 3)]
    with pytest.raises(gatebook.dbapi.ChangeRequested, match="3 rows would be changed in support_ticket"):
        alone.cursor().executemany("update support_ticket set subject = :subject where ticketid = :id", sets)
    kept = alone.execute("select count(*) as n from support_ticket where subject like 'new %'").fetchall()
    assert kept == [(0,)]
    frame = pd.DataFrame({"ticketid": [9001, 9002], "customerid": [1, 2], "subject": ["a", "b"], "body": ["", ""]})
    address = f"gatebook+sqlite://:{token}@{gateway.url.partition('://')[2]}/chinook"
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with pytest.raises(pd.errors.DatabaseError, match="waits for review: 2 rows would be added to support_ticket"):
        frame.to_sql("support_ticket", engine, index=False, if_exists="append")


def test_a_transaction_does_not_outlive_the_gateway(gateway: Alone) -> None:
    connection = connect(gateway, "lab_sqlite")
    connection.execute("create table kept (id integer primary key)")
    connection.execute("insert into kept (id) values (1)")
    gateway.kill()
    gateway.start()
    with pytest.raises(gatebook.dbapi.OperationalError):
        connection.commit()
    assert connection.execute("select count(*) as n from kept").fetchall() == [(0,)]
    connection.execute("drop table kept")


def test_more_rows_than_allowed_are_an_error_and_no_short_answer(gateway: Alone) -> None:
    connection = connect(gateway, "chinook", limit_rows=100)
    with pytest.raises(gatebook.dbapi.OperationalError, match="more rows"):
        connection.execute("select trackid from track").fetchall()


def test_after_an_error_nothing_goes_on_as_if_it_were_whole(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("insert into item (id, name) values (1, 'one')")
    with pytest.raises(gatebook.dbapi.IntegrityError):
        cursor.execute("insert into item (id, name) values (1, 'again')")
    for goes_on in (
        lambda: cursor.execute("insert into item (id, name) values (2, 'two')"),
        lambda: cursor.execute("select id from item"),
        lambda: connection.savepoint("a"),
        connection.commit,
    ):
        with pytest.raises(gatebook.dbapi.TransactionLost):
            goes_on()
    connection.rollback()
    cursor.execute("insert into item (id, name) values (3, 'three')")
    connection.commit()
    assert cursor.execute("select id from item").fetchall() == [(3,)]


def test_back_at_a_savepoint_from_before_the_first_write_it_goes_on(connection: Connection) -> None:
    connection.savepoint("early")
    connection.execute("insert into item (id) values (1)")
    with pytest.raises(gatebook.dbapi.IntegrityError):
        connection.execute("insert into item (id) values (1)")
    connection.rollback_to("early")
    connection.execute("insert into item (id) values (2)")
    connection.commit()
    assert connection.execute("select id from item").fetchall() == [(2,)]


def test_of_savepoints_with_one_name_the_latest_is_meant(connection: Connection, engine: str) -> None:
    if engine == "duckdb":
        pytest.skip("no savepoints")
    connection.savepoint("a")
    connection.execute("insert into item (id) values (1)")
    connection.savepoint("a")
    connection.execute("insert into item (id) values (2)")
    connection.rollback_to("a")
    connection.commit()
    assert connection.execute("select id from item").fetchall() == [(1,)]
    connection.savepoint("early")
    connection.execute("insert into item (id) values (3)")
    connection.savepoint("late")
    connection.release("early")
    with pytest.raises(gatebook.dbapi.Error):
        connection.rollback_to("late")
