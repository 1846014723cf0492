"""Actions: several statements as one, checks in the write's own transaction, choices, rates, dry runs; and what gets by."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.engines import ENGINES
from tests.adversary.stands import Stand, stand

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import AccessRefused, EffectMissed, GatebookError, InvalidInput, TooManyRequests
from gatebook_hub.model import Channel, Engine, Principal, PrincipalKind
from gatebook_hub.services.actions import Press
from gatebook_hub.services.gate import Call
from gatebook_hub.stores.book import EventFilter

pytestmark = [pytest.mark.adversary, pytest.mark.parametrize("engine", ENGINES)]
TABLES = [
    "create table account (id integer primary key, owner varchar(20), balance integer, secret varchar(20))",
    "create table entry (id integer primary key, account integer, amount integer, kind varchar(20))",
    "create table kind (code varchar(20) primary key, label varchar(20), hidden integer)",
    "insert into account values (1, 'ada', 100, 's1'), (2, 'bob', 50, 's2')",
    "insert into kind values ('gift', 'A gift', 0), ('fee', 'A fee', 0), ('fraud', 'Fraud', 1)",
]
MOVE = """
action: move
title: Move money
source: shop
params:
  origin: {type: integer, minimum: 1}
  target: {type: integer, minimum: 1}
  amount: {type: integer, minimum: 1}
  kind: {type: string, choices: "select code, label from kind where hidden = 0 order by code"}
  booking: {type: integer, minimum: 1}
  owner: {type: string}
checks:
  - {sql: "select 1 from account where id = :origin and owner = :owner", otherwise: this is not their account}
  - {sql: "select 1 from account where id = :origin and balance >= :amount", otherwise: there is not so much in it}
sql: |
  update account set balance = balance - :amount where id = :origin;
  update account set balance = balance + :amount where id = :target;
  insert into entry (id, account, amount, kind) values (:booking, :target, :amount, :kind)
expect_rows: 3
otherwise: one of the accounts is not there
"""
NOTE = """
action: note
title: Note
source: shop
params: {booking: {type: integer}}
sql: insert into entry (id, account, amount, kind) values (:booking, 1, 0, 'gift')
rates: [{times: 2, per: hour}]
"""
RULES = """
grants:
  - {id: a, to: "group:people", actions: [move, note]}
  - {id: r, to: "group:reviewers", on: [shop.account, shop.entry], allow: [select]}
approvals:
  - {id: large, actions: move, when: [amount > 40], require: [{groups: [reviewers], needed: 1}]}
  - {id: small, actions: move, when: [amount <= 40], require: []}
  - {id: notes, actions: note, require: []}
