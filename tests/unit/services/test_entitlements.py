"""Does an access review name everybody whom a rule lets in, how, and by which rule, and nobody else?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from tests.unit.services.shop import RULES, Shop, ann

from gatebook_hub.errors import InvalidInput, NotFound, NotPermitted
from gatebook_hub.policy.entitling import Entitlement
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.entitlements import COLUMNS, review_access, rows_of, told, who_can

MORE = RULES.replace(
    "  - id: book",
    """  - id: night
    to: job:nightly
    on: shop.*
    columns: [id, country]
    allow: [select, delete]
    hours: "22:00-06:00"
    purpose: [care, fraud]
    reason: true

  - id: past
    to: user:gone
    on: shop.customer
    allow: [select]
    until: 2020-01-01

  - id: book""",
).replace(
    "approvals:",
    """  - id: hide-country
    on: shop.customer.country
    refuse: it is not for you
    unless: job:nightly

approvals:""",
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCases]:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.write(MORE)
    with shop.open() as found:
        yield found


def asked(cases: UseCases, target: str) -> dict[tuple[str, str, str], Entitlement]:
    found = who_can(cases.gate.policy, cases.gate.in_force.sources, target, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    return {(item.principal, item.column, item.access): item for item in found}


def test_a_column_is_reviewed_with_masks_rows_tools_and_exemptions(cases: UseCases) -> None:
    found = asked(cases, "shop.customer.email")
    readers = found["group:readers", "email", "select"]
    assert (readers.sight, readers.mask, readers.rows) == ("masked", "email", "((country = 'DE'))")
    assert set(readers.rules) == {"readers", "mask-email"}
    assert found["group:desk", "email", "select"].tool == "desk"
    assert found["group:writers", "email", "update"].sight == "refused"
    assert found["group:privacy", "email", "unless mask-email"].sight == "exempt"
    assert not any(principal == "job:nightly" and column == "email" for principal, column, _ in found)


def test_a_refused_column_is_said_to_be_refused_by_its_rule(cases: UseCases) -> None:
    found = asked(cases, "shop.customer.country")
    assert found["group:writers", "country", "select"].rules == ("hide-country",)
    assert found["group:writers", "country", "select"].sight == "refused"
    nightly = found["job:nightly", "country", "select"]
    assert nightly.sight == "plain"
    assert nightly.conditions == ("at 22:00-06:00 (UTC)", "for care or fraud", "with a reason")


def test_whole_rows_and_actions_are_part_of_every_review(cases: UseCases) -> None:
    assert ("job:nightly", "", "delete") in asked(cases, "shop.customer.id")
    credit = asked(cases, "shop.credit")
    assert credit["group:writers", "", "action credit"].rules == ("credits",)


def test_a_grant_that_is_over_gives_nobody_anything(cases: UseCases) -> None:
    assert not any(principal == "user:gone" for principal, _, _ in asked(cases, "shop.customer"))


def test_rules_have_their_file_and_line(cases: UseCases) -> None:
    found = who_can(cases.gate.policy, cases.gate.in_force.sources, "shop.customer.email", cases.gate.now())
    rows = list(rows_of(cases.gate.policy, found))
    assert all(set(row) == set(COLUMNS) for row in rows)
    line = MORE.splitlines().index("  - id: readers") + 1
    assert any(f"readers@rules.yaml:{line}" in row["rules"] for row in rows)
    lines = "\n".join(told(cases.gate.policy, found))
    assert "group:desk through desk" in lines
    assert f"readers rules.yaml:{line}" in lines


@pytest.mark.parametrize("target", ["", "shop", "shop.", "a.b.c.d", ".customer", "shop.customer." + "x" * 300])
def test_a_target_that_is_none_is_invalid(target: str, cases: UseCases) -> None:
    with pytest.raises(InvalidInput):
        asked(cases, target)


@pytest.mark.parametrize(
    "target, hint", [("shpo.customer", "`shop`"), ("shop.custmer", "`customer`"), ("shop.customer.emial", "`email`")]
)
def test_a_target_that_is_not_there_comes_with_a_hint(target: str, hint: str, cases: UseCases) -> None:
    with pytest.raises(NotFound, match=f"did you mean {hint}"):
        asked(cases, target)


def test_a_review_is_for_readers_of_the_book_and_is_in_it(cases: UseCases) -> None:
    before = cases.gate.book.size()
    assert review_access(cases.gate, ann("auditors"), "shop.customer")
    with pytest.raises(NotPermitted) as refused:
        review_access(cases.gate, ann("writers"), "shop.customer")
    assert refused.value.reference == before + 1
