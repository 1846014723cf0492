"""Do the files load or say what is wrong, and do the rules decide as they read?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gatebook_hub.errors import PolicyInvalid
from gatebook_hub.model import (
    Access,
    Allowed,
    Column,
    Denied,
    Engine,
    Principal,
    PrincipalKind,
    Schema,
    Table,
    TableUse,
    Tool,
)
from gatebook_hub.policy import (
    PolicySet,
    WriteFacts,
    decide,
    decide_action,
    load,
    may_read_book,
    may_use_tool,
    requirements_for,
    tools_with_action,
)
from gatebook_hub.policy.loading import revision

SOURCE = """
source: shop
title: Shop
engine: sqlite
url: sqlite:///x
default_quorum:
  - {groups: [reviewers], needed: 2}
"""
ACTION = """
action: refund
title: Refund
source: shop
params:
  amount: {type: number}
sql: insert into refund (id, amount) values (1, :amount)
"""


def loaded(rules: str, **more: str) -> PolicySet:
    return load(
        {
            "sources/shop.yaml": SOURCE,
            "rules.yaml": rules,
            **{key.replace("__", "/") + ".yaml": text for key, text in more.items()},
        }
    )


def wrong(rules: str, **more: str) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        loaded(rules, **more)
    return str(caught.value)


def table(name: str, *columns: str) -> Table:
    return Table(name=name, key=("id",), columns=tuple(Column(name=column, type="text") for column in columns))


SCHEMA = Schema(
    source="shop",
    engine=Engine.SQLITE,
    version="1",
    tables={"customer": table("customer", "id", "name", "email", "born"), "refund": table("refund", "id", "amount")},
)


def user(name: str = "ann", *groups: str, tool: str | None = None) -> Principal:
    attested = Tool(name=tool, version="1") if tool else None
    return Principal(kind=PrincipalKind.USER, name=name, groups=frozenset(groups), tool=attested)


def reads(*columns: str, name: str = "customer") -> list[TableUse]:
    return [TableUse(table=name, access=Access.SELECT, reads=frozenset(columns))]


# ── loading ──

BROKEN: list[tuple[str, list[str]]] = [
    ("grants: [", ["rules.yaml:1", "policy.E001", "not YAML"]),
    (
        "grants:\n  - id: a\n    to: group:x\n    on: shop.customer\n    alow: [select]\n",
        ["rules.yaml:5", "policy.E002", "`allow`"],
    ),
    ("grants:\n  - id: a\n    to: x\n    on: shop.customer\n    allow: [select]\n", ["rules.yaml:3", "policy.E002"]),
    ("grants:\n  - id: a\n    to: user:x\n    on: shop.customer\n    allow: [read]\n", ["rules.yaml:5", "policy.E002"]),
    ("grants:\n  - id: a\n    to: user:x\n    on: shop.customer\n", ["go together"]),
    ("grants:\n  - id: a\n    to: user:x\n", ["a grant needs"]),
    ("grants:\n  - id: a\n    to: user:x\n    on: shpo.customer\n    allow: [select]\n", ["policy.E004", "`shop`"]),
    (
        "grants:\n  - {id: a, to: 'user:x', audit: true}\n  - {id: a, to: 'user:y', audit: true}\n",
        ["policy.E003", "`a`"],
    ),
    ("grants:\n  - {id: a, to: 'user:x', actions: [nosuch]}\n", ["policy.E005"]),
    ("protections:\n  - {id: a, tag: pii.nosuch, mask: email}\n", ["policy.E006", "pii.nosuch"]),
    ("protections:\n  - {id: a, on: shop.customer.email, mask: blur}\n", ["rules.yaml:2", "policy.E002"]),
    ("protections:\n  - {id: a, on: shop.customer.email, mask: email, refuse: no}\n", ["exactly one"]),
    ("protections:\n  - {id: a, on: shop.customer.email, mask: email, unless: [everybody]}\n", ["everybody"]),
    ("protections:\n  - {id: a, mask: email}\n", ["names columns"]),
    ("approvals:\n  - {id: a, on: shop.customer, require: []}\n", ["need somebody"]),
    ("approvals:\n  - {id: a, on: shop.customer, when: rows big, require: [{groups: [r]}]}\n", ["rows big"]),
    ("approvals:\n  - {id: a, on: shop.customer, require: [{groups: [r], needed: 0}]}\n", ["policy.E002"]),
    ("nonsense: 1\n", ["rules.yaml:1", "unknown key"]),
    ("- a\n- b\n", ["policy.E002"]),
    ("grants:\n  - &a {id: a, to: 'user:x', audit: true, audit: false}\n", ["policy.E001"]),
]


@pytest.mark.parametrize("rules, parts", BROKEN)
def test_a_broken_file_is_named_with_line_and_reason(rules: str, parts: list[str]) -> None:
    message = wrong(rules)
    for part in parts:
        assert part in message, message


def test_every_finding_is_told_at_once() -> None:
    message = wrong("grants: [", actions__x="action: x\n", jobs__y="job: 1\n")
    assert {"rules.yaml", "actions/x.yaml", "jobs/y.yaml"} <= {line.split(":")[0] for line in message.splitlines()}


@pytest.mark.parametrize(
    "text, reason",
    [
        (SOURCE.replace("default_quorum:\n  - {groups: [reviewers], needed: 2}\n", ""), "default_quorum"),
        (SOURCE + "sandbox: true\nproduction: true\n", "not both"),
        (SOURCE.replace("sqlite\n", "oracle\n", 1), "engine"),
    ],
)
def test_a_source_must_make_sense(text: str, reason: str) -> None:
    with pytest.raises(PolicyInvalid, match=reason):
        load({"sources/shop.yaml": text})


def test_the_revision_is_of_the_content() -> None:
    assert revision({"a": "1", "b": "2"}) == revision({"b": "2", "a": "1"})
    assert revision({"a": "1"}) != revision({"a": "2"}) != revision({"b": "2"})


# ── deciding ──

RULES = """
classification:
  pii: [shop.customer.email]
