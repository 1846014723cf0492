"""What may the restricted principal see, what must never show, and what would the right answer be?

Each engine has the demo database behind a gate, and beside it a *policy world*: plain tables with the masks applied and
the hidden rows and columns gone, made by SQL of its own. The right answer of any read is the unchanged statement there.
Canaries are the raw values that the principal may not see; they may appear nowhere.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from sqlalchemy import make_url

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Channel, Engine, Principal, PrincipalKind
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import open_gate, start
from gatebook_hub.services.queries import Question
from gatebook_hub.settings import Settings

COUNTRIES = "('Germany', 'Austria', 'Switzerland', 'France')"
_SOURCE = """
source: chinook
title: the demo behind walls
engine: {engine}
url: "{url}"
production: true
limits: {{rows: 20000, time_s: 8, concurrent: 4}}
default_quorum:
  - {{groups: [reviewers], needed: 1}}
"""
RULES = f"""
classification:
  pii.email: [chinook.customer.email, chinook.employee.email]
  pii.phone: [chinook.customer.phone, chinook.customer.fax, chinook.employee.phone, chinook.employee.fax]
  pii.birthdate: [chinook.employee.birthdate]
grants:
  - id: catalogue
    to: group:analysts
    on: [chinook.artist, chinook.album, chinook.track, chinook.genre, chinook.mediatype, chinook.employee]
    allow: [select]
  - id: customers
    to: group:analysts
    on: chinook.customer
    allow: [select]
    where: country in {COUNTRIES}
  - id: invoices
    to: group:analysts
    on: chinook.invoice
    allow: [select]
    where: customerid in (select customerid from customer where country in {COUNTRIES}) and billingcountry <> 'Nowhere'
  - id: tickets
    to: group:analysts
    on: chinook.support_ticket
    allow: [select, update, insert, delete]
    where: customerid in (select c.customerid from customer c where c.country in {COUNTRIES})
  - id: refunds-few-columns
    to: group:analysts
    on: chinook.refund
    columns: [refundid, invoiceid, amount]
    allow: [select]
  - id: cancel-refunds
    to: group:analysts
    on: chinook.refund
    allow: [delete]
  - id: fix-invoices
    to: group:analysts
    on: chinook.invoice
    columns: [total, billingcity, billingcountry, customerid]
    allow: [update]
  - id: fix-customers
    to: group:analysts
    on: chinook.customer
    allow: [update, insert]
    where: country in {COUNTRIES}
  - id: reviewers
    to: group:reviewers
    on: [chinook.customer, chinook.invoice, chinook.support_ticket]
    allow: [select, update]
protections:
  - id: mask-email
    tag: pii.email
    mask: email
    unless: group:reviewers
  - id: mask-phone
    tag: pii.phone
    mask: last(3)
    unless: group:reviewers
  - id: no-birthdates
    tag: pii.birthdate
    refuse: birth dates are for the people team alone
    ask: membership of the group `people`
    unless: group:people
  - id: no-tracks-of-metallica
    on: chinook.track
    where: composer is null or composer not like '%Hetfield%'
"""

ANALYST = Principal(kind=PrincipalKind.USER, name="mallory", groups=frozenset({"analysts"}))
REVIEWER = Principal(kind=PrincipalKind.USER, name="rita", groups=frozenset({"reviewers"}), channel=Channel.PORTAL)

_MASKS = {
    Engine.SQLITE: {
        "email": "substr({c},1,1) || '***' || substr({c}, instr({c}, '@'))",
        "last": "'***' || substr({c}, -3)",
    },
    Engine.POSTGRESQL: {
        "email": "substring({c} from 1 for 1) || '***' || substring({c} from position('@' in {c}))",
        "last": "'***' || right({c}, 3)",
    },
    Engine.MARIADB: {
        "email": "concat(left({c},1), '***', substr({c}, locate('@', {c})))",
        "last": "concat('***', right({c}, 3))",
    },
}
_ADDRESS = ["address", "city", "state", "country", "postalcode"]
_CUSTOMER = ["customerid", "firstname", "lastname", "company", *_ADDRESS, "phone", "fax", "email", "supportrepid"]
_REACHED = ["phone", "fax", "email"]
_EMPLOYEE = ["employeeid", "lastname", "firstname", "title", "reportsto", "hiredate", *_ADDRESS, *_REACHED]
_SCOPE = f"customerid in (select r.customerid from {{raw}}customer r where r.country in {COUNTRIES})"
_VISIBLE: Mapping[str, tuple[Sequence[str] | None, str]] = {
    "artist": (None, "1 = 1"),
    "album": (None, "1 = 1"),
    "genre": (None, "1 = 1"),
    "mediatype": (None, "1 = 1"),
    "track": (None, "composer is null or composer not like '%Hetfield%'"),
    "employee": (_EMPLOYEE, "1 = 1"),
    "customer": (_CUSTOMER, f"country in {COUNTRIES}"),
    "invoice": (None, f"{_SCOPE} and billingcountry <> 'Nowhere'"),
    "support_ticket": (None, _SCOPE),
    "refund": (["refundid", "invoiceid", "amount"], "1 = 1"),
}
_MASKED = {"email": "email", "phone": "last", "fax": "last"}

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Rows and column names, as the gate or a stock database gives them."""

    names: tuple[str, ...]
    rows: Rows


