"""Access for a time: asked for with a reason, agreed to by others, ends by itself, and is nobody else's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.adversary.stands import REVIEWER, Stand, stand

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import AccessRefused, GatebookError, InvalidInput, NotFound, NotPermitted, ReviewRefused
from gatebook_hub.model import Engine, PrincipalKind
from gatebook_hub.services.gate import Call
from gatebook_hub.services.lending import on_offer
from gatebook_hub.stores.book import EventFilter

pytestmark = pytest.mark.adversary
TABLES = [
    "create table pay (id integer primary key, who varchar(20), amount integer)",
    "insert into pay values (1, 'ada', 10), (2, 'bob', 20)",
    "create table open_table (id integer primary key)",
]
RULES = """
grants:
  - {id: base, to: ["group:people", "group:reviewers"], on: shop.open_table, allow: [select]}
  - id: pay-for-a-while
    to: group:people
    on: shop.pay
    columns: [id, who]
    allow: [select]
    on_request: {hours: 8, require: [{groups: [reviewers], needed: 1}]}
"""
NAME = "pay-for-a-while"
READ = "select who from pay order by id"


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with stand(request, Engine.SQLITE, tmp_path, TABLES, RULES, sandbox=False) as made:
        yield made


def ask(shop: Stand, hours: float = 2, reason: str | None = "quarter end", call: Call | None = None) -> ChangeRequest:
    return shop.cases.changes.propose_access(replace(call or shop.call, reason=reason), NAME, hours)


def again(shop: Stand) -> Stand:
    """The same person at their next call."""
    gate = shop.cases.gate
    return replace(shop, call=Call(principal=gate.leased(shop.call.principal)))


def is_open(shop: Stand) -> bool:
    try:
        return again(shop).ask(READ) == [("ada",), ("bob",)]
    except GatebookError:
        return False


def test_it_is_given_by_somebody_else_and_ends_by_itself(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_open(shop)
    asked = ask(shop)
    assert (asked.state, is_open(shop)) == (State.AWAITING_REVIEW, False)
    done = shop.executed(asked)
    assert is_open(shop)
    assert isinstance(again(shop).refused("select amount from pay"), AccessRefused), "what the rule does not give"
    now = dt.datetime.now(dt.UTC)
    monkeypatch.setattr(shop.cases.gate, "now", lambda: now + dt.timedelta(hours=2, minutes=1))
    assert not is_open(shop)
    with pytest.raises(NotFound, match="over already"):
        shop.cases.changes.end_access(shop.call, done.id)


def test_nobody_gives_it_to_themselves(shop: Stand) -> None:
    both = replace(shop.call.principal, groups=frozenset({"people", "reviewers"}), channel=REVIEWER.channel)
    asked = ask(shop, call=Call(principal=both))
    with pytest.raises(ReviewRefused, match="their own"):
        shop.approved(asked, both)
    assert not is_open(shop)


@pytest.mark.parametrize("hours", [0, -1, 8.01, 1e9, float("inf"), float("nan")])
def test_no_longer_than_the_rule_says(shop: Stand, hours: float) -> None:
    with pytest.raises(InvalidInput):
        ask(shop, hours)


def test_it_needs_a_reason_and_is_for_those_who_may_ask(shop: Stand) -> None:
    with pytest.raises(AccessRefused, match="reason"):
        ask(shop, reason="  ")
    for stranger in (
        replace(shop.call.principal, groups=frozenset({"others"})),
        replace(shop.call.principal, kind=PrincipalKind.JOB),
    ):
        with pytest.raises(NotFound):
            ask(shop, call=Call(principal=stranger))
    with pytest.raises(NotFound):
        shop.cases.changes.propose_access(replace(shop.call, reason="x"), "base", 1)


def test_it_is_one_persons_and_a_group_of_that_name_is_nothing(shop: Stand) -> None:
    shop.executed(ask(shop))
    gate = shop.cases.gate
    other = replace(shop.call.principal, name="olga")
    assert gate.leased(other).leases == frozenset()
    lease = next(iter(gate.leased(shop.call.principal).leases))
    forged = replace(other, groups=frozenset({"people", lease, NAME}))
    assert isinstance(replace(shop, call=Call(principal=gate.leased(forged))).refused(READ), GatebookError)


def test_another_text_of_the_rule_ends_it_and_drifts_what_waits(shop: Stand) -> None:
    waiting = ask(shop)
    gate = shop.cases.gate
    held = shop.executed(ask(shop))
    assert held.state is State.EXECUTED
    grants = tuple(
        replace(one, ref=replace(one.ref, digest="0" * 16), to=frozenset({f"lease:{NAME}:{'0' * 16}"}))
        if one.ref.id == NAME
        else one
        for one in gate.policy.grants
    )
    changed = replace(gate.policy, grants=grants)
    gate.in_force.replace(changed, gate.in_force.sources, kept=tuple(gate.in_force.sources))
    assert not is_open(shop)
    assert shop.approved(waiting).state is State.DRIFTED


def test_who_has_it_or_may_give_it_ends_it(shop: Stand) -> None:
    first = shop.executed(ask(shop))
    stranger = Call(principal=replace(shop.call.principal, name="sam", groups=frozenset({"others"})))
    with pytest.raises((NotPermitted, NotFound)):
        shop.cases.changes.end_access(stranger, first.id)
    assert is_open(shop)
    shop.cases.changes.end_access(shop.call, first.id)
    assert not is_open(shop)
    second = shop.executed(ask(shop))
    assert is_open(shop)
    shop.cases.changes.end_access(Call(principal=REVIEWER), second.id)
    assert not is_open(shop)
    assert len(shop.cases.gate.book.find(EventFilter(kind=EventKind.ACCESS_ENDED))) == 2


def test_what_one_has_is_not_offered_again_and_a_crash_gives_it_once(shop: Stand) -> None:
    gate = shop.cases.gate
    assert [grant.ref.id for grant in on_offer(gate, shop.call.principal)] == [NAME]
    done = shop.executed(ask(shop))
    assert on_offer(gate, shop.call.principal) == ()
    kept = gate.leases.get(done.id)
    assert kept is not None
    gate.leases.give(replace(kept, until=kept.until + dt.timedelta(days=300)))
    assert gate.leases.get(done.id) == kept
