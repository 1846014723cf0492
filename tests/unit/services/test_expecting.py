"""Do expectations hold exactly when the rules say so, for everything that the language has?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.services.shop import ACTION, RULES, SOURCE, Shop

from gatebook_hub import policy
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.expecting import run_tests

MORE = RULES.replace(
    "  - id: book",
    """  - id: day
    to: group:day
    on: shop.customer
    allow: [select]
    hours: "08:00-18:00"
    zone: Europe/Berlin
    purpose: care
    limits: {rows: 5}
    reason: true

  - id: book""",
).replace("rows > 2", "rows > 2\n    expires_h: 4\n    reason: true")
TEST = """
tests:
  - name: t
    as: {{user: ann, groups: [{group}], {more}}}
    source: shop
    {at}
    sql: {sql}
    rows: 3
    expect: {{{expect}}}
"""
BERLIN_NOON = "at: 2026-01-14T12:00:00+01:00"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCases]:
    with Shop(tmp_path_factory.mktemp("shop")).open() as found:
        yield found


def wrong(
    cases: UseCases, expect: str, *, group: str = "day", sql: str = "select * from customer", at: str = BERLIN_NOON,
    more: str = "purpose: care",
) -> str | None:  # fmt: skip
    found = policy.load(
        {
            "sources/shop.yaml": SOURCE.format(path=Path("x")),
            "actions/credit.yaml": ACTION,
            "rules.yaml": MORE,
            "tests/t.yaml": TEST.format(group=group, more=more, at=at, sql=sql, expect=expect),
        }
    )
    (result,) = run_tests(found, cases.gate.in_force.sources)
    assert result.place == "tests/t.yaml:3"
    return result.wrong


UPDATE = "update customer set name = 'X'"
HELD = [
    ("allow: true", {}),
    ("masks: {customer.email: email}, limits: {rows: 5}, reason: true, rows: []", {}),
    ("columns: {customer: [id, name, email, country]}", {}),
    ("deny: day", {"at": "at: 2026-01-14T19:00:00+01:00"}),
    ("deny: day", {"at": "at: 2026-01-14T07:30:00Z", "more": "purpose: other"}),
    ("deny: day", {"at": ""}),
    ("deny: day, ask: 'purpose=…'", {"more": ""}),
    ("quorum: {reviewers: 2}, review: [reviewers], expires_h: 4, reason: true", {"group": "writers", "sql": UPDATE}),
    ("rows: [readers], masks: {}", {"group": "readers", "sql": "select name from customer"}),
]


@pytest.mark.parametrize("expect, case", HELD)
def test_an_expectation_that_holds_holds(expect: str, case: dict[str, str], cases: UseCases) -> None:
    assert wrong(cases, expect, **case) is None


BROKEN = [
    ("allow: true", {"at": "at: 2026-01-14T19:00:00+01:00"}),
    ("limits: {rows: 6}", {}),
    ("limits: {}", {}),
    ("reason: false", {}),
    ("columns: {customer: [id]}", {}),
    ("deny: day", {}),
    ("deny: day, ask: something else", {"at": "at: 2026-01-14T19:00:00+01:00"}),
    ("quorum: {reviewers: 1}", {"group": "writers", "sql": UPDATE}),
    ("expires_h: 5", {"group": "writers", "sql": UPDATE}),
]


@pytest.mark.parametrize("expect, case", BROKEN)
def test_an_expectation_that_does_not_hold_says_what_came(expect: str, case: dict[str, str], cases: UseCases) -> None:
    assert "expected" in (wrong(cases, expect, **case) or "")