grants:
  - {id: de, to: group:de, on: shop.customer, allow: [select], where: id < 10}
  - {id: fr, to: group:fr, on: shop.customer, allow: [select], where: id > 20}
  - {id: all, to: group:all, on: shop.customer, allow: [select]}
  - {id: names, to: group:names, on: shop.customer, columns: [id, name], allow: [select]}
  - {id: desk, to: group:desk, on: shop.customer, allow: [select], via: desk}
  - {id: writers, to: group:writers, on: shop.customer, columns: [name, email], allow: [update], where: id < 5}
  - {id: refunds, to: group:desk, actions: [refund], via: desk}
  - {id: tools, to: group:desk, tools: [desk]}
  - {id: book, to: group:auditors, audit: true}
protections:
  - {id: soft, tag: pii, mask: first(3), unless: user:boss}
  - {id: hard, on: shop.customer.email, mask: redact, unless: [user:boss, group:support]}
  - {id: born, on: shop.customer.born, refuse: none of your business, ask: "the group `people`", unless: group:people}
  - {id: own, on: shop.refund, where: amount < 100}
"""


@pytest.fixture(scope="module")
def policy() -> PolicySet:
    return loaded(RULES, actions__refund=ACTION)


def allowed(policy: PolicySet, who: Principal, *columns: str, **more: Any) -> Allowed:
    found = decide(policy, who, SCHEMA, reads(*columns), **more)
    assert isinstance(found, Allowed), found
    return found


def denied(policy: PolicySet, who: Principal, *columns: str, **more: Any) -> Denied:
    found = decide(policy, who, SCHEMA, reads(*columns), **more)
    assert isinstance(found, Denied), found
    return found


def test_no_grant_means_no(policy: PolicySet) -> None:
    found = denied(policy, user(), "id")
    assert found.rule is None
    assert "no table `customer`" in found.sentence


def test_scopes_of_several_grants_are_ored(policy: PolicySet) -> None:
    (only,) = allowed(policy, user("ann", "de"), "id").obligations["customer"].row_filters
    assert only.condition == "(id < 10)"
    (both,) = allowed(policy, user("ann", "de", "fr"), "id").obligations["customer"].row_filters
    assert both.condition == "(id < 10) OR (id > 20)"
    assert allowed(policy, user("ann", "de", "all"), "id").obligations["customer"].row_filters == ()


def test_a_grant_of_columns_shows_these_alone(policy: PolicySet) -> None:
    assert allowed(policy, user("ann", "names"), "name").obligations["customer"].columns == ("id", "name")
    assert "`email`" in denied(policy, user("ann", "names"), "name", "email").sentence


def test_a_scope_of_one_grant_never_widens_the_columns_of_another(policy: PolicySet) -> None:
    """Names of all rows, everything of a few: together never everything of all rows."""
    who = user("ann", "names", "de")
    narrow = allowed(policy, who, "name").obligations["customer"]
    assert (narrow.columns, narrow.row_filters) == (("id", "name"), ())
    wide = allowed(policy, who, "name", "email").obligations["customer"]
    assert "email" in wide.columns
    assert wide.row_filters[0].condition == "(id < 10)"


def test_the_stronger_mask_wins(policy: PolicySet) -> None:
    def mask(who: Principal) -> str | None:
        found = allowed(policy, who, "email").obligations["customer"].masks.get("email")
        return str(found) if found else None

    assert mask(user("ann", "all")) == "redact"
    assert mask(user("ann", "all", "support")) == "first(3)"
    assert mask(user("boss", "all")) is None


def test_a_refused_column_is_not_there(policy: PolicySet) -> None:
    assert "born" not in allowed(policy, user("ann", "all"), "id").obligations["customer"].columns
    found = denied(policy, user("ann", "all"), "born")
    assert (found.rule, found.ask) == ("born", "the group `people`")
    assert "born" in allowed(policy, user("ann", "all", "people"), "born").obligations["customer"].columns


def test_a_grant_through_a_tool_needs_the_tool(policy: PolicySet) -> None:
    assert isinstance(decide(policy, user("ann", "desk"), SCHEMA, reads("id")), Denied)
    assert isinstance(decide(policy, user("ann", "desk", tool="other"), SCHEMA, reads("id")), Denied)
    assert isinstance(decide(policy, user("ann", "desk", tool="desk"), SCHEMA, reads("id")), Allowed)
    assert may_use_tool(policy, user("ann", "desk"), "desk")
    assert not may_use_tool(policy, user("ann", "all"), "desk")


def test_a_name_of_a_person_is_no_name_of_a_group(policy: PolicySet) -> None:
    assert isinstance(decide(policy, user("all"), SCHEMA, reads("id")), Denied)
    job = Principal(kind=PrincipalKind.JOB, name="boss", groups=frozenset({"all"}))
    assert allowed(policy, job, "email").obligations["customer"].masks


def test_a_write_obeys_protections_and_its_own_scope(policy: PolicySet) -> None:
    who = user("ann", "all", "writers")

    def write(*columns: str) -> TableUse:
        return TableUse(table="customer", access=Access.UPDATE, writes=frozenset(columns))

    found = allowed(policy, who, "id", write=write("name"))
    assert [item.condition for item in found.obligations["customer"].row_filters] == ["(id < 5)"]
    assert denied(policy, who, "id", write=write("email")).rule in {"soft", "hard"}
    assert denied(policy, who, "id", write=write("id")).rule == "no-grant"
    assert denied(policy, user("ann", "all"), "id", write=write("name")).rule == "no-grant"
    values = {"customer": frozenset({"email"})}
    assert denied(policy, who, "id", "email", write=write("name"), value_reads=values).rule == "hard"


def test_an_action_needs_its_grant_and_keeps_protections(policy: PolicySet) -> None:
    action = policy.actions["refund"]
    write = TableUse(table="refund", access=Access.INSERT, writes=frozenset({"id", "amount"}))
    found = decide_action(policy, user("ann", "desk", tool="desk"), action, SCHEMA, [], write, {})
    assert isinstance(found, Allowed)
    assert [item.condition for item in found.obligations["refund"].row_filters] == ["amount < 100"]
    for who in (user("ann", "desk"), user("ann", "all", tool="desk"), user()):
        assert isinstance(decide_action(policy, who, action, SCHEMA, [], write, {}), Denied)
    assert may_read_book(policy, user("x", "auditors"))
    assert not may_read_book(policy, user("auditors"))


def test_the_order_of_rules_never_matters() -> None:
    policy = loaded(RULES, actions__refund=ACTION)
    blocks = RULES.split("grants:")[1].split("protections:")
    turned = (
        "classification:\n  pii: [shop.customer.email]\nprotections:"
        + "\n".join(reversed(blocks[1].strip("\n").split("\n"))).join(["\n", "\n"])
        + "grants:"
        + "\n".join(reversed(blocks[0].strip("\n").split("\n"))).join(["\n", "\n"])
    )
    other = loaded(turned, actions__refund=ACTION)
    for groups in (("de",), ("de", "fr"), ("all", "names"), ("support", "all"), ()):
        for columns in (("id",), ("email",), ("born",), ("id", "name")):
            first = decide(policy, user("ann", *groups), SCHEMA, reads(*columns))
            second = decide(other, user("ann", *groups), SCHEMA, reads(*columns))
            assert type(first) is type(second)
            if isinstance(first, Allowed) and isinstance(second, Allowed):
                a, b = first.obligations["customer"], second.obligations["customer"]
                assert (a.columns, dict(a.masks)) == (b.columns, dict(b.masks))
                assert first.rules == second.rules


# ── approving ──

APPROVALS = """
approvals:
  - {id: any, on: shop.customer, require: [{groups: [reviewers], needed: 1}]}
  - {id: many, on: shop.customer, when: rows > 10, require: [{groups: [reviewers], needed: 2}, {groups: [finance]}]}
  - {id: deletes, on: shop.customer, writes: [delete], require: [{groups: [owners]}]}
  - {id: small, actions: refund, when: amount <= 5, require: []}
  - {id: large, actions: refund, when: amount > 5, require: [{groups: [finance]}]}
