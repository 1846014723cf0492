"""How do core values become JSON in our own database, and back?"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from gatebook_hub.changes import ChangeRequest, Outline, Returned, Review, RowChange, RowDiff, State, Verdict
from gatebook_hub.changes.outline import Touched
from gatebook_hub.changes.request import Beyond, Broken, Comment, Effect, RowKey, RowKind
from gatebook_hub.changes.risk import Risk
from gatebook_hub.model import Channel, Glass, Principal, PrincipalKind, Requirement, RuleRef, Tool
from gatebook_hub.stores.opened import Opened
from gatebook_hub.windows import Execution, Window

# The texts of diffs that were written last, up to so many characters of them all.
_TEXTS = Opened[tuple[Sequence[RowDiff], str]](4_000_000)


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
    """A change request as text. Its rows are most of it, and stay the same from move to move."""
    head = json.dumps(
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
            "execution": _write_execution(request.execution),
            "glasses": _write_glasses(request.glasses),
            "behind": list(request.behind),
            "risks": [[risk.points, risk.sentence] for risk in request.risks],
            "broken": _write_broken(request.broken),
            "comments": [[item.author, item.text, item.at.isoformat()] for item in request.comments],
            "undoes": request.undoes,
            "left": [[one.table, list(one.key)] for one in request.left],
            "sets": [dict(one) for one in request.sets],
            "effects": [[one.rows, one.kind, one.table] for one in request.effects],
            "beside": [_write_diff(diff) for diff in request.beside],
            "undone_by": request.undone_by,
            "forgotten_at": request.forgotten_at.isoformat() if request.forgotten_at else None,
        }
    )
    return f'{head[:-1]}, "diffs": {_text_of(request.diffs)}, "image": {_text_of(request.image)}}}'


def read_change(text: str, version: int) -> ChangeRequest:
    """A change request from its text and the version of its row."""
    found = _brought_up(json.loads(text))
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
        diffs=_read_diffs(found["diffs"]),
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
        image=_read_diffs(found["image"]) if found.get("image") else None,
        execution=_read_execution(found.get("execution")),
        glasses=_read_glasses(found.get("glasses", ())),
        behind=tuple(found.get("behind", ())),
        risks=tuple(Risk(points=points, sentence=sentence) for points, sentence in found.get("risks", ())),
        broken=_read_broken(found.get("broken")),
        comments=tuple(
            Comment(author=author, text=text, at=dt.datetime.fromisoformat(at))
            for author, text, at in found.get("comments", ())
        ),
        undoes=found.get("undoes"),
        left=tuple(RowKey(table=table, key=tuple(key)) for table, key in found["left"]),
        sets=tuple(found["sets"]),
        effects=tuple(
            Effect(rows=rows, kind=RowKind(kind) if kind is not None else None, table=table)
            for rows, kind, table in found["effects"]
        ),
        beside=_read_diffs(found.get("beside", [])),
        undone_by=found.get("undone_by"),
        forgotten_at=dt.datetime.fromisoformat(found["forgotten_at"]) if found.get("forgotten_at") else None,
        version=version,
    )


def _brought_up(found: dict[str, Any]) -> dict[str, Any]:
    """What was written when a request was of one table and one set of parameters, in today's form."""
    if "diffs" in found:
        return found

    def one(diff: dict[str, Any] | None) -> list[dict[str, Any]] | None:
        if diff is None:
            return None
        rows = [[*row, place, False] for place, row in enumerate(diff["rows"])]
        return [{**diff, "table": found["table"], "beyond": None, "rows": rows}]

    left = [[found["table"], key] for key in found.get("left", ())]
    return {
        **found,
        "diffs": one(found["diff"]),
        "image": one(found.get("image")),
        "left": left,
        "sets": [],
        "effects": [],
    }


def _text_of(diffs: Sequence[RowDiff] | None) -> str:
    """Diffs as JSON; `null` for none."""
    name = str(id(diffs))
    kept = _TEXTS.get(name, 0)
    if kept is not None:  # which holds them, so that no others have their number
        return kept[1]
    text = json.dumps(None if diffs is None else [_write_diff(diff) for diff in diffs])
    if diffs:
        _TEXTS.put(name, 0, (diffs, text), len(text))
    return text


def write_outline(outline: Outline) -> str:
    """An outline as text."""
    return json.dumps(
        {
            "id": outline.id,
            "state": outline.state,
            "source": outline.source,
            "table": outline.table,
            "operation": outline.operation,
            "action": outline.action,
            "requester": write_principal(outline.requester),
            "behind": list(outline.behind),
            "purpose": outline.purpose,
            "created_at": outline.created_at.isoformat(),
            "expires_at": outline.expires_at.isoformat(),
            "touched": [
                [one.table, [list(pair) for pair in one.counts], sorted(one.columns), one.has_along, one.is_along]
                for one in outline.touched
            ],
            "warnings": outline.warnings,
            "risk": outline.risk,
            "requirements": _write_requirements(outline.requirements),
            "glasses": _write_glasses(outline.glasses),
            "reviews": [_write_review(item) for item in outline.reviews],
            "broken": _write_broken(outline.broken),
        }
    )


