"""How do core values look in JSON? One view for the API and for the pages, so that both mask alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gatebook_hub.changes import (
    ChangeRequest,
    Draft,
    Outline,
    Returned,
    Review,
    Standing,
    State,
    missing_after,
    why_no_execution,
    why_no_glass,
    why_no_undo,
)
from gatebook_hub.changes.outline import Touched
from gatebook_hub.changes.request import ACCESS, CALL, RowChange, RowDiff, RowKind
from gatebook_hub.changes.risk import score
from gatebook_hub.changes.transitions import approvals_for
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Principal
from gatebook_hub.services.auditing import ProvenEvent
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.previewing import Previewed
from gatebook_hub.services.sandboxing import Done
from gatebook_hub.services.showing import Sight, Sights
from gatebook_hub.services.warning import told_of
from gatebook_hub.stores.book import StoredEvent
from gatebook_hub.stores.runs import Run
from gatebook_hub.values import shown

MASKED = {"$type": "masked", "value": "•••"}
_DONE = {RowKind.ADDED: "added to", RowKind.CHANGED: "changed in", RowKind.REMOVED: "removed from"}
ASSIGNED = {"$type": "assigned", "value": "assigned at execution"}


def change_view(
    cases: UseCases,
    principal: Principal,
    request: ChangeRequest,
    *,
    has_diff: bool = True,
    sights: Sights | None = None,
) -> dict[str, Any]:
    """A change request under the eyes of one principal; `sights` are theirs, where several requests are shown."""
    sights = sights or cases.changes.sights(principal)
    refusal = sights.why_no_review(request)
    no_undo = why_no_undo(request)
    no_glass = why_no_glass(request, principal)
    no_execution = why_no_execution(request, principal, cases.gate.now())
    is_own = principal.id == request.requester.id
    is_open = request.state in {State.AWAITING_REVIEW, State.APPROVED}
    no_withdrawal = "its requester alone may" if is_open and not is_own else None
    view: dict[str, Any] = {
        **_write_view(sights, request),
        "id": request.id,
        "url": f"{cases.gate.settings.portal_url}/changes/{request.id}",
        "state": request.state,
        "action": request.action,
        "created_at": request.created_at.isoformat(),
        "expires_at": request.expires_at.isoformat(),
        "digest": request.digest,
        "version": request.version,
        "summary": summary_of(request, sights),
        "quorum": [
            {"groups": list(item.groups), "needed": item.needed, "given": approvals_for(request, item)}
            for item in request.requirements
        ],
        "reviews": [_review_view(item) for item in request.reviews],
        "outcome": _outcome(sights, request),
        "failure": request.failure,
        "may": {
            "review": refusal is None,
            "withdraw": is_own and is_open,
            "execute": no_execution is None,
            "undo": no_undo is None,
            "break_glass": no_glass is None,
        },
        "why_not": {
            name: why
            for name, why in (
                ("review", refusal),
                ("withdraw", no_withdrawal),
                ("execute", no_execution),
                ("undo", no_undo),
            )
            if why is not None
        },
        "broken": _broken_view(request),
        "comments": [
            {"author": item.author.removeprefix("user:"), "text": item.text, "at": item.at.isoformat()}
            for item in request.comments
        ],
        "undoes": request.undoes,
        "undone_by": request.undone_by,
    }
    if has_diff:
        view["diffs"] = diff_views(sights, request)
        view["beside"] = beside_views(sights, request)
    return view


def _review_view(review: Review) -> dict[str, Any]:
    return {
        "reviewer": review.reviewer.removeprefix("user:"),
        "verdict": review.verdict,
        "reason": review.reason,
        "at": review.at.isoformat(),
        "instead_of": review.instead_of.removeprefix("user:") if review.instead_of else None,
    }


def _broken_view(request: ChangeRequest) -> dict[str, Any] | None:
    if request.broken is None:
        return None
    return {
        "reason": request.broken.reason,
        "at": request.broken.at.isoformat(),
        "reviews": [_review_view(item) for item in request.broken.reviews],
        "missing": [
            {"groups": list(requirement.groups), "needed": requirement.needed, "given": given}
            for requirement, given in missing_after(request)
        ],
    }


def draft_view(cases: UseCases, principal: Principal, previewed: Previewed) -> dict[str, Any]:
    """A dry run: what a request would show to the one who asks, without what only a filed one has."""
    draft, sights = previewed.draft, cases.changes.sights(principal)
    return {
        **_write_view(sights, draft),
        "state": "draft",
        "summary": _would(draft, sights),
        "quorum": [{"groups": list(item.groups), "needed": item.needed, "given": 0} for item in draft.requirements],
        "diffs": diff_views(sights, draft),
        "beside": beside_views(sights, draft),
        "audit_index": previewed.index,
    }


def _write_view(sights: Sights, write: Draft) -> dict[str, Any]:
    is_seen = sights.principal.id == write.requester.id or sights.shows_all(write)
    return {
        "kind": "change",
        "source": write.source,
        "table": write.table,
        "operation": write.operation,
        "statement": write.statement,
        "params": _params(write.parameters, is_seen=is_seen),
        "sets": [_params(one, is_seen=is_seen) for one in write.sets],
        "requester": requester_of(write.requester),
        "reason": write.reason,
        "counts": {str(kind): write.count(kind) for kind in RowKind},
        "warnings": [*write.warnings, *_effects(sights, write)],
        "execution": str(write.execution),
        "risk": {"points": score(write.risks), "because": [risk.sentence for risk in write.risks]},
    }


def requester_of(requester: Principal) -> str:
    """Who asks: a person by their name."""
    return requester.name if requester.kind == "user" else requester.id


def summary_of(request: Standing, sights: Sights) -> str:
    """The request in one sentence, which names no further table that its reader does not know."""
    if request.state not in {State.EXECUTED, State.UNDONE}:
        return _would(request, sights)
    if request.operation == ACCESS:
        return f"{requester_of(request.requester)} has access to {request.source} for a time"
    if request.operation == CALL:
        return f"{request.source} was called by the action {request.action}"
    told = _told(request)
    was = "was" if told[0].total == 1 else "were"
    return _and([f"{_rows(one)} {was} {_done(one)} {_named(request, one, sights)}" for one in told])


def _would(write: Draft | Outline, sights: Sights) -> str:
    if write.operation == ACCESS:
        return f"{requester_of(write.requester)} would have access to {write.source} for a time"
    if write.operation == CALL:
        return f"{write.source} would be called by the action {write.action}"
    return _and([f"{_rows(one)} would be {_done(one)} {_named(write, one, sights)}" for one in _told(write)])


def _effects(sights: Sights, write: Draft) -> Iterator[str]:
    """What the database itself wrote; a table is named to those who know it."""
    for effect in write.effects:
        is_known = effect.table is not None and sights.knows(write, effect.table)
        yield told_of(effect, write.beside, is_known=is_known)


def _named(write: Draft | Outline, one: RowDiff | Touched, sights: Sights) -> str:
    try:
        is_known = one.table == write.table or sights.knows(write, one.table)
    except GatebookError:  # its source is away
        is_known = False
    return one.table if is_known else "another table"


def _told(write: Draft | Outline) -> Sequence[RowDiff | Touched]:
    """What was asked for: what goes along is told beside it."""
    every = write.touched if isinstance(write, Outline) else write.diffs
    return [one for one in every if not one.is_along] or every[:1]


def _rows(one: RowDiff | Touched) -> str:
    return f"{one.total:,} row" + ("" if one.total == 1 else "s")


def _done(one: RowDiff | Touched) -> str:
    kinds = [kind for kind in RowKind if one.count(kind)]
    return _DONE[kinds[0] if len(kinds) == 1 else RowKind.CHANGED]


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def diff_views(sights: Sights, request: Draft) -> list[dict[str, Any]]:
    """The rows of each table under the principal's own masks; what they may not see is marked, not left out."""
    return [_diff_view(sights.of(request, diff), request, diff) for diff in request.diffs]


