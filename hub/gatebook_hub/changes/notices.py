"""What may a message about a change request say? Who asked, where, how much and what came of it, never a value."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gatebook_hub.changes.request import ChangeRequest, State
from gatebook_hub.model import NoticeKind, PrincipalKind

_MOST_LINES = 50
_MOST_NAME = 80
# Names of other systems: nothing in them may look like a line, a link or a mark of the place where they are shown.
_ODD = re.compile(r"[^\w.@-]")
# The requester is the one who did it, and knows.
_FOR_REVIEWERS = frozenset({NoticeKind.REQUESTED, NoticeKind.WITHDRAWN})
_UNDECIDED = frozenset({NoticeKind.REQUESTED, NoticeKind.EXPIRING})
_WORDS = {
    NoticeKind.REQUESTED: "waits for review",
    NoticeKind.APPROVED: "is approved",
    NoticeKind.REJECTED: "was rejected",
    NoticeKind.EXPIRING: "expires soon",
    NoticeKind.EXPIRED: "expired",
    NoticeKind.DRIFTED: "was not executed: the rows had changed",
    NoticeKind.FAILED: "failed",
    NoticeKind.EXECUTED: "was executed",
    NoticeKind.WITHDRAWN: "was withdrawn",
    NoticeKind.BREAK_GLASS: "is executed at once, without review",
    NoticeKind.UNDONE: "was undone",
}
assert _WORDS.keys() == set(NoticeKind)


class NoticeMode(StrEnum):
    """How a person wants to hear."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """All that a message is made of: nothing of the diff, the parameters, the statement or a reason is in it.

    `parties` are those it concerns: `user:ann` who asked, `group:reviewers` who may review.
    """

    kind: NoticeKind
    change: str
    requester: str
    source: str
    table: str
    operation: str
    rows: int
    state: State
    expires_at: dt.datetime
    parties: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent: plain text."""

    title: str
    body: str


def words_of(kind: NoticeKind) -> str:
    """What happened, as it follows the name of a request."""
    return _WORDS[kind]


def notice_of(kind: NoticeKind, request: ChangeRequest) -> Notice:
    """What of a request may leave the gate."""
    after = [requirement for glass in request.glasses for requirement in glass.review] if request.broken else []
    reviewers = {f"group:{group}" for requirement in (*request.requirements, *after) for group in requirement.groups}
    return Notice(
        kind=kind,
        change=request.id,
        requester=request.requester.id,
        source=request.source,
        table=request.table,
        operation=request.operation,
        rows=request.rows,
        state=request.state,
        expires_at=request.expires_at,
        parties=frozenset(reviewers if kind in _FOR_REVIEWERS else {request.requester.id, *reviewers}),
    )


def message_of(notice: Notice, portal_url: str) -> Message:
    """One notice as a message; the link opens a page that wants a login and does nothing by itself."""
    lines = [
        f"{_subject(notice)}, asked for by {_who(notice.requester)}, {words_of(notice.kind)}.",
        f"State: {notice.state.replace('_', ' ')}.",
    ]
    if notice.kind in _UNDECIDED:
        lines.append(f"It ends on {notice.expires_at.astimezone(dt.UTC):%Y-%m-%d at %H:%M} UTC.")
    lines += ["", _link(notice, portal_url), "Its rows are shown there, to those who sign in."]
    return Message(title=f"Gatebook: {_subject(notice)} {words_of(notice.kind)}", body="\n".join(lines))


def daily_message(notices: Sequence[Notice], portal_url: str) -> Message:
    """Many notices as one message, in their order."""
    lines = []
    for notice in notices[:_MOST_LINES]:
        lines += [
            f"{_subject(notice)}, asked for by {_who(notice.requester)}, {words_of(notice.kind)}.",
            _link(notice, portal_url),
            "",
        ]
    left = len(notices) - _MOST_LINES
    if left > 0:
        lines += [f"And {left:,} more: {portal_url}/inbox", ""]
    lines.append("The rows are shown there, to those who sign in.")
    count = "1 notice" if len(notices) == 1 else f"{len(notices):,} notices"
    return Message(title=f"Gatebook: {count} about change requests", body="\n".join(lines))


def _subject(notice: Notice) -> str:
    rows = "1 row" if notice.rows == 1 else f"{notice.rows:,} rows"
    return f"{_name(notice.operation).capitalize()} of {rows} of {_name(notice.source)}.{_name(notice.table)}"


def _link(notice: Notice, portal_url: str) -> str:
    return f"{portal_url}/changes/{notice.change}"


def _name(text: str) -> str:
    return _ODD.sub("?", text)[:_MOST_NAME]


def _who(principal: str) -> str:
    kind, _, name = principal.partition(":")
    return _name(name) if kind == PrincipalKind.USER else f"the {_name(kind)} {_name(name)}"
