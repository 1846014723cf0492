"""Does an absence hold between its days, for its groups alone, and are odd ones found?"""

from __future__ import annotations

import datetime as dt

import pytest
from tests.unit.policy.test_policy import loaded, wrong

from gatebook_hub.model import Seat
from gatebook_hub.policy import seats_of, stand_ins
from gatebook_hub.policy.linting import lint

RULES = """
grants:
  - {id: w, to: 'group:w', on: 'shop.*', allow: [update]}
  - {id: l, to: 'group:w', on: 'shop.*', allow: [select], on_request: {require: [{groups: [lenders]}]}}
approvals:
  - {id: names, on: shop.customer, require: [{groups: [privacy, owners]}],
     break_glass: {groups: [w], review: [{groups: [leads]}]}}
absences:
"""
MARIA = "who: 'user:maria', for: [privacy], instead: 'user:tom', from: 2026-07-01, until: 2026-07-14"
SEAT = Seat(holder="user:maria", groups=frozenset({"privacy"}), rule="a0")


def absences(*rules: str) -> str:
    return RULES + "".join(f"  - {{id: a{index}, {rule}}}\n" for index, rule in enumerate(rules))


def found(*rules: str, now: str = "2026-07-02T00:00Z") -> list[str]:
    return [str(finding) for finding in lint(loaded(absences(*rules)), now=dt.datetime.fromisoformat(now))]


@pytest.mark.parametrize(
    "now,zone,is_in_force",
    [
        ("2026-06-30T23:59:59Z", "UTC", False),
        ("2026-07-01T00:00:00Z", "UTC", True),
        ("2026-07-14T23:59:59Z", "UTC", True),
        ("2026-07-15T00:00:00Z", "UTC", False),
        ("2026-06-30T22:00:00Z", "Europe/Berlin", True),
        ("2026-07-14T22:00:00Z", "Europe/Berlin", False),
    ],
)
def test_it_holds_from_its_first_day_to_the_end_of_its_last(now: str, zone: str, is_in_force: bool) -> None:
    policy = loaded(absences(f"{MARIA}, zone: {zone}"))
    at = dt.datetime.fromisoformat(now)
    assert seats_of(policy, "user:tom", at) == ((SEAT,) if is_in_force else ())
    assert stand_ins(policy, at) == (("user:tom",) if is_in_force else ())
    for other in ("user:maria", "user:kim", "job:tom", "tom"):
        assert seats_of(policy, other, at) == ()


def test_the_last_day_of_the_calendar_is_one() -> None:
    policy = loaded(absences(MARIA.replace("2026-07-14", "9999-12-31")))
    assert seats_of(policy, "user:tom", dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC)) == (SEAT,)


@pytest.mark.parametrize(
    "rule,sentence",
    [
        (
            MARIA.replace("user:tom", "user:maria"),
            "rules.yaml:9: policy.E002 absences.0: nobody stands in for themselves",
        ),
        (MARIA.replace("2026-07-14", "2026-06-30"), "`until` is before `from`"),
        (MARIA.replace("user:tom", "group:owners"), "string should match pattern"),
        (MARIA.replace("user:maria", "job:maria"), "string should match pattern"),
        (MARIA.replace("[privacy]", "[]"), "for: value should have at least 1 item"),
        (MARIA.replace("[privacy]", "[privacyy]"), "no quorum with the group `privacyy`, did you mean `privacy`?"),
        (MARIA.replace("[privacy]", "[w]"), "no quorum with the group `w`"),
        (MARIA.replace(", until: 2026-07-14", ""), "until: field required"),
        (f"{MARIA}, zone: Europe/Berlim", "`Europe/Berlim` is not a time zone"),
        (MARIA.replace("instead", "insteadd"), "did you mean `instead`?"),
    ],
)
def test_one_that_cannot_be_meant_is_an_error(rule: str, sentence: str) -> None:
    assert sentence in wrong(absences(rule))


def test_every_group_that_reviews_may_be_named() -> None:
    assert found(MARIA.replace("[privacy]", "[privacy, owners, leads, reviewers, lenders]")) == []


def test_two_for_the_same_place_on_the_same_day_are_an_error() -> None:
    other = MARIA.replace("user:tom", "user:kim")
    (only,) = found(MARIA, other.replace("2026-07-01", "2026-07-14").replace("until: 2026-07-14", "until: 2026-08-01"))
    assert only.startswith("rules.yaml:10: policy.E020 absences `a0` and `a1` both speak of `user:maria` in `privacy`")
    assert found(MARIA, other.replace("2026-07-14", "2026-08-01").replace("2026-07-01", "2026-07-15")) == []
    assert found(MARIA, other.replace("privacy", "owners")) == []


def test_one_that_leads_on_to_somebody_else_is_told() -> None:
    on = "who: 'user:tom', for: privacy, instead: 'user:kim', from: 2026-07-14, until: 2026-07-20"
    (only,) = found(MARIA, on)
    assert "policy.W031 absence `a0`: `user:tom` is away as well" in only
    assert "`user:kim` does not stand in for `user:maria`" in only
    assert found(MARIA, on.replace("2026-07-14", "2026-07-15")) == []
    policy = loaded(absences(MARIA, on))
    assert [seat.holder for seat in seats_of(policy, "user:kim", dt.datetime(2026, 7, 14, tzinfo=dt.UTC))] == [
        "user:tom"
    ]


def test_one_that_is_over_is_told() -> None:
    (only,) = found(MARIA, now="2026-07-15T00:00Z")
    assert "policy.W027 absence `a0` is over: until 2026-07-14 (UTC)" in only


def test_an_id_is_used_once_among_all_rules() -> None:
    assert "rule `names` is already" in wrong(RULES + f"  - {{id: names, {MARIA}}}\n")
