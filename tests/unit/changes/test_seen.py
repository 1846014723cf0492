"""What happened to a request since a moment that a form carries, and what does a made-up moment do?"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from tests.unit.changes.test_transitions import NOW, REQUEST, person

from gatebook_hub.changes import Seen, State, Verdict, break_glass, comment, read_seen, review, seen_of, since
from gatebook_hub.changes.request import Broken
from gatebook_hub.errors import ReviewRefused, StateConflict
from gatebook_hub.model import Glass

BO, CY = person("bo", "reviewers"), person("cy", "leads")
LATER = NOW + dt.timedelta(minutes=5)


def test_a_moment_comes_back_as_it_was() -> None:
    broken = replace(REQUEST, state=State.EXECUTED, broken=Broken(reason="down", at=NOW), version=12)
    for request in (REQUEST, comment(REQUEST, BO, "why?", NOW), broken):
        assert read_seen(str(seen_of(request))) == seen_of(request)


@pytest.mark.parametrize(
    "text", ["", "0", "0.nosuch.0.-.0", "-1.awaiting_review.0.-.0", "0.awaiting_review.0.-.0 ", "0.awaiting_review.0.0",
             "1e9.awaiting_review.0.-.0", "9999999999.awaiting_review.0.-.0", "٣.awaiting_review.0.-.0"],
)  # fmt: skip
def test_anything_else_is_no_moment(text: str) -> None:
    assert read_seen(text) is None


def test_what_came_after_a_moment_is_told_and_nothing_of_before() -> None:
    seen = comment(REQUEST, BO, "why?", NOW)
    assert not since(seen_of(seen), seen).is_moved
    asked = comment(seen, CY, "because", LATER)
    happened = since(seen_of(seen), asked)
    assert ([one.text for one in happened.comments], happened.is_moved) == (["because"], False)
    reviewed = review(asked, BO, verdict=Verdict.REJECT, reason="no", digest=asked.digest, now=LATER)
    happened = since(seen_of(seen), reviewed)
    assert ([one.reviewer for one in happened.reviews], happened.was) == (["user:bo"], State.AWAITING_REVIEW)
    assert (happened.is_moved, happened.is_broken, happened.looks) == (True, False, ())


def test_a_glass_that_was_broken_and_who_looked_at_it_are_told() -> None:
    glassy = replace(REQUEST, glasses=(Glass(groups=("reviewers",), review=REQUEST.requirements),))
    broken = break_glass(glassy, glassy.requester, reason="down", digest=glassy.digest, now=NOW)
    executed = replace(broken, state=State.EXECUTED)
    looked = review(executed, BO, verdict=Verdict.REJECT, reason="wrong", digest=glassy.digest, now=LATER)
    happened = since(seen_of(glassy), looked)
    assert (happened.is_broken, [one.reviewer for one in happened.looks]) == (True, ["user:bo"])
    happened = since(seen_of(executed), looked)
    assert (happened.is_broken, [one.reviewer for one in happened.looks], happened.was) == (False, ["user:bo"], None)
    assert happened.is_moved


def test_a_moment_that_never_was_tells_less_and_opens_nothing() -> None:
    made_up = Seen(version=0, state=State.EXECUTED, reviews=999_999, looks=7, comments=999_999)
    happened = since(made_up, comment(REQUEST, BO, "why?", NOW))
    assert (happened.reviews, happened.comments, happened.looks) == ((), (), ())
    given = {"verdict": Verdict.APPROVE, "reason": "", "digest": REQUEST.digest, "now": NOW}
    with pytest.raises(ReviewRefused, match="own"):
        review(REQUEST, REQUEST.requester, version=REQUEST.version, **given)


def test_a_decision_holds_for_the_version_that_was_looked_at() -> None:
    moved = replace(REQUEST, version=3, glasses=(Glass(groups=("reviewers",), review=REQUEST.requirements),))
    given = {"digest": moved.digest, "now": NOW, "reason": "seen"}
    for version in (2, 4):
        with pytest.raises(StateConflict, match="moved on"):
            review(moved, BO, verdict=Verdict.APPROVE, version=version, **given)
        with pytest.raises(StateConflict, match="moved on"):
            break_glass(moved, moved.requester, version=version, **given)
    assert review(moved, BO, verdict=Verdict.APPROVE, version=3, **given).reviews
    assert break_glass(moved, moved.requester, version=3, **given).broken
    assert review(moved, BO, verdict=Verdict.APPROVE, **given).reviews, "an interface that carries no version"