"""
GOOD = {"origin": 1, "target": 2, "amount": 30, "kind": "gift", "booking": 1, "owner": "ada"}
ALL = "select balance from account order by id"


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> Iterator[Stand]:
    with stand(request, engine, tmp_path, TABLES, RULES, sandbox=False, actions=[MOVE, NOTE]) as made:
        yield made


def press(shop: Stand, action: str = "move", call: Call | None = None, **params: Any) -> ChangeRequest:
    return shop.cases.actions.call(call or shop.call, Press(action=action, params=params))


def test_several_statements_are_one_change_which_can_be_undone(shop: Stand) -> None:
    done = press(shop, **GOOD)
    assert (done.state, done.rows, [diff.table for diff in done.diffs]) == (State.EXECUTED, 3, ["account", "entry"])
    assert shop.run(ALL) == [(70,), (80,)]
    back = shop.cases.changes.undo(shop.call, done.id)
    assert back.state is State.AWAITING_REVIEW, "no rule that frees an action frees an undo"
    shop.executed(back)
    assert shop.run(ALL) == [(100,), (50,)]
    assert shop.run("select count(*) from entry") == [(0,)]


def test_one_that_does_not_apply_writes_nothing_of_it(shop: Stand) -> None:
    with pytest.raises(EffectMissed, match="one of the accounts is not there"):
        press(shop, **{**GOOD, "target": 9})
    assert shop.run(ALL) == [(100,), (50,)]


def test_each_check_says_what_is_wrong(shop: Stand) -> None:
    with pytest.raises(EffectMissed, match="not their account"):
        press(shop, **{**GOOD, "owner": "bob"})
    with pytest.raises(EffectMissed, match="not so much in it"):
        press(shop, **{**GOOD, "amount": 101})


def test_checks_hold_when_it_is_executed_too(shop: Stand) -> None:
    asked = press(shop, **{**GOOD, "amount": 60})
    assert asked.state is State.AWAITING_REVIEW
    shop.run("update account set owner = 'eve' where id = 1")
    failed = shop.approved(asked)
    assert failed.state in {State.FAILED, State.DRIFTED}
    assert "not their account" in str(failed.failure)
    assert shop.run(ALL) == [(100,), (50,)]


def test_choices_are_those_of_the_moment_and_others_are_refused(shop: Stand) -> None:
    action, choices = shop.cases.actions.open(shop.call, "move")
    assert [(one.value, one.label) for one in choices["kind"]] == [("fee", "A fee"), ("gift", "A gift")]
    assert action.name == "move"
    for kind in ("fraud", "nothing", "gift' or 1 = 1 --", ""):
        with pytest.raises(InvalidInput):
            press(shop, **{**GOOD, "kind": kind})
    shop.run("update kind set hidden = 1 where code = 'gift'")
    with pytest.raises(InvalidInput, match="none of its choices"):
        press(shop, **GOOD)


def test_choices_are_for_those_who_may_call_it_and_are_in_the_book(shop: Stand) -> None:
    stranger = Call(
        principal=Principal(kind=PrincipalKind.USER, name="sam", groups=frozenset(), channel=Channel.ISSUED_TOKEN)
    )
    with pytest.raises(AccessRefused):
        shop.cases.actions.open(stranger, "move")
    shop.cases.actions.open(shop.call, "move")
    told = shop.cases.gate.book.find(EventFilter(kind=EventKind.QUERY_INTENT))
    assert ("move", "choices of kind") in [
        (one.content.get("action"), (one.content.get("extra") or {}).get("step")) for one in told
    ]
    assert shop.cases.gate.book.find(EventFilter(kind=EventKind.ACTION_REFUSED, principal="user:sam"))


def test_a_dry_run_does_nothing_and_counts_for_nothing(shop: Stand) -> None:
    for _ in range(4):
        previewed = shop.cases.actions.rehearse(shop.call, Press(action="note", params={"booking": 5}))
        assert previewed.draft.rows == 1
    assert shop.run("select count(*) from entry") == [(0,)]
    assert shop.cases.changes.find(shop.call.principal) == ()
    press(shop, "note", booking=5)


def test_a_rate_is_for_each_caller_and_presses_at_once_do_not_slip_by(shop: Stand) -> None:
    told: list[object] = []

    def one(number: int) -> None:
        try:
            told.append(press(shop, "note", booking=number).state)
        except GatebookError as error:
            told.append(type(error))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, told)) == sorted(map(str, [State.EXECUTED] * 2 + [TooManyRequests] * 3))
    assert shop.run("select count(*) from entry") == [(2,)]
    other = Call(principal=replace(shop.call.principal, name="olga"))
    assert press(shop, "note", other, booking=77).state is State.EXECUTED


def test_a_refused_press_can_be_sent_again_with_its_key(shop: Stand) -> None:
    def keyed(amount: int) -> ChangeRequest:
        given = Press(action="move", params={**GOOD, "amount": amount}, idempotency_key="k" * 12)
        return shop.cases.actions.call(shop.call, given)

    with pytest.raises(EffectMissed):
        keyed(101)
    first = keyed(20)
    assert keyed(20).id == first.id
    assert shop.run(ALL) == [(80,), (70,)]


def test_nobody_reads_by_a_check_what_is_protected(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    """An action that asks about a masked column asks about what stands for it."""
    peek = """
action: peek
title: Peek
source: shop
params: {guess: {type: string}, booking: {type: integer}}
checks: [{sql: "select 1 from account where id = 1 and secret = :guess", otherwise: wrong}]
sql: insert into entry (id, account, amount, kind) values (:booking, 1, 0, 'gift')
"""
    rules = """
grants: [{id: a, to: "group:people", actions: [peek]}]
protections: [{id: m, on: shop.account.secret, mask: redact}]
approvals: [{id: f, actions: peek, require: []}]
"""
    with (
        stand(request, engine, tmp_path, TABLES, rules, sandbox=False, actions=[peek]) as shop,
        pytest.raises(EffectMissed, match="wrong"),
    ):
        press(shop, "peek", guess="s1", booking=1)
