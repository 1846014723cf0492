"""From whose place does a person review, and does every place and every person count once?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.changes.test_transitions import NOW, REQUEST, approve, person

from gatebook_hub.changes import ChangeRequest, State, Verdict, check_execution, may_review, missing_quorum, seat_of
from gatebook_hub.changes.request import Broken
from gatebook_hub.changes.transitions import missing_after
from gatebook_hub.errors import NotPermitted, ReviewRefused
from gatebook_hub.model import Glass, Principal, PrincipalKind, Requirement, Seat
from gatebook_hub.stores.codec import read_change, write_change

MARIA = Seat(holder="user:maria", groups=frozenset({"privacy"}), rule="july")
PAUL = Seat(holder="user:paul", groups=frozenset({"privacy"}), rule="paul")
TOM = person("tom")
ONE = Requirement(groups=("privacy",), needed=1)
TWO = Requirement(groups=("privacy",), needed=2)
OWNERS = Requirement(groups=("owners",), needed=1)


def asked(*requirements: Requirement, requester: Principal = REQUEST.requester) -> ChangeRequest:
    return replace(REQUEST, requirements=requirements, requester=requester)


def test_a_review_in_somebodys_place_counts_for_that_persons_groups_and_says_so() -> None:
    approved = approve(asked(ONE), TOM, seats=[MARIA])
    assert approved.state is State.APPROVED
    (review,) = approved.reviews
    assert (review.reviewer, review.instead_of, review.groups) == ("user:tom", "user:maria", {"privacy"})
    with pytest.raises(ReviewRefused, match="a member of `owners`"):
        approve(asked(OWNERS), TOM, seats=[MARIA])
    rejected = approve(asked(ONE), TOM, seats=[MARIA], verdict=Verdict.REJECT, reason="no")
    assert (rejected.state, rejected.reviews[0].instead_of) == (State.REJECTED, "user:maria")


def test_a_place_counts_once_whoever_sits_in_it() -> None:
    once = approve(asked(TWO), TOM, seats=[MARIA])
    # Who is back reviews by their own right, from the same place.
    both = approve(once, person("maria", "privacy"))
    assert (both.state, missing_quorum(both)) == (State.AWAITING_REVIEW, ((TWO, 1),))
    assert approve(both, person("kim", "privacy")).state is State.APPROVED
    # Neither another stand-in nor one who comes after the absent person takes it again.
    for reviewed in (once, approve(asked(TWO), person("maria", "privacy"))):
        assert may_review(reviewed, person("kim"), seats=[MARIA]) == (
            "the place of `maria` is taken: there is a review by them, or in their place"
        )


def test_a_person_has_one_vote_however_many_places() -> None:
    once = approve(asked(TWO), TOM, seats=[MARIA, PAUL])
    assert missing_quorum(once) == ((TWO, 1),)
    with pytest.raises(ReviewRefused, match="already"):
        approve(once, TOM, seats=[MARIA, PAUL])
    with pytest.raises(ReviewRefused, match="already"):
        approve(once, person("tom", "privacy"))
    # Two reviews of one person, which no step makes, would still be one vote.
    twice = replace(once, reviews=(*once.reviews, replace(once.reviews[0], instead_of="user:paul")))
    assert missing_quorum(twice) == ((TWO, 1),)


def test_two_who_are_entitled_alone_count_for_two() -> None:
    once = approve(asked(TWO), person("tom", "privacy"), seats=[MARIA])
    assert once.reviews[0].instead_of is None
    assert approve(once, person("maria", "privacy")).state is State.APPROVED


def test_two_parts_of_a_quorum_need_two_people_where_one_has_a_right_to_each() -> None:
    tom = person("tom", "owners")
    once = approve(asked(ONE, OWNERS), tom, seats=[MARIA])
    assert (once.reviews[0].instead_of, missing_quorum(once)) == (None, ((ONE, 0),))
    # Where another owner was there before, the one vote is what is missing.
    first = approve(asked(ONE, OWNERS), person("olga", "owners"))
    then = approve(first, tom, seats=[MARIA])
    assert (then.reviews[1].instead_of, then.state) == ("user:maria", State.APPROVED)


def test_nobody_approves_their_own_request_through_a_stand_in() -> None:
    maria = person("maria", "privacy")
    job = replace(maria, kind=PrincipalKind.JOB, name="nightly")
    for own in (asked(ONE, requester=maria), replace(asked(ONE, requester=job), behind=("user:maria",))):
        assert may_review(own, TOM, seats=[MARIA]) == "a review comes from a member of `privacy`"
        assert may_review(own, person("tom", "privacy"), seats=[MARIA]) is None
        assert may_review(own, TOM, seats=[MARIA, PAUL]) is None
        seat = seat_of(own, TOM, [MARIA, PAUL])
        assert seat is not None
        assert seat.holder == "user:paul"
        # Had it been given all the same, it would not count.
        given = approve(asked(ONE), TOM, seats=[MARIA]).reviews
        assert missing_quorum(replace(own, reviews=given)) == ((ONE, 0),)


@pytest.mark.parametrize("own", [asked(ONE, requester=TOM), replace(asked(ONE), behind=("user:tom",))])
def test_a_stand_in_does_not_approve_what_they_asked_for(own: ChangeRequest) -> None:
    for who in (TOM, person("tom", "privacy")):
        with pytest.raises(ReviewRefused, match="own request"):
            approve(own, who, seats=[MARIA])


def test_a_stand_in_sees_with_their_own_eyes_and_is_a_person() -> None:
    with pytest.raises(ReviewRefused, match="cannot see `x`"):
        approve(asked(ONE), TOM, seats=[MARIA], hidden_columns=["x"])
    with pytest.raises(ReviewRefused, match="a person"):
        approve(asked(ONE), replace(TOM, kind=PrincipalKind.JOB), seats=[MARIA])


def test_a_review_in_somebodys_place_is_no_right_to_have_it_executed() -> None:
    approved = approve(asked(ONE), TOM, seats=[MARIA])
    with pytest.raises(NotPermitted):
        check_execution(approved, TOM, NOW)
    with pytest.raises(NotPermitted):
        check_execution(approved, person("maria", "privacy"), NOW)
    check_execution(approve(asked(ONE), person("tom", "privacy"), seats=[MARIA]), TOM, NOW)


def test_after_a_broken_glass_a_place_counts_once_as_well() -> None:
    glass = Glass(groups=("reviewers",), review=(TWO,))
    done = replace(
        asked(OWNERS), state=State.EXECUTED, glasses=(glass,), broken=Broken(reason="fire", at=NOW)
    )  # fmt: skip
    once = approve(done, TOM, seats=[MARIA])
    assert missing_after(once) == ((TWO, 1),)
    assert missing_after(approve(once, person("maria", "privacy"))) == ((TWO, 1),)
    assert missing_after(approve(once, person("kim"), seats=[PAUL])) == ()
    own = replace(done, requester=person("maria", "privacy"))
    assert may_review(own, TOM, seats=[MARIA]) == "a review comes from a member of `privacy`"


def test_it_is_kept_and_what_was_kept_before_reads_as_before() -> None:
    approved = approve(asked(ONE), TOM, seats=[MARIA])
    text = write_change(approved)
    assert read_change(text, 0) == approved
    assert ', "instead_of": "user:maria"' in text
    old = read_change(text.replace(', "instead_of": "user:maria"', ""), 0)
    assert (old.reviews[0].instead_of, old.reviews[0].seat) == (None, "user:tom")
