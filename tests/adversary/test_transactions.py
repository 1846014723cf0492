"""What can a caller keep, skip or hold by a transaction that a single statement could not?"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.stands import ENGINES, Stand, stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import (
    ApprovalRequired,
    GatebookError,
    LimitExceeded,
    StatementFailed,
    StatementTimeout,
    TooManyRequests,
    TransactionEnded,
)
from gatebook_hub.model import Engine
from gatebook_hub.services import sandboxing
from gatebook_hub.services.applying import Gathered
from gatebook_hub.services.queries import NEW, Answer, Question, Waiting
from gatebook_hub.services.sandboxing import Done
from gatebook_hub.services.transactions import Transactions

pytestmark = pytest.mark.adversary

SETUP = [
    "create table person (id integer primary key, country varchar(20), email varchar(50))",
    "insert into person values (1, 'DE', 'a@x'), (2, 'FR', 'secret@x')",
    "create table genre (id integer primary key, name varchar(50))",
    "insert into genre values " + ", ".join(f"({i}, 'g{i}')" for i in range(1, 26)),
]
RULES = """
grants:
  - {id: people, to: "group:people", on: shop.person, allow: [select, insert, update, delete], where: country = 'DE'}
  - {id: genres, to: "group:people", on: shop.genre, allow: [select, insert, update, delete]}
  - {id: ddl, to: "group:people", on: shop.other, allow: [ddl]}
approvals:
  - {id: many, on: shop.genre, when: rows > 20, require: [{groups: [reviewers]}]}
"""


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with stand(request, request.param, tmp_path, SETUP, RULES, sandbox=True) as made:
        yield made
        made.cases.transactions.close()


def send(shop: Stand, sql: str, transaction: str | None, **more: Any) -> Any:
    question = Question(source="shop", sql=sql, parameters={}, transaction=transaction, **more)
    answer = shop.cases.queries.ask(shop.call, question)
    if isinstance(answer, Answer):
        return [tuple(row.values()) for batch in answer.batches() for row in batch.to_pylist()]
    return answer


def begun(shop: Stand, sql: str = "update genre set name = 'x' where id = 1") -> str:
    done = send(shop, sql, NEW)
    assert isinstance(done, Done)
    assert done.transaction
    return done.transaction


@pytest.mark.parametrize(
    "sql",
    [
        "insert into person (id, country, email) values (99, 'FR', 'planted')",
        "update person set country = 'FR' where id = 1",
        "insert into genre (id, name) values (1, 'again')",
        "update genre set name = 'hacked'",
        "select nothing from genre",
        "delete from nowhere",
    ],
)
def test_what_is_refused_or_fails_leaves_nothing_behind(shop: Stand, sql: str) -> None:
    id_ = begun(shop)
    with pytest.raises(GatebookError):
        send(shop, sql, id_)
    for verb in ("commit", "rollback", "savepoint"):
        with pytest.raises(TransactionEnded):
            shop.cases.transactions.control(shop.call, id_, verb, "a")
    assert shop.run("select count(*) from genre where name in ('x', 'hacked', 'again')") == [(0,)]
    assert shop.run("select id, country from person order by id") == [(1, "DE"), (2, "FR")]


def test_rows_are_summed_for_approvals(shop: Stand) -> None:
    id_ = begun(shop, "update genre set name = 'hacked' where id <= 15")
    with pytest.raises(ApprovalRequired):
        send(shop, "update genre set name = 'hacked' where id > 15", id_)
    assert shop.run("select count(*) from genre where name = 'hacked'") == [(0,)]
    sets = tuple({"id": number} for number in range(1000, 1060))
    with pytest.raises(GatebookError):
        send(shop, "insert into genre (id, name) values (:id, 'many')", NEW, many=sets)
    asked = send(shop, "insert into genre (id, name) values (:id, 'many')", None, many=sets)
    assert isinstance(asked, ChangeRequest)
    assert asked.state is State.AWAITING_REVIEW
    assert shop.run("select count(*) from genre where name = 'many'") == [(0,)]


def test_filters_hold_inside(shop: Stand) -> None:
    id_ = begun(shop)
    assert send(shop, "select id, email from person", id_) == [(1, "a@x")]
    assert send(shop, "select name from genre where id = 1", id_) == [("x",)]
    shop.cases.transactions.control(shop.call, id_, "rollback", None)
    assert shop.run("select name from genre where id = 1") == [("g1",)]


def test_places_are_few_and_come_back(shop: Stand) -> None:
    transactions = shop.cases.transactions
    id_ = begun(shop)
    with pytest.raises(GatebookError):
        send(shop, "update genre set name = 'x' where id = 1", "0123456789abcdef")
    transactions.control(shop.call, id_, "commit", None)
    if shop.engine in {"postgresql", "mariadb"}:
        ids = [begun(shop, f"update genre set name = 'y' where id = {number}") for number in (1, 2)]
        with pytest.raises(TooManyRequests):
            begun(shop, "update genre set name = 'y' where id = 3")
        for each in ids:
            transactions.control(shop.call, each, "rollback", None)
    assert begun(shop)


def test_what_nobody_uses_is_ended(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.cases.transactions, "_idle_s", 0.5)
    id_ = begun(shop)
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and shop.cases.transactions._open:
        time.sleep(0.2)
    with pytest.raises(TransactionEnded):
        shop.cases.transactions.control(shop.call, id_, "commit", None)
    assert shop.run("select name from genre where id = 1") == [("g1",)]
    assert isinstance(shop.cases.transactions, Transactions)


def test_a_write_alone_that_needs_people_is_a_request_still(shop: Stand) -> None:
    assert isinstance(send(shop, "update genre set name = 'hacked'", None), ChangeRequest)


def test_a_first_write_that_lasts_is_not_ended_while_it_runs(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    transactions = shop.cases.transactions
    monkeypatch.setattr(transactions, "_idle_s", 0.2)
    plain, open_then = Gathered.add, []

    def slow(self: Gathered, rows: Any) -> None:
        plain(self, rows)
        if not open_then:
            time.sleep(2.5)
            open_then.append(len(transactions._open))

    monkeypatch.setattr(Gathered, "add", slow)
    sets = tuple({"id": number} for number in range(1, 26))
    with pytest.raises(ApprovalRequired):
        send(shop, "update genre set name = 'hacked' where id = :id", NEW, many=sets)
    assert open_then == [1]
    assert shop.run("select count(*) from genre where name = 'hacked'") == [(0,)]


@pytest.mark.parametrize(
    "more",
    [
        "merge into genre using (select id as i from genre where id > 15) s on genre.id = s.i "
        "when matched then update set name = 'hacked'",
        "insert into genre (id, name) select id, 'hacked' from genre where id > 15 and true "
        "on conflict (id) do update set name = 'hacked'",
    ],
)
def test_rows_are_summed_over_kinds_of_statements(shop: Stand, more: str) -> None:
    if shop.engine == "mariadb":
        more = more.replace("on conflict (id) do update set", "on duplicate key update")
    id_ = begun(shop, "update genre set name = 'hacked' where id <= 15")
    with pytest.raises(ApprovalRequired):
        send(shop, more, id_)
    assert shop.run("select count(*) from genre where name = 'hacked'") == [(0,)]


def test_rows_are_summed_over_rights_for_rules_that_name_none(shop: Stand) -> None:
    id_ = begun(shop, "update genre set name = 'hacked' where id <= 15")
    with pytest.raises(ApprovalRequired):
        send(shop, "insert into genre (id, name) select id + 100, 'hacked' from genre where id <= 15", id_)
    assert shop.run("select count(*) from genre where name = 'hacked'") == [(0,)]


@pytest.mark.postgres
def test_a_time_limit_stands_after_a_savepoint(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table light (id integer primary key, v integer)",
        "insert into light values (1, 1)",
        "create table heavy as select g as id from generate_series(1, 4000) g",
    ]
    rules = """
