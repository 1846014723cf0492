"""Do hours and purposes hold through the whole gate: kept plans, change requests, reviews, actions, the book?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.services.shop import RULES, Shop, ann, ask

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import AccessRefused
from gatebook_hub.services.actions import Press
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.stores.book import EventFilter

MORE = RULES.replace(
    "  - id: book",
    """  - id: care
    to: group:care
    on: shop.customer
    allow: [select, update]
    purpose: [care]

  - id: care-credits
    to: group:care
    actions: credit
    purpose: care

  - id: day
    to: group:day
    on: shop.customer
    allow: [select, update]
    hours: "08:00-18:00"

  - id: book""",
)
NOON = dt.datetime(2026, 1, 14, 12, tzinfo=dt.UTC)
NIGHT = dt.datetime(2026, 1, 14, 18, tzinfo=dt.UTC)
NAMES = "select name from customer where id = 1"
UPDATE = "update customer set name = 'X' where id = 1"


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[UseCases]:
    shop = Shop(tmp_path)
    shop.write(MORE)
    with shop.open() as found:
        found.gate.now = lambda: NOON
        yield found


def caring(*groups: str, purpose: str | None = "care") -> Call:
    return replace(ann("care", *groups), purpose=purpose)


def reviewer(*groups: str) -> Call:
    call = ann("reviewers", *groups)
    return replace(call, principal=replace(call.principal, name="rita"))


def propose(cases: UseCases, call: Call) -> ChangeRequest:
    request = cases.queries.ask(call, Question(source="shop", sql=UPDATE, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def approve(cases: UseCases, request: ChangeRequest, call: Call) -> ChangeRequest:
    return cases.changes.review(call, request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest)


def test_a_kept_plan_serves_no_statement_without_its_purpose(cases: UseCases) -> None:
    for _ in range(2):
        assert ask(cases, caring(), NAMES) == [("Ann",)]
        for purpose in (None, "other"):
            with pytest.raises(AccessRefused) as refused:
                ask(cases, caring(purpose=purpose), NAMES)
            assert refused.value.rule == "care"


def test_a_kept_plan_ends_with_its_hours(cases: UseCases) -> None:
    assert ask(cases, ann("day"), NAMES) == [("Ann",)]
    cases.gate.now = lambda: NIGHT
    with pytest.raises(AccessRefused, match=r"08:00-18:00"):
        ask(cases, ann("day"), NAMES)
    cases.gate.now = lambda: NOON
    assert ask(cases, ann("day"), NAMES) == [("Ann",)]


def test_the_book_has_the_purpose(cases: UseCases) -> None:
    ask(cases, caring(), NAMES)
    (event,) = cases.gate.book.find(EventFilter(kind=EventKind.QUERY_INTENT))
    assert event.content["purpose"] == "care"
    with pytest.raises(AccessRefused):
        ask(cases, caring(purpose="other"), NAMES)
    (event,) = cases.gate.book.find(EventFilter(kind=EventKind.QUERY_REFUSED))
    assert event.content["purpose"] == "other"


def test_a_change_request_keeps_its_purpose_until_it_is_executed(cases: UseCases) -> None:
    request = propose(cases, caring())
    assert cases.gate.changes.get(request.id).purpose == "care"
    assert approve(cases, request, reviewer("writers")).state is State.EXECUTED


def test_an_approval_binds_the_purpose(cases: UseCases) -> None:
    from gatebook_hub.changes import digest_of

    request = propose(cases, caring())
    assert digest_of(request) == request.digest
    assert digest_of(replace(request, purpose="other")) != request.digest
    assert digest_of(replace(request, purpose=None)) != request.digest


def test_a_reviewer_who_names_no_purpose_does_not_see_rows_that_want_one(cases: UseCases) -> None:
    request = propose(cases, caring())
    assert cases.changes.sights(caring().principal).of(request, request.diffs[0]).is_open
    assert not cases.changes.sights(reviewer("care").principal).of(request, request.diffs[0]).is_open
    assert cases.changes.sights(reviewer("writers").principal).of(request, request.diffs[0]).is_open


def test_a_change_that_is_approved_after_hours_is_not_written(cases: UseCases) -> None:
    request = propose(cases, ann("day"))
    cases.gate.now = lambda: NIGHT
    done = approve(cases, request, reviewer("writers"))
    assert done.state is State.FAILED
    assert "08:00-18:00" in (done.failure or "")
    assert ask(cases, ann("writers"), NAMES) == [("Ann",)]


def test_an_action_wants_its_purpose_and_says_so(cases: UseCases) -> None:
    press = Press(action="credit", params={"customer": 1, "amount": 1})
    assert [action.name for action in cases.actions.list(caring().principal)] == ["credit"]
    with pytest.raises(AccessRefused, match="for a named purpose alone: `care`"):
        cases.actions.call(caring(purpose=None), press)
    assert cases.actions.call(caring(), press).purpose == "care"


def test_the_catalogue_shows_what_a_purpose_would_open(cases: UseCases) -> None:
    (table,) = cases.access.source(ann("care"), "shop").tables
    assert table.name == "customer"
    cases.gate.now = lambda: NIGHT
    assert cases.access.source(ann("day"), "shop").tables == ()
