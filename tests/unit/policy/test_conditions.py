"""Do hours, days, last days and purposes hold a grant back, and does what cannot be decided deny?"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from tests.unit.policy.test_policy import ACTION, SCHEMA, loaded, reads, user, wrong

from gatebook_hub.model import Access, Allowed, Denied, TableUse
from gatebook_hub.policy import (
    Circumstances,
    PolicySet,
    WriteFacts,
    approving_of,
    decide,
    may_read_book,
    may_use_action,
    open_conditions,
    touches,
)
from gatebook_hub.windows import Window

RULES = """
grants:
  - id: hours
    to: group:day
    on: shop.customer
    allow: [select]
    hours: "08:00-18:00"
    days: [mon, tue, wed, thu, fri]
    zone: Europe/Berlin
  - {id: until, to: group:temp, on: shop.customer, allow: [select], until: 2026-06-30}
  - {id: fraud, to: group:fraud, on: shop.customer, allow: [select], purpose: [fraud, collections]}
  - {id: book, to: group:auditors, audit: true, until: 2026-06-30}
  - {id: act, to: group:fraud, actions: refund, purpose: fraud}
"""
WEDNESDAY = dt.datetime(2026, 1, 14, 9, tzinfo=dt.UTC)
NIGHT = dt.datetime(2026, 1, 14, 22, tzinfo=dt.UTC)
SUNDAY = dt.datetime(2026, 1, 18, 9, tzinfo=dt.UTC)
JULY = dt.datetime(2026, 7, 1, 9, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def policy() -> PolicySet:
    return loaded(RULES, actions__refund=ACTION)


def asked(policy: PolicySet, group: str, at: Circumstances) -> Allowed | Denied:
    return decide(policy, user("ann", group), SCHEMA, reads("id"), at=at)


def test_outside_its_hours_a_grant_does_not_hold_and_the_refusal_says_when(policy: PolicySet) -> None:
    assert isinstance(asked(policy, "day", Circumstances(now=WEDNESDAY)), Allowed)
    for now in (NIGHT, SUNDAY, None):
        found = asked(policy, "day", Circumstances(now=now))
        assert isinstance(found, Denied)
        assert found.rule == "hours"
        assert "08:00-18:00" in found.sentence


def test_after_its_last_day_a_grant_is_as_if_it_had_never_been(policy: PolicySet) -> None:
    assert isinstance(asked(policy, "temp", Circumstances(now=WEDNESDAY)), Allowed)
    found = asked(policy, "temp", Circumstances(now=JULY))
    assert isinstance(found, Denied)
    assert found.rule is None
    assert not touches(policy, user("ann", "temp"), "shop", Circumstances(now=JULY))
    assert may_read_book(policy, user("ann", "auditors"), Circumstances(now=WEDNESDAY))
    assert not may_read_book(policy, user("ann", "auditors"), Circumstances(now=JULY))
    assert not may_read_book(policy, user("ann", "auditors")), "what is not known is not met"


def test_a_purpose_must_be_one_of_those_named(policy: PolicySet) -> None:
    assert isinstance(asked(policy, "fraud", Circumstances(now=JULY, purpose="fraud")), Allowed)
    for purpose in (None, "", "marketing", "FRAUD", "fraud "):
        found = asked(policy, "fraud", Circumstances(now=JULY, purpose=purpose))
        assert isinstance(found, Denied)
        assert found.rule == "fraud"
        assert "`collections`, `fraud`" in found.sentence
    assert not may_use_action(policy, user("ann", "fraud"), "refund", Circumstances(purpose="collections"))
    assert may_use_action(policy, user("ann", "fraud"), "refund", Circumstances(purpose="fraud"))


def test_a_list_of_what_is_possible_takes_purposes_as_named_but_not_hours(policy: PolicySet) -> None:
    assert isinstance(asked(policy, "fraud", Circumstances(now=NIGHT, is_look=True)), Allowed)
    assert isinstance(asked(policy, "day", Circumstances(now=NIGHT, is_look=True)), Denied)


def test_what_a_kept_plan_depends_on_changes_with_time_and_purpose(policy: PolicySet) -> None:
    assert open_conditions(policy, Circumstances(now=WEDNESDAY)) == {"hours", "until", "book"}
    assert open_conditions(policy, Circumstances(now=NIGHT, purpose="fraud")) == {"until", "book", "fraud", "act"}


def test_a_rule_that_raises_denies(policy: PolicySet) -> None:
    """A zone that the machine no longer knows, as after an upgrade of its tables."""
    grants = tuple(
        replace(grant, window=Window(zone="Gone/Away")) if grant.ref.id == "hours" else grant for grant in policy.grants
    )
    found = decide(replace(policy, grants=grants), user("ann", "day"), SCHEMA, reads("id"), at=Circumstances(now=JULY))
    assert isinstance(found, Denied)
    assert found.rule == "undecided"


@pytest.mark.parametrize(
    "grant, reason",
    [
        ('hours: "8-18"', "policy.E002"),
        ('hours: "08:00-08:00"', "same time"),
        ('hours: "25:00-26:00"', "policy.E002"),
        ("days: [someday]", "policy.E002"),
        ("zone: Berlin/Europe", "not a time zone"),
        ('zone: "../../etc/passwd"', "not a time zone"),
        ("until: soon", "policy.E002"),
        ("purpose: [Fraud Team]", "policy.E002"),
    ],
)
def test_a_condition_that_is_none_does_not_load(grant: str, reason: str) -> None:
    assert reason in wrong(f"grants:\n  - {{id: a, to: 'user:x', on: shop.customer, allow: [select], {grant}}}\n")


@pytest.mark.parametrize("narrowing", ["where: id = 1", "columns: [id]", "reason: true", "purpose: [support]"])
def test_what_would_narrow_nothing_does_not_load(narrowing: str) -> None:
    """Somebody who writes it means it: an entity is not narrowed by its grant."""
    rule = "grants:\n  - {{id: a, to: 'user:x', entities: [person]{}}}\n"
    assert "it needs `on`" in wrong(rule.format(f", {narrowing}"))
    assert "it needs `on`" not in wrong(rule.format(""))


# ── approvals ──

APPROVALS = """
classification:
  pii.email: [shop.customer.email]
