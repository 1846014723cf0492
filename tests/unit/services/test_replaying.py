"""Does a replay of the book find each decision that a proposed set changes, and say what it cannot know?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.services.shop import ACTION, RULES, SOURCE, Shop, ann, ask

from gatebook_hub import policy
from gatebook_hub.errors import GatebookError
from gatebook_hub.policy import PolicySet
from gatebook_hub.services import comparing
from gatebook_hub.services.actions import Press
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.comparing import Comparison
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.services.replaying import put_back, replay
from gatebook_hub.stores.book import StoredEvent


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def cases(shop: Shop) -> Iterator[UseCases]:
    with shop.open() as found:
        yield found


def proposed(shop: Shop, rules: str, action: str = ACTION) -> PolicySet:
    return policy.load(
        {"sources/shop.yaml": SOURCE.format(path=shop.database), "actions/credit.yaml": action, "rules.yaml": rules}
    )


def compared(cases: UseCases, shop: Shop, rules: str, action: str = ACTION) -> Comparison:
    new = proposed(shop, rules, action)
    schemas, unseen = comparing.live_schemas(cases.gate.policy, new, shop.state)
    events = comparing.statements_of(cases.gate.book, since=None, limit=1_000)
    return comparing.compare(cases.gate.policy, new, schemas, events=events, unseen=unseen, now=cases.gate.now())


def counts(cases: UseCases, shop: Shop, rules: str, action: str = ACTION) -> dict[str, int]:
    found = compared(cases, shop, rules, action).replay
    assert found is not None
    return found.counts


def write(cases: UseCases, call: Call, sql: str) -> None:
    cases.queries.ask(call, Question(source="shop", sql=sql, parameters={}))


READS = (
    "select name from customer where name like 'A%' or id in (1, 2.5, -3) limit 10",
    "select email from customer where email = 'ann@example.com' and country = 'it''s'",
    "with c as (select id, email from customer where id > 0) select count(*), max(email) from c group by id",
    "select case when id = 1 then 'one' else 'more' end, date('2026-01-01', '+1 day') from customer order by 1 limit 5",
    "select * from customer where id between 1 and 3",
)


def test_the_same_set_changes_nothing(shop: Shop, cases: UseCases) -> None:
    for sql in READS:
        ask(cases, ann("writers"), sql)
    write(cases, ann("writers"), "update customer set name = 'X' where id = 1")
    found = compared(cases, shop, RULES)
    assert found.is_same
    assert found.replay is not None
    assert (found.replay.same, dict(found.replay.skipped)) == (len(READS) + 1, {})


def test_each_kind_of_change_is_found_and_counted(shop: Shop, cases: UseCases) -> None:
    for _ in range(3):
        ask(cases, ann("readers"), "select name from customer where id = 1")
    ask(cases, ann("writers"), READS[1])
    write(cases, ann("writers"), "update customer set name = 'X' where id = 1")
    assert counts(cases, shop, RULES.replace("group:readers", "group:others")) == {"allow→deny": 3}
    assert counts(cases, shop, RULES.replace("country = 'DE'", "country = 'FR'")) == {"rows": 3}
    assert counts(cases, shop, RULES.replace("unless: group:privacy", "unless: group:writers")) == {"mask removed": 1}
    assert counts(cases, shop, RULES.replace("mask: email", "mask: redact")) == {"mask changed": 1}
    assert counts(cases, shop, RULES.replace("rows > 2", "rows > 0")) == {"quorum": 1}
    name = RULES.replace("pii.email: [shop.customer.email]", "pii.email: [shop.customer.email, shop.customer.name]")
    assert counts(cases, shop, name) == {"allow→deny": 1, "mask added": 3}
    tight = RULES.replace(
        "    where: country = 'DE'", "    where: country = 'DE'\n    limits: {rows: 1}\n    reason: true"
    )
    assert counts(cases, shop, tight) == {"limits": 3, "reason": 3}


def test_alike_statements_are_one_change_with_their_number(shop: Shop, cases: UseCases) -> None:
    for number in (1, 2, 3):
        ask(cases, ann("readers"), f"select name from customer where id = {number}")
    found = compared(cases, shop, RULES.replace("group:readers", "group:others")).replay
    assert found is not None
    (change,) = found.changes
    assert (change.count, change.principal, change.groups) == (3, "user:ann", ("readers",))
    assert "?1" in change.statement
    assert change.first < change.last


def test_a_tool_and_a_purpose_are_those_of_the_past(shop: Shop, cases: UseCases) -> None:
    ask(cases, ann("desk", tool="desk"), "select name from customer")
    assert counts(cases, shop, RULES.replace("via: desk", "via: counter")) == {"allow→deny": 1}
    purposeful = RULES.replace("    where: country = 'DE'", "    purpose: [care]")
    shop.write(purposeful)
    with_purpose = replace(ann("readers"), purpose="care")
    from gatebook_hub.services.opening import OPERATOR
    from gatebook_hub.services.reloading import Reloading

    Reloading(cases.gate).reload(OPERATOR)
    ask(cases, with_purpose, "select name from customer where id = 3")
    assert counts(cases, shop, purposeful) == {}
    assert counts(cases, shop, purposeful.replace("[care]", "[fraud]")) == {"allow→deny": 1}


def test_hours_are_held_against_the_time_of_the_statement(shop: Shop, cases: UseCases) -> None:
    ask(cases, ann("readers"), "select name from customer where id = 3")
    hour = cases.gate.now().hour
    inside, outside = f"{hour:02}:00-{hour:02}:59", f"{(hour + 3) % 24:02}:00-{(hour + 3) % 24:02}:59"
    scoped = "    where: country = 'DE'"
    if cases.gate.now().minute < 58:
        assert counts(cases, shop, RULES.replace(scoped, f'{scoped}\n    hours: "{inside}"')) == {}
    assert counts(cases, shop, RULES.replace(scoped, f'{scoped}\n    hours: "{outside}"')) == {"allow→deny": 1}


def test_an_action_is_decided_with_its_parameters(shop: Shop, cases: UseCases) -> None:
    cases.actions.call(ann("writers"), Press(action="credit", params={"customer": 1, "amount": 5.5}))
    assert counts(cases, shop, RULES) == {}
    assert counts(cases, shop, RULES.replace("amount > 10", "amount > 5")) == {"quorum": 1}
    gone = RULES.replace("  - id: credits\n    to: group:writers\n    actions: credit\n", "")
    assert counts(cases, shop, gone) == {"allow→deny": 1}


def test_a_quorum_on_a_digested_value_is_not_guessed(shop: Shop, cases: UseCases) -> None:
    secret = RULES.replace("[shop.customer.email]", "[shop.customer.email, shop.credit.amount]").replace(
        "unless: group:privacy", "unless: [group:privacy, action:credit]"
    )
    shop.write(secret)
    from gatebook_hub.services.opening import OPERATOR
    from gatebook_hub.services.reloading import Reloading

    Reloading(cases.gate).reload(OPERATOR)
    cases.actions.call(ann("writers"), Press(action="credit", params={"customer": 1, "amount": 5.5}))
    found = compared(cases, shop, secret.replace("amount > 10", "amount > 5")).replay
    assert found is not None
    assert found.counts == {}
    assert found.skipped["its approval depends on a value of which the book has a digest"] == 1


def test_a_quorum_on_rows_measured_under_another_scope_is_not_guessed(shop: Shop, cases: UseCases) -> None:
    write(cases, ann("writers"), "update customer set name = 'X' where id < 9")
    scoped = RULES.replace("allow: [select, update]", "allow: [select, update]\n    where: country = 'DE'")
    found = compared(cases, shop, scoped).replay
    assert found is not None
    assert found.counts == {"rows": 1}
    assert found.skipped == {"the quorum alone: it depends on rows that were measured under other row scopes": 1}


def test_what_cannot_be_replayed_is_counted_by_reason(shop: Shop, cases: UseCases) -> None:
    import sqlite3
    from contextlib import closing

    for sql in ("select secret from nowhere", "select * from customer where id = load_extension('x')"):
        with pytest.raises(GatebookError):
            ask(cases, ann("writers"), sql)
    ask(cases, ann("writers"), "select name from customer where id = 1")
    ask(cases, ann("writers"), "select email from customer where id = 1")
    ask(cases, ann("writers"), "select " + ", ".join(f"name as n{i}" for i in range(1_500)) + " from customer")
    with closing(sqlite3.connect(shop.database)) as connection:
        connection.execute("alter table customer rename column name to label")
    found = compared(cases, shop, RULES).replay
    assert found is not None
    assert found.skipped["it was refused: the book keeps a digest of its text alone"] == 2
    assert found.skipped["one of its columns is gone"] >= 1
    assert found.same >= 1
    with closing(sqlite3.connect(shop.database)) as connection:
        connection.execute("alter table customer rename to client")
    found = compared(cases, shop, RULES).replay
    assert found is not None
    assert found.skipped["one of its tables is gone"] >= 2
    assert found.same == 0


def test_a_statement_that_was_cut_is_not_replayed(shop: Shop) -> None:
    content = {
        "kind": "query.intent", "principal": "user:ann", "time": "2026-01-01T00:00:00Z", "source": "shop",
        "statement": "SELECT nam… sha256:" + "0" * 64,
    }  # fmt: skip
    rules = proposed(shop, RULES)
    found = replay([StoredEvent(index=1, content=content)], rules, rules, {})
    assert dict(found.skipped) == {"it is too long: the book keeps its beginning and its hash": 1}


@pytest.mark.parametrize(
    "shape, values, text",
    [
        ("SELECT ?1, ?2", ("5", "it's"), "SELECT 5, 'it''s'"),
        ("x = ?1 LIMIT ?2", ("hmac:00", "10"), "x = 'value 1' LIMIT 10"),
        ("x = ?11 AND y = ?1", tuple(str(n) for n in range(1, 12)), "x = 11 AND y = 1"),
        ("x = ?3", ("a",), "x = 'value 3'"),
        ("x = ?1", ("1e5",), "x = 1e5"),
        ("x = ?1", ("1; drop table t",), "x = '1; drop table t'"),
        ("x = ?1", ("a\\' or 1=1 --",), "x = 'a'' or 1=1 --'"),
    ],
)
def test_values_are_put_back_as_numbers_or_texts(shape: str, values: tuple[str, ...], text: str) -> None:
    assert put_back(shape, values) == text


def test_who_gains_and_loses_is_told_without_any_book(shop: Shop, cases: UseCases) -> None:
    new = RULES.replace("group:readers", "group:support").replace(
        "    unless: group:privacy", "    unless: group:writers"
    )
    found = compared(cases, shop, new)
    told = "\n".join(comparing.told(found))
    assert "group:support gains select on shop.customer.{country, id, name}: sees it, rows where" in told
    assert "group:readers loses select on shop.customer.email: sees it masked as email" in told
    assert "group:writers changes select on shop.customer.email: sees it masked as email → sees it" in told
    assert "group:privacy loses unless mask-email on shop.customer.email" in told
    assert found.as_object()["shifts"]
    assert not found.is_same


def test_a_source_that_cannot_be_read_is_said_and_not_guessed(shop: Shop, cases: UseCases) -> None:
    ask(cases, ann("writers"), "select name from customer")
    new = proposed(shop, RULES)
    found = comparing.compare(
        cases.gate.policy,
        new,
        {},
        events=comparing.statements_of(cases.gate.book, since=None, limit=10),
        unseen={"shop": "away"},
        now=cases.gate.now(),
    )
    assert "not compared: shop: away" in "\n".join(comparing.told(found))
    assert found.replay is not None
    assert found.replay.skipped["the source `shop` cannot be read now"] == 1
