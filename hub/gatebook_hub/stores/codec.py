"""How do core values become JSON in our own database, and back?"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from gatebook_hub.changes import ChangeRequest, Returned, Review, RowChange, RowDiff, State, Verdict
from gatebook_hub.changes.request import Broken, Comment, RowKind
from gatebook_hub.changes.risk import Risk
from gatebook_hub.model import Channel, Glass, Principal, PrincipalKind, Requirement, RuleRef, Tool
from gatebook_hub.windows import Execution, Window


def write_principal(principal: Principal) -> dict[str, Any]:
    """A principal as JSON holds it."""
    tool = principal.tool
    return {
        "kind": principal.kind,
        "name": principal.name,
        "groups": sorted(principal.groups),
        "tool": [tool.name, tool.version] if tool else None,
        "channel": principal.channel,
        "run_id": principal.run_id,
    }


def read_principal(found: dict[str, Any]) -> Principal:
    """A principal from its JSON."""
    tool = found.get("tool")
    return Principal(
        kind=PrincipalKind(found["kind"]),
        name=found["name"],
        groups=frozenset(found["groups"]),
        tool=Tool(name=tool[0], version=tool[1]) if tool else None,
        channel=Channel(found["channel"]),
        run_id=found.get("run_id"),
    )


def write_change(request: ChangeRequest) -> str:
    """A change request as text."""
    return json.dumps(
        {
            "id": request.id,
            "state": request.state,
            "source": request.source,
            "table": request.table,
            "operation": request.operation,
            "statement": request.statement,
            "parameters": dict(request.parameters),
            "action": request.action,
            "requester": write_principal(request.requester),
            "reason": request.reason,
            "created_at": request.created_at.isoformat(),
            "expires_at": request.expires_at.isoformat(),
            "diff": _write_diff(request.diff),
            "warnings": list(request.warnings),
            "requirements": _write_requirements(request.requirements),
            "rules": [[rule.id, rule.digest] for rule in request.rules],
            "schema_version": request.schema_version,
            "digest": request.digest,
            "reviews": [_write_review(item) for item in request.reviews],
            "outcome_rows": request.outcome_rows,
            "outcome_index": request.outcome_index,
            "finished_at": request.finished_at.isoformat() if request.finished_at else None,
            "failure": request.failure,
            "purpose": request.purpose,
            "returned": _write_returned(request.returned),
            "image": _write_diff(request.image) if request.image is not None else None,
            "execution": _write_execution(request.execution),
            "glasses": [[list(glass.groups), _write_requirements(glass.review)] for glass in request.glasses],
            "behind": list(request.behind),
            "risks": [[risk.points, risk.sentence] for risk in request.risks],
            "broken": _write_broken(request.broken),
            "comments": [[item.author, item.text, item.at.isoformat()] for item in request.comments],
            "undoes": request.undoes,
            "left": [list(key) for key in request.left],
            "undone_by": request.undone_by,
            "forgotten_at": request.forgotten_at.isoformat() if request.forgotten_at else None,
        }
    )


def read_change(text: str, version: int) -> ChangeRequest:
    """A change request from its text and the version of its row."""
    found = json.loads(text)
    return ChangeRequest(
        id=found["id"],
        state=State(found["state"]),
        source=found["source"],
        table=found["table"],
        operation=found["operation"],
        statement=found["statement"],
        parameters=found["parameters"],
        action=found["action"],
        requester=read_principal(found["requester"]),
        reason=found["reason"],
        created_at=dt.datetime.fromisoformat(found["created_at"]),
        expires_at=dt.datetime.fromisoformat(found["expires_at"]),
        diff=_read_diff(found["diff"]),
        warnings=tuple(found["warnings"]),
        requirements=_read_requirements(found["requirements"]),
        rules=tuple(RuleRef(id=name, digest=digest) for name, digest in found["rules"]),
        schema_version=found["schema_version"],
        digest=found["digest"],
        reviews=tuple(_read_review(item) for item in found["reviews"]),
        outcome_rows=found["outcome_rows"],
        outcome_index=found["outcome_index"],
        finished_at=dt.datetime.fromisoformat(found["finished_at"]) if found["finished_at"] else None,
        failure=found["failure"],
        purpose=found.get("purpose"),
        returned=_read_returned(found.get("returned")),
        image=_read_diff(found["image"]) if found.get("image") else None,
        execution=_read_execution(found.get("execution")),
        glasses=tuple(
            Glass(groups=tuple(groups), review=_read_requirements(review))
            for groups, review in found.get("glasses", ())
        ),
        behind=tuple(found.get("behind", ())),
        risks=tuple(Risk(points=points, sentence=sentence) for points, sentence in found.get("risks", ())),
        broken=_read_broken(found.get("broken")),
        comments=tuple(
            Comment(author=author, text=text, at=dt.datetime.fromisoformat(at))
            for author, text, at in found.get("comments", ())
        ),
        undoes=found.get("undoes"),
        left=tuple(tuple(key) for key in found.get("left", ())),
        undone_by=found.get("undone_by"),
        forgotten_at=dt.datetime.fromisoformat(found["forgotten_at"]) if found.get("forgotten_at") else None,
        version=version,
    )


def _write_diff(diff: RowDiff) -> dict[str, Any]:
    return {
        "key": list(diff.key),
        "columns": list(diff.columns),
        "assigned": sorted(diff.assigned),
        "rows": [[row.kind, row.key, row.before, row.after] for row in diff.rows],
    }


def _read_diff(found: dict[str, Any]) -> RowDiff:
    return RowDiff(
        key=tuple(found["key"]),
        columns=tuple(found["columns"]),
        assigned=frozenset(found["assigned"]),
        rows=tuple(
            RowChange(
                kind=RowKind(kind),
                key=tuple(key),
                before=tuple(before) if before is not None else None,
                after=tuple(after) if after is not None else None,
            )
            for kind, key, before, after in found["rows"]
        ),
    )


def _write_returned(returned: Returned | None) -> dict[str, Any] | None:
    if returned is None:
        return None
    return {
        "columns": list(returned.columns),
        "rows": [list(row) for row in returned.rows],
        "sight": returned.sight,
    }


def _read_returned(found: dict[str, Any] | None) -> Returned | None:
    if found is None:
        return None
    return Returned(
        columns=tuple(found["columns"]),
        rows=tuple(tuple(row) for row in found["rows"]),
        sight=str(found["sight"]),
    )


def _write_review(review: Review) -> dict[str, Any]:
    return {
        "reviewer": review.reviewer,
        "groups": sorted(review.groups),
        "verdict": review.verdict,
        "reason": review.reason,
        "at": review.at.isoformat(),
    }


def _read_review(found: dict[str, Any]) -> Review:
    return Review(
        reviewer=found["reviewer"],
        groups=frozenset(found["groups"]),
        verdict=Verdict(found["verdict"]),
        reason=found["reason"],
        at=dt.datetime.fromisoformat(found["at"]),
    )


def _write_requirements(requirements: Iterable[Requirement]) -> list[Any]:
    return [[list(item.groups), item.needed] for item in requirements]


def _read_requirements(found: Iterable[Any]) -> tuple[Requirement, ...]:
    return tuple(Requirement(groups=tuple(groups), needed=needed) for groups, needed in found)


def _write_broken(broken: Broken | None) -> dict[str, Any] | None:
    if broken is None:
        return None
    reviews = [_write_review(item) for item in broken.reviews]
    return {"reason": broken.reason, "at": broken.at.isoformat(), "reviews": reviews}


def _read_broken(found: dict[str, Any] | None) -> Broken | None:
    if found is None:
        return None
    return Broken(
        reason=found["reason"],
        at=dt.datetime.fromisoformat(found["at"]),
        reviews=tuple(_read_review(item) for item in found["reviews"]),
    )


def _write_execution(execution: Execution) -> dict[str, Any]:
    return {
        "is_by_requester": execution.is_by_requester,
        "windows": [
            [window.zone, window.start_min, window.end_min, sorted(window.days)] for window in execution.windows
        ],
        "valid_h": execution.valid_h,
    }


def _read_execution(found: dict[str, Any] | None) -> Execution:
    if found is None:
        return Execution()
    windows = (
        Window(zone=zone, start_min=start, end_min=end, days=frozenset(days))
        for zone, start, end, days in found["windows"]
    )
    return Execution(is_by_requester=found["is_by_requester"], windows=tuple(windows), valid_h=found["valid_h"])
