"""Does who is in the place of somebody away get more than a vote in that person's groups, on those days?"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import Shop, ann, ask, person

from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import AccessRefused, GatebookError, NotFound, NotPermitted, PortalOnly, ReviewRefused
from gatebook_hub.model import Channel
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import OPERATOR
from gatebook_hub.services.queries import Question
from gatebook_hub.services.reloading import Reloading, Result
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.views import change_view

pytestmark = pytest.mark.adversary

RULES = """
classification:
  pii.email: [shop.customer.email]
grants:
  - {id: team, to: [group:team, group:privacy], on: shop.customer, allow: [select, update]}
  - {id: staff, to: group:staff, on: shop.customer, allow: [select]}
  - {id: book, to: group:privacy, audit: true}
protections:
  - {id: mask-email, tag: pii.email, mask: email, unless: [group:team, group:privacy]}
approvals:
  - {id: names, on: shop.customer, require: [{groups: [privacy]}]%s}
"""
AWAY = """
absences:
  - {id: july, who: 'user:maria', for: [privacy], instead: 'user:tom', from: 2026-07-01, until: 2026-07-14}
"""
LATE = ", execute: window, window: {hours: '22:00-04:00'}"
GLASS = ", break_glass: {groups: [team], review: [{groups: [privacy]}]}"
TEAM = ann("team")
MARIA = person("maria", "privacy")
TOM = person("tom", "staff")
JULY = dt.datetime(2026, 7, 7, 12, tzinfo=dt.UTC)


class Away:
    """The shop while maria is away: its gate is open, and its clock is ours."""

    def __init__(self, shop: Shop, cases: UseCases) -> None:
        self.shop = shop
        self.cases = cases
        self.now = JULY
        cases.gate.now = lambda: self.now

    def rule(self, rules: str) -> None:
        """Bring other rules into force."""
        self.shop.write(rules)
        assert Reloading(self.cases.gate).reload(OPERATOR).result is Result.LOADED

    def ask(self, call: Call = TEAM, sql: str = "update customer set name = 'New' where id = 1") -> ChangeRequest:
        request = self.cases.queries.ask(call, Question(source="shop", sql=sql, parameters={}))
        assert isinstance(request, ChangeRequest)
        return request

    def review(self, request: ChangeRequest, call: Call = TOM, verdict: Verdict = Verdict.APPROVE) -> ChangeRequest:
        given: dict[str, Any] = {"verdict": verdict, "reason": "so", "digest": request.digest}
        return self.cases.changes.review(call, request.id, **given)

    def waits_for(self, call: Call = TOM) -> list[str]:
        return [request.id for request in self.cases.changes.inbox(call.principal)]

    def is_unknown_to(self, call: Call, request: ChangeRequest) -> bool:
        """Whether there is no such request for somebody, however they ask."""
        with pytest.raises(NotFound):
            self.review(request, call)
        with pytest.raises(NotFound):
            self.cases.changes.look(call, request.id)
        return not self.waits_for(call) and not self.cases.changes.find(call.principal)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(RULES % "" + AWAY)
    return made


@pytest.fixture
def away(shop: Shop) -> Iterator[Away]:
    with shop.open() as cases:
        found = Away(shop, cases)
        cases.sessions.open(MARIA.principal, None)
        yield found


def name_of(shop: Shop) -> str:
    with closing(sqlite3.connect(shop.database)) as connection:
        return str(connection.execute("select name from customer where id = 1").fetchone()[0])


def test_a_stand_in_reviews_and_the_book_says_in_whose_place(away: Away) -> None:
    request = away.ask()
    assert away.waits_for() == [request.id]
    assert away.cases.changes.stand_ins(request) == (("user:tom", "user:maria"),)
    done = away.review(request)
    assert (done.state, name_of(away.shop)) == (State.EXECUTED, "New")
    (event,) = away.cases.gate.book.find(EventFilter(kind=EventKind.CHANGE_REVIEWED))
    assert (event.content["principal"], event.content["groups"]) == ("user:tom", ["staff"])
    assert event.content["rules"] == ["july"]
    told = {"verdict": "approve", "digest": request.digest, "instead_of": "user:maria", "instead_in": "privacy"}
    assert event.content["extra"] == told
    view = change_view(away.cases, TOM.principal, away.cases.changes.look(TOM, done.id))
    assert [(one["reviewer"], one["instead_of"]) for one in view["reviews"]] == [("tom", "maria")]
    assert away.cases.changes.stand_ins(done) == ()


@pytest.mark.parametrize("day", [dt.date(2026, 6, 30), dt.date(2026, 7, 15), dt.date(2027, 7, 7)])
def test_outside_of_the_days_nothing_counts(away: Away, day: dt.date) -> None:
    request = away.ask()
    away.now = dt.datetime.combine(day, dt.time(12), dt.UTC)
    request = away.ask() if day > JULY.date() else request
    assert away.is_unknown_to(TOM, request)


def test_others_and_other_ways_get_nothing(away: Away) -> None:
    request = away.ask()
    assert away.is_unknown_to(person("kim", "staff"), request)
    by_token = Call(principal=replace(TOM.principal, channel=Channel.HUB_TOKEN))
    with pytest.raises(PortalOnly):
        away.review(request, by_token)
    assert name_of(away.shop) == "Ann"


def test_the_place_is_one_of_reviewing_alone(away: Away) -> None:
    for sql in ("update customer set name = 'x' where id = 1", "delete from customer where id = 1"):
        with pytest.raises(AccessRefused):
            away.ask(TOM, sql)
    assert not away.cases.auditing.may_read_all(TOM.principal)
    with pytest.raises(NotPermitted):
        away.cases.auditing.find(TOM, EventFilter())
    assert ask(away.cases, TOM, "select email from customer where id = 1") == [("a***@example.com",)]


def test_who_does_not_see_what_changes_does_not_review_it(away: Away) -> None:
    request = away.ask(sql="update customer set email = 'x@example.com' where id = 1")
    assert away.waits_for() == []
    with pytest.raises(ReviewRefused, match="cannot see `email`"):
        away.review(request)
    assert away.review(request, MARIA).state is State.EXECUTED


def test_nobody_approves_their_own_request_by_any_place(away: Away) -> None:
    own = away.ask(MARIA)
    assert away.is_unknown_to(TOM, own)
    assert away.cases.changes.stand_ins(own) == ()
    toms = away.ask(person("tom", "team"))
    assert away.cases.changes.stand_ins(toms) == ()
    for call in (TOM, person("tom", "team", "privacy")):
        with pytest.raises(ReviewRefused, match="own"):
            away.review(toms, call)
    # The one who is away is entitled alone, for what their stand-in asks for as well.
    assert away.review(toms, MARIA).state is State.EXECUTED


def test_two_who_stand_in_for_each_other_approve_nothing_of_their_own(away: Away) -> None:
    back = (
        "  - {id: back, who: 'user:tom', for: [privacy], instead: 'user:maria', from: 2026-07-01, until: 2026-07-14}\n"
    )
    away.rule(RULES % "" + AWAY + back)
    away.cases.sessions.open(person("tom", "privacy").principal, None)
    own = away.ask(MARIA)
    assert away.review(own, person("tom", "privacy")).reviews[0].instead_of is None, "tom is entitled alone"
    away.cases.sessions.open(TOM.principal, None)
    own = away.ask(MARIA, "update customer set name = 'Other' where id = 2")
    assert away.is_unknown_to(TOM, own)


def test_a_place_does_not_lead_on(away: Away) -> None:
    on = "  - {id: on, who: 'user:tom', for: [privacy], instead: 'user:kim', from: 2026-07-01, until: 2026-07-14}\n"
    away.rule(RULES % "" + AWAY + on)
    away.cases.sessions.open(TOM.principal, None)
    request = away.ask()
    assert away.is_unknown_to(person("kim", "staff"), request)
    assert away.cases.changes.stand_ins(request) == (("user:tom", "user:maria"),)


def test_the_absent_person_is_in_the_group_as_far_as_the_book_knows(away: Away) -> None:
    request = away.ask()
    away.cases.sessions.open(person("maria", "staff").principal, None)
    assert away.is_unknown_to(TOM, request)
    # Neither the end of an old request nor a token that somebody named groups for makes her a member again.
    away.cases.sessions.open(MARIA.principal, None)
    old = away.ask(MARIA, "update customer set name = 'Old' where id = 2")
    away.cases.sessions.open(person("maria", "staff").principal, None)
    away.now = JULY + dt.timedelta(days=6)
    assert away.cases.changes.get(MARIA.principal, old.id).state is State.EXPIRED
    issued = Call(principal=replace(MARIA.principal, channel=Channel.ISSUED_TOKEN))
    away.cases.queries.ask(issued, Question(source="shop", sql="select 1 from customer", parameters={}))
    assert away.is_unknown_to(TOM, away.ask())
    away.cases.sessions.open(MARIA.principal, None)
    assert len(away.waits_for()) == 1


def test_who_was_never_met_has_no_place_to_give(shop: Shop) -> None:
    with shop.open() as cases:
        away = Away(shop, cases)
        assert away.is_unknown_to(TOM, away.ask())


def test_many_reads_by_an_issued_token_do_not_hide_who_somebody_is(away: Away) -> None:
    issued = Call(principal=replace(MARIA.principal, channel=Channel.ISSUED_TOKEN))
    request = away.ask()
    for _ in range(25):
        away.cases.changes.look(issued, request.id)
    assert away.waits_for() == [request.id]


def test_a_reload_takes_the_place_away_and_leaves_what_was_said(away: Away) -> None:
    two = RULES.replace("{groups: [privacy]}", "{groups: [privacy], needed: 2}") % ""
    away.rule(two + AWAY)
    request = away.review(away.ask())
    other = away.ask(sql="update customer set name = 'Other' where id = 2")
    away.rule(two)
    assert away.waits_for() == []
    assert away.is_unknown_to(TOM, other)
    assert away.is_unknown_to(TOM, request)
    done = away.review(away.cases.gate.changes.get(request.id), person("kim", "privacy"))
    assert (done.state, [known.seat for known in done.reviews]) == (State.EXECUTED, ["user:maria", "user:kim"])


def test_whoever_comes_next_does_not_take_the_place_again(away: Away) -> None:
    two = RULES.replace("{groups: [privacy]}", "{groups: [privacy], needed: 2}") % ""
    away.rule(two + AWAY)
    request = away.ask()
    assert away.cases.changes.stand_ins(request)
    request = away.review(request)
    away.rule(two + AWAY.replace("user:tom", "user:kim"))
    assert away.cases.changes.stand_ins(request) == ()
    with pytest.raises(ReviewRefused, match="the place of `maria` is taken"):
        away.review(request, person("kim", "staff"))
    assert away.review(request, MARIA).state is State.AWAITING_REVIEW


def test_a_review_in_a_place_has_nothing_executed_later(away: Away) -> None:
    away.rule(RULES % LATE + AWAY)
    request = away.review(away.ask())
    assert request.state is State.APPROVED
    away.now = JULY.replace(hour=23)
    with pytest.raises(NotPermitted):
        away.cases.changes.execute(TOM, request.id)
    assert away.cases.changes.execute_due(OPERATOR) == 1
    assert name_of(away.shop) == "New"


def test_a_stand_in_looks_after_a_broken_glass(away: Away) -> None:
    away.rule(RULES % GLASS + AWAY)
    request = away.ask()
    done = away.cases.changes.break_glass(TEAM, request.id, reason="fire", digest=request.digest)
    assert away.waits_for() == [done.id]
    settled = away.review(done, verdict=Verdict.REJECT)
    assert settled.broken is not None
    assert [known.seat for known in settled.broken.reviews] == ["user:maria"]
    assert away.waits_for() == []
    assert away.cases.changes.look(TOM, done.id).state is State.EXECUTED
    (event, *_) = away.cases.gate.book.find(EventFilter(kind=EventKind.CHANGE_REVIEWED))
    assert (event.content["extra"]["step"], event.content["extra"]["instead_of"]) == ("after", "user:maria")


def test_what_is_decided_is_not_shown_to_who_had_no_part_in_it(away: Away) -> None:
    done = away.review(away.ask(), MARIA)
    with pytest.raises(GatebookError):
        away.cases.changes.look(TOM, done.id)
