"""How is an approved request carried out, exactly once, whatever stops in between?"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from gatebook_hub import changes as core
from gatebook_hub import sql
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.changes import ChangeRequest, Returned, RowKey, State
from gatebook_hub.errors import (
    BookUnavailable,
    CallRefused,
    CallUnanswered,
    Drifted,
    GatebookError,
    StateConflict,
)
from gatebook_hub.model import Limits, NoticeKind, Principal, Schema
from gatebook_hub.policy import Action
from gatebook_hub.services.acting import decide_checks, hold
from gatebook_hub.services.applying import Applied, apply_all, note_in_ledger
from gatebook_hub.services.calling import carry_out, may_be_repeated
from gatebook_hub.services.expiring import fresh
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.lending import lend
from gatebook_hub.services.previewing import decide_script, opened
from gatebook_hub.services.quorums import approving_of_all
from gatebook_hub.services.statements import Prepared, own_values
from gatebook_hub.services.steps import tightest
from gatebook_hub.services.surveying import Survey
from gatebook_hub.services.undoing import prepare, ways_back
from gatebook_hub.services.undoing_many import SurveyBack, prepare_many
from gatebook_hub.sources.source import WriteSession
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.values import decode

_MOST_DUE = 10_000
_STOPPED = "the gateway stopped while it called; whether it was done is not known"
_log = logging.getLogger(__name__)


class Executing:
    """Carries out what is approved; every call is made under one policy set."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._running: set[str] = set()  # what is being executed in this process

    def if_due(self, call: Call, request: ChangeRequest) -> ChangeRequest:
        """With the last approval, where neither the requester nor a window is waited for."""
        is_due = request.state is State.APPROVED and request.execution.is_at_once
        return self.execute(call, request) if is_due else request

    def all_due(self, call: Call) -> int:
        """Carry out what waits for its window, once that is open; how many requests that were."""
        gate = self._gate
        due = [
            request
            for request in (fresh(gate, one) for one in gate.changes.find(states=(State.APPROVED,), limit=_MOST_DUE))
            if request.state is State.APPROVED
            and request.execution.windows
            and not request.execution.is_by_requester
            and core.why_not_now(request, gate.now()) is None
        ]
        for request in due:
            try:
                self.execute(call, request)
            except GatebookError as error:
                _log.warning("the change request %s waits: %s", request.id, error)
        return len(due)

    def execute(self, call: Call, request: ChangeRequest, requester: Principal | None = None) -> ChangeRequest:
        """Carry out an approved request, if its rows are still those that were approved, by its requester's rights."""
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
                    rows=request.rows,
                    extra={"digest": request.digest},
                )
            )
        except BookUnavailable:
            gate.changes.move(replace(begun, state=State.APPROVED))
            raise
        try:
            if not request.writes_rows:
                returned = self._elsewhere(begun, requester)
            else:
                begun, returned = self._write(begun, requester)
        except Exception as error:
            settled = self._settle(call, begun, intent, error)
            if isinstance(error, GatebookError) and settled is not None:
                return settled
            raise
        return self._finish(call, begun, intent, returned)

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
            if not request.writes_rows:
                self._again(call, request, intents.get(request.id))
                continue
            sentence = "the gateway stopped before the write; nothing was written"
            self._settle(call, request, intents.get(request.id), StateConflict(sentence))
        return len(stuck)

    def _settle(self, call: Call, request: ChangeRequest, intent: int | None, error: Exception) -> ChangeRequest | None:
        """After an error the source's own ledger says whether the write is there; None while it cannot be asked."""
        gate = self._gate
        request = gate.changes.get(request.id)
        if not request.writes_rows:
            return self._fail(call, request, intent, error)
        try:
            is_written = request.id in gate.in_force.sources.get(request.source).ledger([request.id])
        except GatebookError:
            return None
        if is_written:
            return self._finish(call, request, intent)
        return self._fail(call, request, intent, error)

    def _again(self, call: Call, request: ChangeRequest, intent: int | None) -> ChangeRequest:
        """A call that the gateway did not see the end of: sent again where the service knows it, else told as it is."""
        if request.is_call and not may_be_repeated(self._gate, request):
            return self._fail(call, request, intent, CallUnanswered(_STOPPED))
        try:
            returned = self._elsewhere(request, request.requester)
        except (CallRefused, CallUnanswered) as error:
            return self._fail(call, request, intent, error)
        except GatebookError as error:
            # What keeps it from being sent again says nothing of the first time.
            known = CallUnanswered(f"{_STOPPED}; it was not repeated: {error}") if request.is_call else error
            return self._fail(call, request, intent, known)
        except Exception as error:  # noqa: BLE001 - whatever it was, the gateway still has to start
            _log.exception("the change request %s cannot be completed", request.id)
            return self._fail(call, request, intent, error)
        return self._finish(call, request, intent, returned)

    def _elsewhere(self, request: ChangeRequest, requester: Principal) -> Returned | None:
        """What is done is no row of a source: a call, or access for a time."""
        if request.is_call:
            return carry_out(self._gate, request, self._as_requester(request, requester))
        lend(self._gate, request)
        return None

    def _as_requester(self, request: ChangeRequest, principal: Principal) -> Call:
        return Call(principal=self._gate.leased(principal), reason=request.reason, purpose=request.purpose)

    def _fail(self, call: Call, request: ChangeRequest, intent: int | None, error: Exception) -> ChangeRequest:
        gate = self._gate
        known = error if isinstance(error, GatebookError) else _unforeseen(request)
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
        rows = request.rows
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

    def _write(self, request: ChangeRequest, principal: Principal) -> tuple[ChangeRequest, Returned | None]:
        """The write itself: decided anew, compared with what was approved, noted in the ledger, kept, committed."""
        gate = self._gate
        action = gate.policy.actions.get(request.action) if request.action else None
        if request.action and action is None:
            raise Drifted(f"the action `{request.action}` is gone; ask again")
        requester = self._as_requester(request, principal)
        source, rule, schema = opened(gate, request.source, requester.principal, action)
        if schema.version != request.schema_version:
            raise Drifted("the schema of the source changed since the approval; ask again")
        writes = self._writes(requester, request, schema, action)
        known = {rule.id: rule.digest for rule in request.rules}
        if any(known.get(rule.id) != rule.digest for one in writes for rule in one.decided.allowed.rules):
            raise Drifted("the rules that allowed this changed since the approval; ask again")
        limits = gate.limits(rule, tightest(*(one.decided.allowed.limits for one in writes)))
        given = ({},) if request.undoes else writes[0].sets
        with source.writing(limits) as session:
            if request.undoes is None:
                hold(session, decide_checks(gate, requester, action, schema), self._checked(request))
            if request.is_large:
                applied = self._carry_out_large(session, request, writes, schema, limits)
            else:
                applied = apply_all(session, writes, schema, gate.settings.preview_rows, limits)
            is_same = core.diff_digest(applied.diffs) == core.diff_digest(request.diffs)
            is_same = is_same and core.beside_digest(applied.beside) == core.beside_digest(request.beside)
            if not is_same or applied.effects != request.effects:
                raise Drifted("the rows changed since they were approved; nothing was written, ask again")
            approving = approving_of_all(
                gate.policy,
                schema,
                writes,
                applied,
                request.requester,
                action,
                given,
                request.created_at,
                is_undo=request.undoes is not None,
            )
            asked = (approving.requirements, approving.execution, approving.glasses)
            is_taken = approving.takes_sample or not request.is_large
            if asked != (request.requirements, request.execution, request.glasses) or not is_taken:
                raise Drifted("the rules ask for something else since the approval; nothing was written, ask again")
            note_in_ledger(session, schema, request.id, request.digest, gate.now().isoformat())
            kept = gate.changes.move(core.keep_image(request, applied.diffs))
            session.commit()
        told = writes[0].decided.returning
        return kept, None if told is None else Returned(columns=told.columns, rows=applied.returned, sight=told.sight)

    def _checked(self, request: ChangeRequest) -> list[Mapping[str, Any]]:
        """The values that the checks of an action may use, of each set."""
        own = own_values(self._gate, request.source, request.requester)
        sets = request.sets or (request.parameters,)
        return [{**{name: decode(value, name) for name, value in one.items()}, **own} for one in sets]

    def _carry_out_large(
        self, session: WriteSession, request: ChangeRequest, writes: Sequence[Prepared], schema: Schema, limits: Limits
    ) -> Applied:
        """More rows than are shown: their image is kept in parts, while they are written."""
        gate = self._gate
        if request.undoes is None:
            survey = Survey(session, writes, schema, gate.settings.large_rows, limits)
        else:
            undone = gate.changes.get(request.undoes)
            rows = partial(gate.changes.images.rows, undone.id)
            survey = SurveyBack(session, writes, schema, undone, rows, limits, known_left=request.left)
        keeping = gate.changes.images.keeping(request.id)
        applied = survey.carry_out(keeping.add)
        keeping.flush()
        (diff,) = applied.diffs
        assert diff.beyond is not None
        beyond = replace(diff.beyond, columns=keeping.differing(diff.columns))
        return replace(applied, diffs=(replace(diff, beyond=beyond),))

    def _writes(
        self, requester: Call, request: ChangeRequest, schema: Schema, action: Action | None
    ) -> tuple[Prepared, ...]:
        """What a request would have done, decided as if its requester sent it now."""
        gate = self._gate
        if request.undoes is not None:
            undone = gate.changes.get(request.undoes)
            core.check_undo(undone)
            assert undone.image is not None
            if undone.is_large:
                return prepare_many(gate, requester, request.source, schema, undone, action)[0]
            left = {one.sign for one in request.left}
            every = ways_back(undone.image, schema)
            ways = [way for way in every if RowKey(table=way.table, key=way.row.key).sign not in left]
            return prepare(gate, requester, request.source, schema, ways, action)
        own = own_values(gate, request.source, request.requester)
        sets = request.sets or (request.parameters,)
        given = [{name: decode(value, name) for name, value in one.items()} for one in sets]
        statements = sql.parse_script(request.statement, schema.engine, schema.functions)
        return decide_script(gate, requester, statements, given, own, schema, action)


def _unforeseen(request: ChangeRequest) -> GatebookError:
    """What is told of a request that broke off where nobody thought of it: a call may have been done."""
    if request.is_call:
        return CallUnanswered("the call broke off; whether it was done is not known")
    return StateConflict("the write failed; nothing was written")


def _ended_as(request: ChangeRequest, outcome: Mapping[str, Any], now: dt.datetime) -> ChangeRequest:
    """The request at the end that the book has for it."""
    if outcome["outcome"] == Outcome.OK:
        return core.finish(request, rows=outcome["rows"], index=outcome.get("refers_to"), now=now)
    is_drift = outcome["code"] == Drifted.code
    return core.fail(request, sentence=outcome["detail"], is_drift=is_drift, now=now)
