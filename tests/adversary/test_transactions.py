"""What can a caller keep, skip or hold by a transaction that a single statement could not?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.stands import ENGINES, Stand, stand

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import ApprovalRequired, GatebookError, TooManyRequests, TransactionEnded
from gatebook_hub.services.queries import NEW, Answer, Question
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
    with pytest.raises(GatebookError):
        send(shop, "insert into genre (id, name) values (:id, 'many')", None, many=sets)
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