grants:
  - {id: light, to: "group:people", on: shop.light, allow: [select, update], limits: {time_s: 60}}
  - {id: heavy, to: "group:people", on: shop.heavy, allow: [select], limits: {time_s: 0.5}}
"""
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=True) as made:
        id_ = begun(made, "update light set v = 2")
        made.cases.transactions.control(made.call, id_, "savepoint", "a")
        send(made, "select count(*) as n from heavy", id_)
        made.cases.transactions.control(made.call, id_, "rollback_to", "a")
        with pytest.raises(StatementTimeout):
            send(made, "select count(*) as n from heavy a, heavy b, heavy c", id_)


def test_what_was_undone_is_not_told_as_committed(shop: Stand) -> None:
    if shop.engine == "duckdb":
        pytest.skip("no savepoints")
    id_, control = begun(shop), shop.cases.transactions.control
    control(shop.call, id_, "savepoint", "a")
    send(shop, "update genre set name = 'y' where id between 2 and 11", id_)
    control(shop.call, id_, "rollback_to", "a")
    control(shop.call, id_, "commit", None)
    deadline = time.monotonic() + 10
    while not any('"committed"' in line for line in _told(shop, "transaction.outcome")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    intents = _told(shop, "transaction.intent")
    assert [re.findall(r'"(?:step|rows)": ?"?(\w+)', line) for line in intents] == [
        ["savepoint", "0"],
        ["rollback_to", "10"],
        ["commit", "1"],
    ], intents


def test_what_many_sets_return_is_bounded(shop: Stand) -> None:
    if shop.engine == "mariadb":
        pytest.skip("an update of it returns nothing")
    long = f"replace('{'a' * 900}', 'a', '{'b' * 9000}')"
    sets = ({"id": 1}, {"id": 1})
    with pytest.raises(LimitExceeded):
        send(shop, f"update person set email = 'x' where id = :id returning {long} as v", None, many=sets)


def test_a_write_whose_caller_is_gone_is_not_committed(shop: Stand) -> None:
    waiting = Waiting()
    waiting.leave()
    question = Question(source="shop", sql="update genre set name = 'gone'", parameters={})
    for sql in ("update genre set name = 'gone' where id = 1", "update genre set name = 'gone' where id < 9"):
        for transaction in (None, NEW):
            with pytest.raises(StatementFailed):
                shop.cases.queries.ask(shop.call, replace(question, sql=sql, transaction=transaction), waiting)
    assert shop.run("select count(*) from genre where name = 'gone'") == [(0,)]


def test_writes_need_places_like_reads(shop: Stand) -> None:
    places = shop.cases.gate.places
    for _ in range(4):
        assert places.enter(shop.call.principal.id, "shop", 4)
    with pytest.raises(TooManyRequests):
        send(shop, "update genre set name = 'x' where id = 1", None)
    with pytest.raises(TooManyRequests):
        send(shop, "create table other (id integer primary key)", None)
    places.leave(shop.call.principal.id, "shop")
    assert send(shop, "update genre set name = 'x' where id = 1", None).rows == 1


def test_many_sets_have_one_end_together(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxing, "LONGEST_S", 0.0)
    with pytest.raises(StatementTimeout):
        send(shop, "update genre set name = 'late' where id = :id", None, many=({"id": 1}, {"id": 2}))
    assert shop.run("select count(*) from genre where name = 'late'") == [(0,)]


def _told(shop: Stand, kind: str) -> list[str]:
    return [data.decode() for data, _ in shop.cases.gate.book.entries() if kind.encode() in data]