approvals:
  - {id: personal, tag: pii.email, require: [{groups: [privacy]}], expires_h: 8, reason: true}
  - {id: live, production: true, writes: [delete], require: [{groups: [owners], needed: 2}], expires_h: 24}
  - {id: desk, on: shop.refund, via: desk, require: [{groups: [desk-leads]}]}
""".replace("desk-leads", "leads")


def needed(policy: PolicySet, *columns: str, access: Access = Access.UPDATE, **more: str) -> dict[str, int]:
    facts = WriteFacts(
        source="shop", table=more.pop("table", "customer"), access=access, rows=1, columns=frozenset(columns), **more
    )
    return {"+".join(item.groups): item.needed for item in approving_of(policy, facts).requirements}


def production(rules: str) -> PolicySet:
    policy = loaded(rules)
    return replace(policy, sources={"shop": replace(policy.sources["shop"], is_production=True)})


def test_an_approval_by_tag_is_for_writes_of_tagged_columns() -> None:
    policy = loaded(APPROVALS)
    assert needed(policy, "email") == {"privacy": 1}
    assert needed(policy, "name") == {"reviewers": 2}
    assert needed(policy, access=Access.DELETE) == {"privacy": 1}, "a removed row loses its tagged values"
    unknown = WriteFacts(source="shop", table="customer", access=Access.UPDATE, rows=1)
    assert approving_of(policy, unknown).requirements[0].groups == ("privacy",)


def test_an_approval_for_production_is_for_sources_marked_so() -> None:
    assert needed(loaded(APPROVALS), access=Access.DELETE, table="refund") == {"reviewers": 2}
    assert needed(production(APPROVALS), access=Access.DELETE, table="refund") == {"owners": 2}


def test_an_approval_may_be_for_one_tool() -> None:
    assert needed(loaded(APPROVALS), "amount", table="refund", tool="desk") == {"leads": 1}
    assert needed(loaded(APPROVALS), "amount", table="refund", tool="other") == {"reviewers": 2}


def test_the_shortest_time_and_any_wish_for_a_reason_count() -> None:
    facts = WriteFacts(source="shop", table="customer", access=Access.DELETE, rows=1)
    found = approving_of(production(APPROVALS), facts)
    assert (found.expires_h, found.needs_reason) == (8, True)
    assert {rule.id for rule in found.rules} == {"personal", "live"}


def test_a_condition_that_cannot_be_compared_asks_for_people_and_frees_nobody() -> None:
    rules = """
