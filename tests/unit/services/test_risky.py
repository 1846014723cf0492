"""Do rules see the risk of a write, at the time when it was asked for?"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

from tests.unit.services.shop import SOURCE, Shop, ann

from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question

RULES = """
classification:
  pii.email: [shop.customer.email]
grants:
  - {id: team, to: group:team, on: shop.customer, allow: [select, update, delete]}
  - {id: reviewers, to: [group:reviewers, group:owners], on: shop.customer, allow: [select]}
approvals:
  - {id: all, on: shop.customer, require: [{groups: [reviewers]}]}
  - {id: risky, on: shop.customer, when: risk >= 4, require: [{groups: [owners]}]}
"""
WORKING = "production: true\nworking: {hours: '08:00-18:00', days: [mon, tue, wed, thu, fri], zone: Europe/Berlin}\n"
MONDAY = dt.datetime(2026, 3, 2, 11, tzinfo=dt.UTC)
SUNDAY = dt.datetime(2026, 3, 1, 11, tzinfo=dt.UTC)
TEAM = ann("team")


def shop_of(folder: Path) -> Shop:
    shop = Shop(folder)
    shop.write(RULES)
    (shop.policies / "sources" / "shop.yaml").write_text(SOURCE.format(path=shop.database) + WORKING)
    return shop


def asked(cases: UseCases, sql: str, now: dt.datetime = MONDAY) -> ChangeRequest:
    cases.gate.now = lambda: now
    request = cases.queries.ask(TEAM, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def groups(request: ChangeRequest) -> set[str]:
    return {group for requirement in request.requirements for group in requirement.groups}


def test_a_rule_asks_for_more_people_where_more_is_at_stake(tmp_path: Path) -> None:
    with shop_of(tmp_path).open() as cases:
        small = asked(cases, "update customer set name = 'x' where id = 1")
        assert ([risk.points for risk in small.risks], groups(small)) == ([1], {"reviewers"})
        mails = asked(cases, "update customer set email = 'x' where id = 1")
        assert ([risk.points for risk in mails.risks], groups(mails)) == ([2, 1], {"reviewers"})
        for sql, now in (
            ("update customer set email = 'x' where id = 1", SUNDAY),
            ("update customer set name = 'x'", MONDAY),
            ("delete from customer where id = 1", MONDAY),
        ):
            assert groups(asked(cases, sql, now)) == {"reviewers", "owners"}, sql


def test_the_risk_is_that_of_the_time_when_it_was_asked_for(tmp_path: Path) -> None:
    """It was asked for by day and is approved at night: that is no other write."""
    with shop_of(tmp_path).open() as cases:
        request = asked(cases, "update customer set email = 'x' where id = 1")
        cases.gate.now = lambda: MONDAY + dt.timedelta(hours=12)
        rea = Call(principal=replace(ann("reviewers").principal, name="rea"))
        done = cases.changes.review(rea, request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest)
        assert done.state is State.EXECUTED, done.failure
