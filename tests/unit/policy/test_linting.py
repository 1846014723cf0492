"""Are rules without effect found, with file and line, and rules with one left alone?"""

from __future__ import annotations

import datetime as dt

import pytest
from tests.unit.policy.test_policy import ACTION, APPROVALS, RULES, loaded

from gatebook_hub.policy.linting import lint

NOW = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
WRITERS = "grants:\n  - {id: w, to: 'group:w', on: 'shop.*', allow: [update, delete]}\n"


def found(rules: str, **more: str) -> list[str]:
    return [str(finding) for finding in lint(loaded(rules, **more), tools={"desk"}, now=NOW)]


def grants(*rules: str) -> str:
    return "grants:\n" + "".join(f"  - {{id: g{index}, {rule}}}\n" for index, rule in enumerate(rules))


def approvals(*rules: str) -> str:
    listed = "".join(f"  - {{id: a{index}, {rule}}}\n" for index, rule in enumerate(rules))
    return f"{WRITERS}approvals:\n{listed}"


ALL = "to: 'group:x', on: 'shop.*', allow: [select, update]"
ONE = "require: [{groups: [r]}]"
TWO = "require: [{groups: [r], needed: 2}]"


@pytest.mark.parametrize(
    "narrow",
    [
        "to: 'group:x', on: shop.customer, allow: [select]",
        "to: 'group:x', on: shop.customer, allow: [select], where: id > 1",
        "to: 'group:x', on: shop.customer, allow: [update], reason: true",
        "to: 'group:x', on: shop.customer, allow: [select], via: desk",
        "to: 'group:x', on: shop.customer, allow: [select], hours: '08:00-18:00'",
        "to: 'group:x', on: shop.customer, allow: [select], purpose: fraud",
        ALL,
    ],
)
def test_a_grant_wholly_covered_by_another_is_named_once(narrow: str) -> None:
    (only,) = found(grants(ALL, narrow))
    assert only.startswith("rules.yaml:3: policy.W021 grant `g1`")


@pytest.mark.parametrize(
    "other",
    [
        "to: 'group:y', on: shop.customer, allow: [select]",
        "to: ['group:x', 'group:y'], on: shop.customer, allow: [select]",
        "to: 'group:x', on: shop.customer, allow: [delete]",
        "to: 'group:x', on: shop.customer, allow: [select], limits: {rows: 5}",
        "to: 'group:x', on: shop.customer, allow: [select], actions: refund",
    ],
)
def test_a_grant_that_gives_or_limits_more_is_left_alone(other: str) -> None:
    assert found(grants(ALL, other), actions__refund=ACTION) == []


@pytest.mark.parametrize(
    "wide",
    ["where: id > 1", "via: desk", "hours: '08:00-18:00'", "purpose: fraud", "columns: [id]", "until: 2027-01-01"],
)
def test_a_grant_with_conditions_covers_none_without(wide: str) -> None:
    plain = "to: 'group:x', on: shop.customer, allow: [select]"
    assert [line for line in found(grants(f"{plain}, {wide}", plain)) if "`g1` gives nothing" in line] == []


def test_a_covered_grant_of_columns_takes_away() -> None:
    (only,) = found(grants(ALL, "to: 'group:x', on: shop.customer, columns: [id], allow: [select]"))
    assert "`*` shows fewer columns" in only


def test_a_grant_whose_last_day_has_passed_is_named() -> None:
    (only,) = found(grants("to: 'group:x', on: shop.customer, allow: [select], until: 2026-06-30"))
    assert "policy.W027" in only


def test_a_protection_that_exempts_everybody_protects_nothing() -> None:
    reader = grants("to: ['group:x', 'user:boss'], on: shop.customer, allow: [select]")
    exempt = "protections:\n  - {id: p, on: shop.customer.email, mask: email, unless: [group:x, user:boss]}\n"
    (only,) = found(reader + exempt)
    assert only.startswith("rules.yaml:4: policy.W024")
    assert found(reader + exempt.replace(", user:boss", "")) == []


