"""Entities: records are found without a grant of their table, masked values by their whole, and nothing else is learnt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.engines import ENGINES
from tests.adversary.stands import Stand, stand

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import AccessRefused, InvalidInput, NotFound, UnknownRelation
from gatebook_hub.model import Engine
from gatebook_hub.services.gate import Call
from gatebook_hub.services.searching import Found
from gatebook_hub.stores.book import EventFilter

pytestmark = [pytest.mark.adversary, pytest.mark.parametrize("engine", ENGINES)]
TABLES = [
    "create table person (id integer primary key, name varchar(40), mail varchar(60), phone varchar(20), "
    "hidden integer, salary integer)",
    "insert into person values (1, 'Ada Lovelace', 'Ada@shop.example', '555-0001', 0, 10), "
    "(2, 'Ada Byron', 'byron@shop.example', '555-0002', 0, 20), (3, '100% Bob_', 'bob@shop.example', '555-0003', 0, 30), "
    "(4, 'Secret Agent', 'agent@shop.example', '555-0004', 1, 40)",
]
ENTITY = {
    "entities/person.yaml": """
entity: person
title: Person
source: shop
table: person
where: hidden = 0
shows: [name, mail]
search: [name]
lookups: [mail, phone]
rate: {times: 5, per: hour}
"""
}
RULES = """
grants:
  - {id: a, to: "group:people", entities: person}
classification:
  pii.email: [shop.person.mail]
  pii.phone: [shop.person.phone]
protections:
  - {id: m, tag: pii.email, mask: email}
  - {id: p, tag: pii.phone, mask: redact}
"""


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> Iterator[Stand]:
    with stand(request, engine, tmp_path, TABLES, RULES, sandbox=False, more=ENTITY) as made:
        yield made


def found(shop: Stand, text: str, call: Call | None = None) -> Found:
    return shop.cases.searching.search(call or shop.call, text)


def keys(shop: Stand, text: str) -> list[Any]:
    return [record.key["id"] for record in found(shop, text).records]


def test_records_are_found_by_name_key_and_whole_values(shop: Stand) -> None:
    assert keys(shop, "ada") == [1, 2]
    assert keys(shop, "ADA b") == [2]
    assert keys(shop, "3x") == []
    assert keys(shop, "ada@SHOP.example") == [1]
    assert keys(shop, "555-0002") == [2]
    (record,) = found(shop, "555-0002").records
    assert record.shown["name"] == "Ada Byron"
    assert record.shown["mail"] != "byron@shop.example"
    assert record.masked == {"mail"}
    assert set(record.shown) == {"name", "mail"}


def test_what_is_typed_is_no_pattern(shop: Stand) -> None:
    assert keys(shop, "100%") == [3]
    assert keys(shop, "__") == []
    assert keys(shop, "%%") == []
    assert keys(shop, "a' or '1'='1") == []
    assert keys(shop, "!_!%") == []


def test_a_part_of_a_protected_value_finds_nothing(shop: Stand) -> None:
    for part in ("byron@", "@shop.example", "555-", "555-000_", "byron@shop.exampl", "b%@shop.example"):
        assert keys(shop, part) == [], part


def test_hidden_records_are_not_found_by_anything(shop: Stand) -> None:
    for text in ("secret", "agent@shop.example", "555-0004", "04"):
        assert keys(shop, text) == [], text


def test_who_may_search_may_not_read_the_table(shop: Stand) -> None:
    error = shop.refused("select name from person")
    assert isinstance(error, (NotFound, UnknownRelation, AccessRefused))


def test_strangers_find_nothing_and_know_of_no_entity(shop: Stand) -> None:
    stranger = Call(principal=replace(shop.call.principal, name="sam", groups=frozenset()))
    assert shop.cases.searching.entities(stranger) == ()
    assert found(shop, "ada", stranger) == Found(records=(), more=(), failed={})
    with pytest.raises(InvalidInput):
        found(shop, "a")


def test_look_ups_are_bounded_and_the_rest_goes_on(shop: Stand) -> None:
    for number in range(5):
        found(shop, f"guess{number}@shop.example")
    late = found(shop, "byron@shop.example")
    assert late.records == ()
    assert "5 values a hour" in late.failed["person"]
    assert keys(shop, "ada") == [1, 2], "a name is no look-up"
    other = Call(principal=replace(shop.call.principal, name="olga"))
    assert [record.key["id"] for record in found(shop, "byron@shop.example", other).records] == [2]


def test_every_search_is_in_the_book_without_what_was_looked_up(shop: Stand) -> None:
    found(shop, "byron@shop.example")
    events = shop.cases.gate.book.find(EventFilter(kind=EventKind.QUERY_INTENT))
    steps = [event.content["extra"]["step"] for event in events if "entity" in event.content.get("extra", {})]
    assert {"search", "lookup mail", "lookup phone", "lookup mail: record"} <= set(steps)
    for event in events:
        assert "byron" not in json.dumps(event.content), event.content
