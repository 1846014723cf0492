"""How often may one call or look up? Counted by the book, whatever else its caller does meanwhile."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adversary import test_entities as entities
from tests.adversary.stands import Stand, stand

from gatebook_hub.audit import Event, EventKind
from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import BookUnavailable, TooManyRequests
from gatebook_hub.model import Engine
from gatebook_hub.services import acting, own_reads
from gatebook_hub.services.actions import Press

pytestmark = pytest.mark.adversary
COUNTED = "insert into entry values (0, 0)"
TABLES = [*entities.TABLES, "create table entry (id integer primary key, amount integer)", COUNTED]
NOTE = """
action: {name}
title: Note
source: shop
params: {{id: {{type: integer}}}}
sql: insert into entry (id) values (:id)
{rates}
"""
RULES = (
    entities.RULES.replace("entities: person}", "entities: person, actions: [rare, often, count]}")
    + "approvals: [{id: f, actions: [rare, often, count], require: []}]\n"
)
COUNT = """
action: count
title: Count
source: shop
params: {id: {type: integer}}
sql: update entry set amount = amount + :id where id = 0
"""
MAIL = "byron@shop.example"


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.setattr(own_reads, "_PAGE", 10)
    actions = [
        NOTE.format(name="rare", rates="rates: [{times: 1, per: hour}, {times: 3, per: day}]"),
        NOTE.format(name="often", rates=""),
        COUNT,
    ]
    with stand(
        request, Engine.SQLITE, tmp_path, TABLES, RULES, sandbox=False, actions=actions, more=entities.ENTITY
    ) as made:
        yield made


def looked_up(shop: Stand, text: str) -> bool:
    return "person" not in entities.found(shop, text).failed


def test_other_reads_do_not_hide_look_ups(shop: Stand) -> None:
    """The newest events of the caller are not all of them: whoever sends a thousand more is counted all the same."""
    assert sum(looked_up(shop, f"guess{number}@shop.example") for number in range(40)) == 5
    for _ in range(40):
        entities.found(shop, "ada")
    assert not looked_up(shop, MAIL)


def test_more_than_can_be_counted_is_too_much(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_reads, "_MOST_PAGES", 2)
    assert looked_up(shop, MAIL)
    for _ in range(30):
        entities.found(shop, "ada")
    assert not looked_up(shop, MAIL)
    assert entities.keys(shop, "ada") == [1, 2], "the rest goes on"


def test_look_ups_at_once_do_not_slip_by(shop: Stand) -> None:
    for number in range(4):
        assert looked_up(shop, f"guess{number}@shop.example")
    told: list[bool] = []
    threads = [
        threading.Thread(target=lambda number=number: told.append(looked_up(shop, f"again{number}@shop.example")))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(told) == 1


def test_other_presses_do_not_hide_a_press(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(action: str, number: int) -> None:
        shop.cases.actions.call(shop.call, Press(action=action, params={"id": number}))

    press("rare", 1)
    for number in range(2, 24):
        press("often", number)
    with pytest.raises(TooManyRequests, match="1 times a hour"):
        press("rare", 50)
    monkeypatch.setattr(own_reads, "_MOST_PAGES", 2)
    with pytest.raises(TooManyRequests, match="cannot be counted"):
        press("rare", 51)


def keyed(shop: Stand, action: str, number: int, key: str) -> ChangeRequest:
    given = Press(action=action, params={"id": number}, idempotency_key=key)
    return shop.cases.actions.call(shop.call, given)


def test_a_press_whose_end_the_book_could_not_take_is_not_done_again(
    shop: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written, though it is told as an error: the same key is the same press."""
    book = shop.cases.gate.book
    append = book.append

    def fails(event: Event) -> int:
        if event.kind == EventKind.CHANGE_OUTCOME:
            raise BookUnavailable("the book cannot be written")
        return append(event)

    with monkeypatch.context() as patched:
        patched.setattr(book, "append", fails)
        with pytest.raises(BookUnavailable):
            keyed(shop, "count", 1, "k" * 12)
    assert shop.run("select amount from entry where id = 0") == [(1,)]
    again = keyed(shop, "count", 1, "k" * 12)
    assert shop.run("select amount from entry where id = 0") == [(1,)]
    shop.cases.changes.recover(shop.call)
    assert shop.cases.changes.get(shop.call.principal, again.id).state is State.EXECUTED
    assert keyed(shop, "count", 1, "n" * 12).state is State.EXECUTED
    assert shop.run("select amount from entry where id = 0") == [(2,)]


def test_a_press_that_a_rate_refused_can_be_sent_again_with_its_key(
    shop: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed(shop, "rare", 10, "a" * 12)
    with pytest.raises(TooManyRequests):
        keyed(shop, "rare", 11, "b" * 12)
    now = dt.datetime.now(dt.UTC)
    monkeypatch.setattr(shop.cases.gate, "now", lambda: now + dt.timedelta(hours=2))
    assert keyed(shop, "rare", 11, "b" * 12).state is State.EXECUTED


def test_dry_runs_are_no_way_to_guess_without_end(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run says whether anything would change, and so whether what is there is what was typed."""

    def rehearse(number: int) -> None:
        shop.cases.actions.rehearse(shop.call, Press(action="rare", params={"id": number}))

    for number in range(1, acting.DRY_RUNS + 1):
        rehearse(number)
    with pytest.raises(TooManyRequests, match="rehearse"):
        rehearse(99)
    keyed(shop, "rare", 99, "a" * 12)
    now = dt.datetime.now(dt.UTC)
    monkeypatch.setattr(shop.cases.gate, "now", lambda: now + dt.timedelta(hours=2))
    rehearse(100)
