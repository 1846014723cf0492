"""Which move may who make from which state, and what does the digest bind?"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatebook_hub.changes import (
    ChangeRequest,
    RowChange,
    RowDiff,
    State,
    Verdict,
    begin,
    diff_digest,
    digest_of,
    expire,
    fail,
    finish,
    may_review,
    missing_quorum,
    open_request,
    review,
    withdraw,
)
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import DigestMoved, InvalidInput, PortalOnly, ReviewRefused, StateConflict
from gatebook_hub.model import Channel, Principal, PrincipalKind, Requirement, RuleRef

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def person(name: str, *groups: str, channel: Channel = Channel.PORTAL) -> Principal:
    return Principal(kind=PrincipalKind.USER, name=name, groups=frozenset(groups), channel=channel)


ROW = RowChange(kind=RowKind.CHANGED, key=(1,), before=(1, "a", "n"), after=(1, "b", "n"))
DIFF = RowDiff(table="t", key=("id",), columns=("id", "x", "y"), rows=(ROW,))
REQUEST = ChangeRequest(
    id="c",
    state=State.AWAITING_REVIEW,
    source="s",
    table="t",
    operation="update",
    statement="u",
    parameters={},
    action=None,
    requester=person("ann", "reviewers"),
    reason=None,
    created_at=NOW,
    expires_at=NOW + dt.timedelta(hours=1),
    diffs=(DIFF,),
    warnings=(),
    requirements=(Requirement(groups=("reviewers", "leads"), needed=2),),
    rules=(),
    schema_version="1",
    digest="d",
)


def approve(request: ChangeRequest, who: Principal, **more: Any) -> ChangeRequest:
    given = {"verdict": Verdict.APPROVE, "reason": "", "digest": "d", "now": NOW, **more}
    return review(request, who, **given)


def test_a_quorum_is_of_distinct_people_of_the_groups() -> None:
    once = approve(REQUEST, person("bob", "reviewers"))
    assert once.state is State.AWAITING_REVIEW
    assert missing_quorum(once) == ((REQUEST.requirements[0], 1),)
    with pytest.raises(ReviewRefused):
        approve(once, person("bob", "leads"))
    assert approve(once, person("cat", "leads")).state is State.APPROVED


def test_the_groups_count_that_a_reviewer_had() -> None:
    wanted = replace(REQUEST, requirements=(Requirement(groups=("a",), needed=1), Requirement(groups=("b",), needed=1)))
    assert approve(wanted, person("bob", "a", "b")).state is State.APPROVED
    once = approve(wanted, person("bob", "a"))
    assert approve(once, person("cat", "a")).state is State.AWAITING_REVIEW
    assert approve(once, person("cat", "b")).state is State.APPROVED


@pytest.mark.parametrize(
    "who, kind",
    [
        (person("ann", "reviewers"), ReviewRefused),
        (person("bob"), ReviewRefused),
        (replace(person("bob", "reviewers"), kind=PrincipalKind.JOB), ReviewRefused),
        (replace(person("bob", "reviewers"), kind=PrincipalKind.SERVICE), ReviewRefused),
        *(
            (person("bob", "reviewers", channel=channel), PortalOnly)
            for channel in Channel
            if channel is not Channel.PORTAL
        ),
    ],
)
def test_who_may_not_review(who: Principal, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        approve(REQUEST, who)


def test_what_a_review_must_be() -> None:
    bob = person("bob", "reviewers")
    with pytest.raises(DigestMoved):
        approve(REQUEST, bob, digest="e")
    with pytest.raises(ReviewRefused, match="`x`"):
        approve(REQUEST, bob, hidden_columns=["x"])
    with pytest.raises(InvalidInput):
        approve(REQUEST, bob, verdict=Verdict.REJECT, reason="  ")
    with pytest.raises(InvalidInput):
        approve(REQUEST, bob, reason="x" * 2_001)
    rejected = approve(REQUEST, bob, verdict=Verdict.REJECT, reason="no")
    assert rejected.state is State.REJECTED
    assert may_review(rejected, person("cat", "reviewers")) == "the request is rejected"


def test_nobody_needed_is_approved_at_once() -> None:
    assert open_request(replace(REQUEST, requirements=())).state is State.APPROVED
    assert open_request(REQUEST).state is State.AWAITING_REVIEW


def test_an_execution_begins_only_with_its_quorum() -> None:
    with pytest.raises(StateConflict):
        begin(REQUEST, NOW)
    with pytest.raises(StateConflict, match="quorum"):
        begin(replace(REQUEST, state=State.APPROVED), NOW)
    running = begin(replace(REQUEST, state=State.APPROVED, requirements=()), NOW)
    assert finish(running, rows=1, index=7, now=NOW).state is State.EXECUTED
    assert fail(running, sentence="x", is_drift=True, now=NOW).state is State.DRIFTED
    assert fail(running, sentence="x", is_drift=False, now=NOW).state is State.FAILED
    for state in State:
        if state is not State.EXECUTING:
            with pytest.raises(StateConflict):
                finish(replace(REQUEST, state=state), rows=1, index=1, now=NOW)
        if state is not State.APPROVED:
            with pytest.raises(StateConflict):
                begin(replace(REQUEST, state=state, requirements=()), NOW)


def test_withdrawing_and_expiring() -> None:
    assert withdraw(REQUEST, REQUEST.requester, NOW).state is State.WITHDRAWN
    with pytest.raises(ReviewRefused):
        withdraw(REQUEST, person("bob"), NOW)
    with pytest.raises(StateConflict):
        withdraw(replace(REQUEST, state=State.EXECUTING), REQUEST.requester, NOW)
    late = NOW + dt.timedelta(hours=1)
    assert expire(REQUEST, late - dt.timedelta(seconds=1)) is REQUEST
    assert expire(REQUEST, late).state is State.EXPIRED
    for state in set(State) - {State.AWAITING_REVIEW, State.APPROVED}:
        request = replace(REQUEST, state=state)
        assert expire(request, late) is request


def test_the_digest_binds_every_part() -> None:
    request = replace(REQUEST, parameters={"a": 1}, rules=(RuleRef(id="r", digest="1"),))
    others: list[dict[str, Any]] = [
        {"source": "t"},
        {"statement": "v"},
        {"parameters": {"a": 2}},
        {"action": "refund"},
        {"requester": person("bob")},
        {"diffs": (replace(DIFF, rows=(replace(ROW, after=(1, "c", "n")),)),)},
        {"schema_version": "2"},
        {"rules": (RuleRef(id="r", digest="2"),)},
    ]
    whole = digest_of(request)
    assert len({whole, *(digest_of(replace(request, **other)) for other in others)}) == 9
    assert digest_of(replace(request, state=State.APPROVED, version=7, reviews=())) == whole


def test_the_digest_of_rows_ignores_their_order_and_assigned_columns() -> None:
    other = RowChange(kind=RowKind.REMOVED, key=(2,), before=(2, "a", "n"), after=None)
    both, turned = replace(DIFF, rows=(ROW, other)), replace(DIFF, rows=(other, ROW))
    assert diff_digest([both]) == diff_digest([turned]) != diff_digest([DIFF])
    moved = replace(DIFF, rows=(replace(ROW, after=(1, "b", "later")),))
    assert diff_digest([moved]) != diff_digest([DIFF])
    assigned = {"assigned": frozenset({"y"})}
    added = [replace(ROW, kind=RowKind.ADDED, before=None, after=after) for after in (ROW.after, (1, "b", "later"))]
    one, two = (replace(DIFF, rows=(row,), **assigned) for row in added)
    assert diff_digest([one]) == diff_digest([two])
    # In a changed row that column is bound like any other.
    assert diff_digest([replace(moved, **assigned)]) != diff_digest([replace(DIFF, **assigned)])
    for before in ((2, "a", "n"), (1, None, "n"), (1, 1, "n"), (1, "1", "n")):
        assert diff_digest([replace(DIFF, rows=(replace(ROW, before=before),))]) != diff_digest([DIFF])


def test_the_page_about_states_tells_of_each_and_of_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "explanation" / "changes.md").read_text()
    table = page.split("## States", 1)[1].split("\n\n")[1].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    words = {str(state.replace("_", " ")) for state in State}
    assert {row[0] for row in cells} == words
    for name, before, _, after in cells:
        named = {state for state in words if state in after}
        for state in named:
            assert name in next(row[1] for row in cells if row[0] == state), (name, state)
        is_final = State(name.replace(" ", "_")).is_final
        assert is_final == (not named) or name == "executed", (name, before)
