"""Does each mask show what it says, in every engine, with NULL left NULL and no value told?"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest
from sqlalchemy import make_url

from gatebook_hub import sql
from gatebook_hub.errors import PolicyInvalid, StatementRefused
from gatebook_hub.model import Column, Engine, Mask, Schema, Table, TableObligation
from gatebook_hub.sources.worker.sqlite import keyed_hash
from gatebook_hub.sql.masks import HASH_INNER, HASH_OUTER, check_mask

KEY = bytes(range(200, 232))
PADS = {
    HASH_OUTER: bytes(byte ^ 0x5C for byte in KEY.ljust(64, b"\0")),
    HASH_INNER: bytes(byte ^ 0x36 for byte in KEY.ljust(64, b"\0")),
}
COLUMNS = {
    "id": "integer",
    "mail": "varchar(60)",
    "word": "varchar(60)",
    "whole": "integer",
    "exact": "decimal(12, 2)",
    "inexact": "double precision",
    "day": "date",
}
ROWS = [
    (1, "köhler@surf.de", "Straße", 17, "12.34", 17.5, "1962-02-18"),
    (2, "@odd", "ab", -17, "-12.34", -17.5, "2001-12-31"),
    (3, None, None, None, None, None, None),
    (4, "nomail", "", 0, "0.00", 0.0, "2000-01-01"),
]
Run = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]


def _fill(run: Run, mark: str) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    run(f"create table person ({columns})", {})
    for row in ROWS:
        values = {f"v{index}": value for index, value in enumerate(row)}
        run(f"insert into person values ({', '.join(mark.format(name) for name in values)})", values)


@pytest.fixture(params=[*Engine], ids=str)
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(request.param)


@pytest.fixture
def run(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Execute on the real engine, with the table filled."""
    match engine:
        case Engine.SQLITE:
            lite = sqlite3.connect(":memory:")
            lite.create_function("gatebook_hash", 3, keyed_hash, deterministic=True)

            def go(text: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
                return lite.execute(text, dict(values)).fetchall()

            _fill(go, ":{}")
            yield go
            lite.close()
        case Engine.DUCKDB:
            duck = duckdb.connect()

            def go(text: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
                return duck.execute(text, dict(values)).fetchall()

            _fill(go, "${}")
            yield go
            duck.close()
        case Engine.POSTGRESQL:
            with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as server:

                def go(text: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
                    cursor = server.execute(text, dict(values))
                    return cursor.fetchall() if cursor.description else []

                _fill(go, "%({})s")
                yield go
        case Engine.MARIADB:
            url = make_url(request.getfixturevalue("mariadb_url"))
            maria = pymysql.connect(
                host=url.host or "", port=url.port or 3306, user=url.username, database=url.database, charset="utf8mb4"
            )

            def go(text: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
                with maria.cursor() as cursor:
                    cursor.execute(text, dict(values))
                    return list(cursor.fetchall())

            _fill(go, "%({})s")
            yield go
            maria.close()


def _schema(engine: Engine, namespace: str) -> Schema:
    columns = tuple(Column(name=name, type=kind) for name, kind in COLUMNS.items())
    table = Table(name="person", columns=columns, key=("id",))
    return Schema(source="shop", engine=engine, version="1", tables={"person": table}, namespace=namespace)


def shown(engine: Engine, run: Run, column: str, mask: Mask, text: str | None = None) -> list[Any]:
    """What the rows of a masked column look like, in the order of their ids."""
    namespace = {Engine.POSTGRESQL: "public"}.get(engine, "main")
    if engine is Engine.MARIADB:
        namespace = str(run("select database()", {})[0][0])
    schema = _schema(engine, namespace)
    world = TableObligation(table="person", columns=tuple(COLUMNS), masks={column: mask})
    statement = sql.parse(text or f"select {column} from person order by id", engine)
    plan = sql.rewrite(sql.analyse(statement, schema), {"person": world}, schema, nonce="n")
    values = {name: value for name, value in PADS.items() if name in plan.parameters}
    return [row[0] for row in run(plan.sql, values)]


def mask(name: str, argument: int | None = None, expression: str | None = None) -> Mask:
    return Mask(name=name, argument=argument, expression=expression, rule="r")


def test_null_hides_every_value_of_every_type(engine: Engine, run: Run) -> None:
    for column in COLUMNS:
        if column != "id":
            assert shown(engine, run, column, mask("null")) == [None] * 4


def test_redact_shows_that_there_is_a_value(engine: Engine, run: Run) -> None:
    for column in ("word", "whole", "exact", "day"):
        assert shown(engine, run, column, mask("redact")) == ["***", "***", None, "***"]


def test_hash_is_the_hmac_of_the_text(engine: Engine, run: Run) -> None:
    expected = [
        None if row[1] is None else hmac.new(KEY, str(row[1]).encode(), hashlib.sha256).hexdigest()[:32] for row in ROWS
    ]
    assert shown(engine, run, "mail", mask("hash")) == expected
    whole = shown(engine, run, "whole", mask("hash"))
    assert whole[0] == hmac.new(KEY, b"17", hashlib.sha256).hexdigest()[:32]
    assert whole[2] is None


def test_hashed_values_join(engine: Engine, run: Run) -> None:
    text = "select count(*) as n from person a join person b on a.mail = b.mail"
    assert shown(engine, run, "mail", mask("hash"), text) == [3]


def test_email_keeps_the_first_letter_and_the_host(engine: Engine, run: Run) -> None:
    assert shown(engine, run, "mail", mask("email")) == ["k***@surf.de", "***", None, "***"]


def test_last_and_first_keep_so_many_characters(engine: Engine, run: Run) -> None:
    assert shown(engine, run, "word", mask("last", 3)) == ["***aße", "***", None, "***"]
    assert shown(engine, run, "word", mask("first", 3)) == ["Str***", "***", None, "***"]
    assert shown(engine, run, "whole", mask("last", 1)) == ["***7", "***7", None, "***"]


def test_year_keeps_the_year(engine: Engine, run: Run) -> None:
    found = shown(engine, run, "day", mask("year"))
    assert [None if value is None else str(value) for value in found] == [
        "1962-01-01",
        "2001-01-01",
        None,
        "2000-01-01",
    ]
    if engine in {Engine.POSTGRESQL, Engine.DUCKDB}:
        assert isinstance(found[0], dt.date)


def test_bucket_keeps_the_lower_end_and_the_type(engine: Engine, run: Run) -> None:
    assert shown(engine, run, "whole", mask("bucket", 10)) == [10, -20, None, 0]
    assert [
        None if value is None else Decimal(str(value)) for value in shown(engine, run, "exact", mask("bucket", 5))
    ] == [
        Decimal(10),
        Decimal(-15),
        None,
        Decimal(0),
    ]
    assert shown(engine, run, "inexact", mask("bucket", 5)) == [15.0, -20.0, None, 0.0]
    assert all(isinstance(value, int) for value in shown(engine, run, "whole", mask("bucket", 10)) if value is not None)


def test_a_bucket_of_text_is_a_mistake_of_policy(engine: Engine) -> None:
    with pytest.raises(PolicyInvalid, match="numbers"):
        check_mask(mask("bucket", 10), Column(name="word", type="varchar(60)"), _schema(engine, "main"))


def test_custom_is_the_data_owners_expression(engine: Engine, run: Run) -> None:
    expression = "case when value is null then null else upper(substr(value, 1, 2)) end"
    assert shown(engine, run, "mail", mask("custom", expression=expression)) == ["KÖ", "@O", None, "NO"] or (
        engine is Engine.SQLITE  # it knows the case of ASCII letters alone
    )


@pytest.mark.parametrize(
    "expression",
    [
        "mail",
        "person.value",
        "(select max(word) from person)",
        ":gb_principal",
        "value as x",
        "value, 1",
        "pg_sleep(1)",
        "value from person",
        "value; drop table person",
        "",
    ],
)
def test_an_expression_reaches_nothing_but_the_value(engine: Engine, expression: str) -> None:
    with pytest.raises(PolicyInvalid):
        check_mask(
            mask("custom", expression=expression), Column(name="mail", type="varchar(60)"), _schema(engine, "main")
        )


@pytest.mark.parametrize("call", ["gatebook_hash('a', 'b', 'c')", "unhex('00')", "convert_to('a', 'b')"])
def test_nobody_calls_what_masks_are_made_of(engine: Engine, call: str) -> None:
    """A hash of one's own guess, compared with the masked value, would tell the value."""
    with pytest.raises(StatementRefused):
        sql.parse(f"select {call}", engine)
