"""Does an explanation name every rule with its place, what it brought, and what was nearly enough?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.services.shop import RULES, Shop, ann

from gatebook_hub.policy import Circumstances
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.explaining import Explanation, explain, told
from gatebook_hub.services.trying import Asking

MORE = RULES.replace(
    "  - id: book",
    """  - id: nights
    to: group:night
    on: shop.customer
    allow: [select]
    hours: "22:00-06:00"
    purpose: care

  - id: names
    to: group:names
    on: shop.customer
    columns: [id, name]
    allow: [select]
    limits: {rows: 10}
    reason: true

  - id: book""",
)
NOON = dt.datetime(2026, 1, 14, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCases]:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.write(MORE)
    with shop.open() as found:
        yield found


def explained(cases: UseCases, sql: str, *groups: str, tool: str | None = None, **more: Any) -> Explanation:
    gate = cases.gate
    schema = gate.in_force.sources.get("shop").schema()
    asking = Asking(principal=ann(*groups, tool=tool).principal, at=Circumstances(now=NOON), **more)
    return explain(gate.policy, schema, sql, asking)


def text(found: Explanation) -> str:
    return "\n".join(told(found))


def line_of(words: str) -> int:
    return MORE.splitlines().index(words) + 1


def test_what_is_allowed_is_told_with_rules_places_and_sql(cases: UseCases) -> None:
    found = explained(cases, "select email from customer", "readers")
    said = text(found)
    assert said.startswith("ALLOWED for user:ann in readers (policy ")
    assert f"rules.yaml:{line_of('  - id: readers')}" in said
    assert f"rules.yaml:{line_of('  - id: mask-email')}" in said
    assert "select on `customer`; rows where country = 'DE'" in said
    assert "masks `customer.email` as email" in said
    assert "only rows where (country = 'DE') (readers)" in said
    assert "nothing was executed" in said
    assert "gb_trial_t" in said


def test_nothing_is_executed_and_nothing_is_in_the_book(cases: UseCases) -> None:
    size = cases.gate.book.size()
    explained(cases, "update customer set name = 'X' where id = 1", "writers")
    assert cases.gate.book.size() == size


def test_a_write_is_explained_with_its_quorum(cases: UseCases) -> None:
    one = explained(cases, "update customer set name = 'X' where id = 1", "writers")
    assert text(one).startswith("ALLOWED AFTER REVIEW")
    assert "the source's default: 1 of reviewers" in text(one)
    many = explained(cases, "update customer set name = 'X'", "writers", rows=3)
    assert "many: 2 of reviewers; when rows > 2" in text(many)
    assert many.as_object()["quorum"] == [{"groups": ["reviewers"], "needed": 2}]


def test_grants_that_nearly_matched_say_why_not_and_the_callers_own_come_first(cases: UseCases) -> None:
    desk = explained(cases, "select name from customer", "desk")
    assert desk.near[0].rule == "desk"
    assert desk.near[0].reasons == ("it holds through `desk` alone",)
    night = explained(cases, "select name from customer", "night")
    assert night.near[0].rule == "nights"
    assert night.near[0].reasons == ("it holds at 22:00-06:00 (UTC) alone", "it wants a purpose: `care`")
    names = explained(cases, "select name, email from customer", "names")
    assert names.near[0].reasons == ("it does not give `email`",)
    assert "ask for: a grant of `email` on `shop.customer`" in text(names)
    assert {miss.rule for miss in names.near} == {"readers", "writers", "desk", "nights", "names"}


def test_a_stranger_is_told_what_to_ask_for(cases: UseCases) -> None:
    said = text(explained(cases, "select name from customer"))
    assert "rule: none" in said
    assert "ask for: a grant of select on `shop.customer`" in said


def test_limits_and_reasons_are_obligations(cases: UseCases) -> None:
    said = text(explained(cases, "select name from customer", "names"))
    assert "limits of the grants: rows 10" in said
    assert "a reason is needed" in said


def test_an_exemption_is_told(cases: UseCases) -> None:
    said = text(explained(cases, "select email from customer", "readers", "privacy"))
    assert "mask-email: does not hold for group:privacy" in said


@pytest.mark.parametrize("sql", ["", "drop table customer", "select 1; select 2", "select load_extension('x')"])
def test_what_is_not_understood_is_refused_with_its_code(sql: str, cases: UseCases) -> None:
    found = explained(cases, sql, "readers")
    assert not found.is_allowed
    assert "GB-20" in text(found)
    assert found.as_object()["problem"]["code"].startswith("GB-20")


def test_the_object_has_all_that_the_lines_have(cases: UseCases) -> None:
    found = explained(cases, "select email from customer", "readers").as_object()
    assert found["decision"] == "allow"
    assert {rule["rule"] for rule in found["rules"]} == {"readers", "mask-email"}
    assert found["obligations"]["customer"]["masks"]["email"] == {"mask": "email", "rule": "mask-email"}
    assert found["sql"][0].startswith("SELECT")
    refused = explained(cases, "select name from customer", "desk").as_object()
    assert (refused["decision"], refused["near"][0]["rule"]) == ("deny", "desk")
