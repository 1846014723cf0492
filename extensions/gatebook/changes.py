"""What is a change request to the person who made it?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from gatebook.errors import ChangeRefused, GatewayFailed
from gatebook.model import Outcome, counted
from gatebook.transport import READ_TIMEOUT_S, Gate, Json
from gatebook.values import decode

LONG_POLL_S = 25


class State(StrEnum):
    """Where a change request stands; a draft is a dry run, which nobody filed."""

    DRAFT = "draft"
    AWAITING_REVIEW = "awaiting_review"
    APPROVED = "approved"
    EXECUTING = "executing"
    EXECUTED = "executed"
    UNDONE = "undone"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    DRIFTED = "drifted"
    FAILED = "failed"

    @property
    def words(self) -> str:
        """As a person reads it."""
        return "dry run" if self is State.DRAFT else self.replace("_", " ")


FINAL = frozenset(State) - {State.AWAITING_REVIEW, State.APPROVED, State.EXECUTING}


class Step(StrEnum):
    """What a person may do with a request."""

    EXECUTE = "execute"
    WITHDRAW = "withdraw"
    UNDO = "undo"


_STEPS = {
    Step.EXECUTE: (frozenset({State.APPROVED}), "you cannot execute it now"),
    Step.WITHDRAW: (frozenset({State.AWAITING_REVIEW, State.APPROVED}), "you cannot withdraw it"),
    Step.UNDO: (frozenset({State.EXECUTED}), "you cannot undo it"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRow:
    """One row before and after, in the order of the diff's columns; `kind` is changed, added or removed.

    The database itself changes one that goes along.
    """

    key: tuple[object, ...]
    kind: str
    before: tuple[object, ...] | None = None
    after: tuple[object, ...] | None = None
    is_along: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """The rows of one table that would change; a sample of `total` if not `is_complete`.

    `table` is None where you may not know it; `masked` names columns whose values are masked.
    """

    table: str | None = None
    total: int = 0
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[DiffRow, ...] = ()
    is_complete: bool = True
    masked: frozenset[str] = frozenset()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many reviews of which groups are needed, and how many are given."""

    groups: tuple[str, ...]
    needed: int
    given: int = 0

    def __str__(self) -> str:
        return f"{self.who} needed, {self.given} given"

    @property
    def who(self) -> str:
        """How many approvals, by whom."""
        return f"{counted(self.needed, 'approval')} by {' or '.join(self.groups)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One person's verdict."""

    reviewer: str
    verdict: str
    reason: str | None = None
    at: str | None = None
    instead_of: str | None = None

    def __str__(self) -> str:
        done = {"approve": "approved", "reject": "rejected"}.get(self.verdict, self.verdict)
        who = f"{self.reviewer}, in place of {self.instead_of}" if self.instead_of else self.reviewer
        return f"{done} by {who}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change request as it was when it was asked for; `refresh` and `wait` give newer ones.

    Shown in a notebook it is a card that follows the request's state. A dry run has no `id`: it is not filed, and
    `audit_index` is its entry in the book.
    """

    id: str
    url: str = ""
    state: State
    source: str = ""
    table: str | None = None
    operation: str | None = None
    statement: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)
    action: str | None = None
    requester: str | None = None
    reason: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    digest: str | None = None
    summary: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    diffs: tuple[Diff, ...] | None = None
    beside: tuple[Diff, ...] | None = None
    quorum: tuple[Quorum, ...] = ()
    reviews: tuple[Review, ...] = ()
    outcome: Outcome | None = None
    failure: str | None = None
    may: Mapping[str, bool] = field(default_factory=dict)
    why_not: Mapping[str, str] = field(default_factory=dict)
    audit_index: int | None = None
    undoes: str | None = None
    undone_by: str | None = None
    through: Gate | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Json, through: Gate | None = None) -> Self:
        """A change request as the gateway writes it; `GatewayFailed` for what this client does not understand."""
        try:
            return cls._parse(document, through)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = "the gateway sent a change request that this version of gatebook does not understand"
            raise GatewayFailed(message, ask="update gatebook") from error

    @classmethod
    def _parse(cls, document: Json, through: Gate | None) -> Self:
        plain = {
            name: document.get(name)
            for name in (
                "table", "operation", "statement", "action", "requester", "reason",
                "created_at", "expires_at", "digest", "failure", "undoes", "undone_by",
            )
        }  # fmt: skip
        outcome = document.get("outcome")
        state = State(document["state"])
        return cls(
            **plain,
            id="" if state is State.DRAFT else str(document["id"]),
            url=str(document.get("url") or ""),
            state=state,
            source=str(document.get("source") or ""),
            params={name: decode(value) for name, value in (document.get("params") or {}).items()},
            summary=str(document.get("summary") or ""),
            counts=document.get("counts") or {},
            warnings=tuple(str(one) for one in document.get("warnings") or ()),
            diffs=tuple(map(_diff, document["diffs"])) if document.get("diffs") is not None else None,
            beside=tuple(map(_diff, document["beside"])) if document.get("beside") is not None else None,
            quorum=tuple(
                Quorum(groups=tuple(one["groups"]), needed=int(one["needed"]), given=int(one.get("given") or 0))
                for one in document.get("quorum") or ()
            ),
            reviews=tuple(
                Review(
                    reviewer=str(one["reviewer"]),
                    verdict=str(one["verdict"]),
                    reason=one.get("reason"),
                    at=one.get("at"),
                    instead_of=one.get("instead_of"),
                )
                for one in document.get("reviews") or ()
            ),
            outcome=Outcome.from_json({"rows_changed": 0, **outcome}) if outcome else None,
            may=document.get("may") or {},
            why_not=document.get("why_not") or {},
            audit_index=document.get("audit_index"),
            through=through,
        )

    @property
    def diff(self) -> Diff | None:
        """The rows of the table that is written, or is written first."""
        return self.diffs[0] if self.diffs else None

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINAL

    @property
    def steps(self) -> tuple[Step, ...]:
        """What its reader may do now, as far as the gate told; it decides again when it is asked."""
        return tuple(step for step, (states, _) in _STEPS.items() if self.state in states and self.may.get(step))

    @property
    def refusals(self) -> tuple[str, ...]:
        """What its reader may not do although its state would let them, and why: clauses without a stop."""
        return tuple(
            f"{cannot}: {self.why_not[step]}"
            for step, (states, cannot) in _STEPS.items()
            if self.state in states and not self.may.get(step) and step in self.why_not
        )

    def refresh(self) -> Change:
        """The request as it is now."""
        return Change.from_json(self._gate.get("changes", self.id), self.through)

    def wait(self, timeout: float | None = None) -> Change:
        """The request once it is final, or as it is after `timeout` seconds (None: wait for as long as it takes)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        change = self
        while not change.is_final:
            left = LONG_POLL_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                break
            began = time.monotonic()
            change = change.poll(min(LONG_POLL_S, left))
            # A gate that answers at once instead of waiting must not be hammered.
            pause = 1.0 - (time.monotonic() - began)
            if pause > 0 and not change.is_final:
                time.sleep(min(pause, max(0.0, left)))
        return change

    def poll(self, seconds: float) -> Change:
        """The request once its state differs from this one, or as it is after that many seconds."""
        document = self._gate.get(
            "changes", self.id, wait=max(1, round(seconds)), state=self.state, read_timeout_s=seconds + READ_TIMEOUT_S
        )
        newer = Change.from_json(document, self.through)
        return replace(newer, diffs=self.diffs, beside=self.beside) if newer.diffs is None else newer

    def withdraw(self) -> Change:
        """Take the request back; raises `ChangeRefused` if it is too late."""
        return self._move("withdraw")

    def execute(self) -> Change:
        """Carry out an approved request; raises `ChangeRefused` if it is not approved or its rows have changed."""
        return self._move("execute")

    def undo(self, reason: str | None = None) -> Change:
        """Ask for the rows as they were before this change: a change request of its own; raises `ChangeRefused`.

        Rows that somebody has changed since stay as they are, and its warnings say how many those are.
        """
        document = self._gate.post("changes", self.id, "undo", body={"reason": reason} if reason else {})
        return Change.from_json(document, self.through)

    @property
    def next_step(self) -> str:
        """What happens next, or what happened, in one sentence without a stop."""
        match self.state:
            case State.DRAFT:
                needed = "; ".join(f"{one.who} would be needed" for one in self.quorum)
                told = "a dry run: nothing was filed, and nothing was changed"
                return f"{told}; {needed or 'no approval would be needed'}"
            case State.AWAITING_REVIEW:
                return "; ".join(str(one) for one in self.quorum) or "somebody else has to approve it"
            case State.APPROVED:
                return "approved, and may be executed" if Step.EXECUTE in self.steps else "approved"
            case State.EXECUTING:
                return "it is being executed"
            case State.EXECUTED if self.outcome is not None:
                return str(self.outcome)
            case State.UNDONE:
                return f"it was executed, and undone by request {self.undone_by}"
            case State.DRIFTED:
                return self.failure or "the rows changed after the approval, so nothing was written; send it again"
            case _:
                return self.failure or ""

    def __str__(self) -> str:
        lines = [f"{self.sentence} [{self.state.words}]"]
        if self.next_step:
            lines.append(self.next_step)
        lines += self.refusals
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [str(review) for review in self.reviews]
        lines.append(self.place)
        return "\n".join(lines)

    @property
    def place(self) -> str:
        """Where to find it."""
        if self.state is not State.DRAFT:
            return f"request {self.id}" + (f" · {self.url}" if self.url else "")
        return f"dry run on {self.source}" + ("" if self.audit_index is None else f" · book entry {self.audit_index}")

    @property
    def sentence(self) -> str:
        """What this is about: `3 rows of invoice would change`."""
        return self.summary or f"{self.operation or 'change'} of {self.table or self.source}"

    def _repr_html_(self) -> str:
        from gatebook.cards import card_of

        return card_of(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        del include, exclude
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _ipython_display_(self) -> None:
        from gatebook.displaying import show

        show(self)

    def _move(self, step: str) -> Change:
        return Change.from_json(self._gate.post("changes", self.id, step, body={}), self.through)

    @property
    def _gate(self) -> Gate:
        if self.state is State.DRAFT:
            message = "a dry run is no change request, so there is nothing to follow"
            raise ChangeRefused(message, ask="send the write without `dry_run`")
        if self.through is None:
            message = f"the change request `{self.id}` was not read from a gateway"
            raise ChangeRefused(message, ask=f"use `gatebook.change({self.id!r})`")
        return self.through


def _diff(document: Json) -> Diff:
    return Diff(
        table=document.get("table"),
        total=int(document.get("total") or 0),
        key=tuple(document.get("key") or ()),
        columns=tuple(document.get("columns") or ()),
        rows=tuple(
            DiffRow(
                key=_values(one.get("key")) or (),
                kind=str(one["kind"]),
                before=_values(one.get("before")),
                after=_values(one.get("after")),
                is_along=bool(one.get("is_along")),
            )
            for one in document.get("rows") or ()
        ),
        is_complete=bool(document.get("is_complete", True)),
        masked=frozenset(document.get("masked") or ()),
        hidden=tuple(document.get("hidden") or ()),
    )


def _values(row: list[object] | None) -> tuple[object, ...] | None:
    return None if row is None else tuple(decode(value) for value in row)