approvals:
  - {id: small, actions: refund, when: amount <= 5, require: []}
  - {id: large, actions: refund, when: amount > 5, require: [{groups: [finance]}]}
"""
    policy = loaded(rules, actions__refund=ACTION)
    for odd in (float("nan"), "NaN", "sNaN", None, ["5"], {}):
        facts = WriteFacts(
            source="shop", table="refund", access=Access.INSERT, rows=1, action="refund", params={"amount": odd}
        )
        assert approving_of(policy, facts).requirements, odd


# ── vouched functions ──


def test_functions_are_vouched_for_by_source_or_engine() -> None:
    policy = loaded("functions:\n  sqlite: [soundex]\n  shop: [Median, soundex]\n")
    assert policy.functions == {"shop": frozenset({"SOUNDEX", "MEDIAN"})}


@pytest.mark.parametrize("name", ["pg_read_file", "LO_IMPORT", "dblink_exec", "load_extension", "sleep", "read_csv"])
def test_nobody_vouches_for_what_reaches_beyond_the_tables(name: str) -> None:
    assert "policy.E007" in wrong(f"functions:\n  shop: [{name}]\n")


def test_functions_of_an_unknown_source_are_an_error_with_a_hint() -> None:
    message = wrong("functions:\n  shpo: [soundex]\n")
    assert "rules.yaml:2" in message
    assert "did you mean `shop`?" in message


# ── masks ──


def test_a_custom_mask_says_its_expression() -> None:
    policy = loaded(
        'protections:\n  - {id: a, on: shop.customer.email, mask: custom, expression: "substr(value, 1, 2)"}\n'
        "  - {id: b, on: shop.customer.id, mask: bucket(100)}\n  - {id: c, on: shop.customer.name, mask: hash}\n"
        "grants:\n  - {id: g, to: 'user:ann', on: shop.customer, allow: [select]}\n"
    )
    found = decide(policy, user(), SCHEMA, [TableUse(table="customer", access=Access.SELECT, is_whole=True)])
    assert isinstance(found, Allowed)
    masks = found.obligations["customer"].masks
    assert masks["email"].expression == "substr(value, 1, 2)"
    assert (str(masks["id"]), str(masks["name"])) == ("bucket(100)", "hash")


@pytest.mark.parametrize(
    "rule, reason",
    [
        ("on: shop.customer.email, mask: custom", "go together"),
        ("on: shop.customer.email, mask: email, expression: value", "go together"),
        ("on: shop.customer.email, mask: custom, expression: upper(email)", "`value`"),
        ("on: shop.customer, mask: email", "shop.customer.email"),
        ("on: shop.customer.email, where: id > 1", "not of the form"),
    ],
)
def test_a_mask_that_makes_no_sense_does_not_load(rule: str, reason: str) -> None:
    assert reason in wrong(f"protections:\n  - {{id: a, {rule}}}\n")


@pytest.mark.parametrize(
    "rule",
    [
        "grants:\n  - {id: a, to: 'user:x', on: shop.customer, allow: [select], purpose: []}\n",
        "grants:\n  - {id: a, to: 'user:x', on: shop.customer, allow: [select], days: []}\n",
        "grants:\n  - {id: a, to: 'user:x', on: shop.customer, allow: [select], via: []}\n",
        "grants:\n  - {id: a, to: 'user:x', on: shop.customer, allow: [select], columns: []}\n",
        "grants:\n  - {id: a, to: 'user:x', on: shop.customer, allow: [select], where: ''}\n",
        "approvals:\n  - {id: a, actions: [refund], when: [], require: []}\n",
        "protections:\n  - {id: a, on: shop.customer, where: ''}\n",
    ],
)
def test_a_condition_that_is_there_but_empty_does_not_load(rule: str) -> None:
    """Read as `no condition` it would open what somebody wanted to close."""
    assert "policy.E002" in wrong(rule, actions__refund=ACTION)