"""


def quorum(rows: int = 1, access: Access = Access.UPDATE, table: str = "customer", **more: Any) -> dict[str, int]:
    policy = loaded(APPROVALS, actions__refund=ACTION)
    facts = WriteFacts(source="shop", table=table, access=access, rows=rows, **more)
    return {"+".join(item.groups): item.needed for item in requirements_for(policy, facts)[0]}


def test_the_strictest_of_all_matching_rules_counts() -> None:
    assert quorum() == {"reviewers": 1}
    assert quorum(rows=10) == {"reviewers": 1}
    assert quorum(rows=11) == {"reviewers": 2, "finance": 1}
    assert quorum(access=Access.DELETE) == {"reviewers": 1, "owners": 1}


def test_a_write_without_a_rule_needs_the_default() -> None:
    assert quorum(table="refund") == {"reviewers": 2}


def test_an_action_is_judged_by_its_parameters() -> None:
    def refund(**params: Any) -> dict[str, int]:
        return quorum(access=Access.INSERT, table="refund", action="refund", params=params)

    assert refund(amount=Decimal(5)) == {}
    assert refund(amount=Decimal("5.01")) == {"finance": 1}
    assert refund(amount=float("5.5")) == {"finance": 1}
    assert refund() == {"finance": 1}, "what is not known needs somebody"
    assert refund(amount=None) == {"finance": 1}


def test_an_action_is_told_to_belong_to_tools_that_one_may_open() -> None:
    policy = loaded(
        "grants:\n"
        "  - {id: a, to: 'group:desk', actions: refund, via: [till, safe]}\n"
        "  - {id: b, to: 'group:desk', tools: [till, other]}\n"
        "  - {id: c, to: 'group:others', actions: refund}\n",
        actions__refund=ACTION,
    )
    assert tools_with_action(policy, user("ann", "desk"), "refund") == {"till"}
    assert tools_with_action(policy, user("ann", "others"), "refund") == frozenset()
    assert tools_with_action(policy, user("ann", "desk"), "nothing") == frozenset()


def test_what_is_said_about_tables_is_kept_by_their_names_in_small_letters() -> None:
    described = SOURCE + "descriptions:\n  Customer: people\n  customer.Email: where they are reached\n"
    policy = load({"sources/shop.yaml": described, "rules.yaml": ""})
    assert policy.sources["shop"].descriptions == {
        "customer": "people",
        "customer.email": "where they are reached",
    }
    with pytest.raises(PolicyInvalid, match="E002"):
        load({"sources/shop.yaml": SOURCE + "descriptions:\n  a.b.c: x\n", "rules.yaml": ""})
