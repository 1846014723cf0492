"""Does the order of rules, of their lists and of files never matter? Shuffled sets decide alike, down to rule names."""

from __future__ import annotations

import datetime as dt
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.test_policy import ACTION, SCHEMA, SOURCE, user

from gatebook_hub.model import Access, Allowed, Principal, TableUse
from gatebook_hub.policy import Circumstances, PolicySet, WriteFacts, approving_of, decide, load

COLUMNS = ("id", "name", "email", "born")
GROUPS = ("a", "b", "c", "d")
MASKS = ("null", "redact", "hash", "email", "last(2)", "last(4)", "first(2)", "year", "bucket(10)", "custom")
NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)

groups = st.lists(st.sampled_from([f"group:{name}" for name in GROUPS]), min_size=1, max_size=3, unique=True)
grant = st.fixed_dictionaries(
    {"to": groups, "on": st.just(["shop.customer"]), "allow": st.sampled_from([["select"], ["select", "update"]])},
    optional={
        "columns": st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
        "where": st.sampled_from(["id < 10", "id > 5", "name = 'x'"]),
        "via": st.just(["desk"]),
        "hours": st.sampled_from(["08:00-18:00", "20:00-22:00"]),
        "purpose": st.sampled_from([["fraud"], ["fraud", "care"]]),
        "limits": st.fixed_dictionaries({"rows": st.integers(1, 9)}),
        "reason": st.booleans(),
    },
)
protected = st.lists(st.sampled_from([f"shop.customer.{name}" for name in COLUMNS]), min_size=1, unique=True)
protection = st.one_of(
    st.fixed_dictionaries({"on": protected, "mask": st.sampled_from(MASKS)}, optional={"unless": groups}),
    st.fixed_dictionaries({"on": protected, "refuse": st.just("no")}, optional={"unless": groups}),
    st.fixed_dictionaries({"on": st.just(["shop.customer"]), "where": st.sampled_from(["id > 1", "id > 2"])}),
)
approval = st.fixed_dictionaries(
    {"on": st.just(["shop.customer"]), "require": st.just([{"groups": ["r"], "needed": 1}])},
    optional={
        "when": st.sampled_from([["rows > 5"], ["rows > 1", "rows < 9"]]),
        "expires_h": st.integers(1, 9),
        "tag": st.just(["pii"]),
        "reason": st.booleans(),
    },
)


def named(rules: list[dict[str, object]], prefix: str) -> list[dict[str, object]]:
    found = [{"id": f"{prefix}{index}", **rule} for index, rule in enumerate(rules)]
    return [rule | ({"expression": "upper(value)"} if rule.get("mask") == "custom" else {}) for rule in found]


def as_policy(files: dict[str, dict[str, object]]) -> PolicySet:
    texts = {"sources/shop.yaml": SOURCE, "actions/refund.yaml": ACTION}
    # JSON is YAML.
    return load(texts | {name: json.dumps(document) for name, document in files.items()})


def shuffled(document: dict[str, list[dict[str, object]]], chance: random.Random) -> dict[str, dict[str, object]]:
    """The same rules over two files, in another order, their lists turned too."""
    files: dict[str, dict[str, object]] = {"z.yaml": {}, "a.yaml": {}}
    for section, rules in document.items():
        turned = [
            {key: chance.sample(value, len(value)) if isinstance(value, list) else value for key, value in rule.items()}
            for rule in chance.sample(rules, len(rules))
        ]
        cut = chance.randint(0, len(turned))
        files["z.yaml"][section], files["a.yaml"][section] = turned[:cut], turned[cut:]
    files["a.yaml"]["classification"] = {"pii": ["shop.customer.email"]}
    return files


def answers(policy: PolicySet, who: Principal, columns: frozenset[str], purpose: str | None) -> object:
    at = Circumstances(now=NOW, purpose=purpose)
    use = TableUse(table="customer", access=Access.SELECT, reads=columns, is_whole=not columns)
    write = TableUse(table="customer", access=Access.UPDATE, writes=columns)
    facts = WriteFacts(source="shop", table="customer", access=Access.UPDATE, rows=7, columns=columns)
    found = [decide(policy, who, SCHEMA, [use], at=at), decide(policy, who, SCHEMA, [use], write, at=at)]
    shown = [
        (
            {name: (item.columns, dict(item.masks), sorted((sorted(part.condition.split(" OR ")), part.rules)
             for part in item.row_filters)) for name, item in one.obligations.items()},
            one.limits, [rule.id for rule in one.rules], one.needs_reason,
        )
        if isinstance(one, Allowed)
        else (one.sentence, one.rule, one.ask)
        for one in found
    ]  # fmt: skip
    approving = approving_of(policy, facts)
    asked = (approving.requirements, [rule.id for rule in approving.rules], approving.expires_h, approving.needs_reason)
    return [*shown, asked]


@settings(max_examples=80, deadline=None)
@given(
    grants=st.lists(grant, max_size=6),
    protections=st.lists(protection, max_size=6),
    approvals=st.lists(approval, max_size=4),
    seed=st.integers(0, 2**32),
    member=st.lists(st.sampled_from(GROUPS), unique=True),
    tool=st.sampled_from([None, "desk"]),
    columns=st.frozensets(st.sampled_from(COLUMNS)),
    purpose=st.sampled_from([None, "fraud", "care"]),
)
def test_shuffled_rules_decide_alike(
    grants: list[dict[str, object]],
    protections: list[dict[str, object]],
    approvals: list[dict[str, object]],
    seed: int,
    member: list[str],
    tool: str | None,
    columns: frozenset[str],
    purpose: str | None,
) -> None:
    document = {
        "grants": named(grants, "g"),
        "protections": named(protections, "p"),
        "approvals": named(approvals, "a"),
    }
    plain = as_policy({"rules.yaml": {**document, "classification": {"pii": ["shop.customer.email"]}}})
    other = as_policy(shuffled(document, random.Random(seed)))
    who = user("ann", *member, tool=tool)
    assert answers(plain, who, columns, purpose) == answers(other, who, columns, purpose)