def beside_views(sights: Sights, request: Draft) -> list[dict[str, Any]]:
    """The rows that triggers write, under the principal's own masks; what they may not see is left out."""
    seen = [(sights.of(request, diff), diff) for diff in request.beside]
    shown = [_diff_view(sight, request, diff) for sight, diff in seen if sight.is_known and sight.is_open]
    return [{**view, "hidden": []} for view in shown]


def _diff_view(sight: Sight, request: Draft, diff: RowDiff) -> dict[str, Any]:
    clear, masked = sight.clear, sight.masked
    kept = [index for index, name in enumerate(diff.columns) if name in clear or name in masked]
    is_anything = sight.is_open and bool(kept)
    left = [one.key for one in request.left if one.table == diff.table]

    def values(row: tuple[Any, ...] | None, assigned: frozenset[str]) -> list[Any] | None:
        if row is None:
            return None
        cells = []
        for index in kept:
            name = diff.columns[index]
            # What the database assigned in the preview was rolled back; execution may have given another value.
            value = ASSIGNED if name in assigned else shown(row[index])
            cells.append(value if name in clear or row[index] is None else MASKED)
        return cells

    def key(row: RowChange) -> list[Any]:
        is_assigned = bool(diff.assigned_in(row) & set(diff.key))
        if is_assigned:
            return [ASSIGNED["value"]] * len(diff.key)
        return [shown(part) if name in clear else MASKED for name, part in zip(diff.key, row.key, strict=False)]

    rows = [
        {
            "key": key(row),
            "kind": row.kind,
            "before": values(row.before, frozenset()),
            "after": values(row.after, diff.assigned_in(row)),
            "is_along": row.is_along,
        }
        for row in (diff.rows if is_anything else ())
    ]
    is_known = sight.is_known or diff.table == request.table
    return {
        "table": diff.table if is_known else None,
        "key": list(diff.key) if is_known else [],
        "columns": [diff.columns[index] for index in kept],
        "rows": rows,
        "total": diff.total,
        "counts": {str(kind): diff.count(kind) for kind in RowKind},
        "is_complete": is_anything and diff.beyond is None,
        "left": [[shown(part) for part in one] for one in left] if sight.is_whole and set(diff.key) <= clear else [],
        "masked": sorted(masked & set(diff.columns)),
        "hidden": sorted(diff.changed_columns() - clear - masked) if is_known else [],
    }


