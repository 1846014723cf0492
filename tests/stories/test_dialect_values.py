"""What drivers and their bulk paths are known to get wrong arrives right here, or is an error that says so.

| trap | test (`sources/` is `tests/unit/sources/`) |
|---|---|
| parameters turn a copy off, and the result waits in memory | `sources/test_literals.py`, `sources/test_copying.py` |
| a stream that is closed half-way runs on | `sources/test_copying_ends.py`, `test_reads_cut_short.py` |
| a caller who hangs up is noticed by nobody | `test_reads_cut_short.py`: vanishes, stalls, is interrupted |
| an answer of wide rows is read whole before its first is given | here: the first rows |
| arrays of several dimensions are flattened | `test_types.py`: `a_two`, `l_two` |
| NULL in a list of integers makes them floats | `test_types.py`: `a_wide`, `l_wide`, `parts` |
| addresses, ranges, bits, XML, points, zoned times as raw bytes | `test_types.py`, `sources/test_copied_types.py` |
| oid as a signed number | `test_types.py`: `o` |
| infinite and far moments | `sources/test_copied_types.py`, `sources/test_values.py`; here: what Python has not |
| an error in mid-stream without its SQLSTATE | `sources/test_copying_ends.py`; here: classes of errors |
| types guessed from the first batch | `test_types.py`: several kinds, late |
| an empty answer has types that a full one has not | `test_types.py`: empty |
| no way to cancel | `sources/test_sources.py`, `test_reads_cut_short.py` |
| a process that dies of uuid arrays, intervals, cidr | `test_types.py`: `a_uuid`, `iv`, `net` |
| NaN becomes nought, every decimal gets another scale | `test_types.py`: `f4`, `f8`, `n…` |
| values that JSON lacks, as parameters and as results | here: there and back; `tests/unit/gatebook/test_values.py` |
| NaN and lists as parameters | here: refused |
| many sets in many calls | here: all or none; `test_driver.py`: the book |
| `returning`, the last number, counts of rows | here: what a write tells |
| a connection whose transaction is gone is used on | here: SQLAlchemy is told |
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.stories.alone import Alone
from tests.stories.sandboxes import ENGINES, opened

import gatebook.dbapi
from gatebook.dbapi import Connection

DIALECTS = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql"}
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
TEXT = "Zoë 東京 \U0001f3b5 e\u0301 ' \" \\ %s :a $1"
VALUES: dict[str, tuple[sa.types.TypeEngine[Any], list[Any]]] = {
    "whole": (sa.BigInteger(), [2**63 - 1, -(2**63), 0]),
    "exact": (sa.Numeric(38, 10), [Decimal("1.10"), Decimal("-0.0000000001"), Decimal("9" * 28 + "." + "9" * 10)]),
    "broken": (sa.Double(), [0.1, -1.5, 1.7976931348623157e308]),
    "is_so": (sa.Boolean(), [True, False]),
    "day": (sa.Date(), [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1969, 12, 31)]),
    "moment": (sa.DateTime(), [dt.datetime(1969, 12, 31, 23, 59, 59), dt.datetime(9999, 12, 31)]),  # noqa: DTZ001
    "clock": (sa.Time(), [dt.time(0), dt.time(23, 59, 59)]),
    "span": (sa.Interval(), [dt.timedelta(days=3, seconds=4), -dt.timedelta(seconds=1)]),
    "raw": (sa.LargeBinary(), [b"\x00\xff\x00", b"", bytes(range(256))]),
    "uuid": (sa.Uuid(), [ID]),
    "words": (sa.Text(), [TEXT, "", " "]),
    "parts": (sa.JSON(), [{"a": [1.5, None], "é": TEXT}, []]),
}


@pytest.fixture(scope="module")
def gateway(
    chinook_template: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    yield from opened(request, tmp_path_factory.mktemp("values"), chinook_template)


@pytest.fixture(params=DIALECTS)
def alchemy(gateway: Alone, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """SQLAlchemy on a sandbox."""
    address = gateway.url.removeprefix("http://")
    token = gateway.token("ann", "builders")
    made = sa.create_engine(f"gatebook+{DIALECTS[request.param]}://:{token}@{address}/lab_{request.param}")
    yield made
    made.dispose()


@pytest.fixture(params=ENGINES)
def connection(gateway: Alone, request: pytest.FixtureRequest) -> Iterator[Connection]:
    made = gatebook.dbapi.connect(f"lab_{request.param}", gateway.url, gateway.token("ann", "builders"))
    made.execute(
        "create table item (id integer primary key, n integer, price numeric(10,2), bought date, name varchar(9))"
    )
    yield made
    made.rollback()
    made.execute("drop table item")
    made.close()


@pytest.fixture
def table(alchemy: sa.Engine) -> Iterator[sa.Table]:
    columns = [sa.Column(name, kind) for name, (kind, _) in VALUES.items() if _is_kept(alchemy, name)]
    made = sa.Table("kept", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns)
    made.create(alchemy)
    yield made
    made.drop(alchemy)


def _is_kept(alchemy: sa.Engine, name: str) -> bool:
    """SQLite has no exact numbers; SQLAlchemy says so in a warning, and keeps floats."""
    return not (name == "exact" and alchemy.dialect.name == "sqlite")


def test_values_go_there_and_back_by_sqlalchemy(alchemy: sa.Engine, table: sa.Table) -> None:
    names = [name for name in VALUES if _is_kept(alchemy, name)]
    rows: list[dict[str, Any]] = [
        {name: (VALUES[name][1][index : index + 1] or [None])[0] for name in names} for index in range(4)
    ]
    with alchemy.begin() as connection:
        connection.execute(sa.insert(table), [{"id": index, **row} for index, row in enumerate(rows, 1)])
    with alchemy.connect() as connection:
        found = [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.id)).mappings()]
        assert [{name: row[name] for name in names} for row in found] == rows
        assert {name: type(found[0][name]) for name in names} == {name: type(rows[0][name]) for name in names}
        for name in names:
            if name in {"parts", "broken"}:
                continue  # no engine compares these by themselves
            same = sa.select(table.c.id).where(table.c[name] == rows[0][name]).order_by(table.c.id)
            assert connection.execute(same).scalars().first() == 1, name


def test_a_write_tells_sqlalchemy_what_it_did(alchemy: sa.Engine, table: sa.Table) -> None:
    with alchemy.begin() as connection:
        first = connection.execute(sa.insert(table), {"words": "a"})
        assert first.inserted_primary_key is not None
        (key,) = first.inserted_primary_key
        assert connection.execute(sa.insert(table), [{"words": w} for w in "bcd"]).rowcount in {3, -1}
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 4
        changed = connection.execute(sa.update(table).where(table.c.words >= "c").values(whole=7))
        assert changed.rowcount == 2
        assert connection.execute(sa.select(table.c.words).where(table.c.id == key)).scalar() == "a"
        made = connection.execute(
            sa.insert(table).returning(table.c.id, table.c.words), [{"words": "e"}, {"words": "f"}]
        )
        assert {row.words for row in made} == {"e", "f"}
        assert connection.execute(sa.delete(table).where(table.c.words == "nothing")).rowcount == 0


def test_sqlalchemy_is_told_when_its_transaction_is_gone(alchemy: sa.Engine, table: sa.Table, gateway: Alone) -> None:
    """It throws the connection away, and the next one works."""
    connection = alchemy.connect()
    connection.execute(sa.insert(table), {"words": "lost"})
    driver = connection.connection.driver_connection
    assert driver is not None
    with gateway.client(gateway.token("ann", "builders")) as client:
        ended = client.post(f"/api/v1/transactions/{driver._transaction}", json={"do": "rollback"})
    assert ended.status_code == 200, ended.text
    with pytest.raises(sa.exc.OperationalError) as caught:
        connection.execute(sa.insert(table), {"words": "alone"})
    assert caught.value.connection_invalidated
    assert connection.invalidated
    connection.close()
    with alchemy.connect() as again:
        assert again.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0


def test_classes_of_errors_reach_sqlalchemy(alchemy: sa.Engine, table: sa.Table) -> None:
    with alchemy.begin() as connection:
        connection.execute(sa.insert(table), {"id": 1})
    for statement, kind in (
        (sa.insert(table).values(id=1), sa.exc.IntegrityError),
        (sa.select(sa.column("nothing")).select_from(table), sa.exc.ProgrammingError),
        (sa.text("select 1 from nowhere"), sa.exc.ProgrammingError),
    ):
        with alchemy.connect() as connection, pytest.raises(kind):
            connection.execute(statement)


def test_many_sets_are_one_call_all_or_none(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.executemany("insert into item (id, n) values (:id, :n)", [])
    assert cursor.rowcount == 0
    cursor.executemany("insert into item (id, n) values (:id, :n)", [{"id": i, "n": None} for i in range(3)])
    connection.commit()
    for sets in (
        [{"id": 7, "n": 1}, {"id": 0, "n": 1}],
        [{"id": 7, "n": 1}, {"id": 8}],
        [{"id": 7, "n": 1}, {"id": 8, "n": object()}],
        [{"id": 7, "n": 1}, {"id": None, "n": [1]}],
    ):
        with pytest.raises(gatebook.dbapi.Error):
            cursor.executemany("insert into item (id, n) values (:id, :n)", sets)
        connection.rollback()
        assert cursor.execute("select count(*) as n from item").fetchall() == [(3,)]
    with pytest.raises(gatebook.dbapi.Error):
        cursor.executemany("select id from item where id = :id", [{"id": 1}, {"id": 2}])


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), Decimal("NaN"), [1, 2], (1,), {"a": 1}, {1}, object(), 1j, "\ud800", "half \udfff"],
)
def test_what_is_no_value_is_refused_by_its_name_and_nothing_is_sent(gateway: Alone, value: Any) -> None:
    with gatebook.dbapi.connect("lab_sqlite", gateway.url, gateway.token("ann", "builders")) as made:
        with pytest.raises(gatebook.dbapi.ProgrammingError):
            made.execute("select :v as v", {"v": value})
        assert made.execute("select :v as v", {"v": 1}).fetchall() == [(1,)]


@pytest.mark.parametrize(
    "given",
    [{}, {"ID": 1}, {"id ": 1}, {"id": 1, "more": 2}, {":id": 1}, {1: 1}, [1], (1,), "1", {"id"}],
    ids=str,
)
def test_parameters_are_those_that_the_statement_names(connection: Connection, given: Any) -> None:
    with pytest.raises(gatebook.dbapi.ProgrammingError):
        connection.execute("select n from item where id = :id", given)


def test_values_that_do_not_fit_their_column_are_errors(connection: Connection) -> None:
    """SQLite keeps what it is given."""
    strict = connection.source != "lab_sqlite"
    for name, value in (
        ("n", "abc"),
        ("n", 2**31),
        ("n", 2**64 - 1),
        ("n", 2**70),
        ("price", Decimal("123456789.00")),
        ("bought", "no day"),
        ("name", "x" * 10),
    ):
        if strict and not (connection.source == "lab_duckdb" and name == "name"):
            with pytest.raises(gatebook.dbapi.DatabaseError):
                connection.execute(f"insert into item (id, {name}) values (1, :v)", {"v": value})
        connection.rollback()
        assert connection.execute("select count(*) as n from item").fetchall() == [(0,)], (name, value)
    connection.execute("insert into item (id, name) values (2, 'good')")
    connection.commit()
    assert connection.execute("select id, name from item").fetchall() == [(2, "good")]


def test_a_value_that_python_has_not_is_an_error_of_the_standard(gateway: Alone) -> None:
    """Arrow has it."""
    made = gatebook.dbapi.connect("lab_duckdb", gateway.url, gateway.token("ann", "builders"))
    cursor = made.execute("select date '20000-01-01' as d")
    with pytest.raises(gatebook.dbapi.DataError, match="`d`"):
        cursor.fetchall()
    with pytest.raises(gatebook.dbapi.OperationalError):
        cursor.fetchall()
    assert made.execute("select date '20000-01-01' as d").fetch_arrow_table().num_rows == 1


def test_the_first_rows_of_wide_ones_are_here_before_the_rest(connection: Connection) -> None:
    """Not the whole answer, however few rows are in a batch."""
    cursor = connection.cursor()
    cursor.executemany("insert into item (id) values (:id)", [{"id": i} for i in range(300)])
    connection.commit()
    wide = "x" * 10_000
    for _ in range(2):
        cursor.execute("select a.id, :wide as w from item a cross join item b", {"wide": wide})
        assert sum(batch.nbytes for batch in cursor._waiting) < 50_000_000
        assert cursor.fetchone() is not None
        cursor.cancel()
