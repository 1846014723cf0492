"""Values that an action's parameters do not take, however they are written, and what one press may cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.adversary.stands import Stand, stand

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import AccessRefused, InvalidInput, LimitExceeded
from gatebook_hub.model import Engine
from gatebook_hub.services.acting import MOST_CHOICES
from gatebook_hub.services.actions import Press
from gatebook_hub.sources.source import ReadStream
from gatebook_hub.stores.book import EventFilter

pytestmark = pytest.mark.adversary
MANY = 200_000
TABLES = [
    "create table entry (id integer primary key, amount numeric, kind text)",
    "create table many (id integer primary key)",
    f"with recursive n (i) as (select 1 union all select i + 1 from n where i < {MANY}) insert into many select i from n",
]
NOTE = r"""
action: note
title: Note
source: shop
params:
  id: {type: integer}
  amount: {type: number, multipleOf: 0.01}
  kind: {type: string, pattern: "^[A-Z]{2}$"}
  mail: {type: string, pattern: '.*@.*\..*'}
sql: insert into entry (id, amount, kind) values (:id, :amount, :kind || :mail)
"""
CHOOSE = """
action: choose
title: Choose
source: shop
params: {id: {type: integer, choices: select id from many}}
sql: insert into entry (id) values (:id)
"""
ENTITY = {
    "entities/entry.yaml": "entity: entry\ntitle: Entry\nsource: shop\ntable: entry\nshows: [kind]\nsearch: [kind]\n"
}
RULES = """
grants:
  - {id: a, to: "group:people", actions: [note, choose]}
  - {id: e, to: "group:people", on: [shop.many], allow: [select], entities: [entry], reason: true}
approvals: [{id: f, actions: [note, choose], require: []}]
"""
GOOD: dict[str, Any] = {"id": 1, "amount": Decimal("1.50"), "kind": "DE", "mail": "a@b.c"}


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with stand(
        request, Engine.SQLITE, tmp_path, TABLES, RULES, sandbox=False, actions=[NOTE, CHOOSE], more=ENTITY
    ) as made:
        yield made


def press(shop: Stand, action: str = "note", **params: Any) -> None:
    shop.cases.actions.call(shop.call, Press(action=action, params=params))


@pytest.mark.parametrize(
    "given",
    [
        {"amount": 1e300},
        {"amount": 10**40},
        {"amount": Decimal("1e999999")},
        {"amount": Decimal("1e-999999")},
        {"amount": Decimal("Infinity")},
        {"amount": True},
        {"kind": "DE\n"},
        {"kind": "DE\x00"},
        {"kind": "\uff24\uff25"},
        {"mail": "@" * 10_000},
    ],
)
def test_a_value_that_does_not_fit_is_refused_at_once(shop: Stand, given: dict[str, Any]) -> None:
    begin = time.process_time()
    with pytest.raises(InvalidInput):
        press(shop, **{**GOOD, **given})
    assert time.process_time() - begin < 5
    assert shop.run("select count(*) from entry") == [(0,)]
    press(shop, **GOOD)


class _Counted:
    """A stream of which it is known how many rows were taken."""

    def __init__(self, stream: ReadStream) -> None:
        self._stream = stream
        self.rows = 0
        self.close = stream.close

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._stream:
            self.rows += batch.num_rows
            yield batch


def test_more_choices_than_are_shown_are_not_read_through(shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shop.cases.gate.in_force.sources.get("shop")
    read, streams = source.read, list[_Counted]()

    def counted(*args: Any, **more: Any) -> _Counted:
        streams.append(_Counted(read(*args, **more)))
        return streams[-1]

    monkeypatch.setattr(source, "read", counted)
    with pytest.raises(LimitExceeded, match=str(MOST_CHOICES)):
        press(shop, "choose", id=1)
    assert [MOST_CHOICES < stream.rows < MANY // 2 for stream in streams] == [True]
    (outcome,) = shop.cases.gate.book.find(EventFilter(kind=EventKind.QUERY_OUTCOME, limit=1))
    assert "narrows" in outcome.content["detail"]


def test_an_entity_whose_grant_wants_a_reason_tells_nothing_without_one(shop: Stand) -> None:
    press(shop, **GOOD)
    found = shop.cases.searching.search(shop.call, "DEa@b.c")
    assert found.records == ()
    assert "reason" in found.failed["entry"]
    assert isinstance(shop.refused("select id from many"), AccessRefused)