@dataclass(slots=True, kw_only=True)
class Fortress:
    """One engine: the gate's use cases, the raw database and the policy world."""

    engine: Engine
    cases: UseCases
    raw: Callable[[str], Answered]
    world: Callable[[str], Answered]
    canaries: frozenset[str]
    call: Call

    def ask(self, sql: str, **parameters: Any) -> Answered | ChangeRequest:
        """Send a statement as the restricted principal."""
        return ask(self.cases, self.call, sql, parameters)

    def read(self, sql: str, **parameters: Any) -> Answered:
        """Send a read."""
        answered = self.ask(sql, **parameters)
        assert isinstance(answered, Answered)
        return answered

    def refused(self, sql: str, **parameters: Any) -> GatebookError:
        """The refusal of a statement; fails if it is answered."""
        try:
            answered = self.ask(sql, **parameters)
        except GatebookError as error:
            self.check_text(f"{error} {error.ask}", typed=sql)
            return error
        raise AssertionError(f"not refused: {sql}\n{answered}")

    def assault(self, sql: str, **parameters: Any) -> Answered | GatebookError:
        """Send a statement that may be answered or refused: no canary either way, and no more than the policy world."""
        try:
            answered = self.read(sql, **parameters)
        except GatebookError as error:
            self.check_text(str(error), typed=sql)
            return error
        self.check_text(repr(answered), typed=sql)
        if not parameters:
            self.compare(sql, answered)
        return answered

    def compare(self, sql: str, answered: Answered) -> None:
        """The policy world gives the same rows to the unchanged statement, if it takes it."""
        if "public." in sql:
            return  # in the database of the policy world that name means the raw tables
        try:
            right = self.world(sql)
        except StockError:
            return
        assert normal(answered.rows) == normal(right.rows), sql

    def equals_world(self, sql: str) -> Answered:
        """Send a read that must be answered, and answered as the policy world does."""
        answered = self.read(sql)
        self.check_text(repr(answered), typed=sql)
        assert normal(answered.rows) == normal(self.world(sql).rows), sql
        return answered

    def check_text(self, text: str, typed: str = "") -> None:
        """No canary is in the text, but for those that were typed in."""
        found = [canary for canary in self.canaries if canary in text and canary not in typed]
        assert not found, f"canaries {found[:3]} in: {text[:300]}"


