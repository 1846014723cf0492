"""A press that came too late is answered with what happened since its form was shown."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from tests.unit.services.shop import Shop, ann, person

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.portal import routes_changes as routes
from gatebook_hub.portal import routes_inbox
from gatebook_hub.portal.visits import Visit
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.stores.access import PortalSession

RULES = """
grants:
  - {id: team, to: [group:team, group:night], on: shop.customer, allow: [select, update]}
  - {id: reviewers, to: group:reviewers, on: shop.customer, allow: [select]}
approvals:
  - id: names
    on: shop.customer
    require: [{groups: [reviewers], needed: 2}]
    break_glass: {groups: [night], review: [{groups: [reviewers]}]}
"""
ANN, REA, BO = ann("team", "night"), person("rea", "reviewers"), person("bo", "reviewers")
REASON = "<b>the price list</b> says so"


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[UseCases]:
    shop = Shop(tmp_path)
    shop.write(RULES)
    with shop.open() as opened:
        yield opened


def asked(cases: UseCases) -> ChangeRequest:
    sql = "update customer set name = 'New' where id = 1"
    request = cases.queries.ask(ANN, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(request, ChangeRequest)
    return request


def visit(cases: UseCases, call: Call, path: str, change_id: str = "", query: str = "", **form: str) -> Visit:
    scope = {
        "type": "http", "method": "GET", "path": path, "headers": [], "query_string": query.encode(),
        "path_params": {"id": change_id},
    }  # fmt: skip
    session = PortalSession(
        principal=call.principal, xsrf="x", hub_token=None, expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    )
    sights = cases.changes.sights(call.principal)
    return Visit(cases=cases, hub=None, request=Request(scope), session=session, sights=sights, form=form)


class Browser:
    """Somebody who has the page of a request before them, and presses its buttons as it was shown."""

    def __init__(self, cases: UseCases, call: Call, request: ChangeRequest) -> None:
        self._cases = cases
        self._call = call
        self._id = request.id
        self.take(routes.change(visit(cases, call, f"/changes/{request.id}", request.id)))

    def take(self, answer: Response) -> Response:
        """Have another page before them."""
        self.page = bytes(answer.body).decode()
        self.fields = {name: self._field(name) for name in ("digest", "seen")}
        return answer

    def press(self, act: Callable[[Visit], Response], **typed: str) -> Response:
        """Press a button; a refused press shows the page anew."""
        answer = act(visit(self._cases, self._call, "/", self._id, **self.fields, **typed))
        if answer.status_code != 303:
            self.take(answer)
        return answer

    @property
    def news(self) -> list[str]:
        """The lines of `Since you looked`, in plain text and without their times."""
        found = re.search(r'id="news".*?<ol class="timeline">(.*?)</ol>', self.page, re.DOTALL)
        lines = re.findall(r"<li>(.*?)<span", found[1], re.DOTALL) if found else []
        return [" ".join(re.sub(r"<[^>]*>", "", line).split()) for line in lines]

    def _field(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        return found[1] if found else ""


def approve(browser: Browser, reason: str = "") -> int:
    return browser.press(routes.review, verdict="approve", reason=reason).status_code


def test_of_two_reviewers_the_second_sees_first_what_the_first_did(cases: UseCases) -> None:
    request = asked(cases)
    first, second = Browser(cases, REA, request), Browser(cases, BO, request)
    assert second.news == []
    assert first.press(routes.comment, comment="is that so?").status_code == 303
    first = Browser(cases, REA, request)
    assert approve(first) == 303
    assert approve(second, REASON) == 409
    assert second.news == ["rea commented on it", "rea approved it"]
    assert "moved on" in second.page
    assert "&lt;b&gt;the price list&lt;/b&gt; says so</textarea>" in second.page
    assert cases.gate.changes.get(request.id).state is State.AWAITING_REVIEW
    assert approve(second, REASON) == 303, "the page that came back is a look at what is there now"
    assert cases.gate.changes.get(request.id).state is State.EXECUTED


def test_who_comes_when_it_is_over_is_told_how_it_ended_and_keeps_their_words(cases: UseCases) -> None:
    executed, rejected, withdrawn = asked(cases), asked(cases), asked(cases)
    late = [Browser(cases, person("tim", "reviewers"), one) for one in (executed, rejected, withdrawn)]
    for call in (REA, BO):
        assert approve(Browser(cases, call, executed)) == 303
    assert Browser(cases, REA, rejected).press(routes.review, verdict="reject", reason="no").status_code == 303
    assert Browser(cases, ANN, withdrawn).press(routes.withdraw).status_code == 303
    wanted = [
        ["rea approved it", "bo approved it", "bo had it executed: it went from awaiting review to executed"],
        ["rea rejected it", "it went from awaiting review to rejected"],
        ["ann withdrew it: it went from awaiting review to withdrawn"],
    ]
    for browser, lines in zip(late, wanted, strict=True):
        assert approve(browser, REASON) == 409
        assert browser.news == lines
        assert "You had written: &lt;b&gt;the price list&lt;/b&gt; says so" in browser.page
        assert browser.page.count("the price list") == 1, "in no other field"


def test_every_other_button_says_what_it_came_too_late_for(cases: UseCases) -> None:
    request = asked(cases)
    glass, withdraw, execute = (Browser(cases, ANN, request) for _ in range(3))
    Browser(cases, REA, request).press(routes.comment, comment="wait")
    assert glass.press(routes.break_glass, reason="down").status_code == 409
    assert glass.news == ["rea commented on it"]
    assert "down</textarea>" in glass.page
    stale = Browser(cases, REA, request)
    assert glass.press(routes.break_glass, reason="down").status_code == 303
    end = "you had it executed: it went from awaiting review to executed"
    for browser, act in ((withdraw, routes.withdraw), (execute, routes.execute)):
        assert browser.press(act).status_code == 409
        assert browser.news == ["rea commented on it", "you broke the glass", end]
    assert stale.press(routes.review, verdict="reject", reason="no").status_code == 409, "they did not see the glass"
    assert stale.news == ["ann broke the glass", end.replace("you", "ann")]
    assert approve(stale) == 303


def test_a_press_that_is_refused_anyway_is_no_conflict(cases: UseCases) -> None:
    request = asked(cases)
    own, reviewer = Browser(cases, ANN, request), Browser(cases, REA, request)
    assert reviewer.press(routes.review, verdict="reject", reason="").status_code == 422
    assert reviewer.news == []
    Browser(cases, BO, request).press(routes.comment, comment="wait")
    assert approve(own) == 403
    assert own.news == ["bo commented on it"]
    reviewer.fields["seen"] = "0.executed.999.7.999"
    assert approve(reviewer) == 409
    reviewer.fields["seen"] = "nonsense"
    assert approve(reviewer) == 303, "a form without a moment binds the digest, as before"


def test_the_inbox_goes_on_after_its_first_page(cases: UseCases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_inbox, "PAGE_ROWS", 2)
    waiting = [asked(cases).id for _ in range(5)]
    done = asked(cases)
    Browser(cases, ANN, done).press(routes.break_glass, reason="down")
    query, seen = "", []
    while True:
        page = bytes(routes_inbox.inbox(visit(cases, REA, "/inbox", query=query)).body).decode()
        seen.append(re.findall(r'href="/changes/([0-9a-f]{16})"', page))
        assert "Waiting for me (6)" in page
        older = re.search(r'rel="next" href="/inbox\?([^"]*)"', page)
        if older is None:
            break
        query = older[1].replace("&amp;", "&")
    assert seen == [[done.id, waiting[4], waiting[3]], [waiting[2], waiting[1]], [waiting[0]]]