def read_outline(text: str, version: int) -> Outline:
    """An outline from its text and the version of its row."""
    found = json.loads(text)
    return Outline(
        id=found["id"],
        state=State(found["state"]),
        source=found["source"],
        table=found["table"],
        operation=found["operation"],
        action=found["action"],
        requester=read_principal(found["requester"]),
        behind=tuple(found["behind"]),
        purpose=found["purpose"],
        created_at=dt.datetime.fromisoformat(found["created_at"]),
        expires_at=dt.datetime.fromisoformat(found["expires_at"]),
        touched=tuple(
            Touched(
                table=table,
                counts=tuple((RowKind(kind), count) for kind, count in counts),
                columns=frozenset(columns),
                has_along=has_along,
                is_along=is_along,
            )
            for table, counts, columns, has_along, is_along in found["touched"]
        ),
        warnings=found["warnings"],
        risk=found["risk"],
        requirements=_read_requirements(found["requirements"]),
        glasses=_read_glasses(found["glasses"]),
        reviews=tuple(_read_review(item) for item in found["reviews"]),
        broken=_read_broken(found["broken"]),
        version=version,
    )


def _write_diff(diff: RowDiff) -> dict[str, Any]:
    return {
        "table": diff.table,
        "key": list(diff.key),
        "columns": list(diff.columns),
        "assigned": sorted(diff.assigned),
        "beyond": _write_beyond(diff.beyond),
        "rows": _rows_of(diff.rows),
    }


def _read_diffs(found: Iterable[dict[str, Any]]) -> tuple[RowDiff, ...]:
    return tuple(map(_read_diff, found))


def _read_diff(found: dict[str, Any]) -> RowDiff:
    return RowDiff(
        table=found["table"],
        key=tuple(found["key"]),
        columns=tuple(found["columns"]),
        assigned=frozenset(found["assigned"]),
        beyond=_read_beyond(found["beyond"]),
        rows=_read_rows(found["rows"]),
    )


def write_rows(rows: Sequence[RowChange]) -> str:
    """Rows as a text."""
    return json.dumps(_rows_of(rows))


def read_rows(text: str) -> tuple[RowChange, ...]:
    """Rows from their text."""
    return _read_rows(json.loads(text))


def _rows_of(rows: Sequence[RowChange]) -> list[list[Any]]:
    return [[row.kind, row.key, row.before, row.after, row.place, row.is_along] for row in rows]


def _read_rows(found: Iterable[Sequence[Any]]) -> tuple[RowChange, ...]:
    return tuple(
        RowChange(
            kind=RowKind(kind),
            key=tuple(key),
            before=tuple(before) if before is not None else None,
            after=tuple(after) if after is not None else None,
            place=place,
            is_along=is_along,
        )
        for kind, key, before, after, place, is_along in found
    )


def _write_beyond(beyond: Beyond | None) -> dict[str, Any] | None:
    if beyond is None:
        return None
    return {"counts": dict(beyond.counts), "digest": beyond.digest, "columns": sorted(beyond.columns)}


def _read_beyond(found: dict[str, Any] | None) -> Beyond | None:
    if found is None:
        return None
    return Beyond(
        counts={RowKind(kind): count for kind, count in found["counts"].items()},
        digest=found["digest"],
        columns=frozenset(found["columns"]),
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
        "instead_of": review.instead_of,
    }


def _read_review(found: dict[str, Any]) -> Review:
    return Review(
        reviewer=found["reviewer"],
        groups=frozenset(found["groups"]),
        verdict=Verdict(found["verdict"]),
        reason=found["reason"],
        at=dt.datetime.fromisoformat(found["at"]),
        instead_of=found.get("instead_of"),
    )


def _write_requirements(requirements: Iterable[Requirement]) -> list[Any]:
    return [[list(item.groups), item.needed] for item in requirements]


def _read_requirements(found: Iterable[Any]) -> tuple[Requirement, ...]:
    return tuple(Requirement(groups=tuple(groups), needed=needed) for groups, needed in found)


def _write_glasses(glasses: Iterable[Glass]) -> list[Any]:
    return [[list(glass.groups), _write_requirements(glass.review)] for glass in glasses]


def _read_glasses(found: Iterable[Any]) -> tuple[Glass, ...]:
    return tuple(Glass(groups=tuple(groups), review=_read_requirements(review)) for groups, review in found)


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