def write_outcome(cases: UseCases, principal: Principal, request: ChangeRequest) -> dict[str, Any]:
    """The answer to a write that needed nobody and is done."""
    returned = cases.changes.returned_to(principal, request)
    return _outcome_document(request.outcome_rows, request.outcome_index, request.id, returned)


def done_view(done: Done) -> dict[str, Any]:
    """The answer to what was done at once in a sandbox."""
    told = _outcome_document(done.rows, done.index, None, done.returned)
    return {**told, "transaction": done.transaction, "last_id": done.last_id}


def _outcome_document(
    rows: int | None, index: int | None, change: str | None, returned: Returned | None
) -> dict[str, Any]:
    return {
        "kind": "outcome",
        "rows_changed": rows,
        "audit_index": index,
        "change": change,
        "returned": _returned_view(returned),
    }


def event_view(event: StoredEvent) -> dict[str, Any]:
    """An event of the book."""
    return {"index": event.index, **event.content}


def proven_view(proven: ProvenEvent) -> dict[str, Any]:
    """An event with its inclusion proof."""
    return {
        "event": event_view(proven.event),
        "leaf_hash": proven.leaf_hash,
        "inclusion_proof": list(proven.proof),
        "checkpoint": proven.checkpoint,
    }


def run_view(run: Run) -> dict[str, Any]:
    """A run of a job."""
    return {
        "id": run.id,
        "job": run.job,
        "state": run.state,
        "trigger": run.trigger,
        "scheduled_for": run.scheduled_for,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "attempt": run.attempt,
        "cells_done": run.cells_done,
        "cells_total": run.cells_total,
        "parameters": dict(run.parameters),
        "error": dict(run.error) if run.error else None,
    }


def _params(given: Mapping[str, Any], *, is_seen: bool) -> dict[str, Any]:
    """Values of a statement, to those who asked or see all that it changes."""
    named = {name: shown(value) for name, value in given.items() if not name.startswith("gb_")}
    return named if is_seen else dict.fromkeys(named, MASKED)


def _outcome(sights: Sights, request: ChangeRequest) -> dict[str, Any] | None:
    if request.outcome_rows is None or request.finished_at is None:
        return None
    return {
        "rows_changed": request.outcome_rows,
        "audit_index": request.outcome_index,
        "at": request.finished_at.isoformat(),
        "returned": _returned_view(sights.returned_to(request)),
    }


def _returned_view(returned: Returned | None) -> dict[str, Any] | None:
    if returned is None:
        return None
    return {"columns": list(returned.columns), "rows": [list(row) for row in returned.rows]}