def test_jobs_and_tools_that_do_not_exist_are_named_with_a_hint() -> None:
    told = found(
        "grants:\n  - {id: a, to: 'job:nightly', on: shop.customer, allow: [select]}\n"
        "  - {id: b, to: 'group:x', on: shop.customer, allow: [select], via: dsek}\n"
        "  - {id: c, to: 'group:x', tools: [deks]}\n"
    )
    assert [line.split()[1] for line in told] == ["policy.W022", "policy.W023", "policy.W023"]
    assert "did you mean `desk`?" in told[1]


@pytest.mark.parametrize(
    "rules",
    [
        (f"on: shop.customer, {ONE}", f"on: 'shop.*', {ONE}"),
        (f"on: shop.customer, when: rows > 100, {ONE}", f"on: shop.customer, when: rows > 10, {TWO}"),
        (f"on: shop.customer, writes: [delete], {ONE}", f"on: shop.customer, {ONE}"),
        (f"on: shop.customer, via: desk, {ONE}", f"on: shop.customer, {TWO}"),
        (f"on: shop.customer, expires_h: 10, {ONE}", f"on: shop.customer, expires_h: 5, {ONE}"),
    ],
)
def test_an_approval_that_another_always_outdoes_is_named(rules: tuple[str, str]) -> None:
    (only,) = found(approvals(*rules))
    assert "policy.W025 approval `a0`" in only


@pytest.mark.parametrize(
    "rules",
    [
        (f"on: shop.customer, {TWO}", f"on: 'shop.*', {ONE}"),
        (f"on: shop.customer, when: rows > 10, {ONE}", f"on: shop.customer, when: rows > 100, {TWO}"),
        (f"on: shop.customer, reason: true, {ONE}", f"on: shop.customer, {ONE}"),
        (f"on: shop.customer, expires_h: 1, {ONE}", f"on: shop.customer, expires_h: 5, {ONE}"),
        (f"on: shop.customer, {ONE}", f"on: shop.customer, production: false, via: desk, {TWO}"),
    ],
)
def test_an_approval_that_asks_for_something_is_left_alone(rules: tuple[str, str]) -> None:
    assert [line for line in found(approvals(*rules)) if "approval `a0`" in line] == []


@pytest.mark.parametrize(
    "when", ["[rows > 5, rows < 3]", "[rows > 5, rows <= 5]", "[rows >= 5, rows < 5]", "[rows == 3, rows > 3]"]
)
def test_conditions_that_exclude_each_other_are_named(when: str) -> None:
    assert "exclude each other" in found(approvals(f"on: shop.customer, when: {when}, {ONE}"))[0]


def test_conditions_that_leave_something_are_not() -> None:
    assert found(approvals(f"on: shop.customer, when: [rows >= 5, rows <= 5], {ONE}")) == []


def test_an_approval_of_what_nobody_may_write_is_named() -> None:
    rules = f"approvals:\n  - {{id: a, on: shop.customer, {ONE}}}\n"
    assert "no grant lets anybody write" in found(rules)[0]


def test_a_condition_on_an_unknown_parameter_is_an_error_with_a_hint() -> None:
    rules = f"approvals:\n  - {{id: a, actions: refund, when: amnt > 5, {ONE}}}\n"
    (only,) = lint(loaded(rules, actions__refund=ACTION))
    assert only.is_error
    assert "policy.E016" in str(only)
    assert "did you mean `amount`?" in only.sentence


def test_a_custom_mask_beside_another_is_told() -> None:
    rules = """
protections:
  - {id: a, on: shop.customer.email, mask: custom, expression: upper(value)}
  - {id: b, on: shop.customer.email, mask: email, unless: group:x}
"""
    assert "policy.W029" in found(rules)[0]


def test_ordinary_rules_have_no_findings() -> None:
    assert found(RULES, actions__refund=ACTION) == []
    assert found(WRITERS + APPROVALS.strip("\n"), actions__refund=ACTION) == []