def every(statements: Iterable[str], check: Callable[[str], object]) -> None:
    """Check each statement and fail with the list of those that failed: one test, hundreds of attacks."""
    wrong = []
    for sql in statements:
        try:
            check(sql)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told at the end
            wrong.append(f"{sql}\n    {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, "\n".join([f"{len(wrong)} got through:", *wrong])


class StockError(Exception):
    """The stock database itself refused a statement."""


def ask(cases: UseCases, call: Call, sql: str, parameters: Mapping[str, Any]) -> Answered | ChangeRequest:
    """Send one statement through the gate and read the whole answer."""
    answer = cases.queries.ask(call, Question(source="chinook", sql=sql, parameters=parameters))
    if isinstance(answer, ChangeRequest):
        return answer
    try:
        rows: Rows = []
        for batch in answer.batches():
            columns = [column.to_pylist() for column in batch.columns]
            rows.extend(zip(*columns, strict=True))
        return Answered(names=tuple(answer.schema.names), rows=rows)
    finally:
        answer.close()


def normal(rows: Rows) -> list[tuple[str, ...]]:
    """Rows in an order of their own, with one spelling of equal values."""
    return sorted(tuple(_plain(value) for value in row) for row in rows)


def _plain(value: Any) -> str:
    match value:
        case None:
            return "\x00"
        case bool():
            return str(int(value))
        case int() | float() | Decimal():
            return f"{float(value):.6g}"
        case dt.datetime() | dt.date() | dt.time() | dt.timedelta():
            return str(value).removesuffix("+00:00")
        case bytes():
            return value.decode("utf-8", "replace")
        case _:
            return str(value)


@contextmanager
def fortress(engine: Engine, url: str, folder: Path) -> Iterator[Fortress]:
    """Open a gate in front of the database, and build the policy world beside it."""
    raw, world = _OPENERS[engine](url, folder)
    policies = folder / "policies"
    (policies / "sources").mkdir(parents=True)
    given = url if engine is not Engine.SQLITE else f"sqlite:///{url}"
    (policies / "sources" / "chinook.yaml").write_text(_SOURCE.format(engine=engine, url=given))
    (policies / "rules.yaml").write_text(RULES)
    settings = Settings(state=folder / "state", policies=policies, hub_host="localhost", gateway_host="127.0.0.1")
    with open_gate(settings) as gate:
        gate.in_force.sources.get("chinook").prepare()
        yield Fortress(
            engine=engine,
            cases=start(gate),
            raw=raw,
            world=world,
            canaries=_canaries(raw, world),
            call=Call(principal=ANALYST),
        )


def _canaries(raw: Callable[[str], Answered], world: Callable[[str], Answered]) -> frozenset[str]:
    """Raw values that the policy world does not hold as a value of its own."""
    queries = [
        "select email, phone, fax from customer",
        "select email, phone, fax, birthdate from employee",
        "select firstname, lastname, company, address, postalcode from customer",
        "select billingaddress from invoice",
        "select subject, body from support_ticket",
        "select reason from refund",
        "select name from track where composer like '%Hetfield%'",
    ]
    hidden = {_plain(value) for query in queries for row in raw(query).rows for value in row if value is not None}
    shown = " \n ".join(
        _plain(value) for table in _VISIBLE for row in world(f"select * from {table}").rows for value in row
    )
    return frozenset(text for text in hidden if len(text) > 4 and text not in shown)


def _visible(engine: Engine, table: str, columns: Sequence[str], prefix: str) -> str:
    """The select that gives one table of the policy world."""
    listed, condition = _VISIBLE[table]
    parts = []
    for name in listed or columns:
        is_masked = table in {"customer", "employee"} and name in _MASKED
        masked = _MASKS[engine].get(_MASKED.get(name, ""), "").format(c=name)
        parts.append(f"{masked} as {name}" if is_masked else name)
    return f"select {', '.join(parts)} from {prefix}{table} where {condition.format(raw=prefix)}"


def _open_sqlite(url: str, folder: Path) -> tuple[Callable[[str], Answered], Callable[[str], Answered]]:
    path = folder / "world.sqlite"
    builder = sqlite3.connect(path)
    builder.execute("attach database ? as raw", (url,))
    for table in _VISIBLE:
        columns = [row[1] for row in builder.execute(f"pragma raw.table_info({table})")]
        builder.execute(f"create table {table} as {_visible(Engine.SQLITE, table, columns, 'raw.')}")
    builder.commit()
    builder.close()

    def open_at(place: str) -> Callable[[str], Answered]:
        def run(sql: str) -> Answered:
            connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
            try:
                cursor = connection.execute(sql)
                return Answered(names=tuple(item[0] for item in cursor.description or ()), rows=cursor.fetchall())
            except sqlite3.Error as error:
                raise StockError(str(error)) from error
            finally:
                connection.close()

        return run

    return open_at(url), open_at(str(path))


def _open_postgres(url: str, _: Path) -> tuple[Callable[[str], Answered], Callable[[str], Answered]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema if not exists world")
        for table in _VISIBLE:
            cursor = connection.execute(f"select * from public.{table} limit 0")
            columns = [item[0] for item in cursor.description or ()]
            connection.execute(f"drop table if exists world.{table}")
            connection.execute(
                f"create table world.{table} as {_visible(Engine.POSTGRESQL, table, columns, 'public.')}"
            )

    def open_at(schema: str) -> Callable[[str], Answered]:
        def run(sql: str) -> Answered:
            with psycopg.connect(url) as connection:
                try:
                    connection.execute(f"set search_path = {schema}")
                    connection.execute("set statement_timeout = 20000")
                    cursor = connection.execute(sql)
                    rows = [tuple(row) for row in cursor.fetchall()]
                    return Answered(names=tuple(item[0] for item in cursor.description or ()), rows=rows)
                except psycopg.Error as error:
                    raise StockError(str(error)) from error
                finally:
                    connection.rollback()

        return run

    return open_at("public"), open_at("world")


def _open_mariadb(url: str, _: Path) -> tuple[Callable[[str], Answered], Callable[[str], Answered]]:
    parsed = make_url(url)
    name = str(parsed.database)

    def connect(database: str) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host=parsed.host or "127.0.0.1",
            port=parsed.port or 3306,
            user=parsed.username or "root",
            password=str(parsed.password or ""),
            database=database,
            charset="utf8mb4",
            autocommit=True,
        )

    # The world is in the same database under other names, so that it goes when the database goes.
    connection = connect(name)
    with connection.cursor() as cursor:
        for table in _VISIBLE:
            cursor.execute(f"select * from {table} limit 0")
            columns = [item[0] for item in cursor.description or ()]
            cursor.execute(f"create database if not exists {name}_world character set utf8mb4")
            cursor.execute(f"drop table if exists {name}_world.{table}")
            body = _visible(Engine.MARIADB, table, columns, f"{name}.")
            cursor.execute(f"create table {name}_world.{table} collate utf8mb4_bin as {body}")
    connection.close()

    def open_at(database: str) -> Callable[[str], Answered]:
        opened = connect(database)

        def run(sql: str) -> Answered:
            try:
                with opened.cursor() as cursor:
                    cursor.execute("set session max_statement_time = 20")
                    cursor.execute(sql)
                    rows = [tuple(row) for row in cursor.fetchall()]
                    return Answered(names=tuple(item[0] for item in cursor.description or ()), rows=rows)
            except pymysql.MySQLError as error:
                raise StockError(str(error)) from error

        return run

    return open_at(name), open_at(f"{name}_world")


_OPENERS = {
    Engine.SQLITE: _open_sqlite,
    Engine.POSTGRESQL: _open_postgres,
    Engine.MARIADB: _open_mariadb,
}
