"""What is in whose list of change requests? What they may see, and nothing that tells of anything else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest
from tests.unit.services.shop import Shop, ann, person

from gatebook_hub.changes import ChangeRequest, Place, State, Verdict, place_of
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.web.views import change_view, summary_of

RULES = """
grants:
  - {id: team, to: 'group:team', on: [shop.customer, shop.credit], allow: [select, insert, update]}
  - {id: reviewers, to: ['group:reviewers', 'group:owners'], on: [shop.customer, shop.credit], allow: [select]}
  - {id: book, to: 'group:auditors', audit: true}
classification:
  pii.email: [shop.customer.email]
protections:
  - {id: mask-email, tag: pii.email, mask: email, unless: 'group:team'}
approvals:
  - {id: credits, on: shop.credit, require: [{groups: [owners]}]}
"""
TEAM, REA, OWNER = ann("team"), person("rea", "reviewers"), person("owen", "owners")
NOBODY, AUDITOR = person("eve", "desk"), person("aud", "auditors")
NAME = "update customer set name = 'New' where id = 1"
EMAIL = "update customer set email = 'new@example.com' where id = 1"
CREDIT = "insert into credit (customer, amount) values (1, 2)"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(RULES)
    return made


def asked(cases: UseCases, sql: str) -> ChangeRequest:
    request = cases.queries.ask(TEAM, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def pages(cases: UseCases, call: Call, size: int) -> list[list[str]]:
    """The ids of every page of a list, until one is not full."""
    found: list[list[str]] = []
    before: Place | None = None
    while True:
        page = cases.changes.listed(call.principal, before=before, limit=size)
        found.append([outline.id for outline in page])
        if len(page) < size:
            return found
        before = place_of(page[-1])


def test_a_limit_counts_what_is_visible_and_others_requests_do_not_show(shop: Shop) -> None:
    with shop.open() as cases:
        assert pages(cases, NOBODY, 2) == [[]]
        order = [CREDIT, CREDIT, NAME, CREDIT, NAME, CREDIT, CREDIT, CREDIT, NAME, CREDIT]
        ids = [asked(cases, sql).id for sql in order]
        named = [name for name, sql in zip(ids, order, strict=True) if sql == NAME][::-1]
        assert pages(cases, REA, 2) == [named[:2], named[2:]]
        assert pages(cases, REA, 3) == [named, []]
        assert list(chain(*pages(cases, OWNER, 3))) == [name for name in ids[::-1] if name not in named]
        assert list(chain(*pages(cases, AUDITOR, 4))) == list(chain(*pages(cases, TEAM, 4))) == ids[::-1]
        assert pages(cases, NOBODY, 2) == [[]], "whatever the others have"
        assert cases.changes.find(NOBODY.principal, limit=1) == ()
        assert [one.id for one in cases.changes.find(REA.principal, limit=2)] == named[:2]
        assert cases.changes.listed(REA.principal, is_mine=True) == ()


def test_an_inbox_has_what_its_owner_may_review(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook_hub.services.changes._AT_ONCE", 2)
    with shop.open() as cases:
        names = [asked(cases, NAME), asked(cases, NAME), asked(cases, NAME)]
        asked(cases, EMAIL)
        asked(cases, CREDIT)
        ids = [request.id for request in names[::-1]]
        assert [one.id for one in cases.changes.inbox(REA.principal)] == ids, "an e-mail that is masked is not for them"
        assert [one.id for one in cases.changes.inbox(REA.principal, limit=2)] == ids[:2]
        before = place_of(cases.changes.inbox(REA.principal)[0])
        assert [one.id for one in cases.changes.inbox(REA.principal, before=before)] == ids[1:]
        for call in (TEAM, NOBODY, AUDITOR):
            assert cases.changes.inbox(call.principal) == ()
        given = {"verdict": Verdict.REJECT, "reason": "no", "digest": names[0].digest}
        cases.changes.review(REA, names[0].id, **given)
        assert [one.id for one in cases.changes.inbox(REA.principal)] == ids[:2]


def test_columns_that_say_more_than_the_request_open_nothing(shop: Shop) -> None:
    """Who can write to the database of the gateway makes nobody a reviewer by it."""
    with shop.open() as cases:
        request = asked(cases, NAME)
        with closing(sqlite3.connect(shop.state / "gatebook.sqlite")) as connection:
            connection.execute("insert into change_group values (?, 'desk')", (request.id,))
            connection.execute("update change set requester = ?", (NOBODY.principal.id,))
            connection.commit()
        assert pages(cases, NOBODY, 2) == [[]]
        assert cases.changes.find(NOBODY.principal, is_mine=True) == ()


def test_an_outline_says_what_the_request_says(shop: Shop) -> None:
    with shop.open() as cases:
        for sql in (NAME, CREDIT, "update customer set name = 'New' where id < 3"):
            request = asked(cases, sql)
            [outline] = cases.changes.listed(TEAM.principal, limit=1)
            sights = cases.changes.sights(TEAM.principal)
            assert summary_of(outline, sights) == summary_of(request, sights)
            assert summary_of(outline, sights) == change_view(cases, TEAM.principal, request)["summary"]


def test_what_is_over_by_now_is_expired_in_a_list(shop: Shop) -> None:
    with shop.open() as cases:
        request = asked(cases, NAME)
        now = request.expires_at
        cases.gate.now = lambda: now
        assert cases.changes.inbox(REA.principal) == ()
        assert [one.state for one in cases.changes.listed(REA.principal)] == [State.EXPIRED]
        assert cases.changes.find(REA.principal)[0].state is State.EXPIRED
