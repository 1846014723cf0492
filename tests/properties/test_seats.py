"""Is there a way to a quorum with fewer people, or fewer places, than it asks for, however many are away?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.changes.test_transitions import REQUEST, approve, person

from gatebook_hub.changes import State
from gatebook_hub.errors import ReviewRefused, StateConflict
from gatebook_hub.model import Principal, Requirement, Seat

NAMES = ("ann", "bob", "cat", "dan")  # ann asks
groups = st.frozensets(st.sampled_from(["red", "blue"]), max_size=2)
people = st.builds(lambda name, own: person(name, *own), st.sampled_from(NAMES), groups)
seats = st.lists(
    st.builds(
        lambda name, held: Seat(holder=f"user:{name}", groups=held, rule="away"),
        st.sampled_from((*NAMES, "eve")),
        groups,
    ),
    max_size=2,
)
quorum = st.lists(
    st.builds(
        lambda wanted, needed: Requirement(groups=wanted, needed=needed),
        st.sampled_from([("red",), ("blue",), ("blue", "red")]),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=2,
).map(tuple)


def is_quorum(places: Sequence[Seat], requirements: tuple[Requirement, ...]) -> bool:
    return all(
        len({seat.holder for seat in places if seat.groups & set(requirement.groups)}) >= requirement.needed
        for requirement in requirements
    )


@settings(max_examples=500, deadline=None)
@given(requirements=quorum, reviewers=st.lists(st.tuples(people, seats), min_size=1, max_size=5))
def test_each_person_is_in_one_place_and_no_place_counts_twice(
    requirements: tuple[Requirement, ...], reviewers: list[tuple[Principal, list[Seat]]]
) -> None:
    request = replace(REQUEST, requirements=requirements, requester=person("ann", "red", "blue"))
    rights: dict[str, list[Seat]] = {}
    for who, given_seats in reviewers:
        with contextlib.suppress(ReviewRefused, StateConflict):
            request = approve(request, who, seats=given_seats)
            assert who.id not in {*rights, "user:ann"}
            own = Seat(holder=who.id, groups=who.groups)
            rights[who.id] = [own, *(seat for seat in given_seats if seat.holder not in {who.id, "user:ann"})]
    if request.state is State.APPROVED:
        assert any(is_quorum(places, requirements) for places in product(*rights.values()))
