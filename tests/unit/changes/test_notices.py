"""Do messages say who asked, where, how much and what came of it?"""

from __future__ import annotations

import datetime as dt

import pytest

from gatebook_hub.changes import Notice, State, daily_message, message_of
from gatebook_hub.model import NoticeKind

PORTAL = "https://portal.example"
NOTICE = Notice(
    kind=NoticeKind.REQUESTED,
    change="c0ffee",
    requester="user:ann",
    source="shop",
    table="customer",
    operation="update",
    rows=1_200,
    state=State.AWAITING_REVIEW,
    expires_at=dt.datetime(2026, 11, 28, 12, 30, tzinfo=dt.UTC),
    parties=frozenset({"group:reviewers"}),
)


def of(kind: NoticeKind, state: State, rows: int = 1) -> Notice:
    return Notice(
        kind=kind, change="1", requester="job:nightly", source="shop", table="t", operation="delete", rows=rows,
        state=state, expires_at=NOTICE.expires_at, parties=frozenset(),
    )  # fmt: skip


def test_a_request_is_told_in_full() -> None:
    message = message_of(NOTICE, PORTAL)
    assert message.title == "Gatebook: Update of 1,200 rows of shop.customer waits for review"
    assert message.body.splitlines() == [
        "Update of 1,200 rows of shop.customer, asked for by ann, waits for review.",
        "State: awaiting review.",
        "It ends on 2026-11-28 at 12:30 UTC.",
        "",
        "https://portal.example/changes/c0ffee",
        "Its rows are shown there, to those who sign in.",
    ]


@pytest.mark.parametrize(
    "kind,state,words",
    [
        (NoticeKind.EXECUTED, State.EXECUTED, "was executed"),
        (NoticeKind.DRIFTED, State.DRIFTED, "was not executed: the rows had changed"),
        (NoticeKind.BREAK_GLASS, State.EXECUTED, "is executed at once, without review"),
    ],
)
def test_what_became_of_it_is_told(kind: NoticeKind, state: State, words: str) -> None:
    message = message_of(of(kind, state), PORTAL)
    assert message.body.startswith(
        f"Delete of 1 row of shop.t, asked for by the job nightly, {words}.\nState: {state}.\n\n"
    )


def test_a_digest_is_as_long_as_can_be_read() -> None:
    message = daily_message([of(NoticeKind.FAILED, State.FAILED)] * 53, PORTAL)
    assert message.title == "Gatebook: 53 notices about change requests"
    assert message.body.count("/changes/1") == 50
    assert "And 3 more: https://portal.example/inbox" in message.body
    assert daily_message([NOTICE], PORTAL).title == "Gatebook: 1 notice about change requests"
