"""How does a write become a change request, and a quorum become an executed write?"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gatebook_hub import changes as core
from gatebook_hub import policy, sql
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.changes import ChangeRequest, Draft, Returned, State, Verdict
from gatebook_hub.errors import (
    BookUnavailable,
    Drifted,
    GatebookError,
    NotFound,
    StateConflict,
)
from gatebook_hub.model import NoticeKind, Principal, Schema
from gatebook_hub.policy import Action
from gatebook_hub.services import showing
from gatebook_hub.services.applying import Prepared, apply_all, note_in_ledger
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.services.previewing import Previewed, opened, preview, preview_undo
from gatebook_hub.services.quorums import approving_of_all
from gatebook_hub.services.statements import decide_write, own_values
from gatebook_hub.services.steps import tightest
from gatebook_hub.services.undoing import prepare, ways_back
from gatebook_hub.sql import Statement
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.values import decode

_WAIT_AT_MOST_S = 30.0
_MOST_DUE = 10_000
_log = logging.getLogger(__name__)


class Changes:
    """Propose, look, review, execute, withdraw."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._running: set[str] = set()  # what is being executed in this process

    @under_one_set
    def propose(
        self,
        call: Call,
        source_name: str,
        statement: Statement,
        given: Mapping[str, Any],
        action: Action | None = None,
    ) -> ChangeRequest:
        """Preview a write and keep it as a request; one that needs nobody is executed at once."""
        return self._file(call, preview(self._gate, call, source_name, statement, given, action))

    @under_one_set
    def undo(self, call: Call, change_id: str) -> ChangeRequest:
        """Ask for the rows of an executed change as they were: a write like any other, which needs whom it needs."""
        gate = self._gate
        request = self.get(call.principal, change_id)
        try:
            core.check_undo(request)
            previewed = preview_undo(gate, call, request)
        except GatebookError as error:
            if error.reference is None:
                step = {"step": "undo"}
                error.reference = gate.refuse(EventKind.CHANGE_REFUSED, call, error, change=change_id, extra=step)
            raise
        return self._file(call, previewed)

    def _file(self, call: Call, previewed: Previewed) -> ChangeRequest:
        gate = self._gate
        request = core.file(previewed.draft, gate.new_id())
        # The book first: a request that nobody could prove must not be there.
        gate.book.append(
            gate.event(
                EventKind.CHANGE_PROPOSED,
                call,
                source=request.source,
                change=request.id,
                action=request.action,
                refers_to=previewed.index,
                outcome=Outcome.OK,
                rows=len(request.diff.rows),
                rules=tuple(item.id for item in request.rules),
                extra={"digest": request.digest, "state": request.state},
            )
        )
        gate.changes.add(request)
        if request.state is State.AWAITING_REVIEW:
            gate.notices.tell(NoticeKind.REQUESTED, request)
        return self._execute_if_due(call, request)

    @under_one_set
    def rehearse(self, call: Call, source_name: str, statement: Statement, given: Mapping[str, Any]) -> Previewed:
        """What `propose` would show, and no more: nothing is kept, and nothing is executed."""
        gate = self._gate
        previewed = preview(gate, call, source_name, statement, given, is_dry_run=True)
        draft = previewed.draft
        gate.book.append(
            gate.event(
                EventKind.QUERY_OUTCOME,
                call,
                source=source_name,
                refers_to=previewed.index,
                outcome=Outcome.OK,
                rows=len(draft.diff.rows),
                rules=tuple(item.id for item in draft.rules),
                detail="a dry run: nothing was filed, and nothing was changed",
            )
        )
        return previewed

    @under_one_set
    def get(self, principal: Principal, change_id: str) -> ChangeRequest:
        """A request that this principal may see; raises NotFound."""
        request = self._fresh(self._gate.changes.get(change_id))
        if not self._may_see(principal, request):
            raise NotFound("there is no such change request")
        return request

    @under_one_set
    def look(self, call: Call, change_id: str) -> ChangeRequest:
        """A request whose rows are shown to somebody: that is in the book."""
        request = self.get(call.principal, change_id)
        gate = self._gate
        event = gate.event(
            EventKind.CHANGE_READ, call, source=request.source, change=request.id, outcome=Outcome.OK,
            rows=len(request.diff.rows),
        )  # fmt: skip
        gate.book.append(event)
        return request

    def wait(self, principal: Principal, change_id: str, state: State, timeout_s: float) -> ChangeRequest:
        """The request once its state is another one, or after the time."""
        self.get(principal, change_id)
        self._gate.changes.wait(change_id, state, min(timeout_s, _WAIT_AT_MOST_S))
        return self.get(principal, change_id)

    @under_one_set
    def find(
        self,
        principal: Principal,
        *,
        state: State | None = None,
        is_mine: bool = False,
        before: str | None = None,
        limit: int = 100,
    ) -> tuple[ChangeRequest, ...]:
        """Requests that this principal may see, newest first."""
        found = self._gate.changes.find(
            states=(state,) if state else (), requester=principal.id if is_mine else None, before=before, limit=limit
        )
        return tuple(request for request in map(self._fresh, found) if self._may_see(principal, request))

    @under_one_set
    def inbox(self, principal: Principal) -> tuple[ChangeRequest, ...]:
        """Requests that wait for this person; first those that were executed without anybody's review."""
        unsettled = [request for request in self._gate.changes.unsettled() if self._may_see(principal, request)]
        waiting = [*unsettled, *self.find(principal, state=State.AWAITING_REVIEW, limit=1_000)]
        sights = showing.Sights(self._gate, principal)
        return tuple(
            request for request in waiting if core.may_review(request, principal, sights.hidden(request)) is None
        )

    def why_no_review(self, principal: Principal, request: ChangeRequest) -> str | None:
        """Why this person may not review the request, or None."""
        return core.may_review(request, principal, showing.hidden(self._gate, principal, request))

    @under_one_set
    def review(self, call: Call, change_id: str, *, verdict: Verdict, reason: str, digest: str) -> ChangeRequest:
        """A person's verdict; the last approval executes the request."""
        gate = self._gate
        request = self.get(call.principal, change_id)
        try:
            reviewed = core.review(
                request,
                call.principal,
                verdict=verdict,
                reason=reason,
                digest=digest,
                now=gate.now(),
                hidden_columns=showing.hidden(gate, call.principal, request),
            )
        except GatebookError as error:
            error.reference = gate.refuse(
                EventKind.CHANGE_REFUSED, call, error, change=change_id, extra={"step": "review"}
            )
            raise
        # The book first: a review that nobody could prove must not count.
        event = gate.event(
            EventKind.CHANGE_REVIEWED,
            replace(call, reason=reason or None),
            source=request.source,
            change=request.id,
            outcome=Outcome.OK,
            extra={"verdict": verdict, "digest": digest, **({"step": "after"} if request.broken else {})},
        )
        moved = self._move_told(call, reviewed, gate.book.append(event), "review")
        if moved.state is State.REJECTED:
            gate.notices.tell(NoticeKind.REJECTED, moved)
        elif moved.state is State.APPROVED and not moved.execution.is_at_once:
            gate.notices.tell(NoticeKind.APPROVED, moved)
        return self._execute_if_due(call, moved)

    @under_one_set
    def break_glass(self, call: Call, change_id: str, *, reason: str, digest: str) -> ChangeRequest:
        """The requester has it executed at once; an alarm says so, and others look at it afterwards."""
        gate = self._gate
        request = self.get(call.principal, change_id)
        try:
            broken = core.break_glass(request, call.principal, reason=reason, digest=digest, now=gate.now())
        except GatebookError as error:
            step = {"step": "break_glass"}
            error.reference = gate.refuse(EventKind.CHANGE_REFUSED, call, error, change=change_id, extra=step)
            raise
        told = {"source": request.source, "change": request.id, "outcome": Outcome.OK, "extra": {"digest": digest}}
        index = gate.book.append(gate.event(EventKind.CHANGE_BROKEN, replace(call, reason=reason), **told))
        detail = f"{call.principal.id} had the change {request.id} executed before anybody reviewed it"
        gate.book.append(gate.event(EventKind.ALARM, call, source=request.source, change=request.id, detail=detail))
        moved = self._move_told(call, broken, index, "break_glass")
        gate.notices.tell(NoticeKind.BREAK_GLASS, moved)
        return self._execute(call, moved)

    def comment(self, call: Call, change_id: str, text: str) -> ChangeRequest:
        """Write a comment; who may see a request may comment on it."""
        gate = self._gate
        commented = core.comment(self.get(call.principal, change_id), call.principal, text, gate.now())
        told = {"source": commented.source, "change": change_id, "outcome": Outcome.OK}
        index = gate.book.append(gate.event(EventKind.CHANGE_COMMENTED, call, **told))
        return self._move_told(call, commented, index, "comment")

    def withdraw(self, call: Call, change_id: str) -> ChangeRequest:
        """The requester takes it back."""
        gate = self._gate
        request = self.get(call.principal, change_id)
        try:
            withdrawn = core.withdraw(request, call.principal, gate.now())
        except GatebookError as error:
            step = {"step": "withdraw"}
            error.reference = gate.refuse(EventKind.CHANGE_REFUSED, call, error, change=change_id, extra=step)
            raise
        told = {"source": withdrawn.source, "change": change_id}
        index = gate.book.append(gate.event(EventKind.CHANGE_WITHDRAWN, call, **told))
        moved = self._move_told(call, withdrawn, index, "withdraw")
        gate.notices.tell(NoticeKind.WITHDRAWN, moved)
        return moved

    @under_one_set
    def execute(self, call: Call, change_id: str) -> ChangeRequest:
        """Carry out an approved request, if its rows are still those that were approved."""
        gate = self._gate
        request = self._fresh(gate.changes.get(change_id))
        try:
            core.check_execution(request, call.principal, gate.now())
        except GatebookError as error:
            step = {"step": "execute"}
            error.reference = gate.refuse(EventKind.CHANGE_REFUSED, call, error, change=change_id, extra=step)
            raise
        # Who has lost a right since asking has it executed no more.
        is_own = call.principal.id == request.requester.id
        groups = call.principal.groups if is_own else request.requester.groups
        return self._execute(call, request, replace(request.requester, groups=groups))

    def _move_told(self, call: Call, request: ChangeRequest, index: int, step: str) -> ChangeRequest:
        """What the book has of a step comes to pass; where another step was faster, the book says that it did not."""
        gate = self._gate
        try:
            return gate.changes.move(request)
        except StateConflict as error:
            told = {"change": request.id, "refers_to": index, "extra": {"step": step}}
            error.reference = gate.refuse(EventKind.CHANGE_REFUSED, call, error, **told)
            raise

    def _execute_if_due(self, call: Call, request: ChangeRequest) -> ChangeRequest:
        """With the last approval, where neither the requester nor a window is waited for."""
        is_due = request.state is State.APPROVED and request.execution.is_at_once
        return self._execute(call, request) if is_due else request

    @under_one_set
    def execute_due(self, call: Call) -> int:
        """Carry out what waits for its window, once that is open; how many requests that were."""
        gate = self._gate
        due = [
            request
            for request in map(self._fresh, gate.changes.find(states=(State.APPROVED,), limit=_MOST_DUE))
            if request.state is State.APPROVED
            and request.execution.windows
            and not request.execution.is_by_requester
            and core.why_not_now(request, gate.now()) is None
        ]
        for request in due:
            try:
                self._execute(call, request)
            except GatebookError as error:
                _log.warning("the change request %s waits: %s", request.id, error)
        return len(due)

    def _execute(self, call: Call, request: ChangeRequest, requester: Principal | None = None) -> ChangeRequest:
        self._running.add(request.id)
        try:
            return self._carry_out(call, request, requester or request.requester)
        finally:
            self._running.discard(request.id)

    def _carry_out(self, call: Call, request: ChangeRequest, requester: Principal) -> ChangeRequest:
        gate = self._gate
        begun = gate.changes.move(core.begin(request, gate.now()))
        try:
            intent = gate.book.append(
                gate.event(
                    EventKind.CHANGE_INTENT,
                    call,
                    source=request.source,
                    change=request.id,
                    action=request.action,
                    rows=len(request.diff.rows),
                    extra={"digest": request.digest},
                )
            )
        except BookUnavailable:
            gate.changes.move(replace(begun, state=State.APPROVED))
            raise
        try:
            begun, returned = self._write(begun, requester)
        except Exception as error:
            settled = self._settle(call, begun, intent, error)
            if isinstance(error, GatebookError) and settled is not None:
                return settled
            raise
        return self._finish(call, begun, intent, returned)

    def expire_overdue(self) -> int:
        """End the requests that nobody decided in time; how many those were."""
        overdue = self._gate.changes.overdue(self._gate.now())
        return sum(self._fresh(request).state is State.EXPIRED for request in overdue)

    def forget(self, call: Call) -> int:
        """Drop the values of rows of requests that ended long enough ago; how many requests that were."""
        gate = self._gate
        since = gate.now() - dt.timedelta(days=gate.settings.image_days)
        old = [
            request
            for request in gate.changes.ended_before(since)
            if request.forgotten_at is None and (request.finished_at or request.created_at) < since
        ]
        for request in old:
            gate.book.append(gate.event(EventKind.CHANGE_FORGOTTEN, call, source=request.source, change=request.id))
            gate.changes.move(core.forget(request, gate.now()))
        return len(old)

    def recover(self, call: Call) -> int:
        """What a crash or a source that was away has left executing is completed from the book, or from the ledger."""
        gate = self._gate
        executing = gate.changes.find(states=(State.EXECUTING,), limit=_MOST_DUE)
        stuck = [request for request in executing if request.id not in self._running]
        if not stuck:
            return 0
        intents = {event.content.get("change"): event.index for event in gate.book.open_intents()}
        for request in stuck:
            told = gate.book.find(EventFilter(kind=EventKind.CHANGE_OUTCOME, change=request.id, limit=1))
            if told:  # the gateway stopped between the outcome and the move
                gate.changes.move(_ended_as(request, told[0].content, gate.now()))
                continue
            sentence = "the gateway stopped before the write; nothing was written"
            self._settle(call, request, intents.get(request.id), StateConflict(sentence))
        return len(stuck)

    def _settle(self, call: Call, request: ChangeRequest, intent: int | None, error: Exception) -> ChangeRequest | None:
        """After an error the source's own ledger says whether the write is there; None while it cannot be asked."""
        gate = self._gate
        request = gate.changes.get(request.id)
        try:
            is_written = request.id in gate.in_force.sources.get(request.source).ledger([request.id])
        except GatebookError:
            return None
        if is_written:
            return self._finish(call, request, intent)
        known = error if isinstance(error, GatebookError) else StateConflict("the write failed; nothing was written")
        failed = core.fail(request, sentence=str(known), is_drift=isinstance(error, Drifted), now=gate.now())
        told = {"source": request.source, "change": request.id, "refers_to": intent}
        gate.book.append(gate.ended(EventKind.CHANGE_OUTCOME, call, known, **told))
        moved = gate.changes.move(failed)
        gate.notices.tell(NoticeKind.DRIFTED if moved.state is State.DRIFTED else NoticeKind.FAILED, moved)
        return moved

    def _finish(
        self, call: Call, request: ChangeRequest, intent: int | None, returned: Returned | None = None
    ) -> ChangeRequest:
        gate = self._gate
        rows = len(request.diff.rows)
        if request.undoes is not None:
            self._mark_undone(request.undoes, request.id)
        finished = replace(core.finish(request, rows=rows, index=intent, now=gate.now()), returned=returned)
        gate.book.append(
            gate.event(
                EventKind.CHANGE_OUTCOME,
                call,
                source=request.source,
                change=request.id,
                refers_to=intent,
                outcome=Outcome.OK,
                rows=rows,
                extra={"digest": request.digest},
            )
        )
        moved = gate.changes.move(finished)
        if moved.requirements:  # what needs nobody is told to nobody
            gate.notices.tell(NoticeKind.EXECUTED, moved)
        return moved

    def _mark_undone(self, change_id: str, by: str) -> None:
        """Before the request that undid it ends: what a crash interrupts here is done at the next start."""
        store = self._gate.changes
        while (undone := store.get(change_id)).state is State.EXECUTED:
            with suppress(StateConflict):  # somebody looked at it at the same moment
                self._gate.notices.tell(NoticeKind.UNDONE, store.move(core.undone(undone, by)))

    def visible(self, principal: Principal, request: Draft) -> tuple[frozenset[str], frozenset[str], bool]:
        """Which columns of the diff this principal sees in clear, which masked, and whether the rows at all."""
        return showing.visible(self._gate, principal, request)

    def sees_all_rows(self, principal: Principal, request: Draft) -> bool:
        """Whether no row of the request's table is hidden from this principal."""
        return showing.sees_all_rows(self._gate, principal, request)

    def returned_to(self, principal: Principal, request: ChangeRequest) -> Returned | None:
        """What an executed request returned, for the one who asked, if it would be shown in the same way today."""
        return showing.returned_to(self._gate, principal, request)

    def _write(self, request: ChangeRequest, principal: Principal) -> tuple[ChangeRequest, Returned | None]:
        """The write itself: decided anew, compared with what was approved, noted in the ledger, kept, committed."""
        gate = self._gate
        action = gate.policy.actions.get(request.action) if request.action else None
        if request.action and action is None:
            raise Drifted(f"the action `{request.action}` is gone; ask again")
        requester = Call(principal=principal, reason=request.reason, purpose=request.purpose)
        source, rule, schema = opened(gate, request.source, principal, action)
        if schema.version != request.schema_version:
            raise Drifted("the schema of the source changed since the approval; ask again")
        writes = self._writes(requester, request, schema, action)
        known = {rule.id: rule.digest for rule in request.rules}
        if any(known.get(rule.id) != rule.digest for one in writes for rule in one.decided.allowed.rules):
            raise Drifted("the rules that allowed this changed since the approval; ask again")
        limits = gate.limits(rule, tightest(*(one.decided.allowed.limits for one in writes)))
        given = {} if request.undoes else writes[0].parameters
        with source.writing(limits) as session:
            applied = apply_all(session, writes, schema, gate.settings.preview_rows, limits)
            diff = applied.diff
            if core.diff_digest(diff) != core.diff_digest(request.diff):
                raise Drifted("the rows changed since they were approved; nothing was written, ask again")
            approving = approving_of_all(
                gate.policy,
                source.name,
                writes,
                len(diff.rows),
                request.requester,
                action,
                given,
                request.created_at,
                is_undo=request.undoes is not None,
            )
            asked = (approving.requirements, approving.execution, approving.glasses)
            if asked != (request.requirements, request.execution, request.glasses):
                raise Drifted("the rules ask for something else since the approval; nothing was written, ask again")
            note_in_ledger(session, schema, request.id, request.digest, gate.now().isoformat())
            kept = gate.changes.move(core.keep_image(request, diff))
            session.commit()
        told = writes[0].decided.returning
        return kept, None if told is None else Returned(columns=told.columns, rows=applied.returned, sight=told.sight)

    def _writes(
        self, requester: Call, request: ChangeRequest, schema: Schema, action: Action | None
    ) -> tuple[Prepared, ...]:
        """What a request would have done, decided as if its requester sent it now."""
        gate = self._gate
        if request.undoes is not None:
            undone = gate.changes.get(request.undoes)
            core.check_undo(undone)
            assert undone.image is not None
            ways = [way for way in ways_back(undone.image, schema, request.table) if way.row.key not in request.left]
            return prepare(gate, requester, request.source, schema, ways, action)
        statement = sql.parse(request.statement, schema.engine, schema.functions)
        parameters = {name: decode(value, name) for name, value in request.parameters.items()}
        parameters |= own_values(gate, request.source, request.requester)
        return (Prepared(decided=decide_write(gate, requester, statement, schema, action), parameters=parameters),)

    def _fresh(self, request: ChangeRequest) -> ChangeRequest:
        """The request, expired if its time is over."""
        gate = self._gate
        expired = core.expire(request, gate.now())
        if expired is request:
            return request
        call = Call(principal=request.requester)
        event = gate.event(EventKind.CHANGE_EXPIRED, call, source=request.source, change=request.id)
        try:
            gate.book.append(event)
            moved = gate.changes.move(expired)
        except BookUnavailable:
            return expired  # it is over all the same; the next look tells the book
        except StateConflict:
            return gate.changes.get(request.id)
        gate.notices.tell(NoticeKind.EXPIRED, moved)
        return moved

    def _may_see(self, principal: Principal, request: ChangeRequest) -> bool:
        after = [requirement for glass in request.glasses for requirement in glass.review] if request.broken else []
        wanted = {group for requirement in (*request.requirements, *after) for group in requirement.groups}
        is_party = principal.id == request.requester.id or bool(wanted & principal.groups)
        return is_party or policy.may_read_book(self._gate.policy, principal, self._gate.circumstances())


def _ended_as(request: ChangeRequest, outcome: Mapping[str, Any], now: dt.datetime) -> ChangeRequest:
    """The request at the end that the book has for it."""
    if outcome["outcome"] == Outcome.OK:
        return core.finish(request, rows=outcome["rows"], index=outcome.get("refers_to"), now=now)
    is_drift = outcome["code"] == Drifted.code
    return core.fail(request, sentence=outcome["detail"], is_drift=is_drift, now=now)
