"""What exactly does an approval bind? A digest over the request's source, statement, rows, schema and rules."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gatebook_hub.changes.request import ChangeRequest, RowChange, RowDiff
from gatebook_hub.windows import Execution


def diff_digest(diff: RowDiff) -> str:
    """The digest of the rows before and after; columns assigned at execution are left out."""
    rows = [_bound(diff, row) for row in diff.rows]
    rows.sort(key=lambda row: json.dumps(row, sort_keys=True))
    return _sha256([list(diff.key), list(diff.columns), sorted(diff.assigned), rows])


def _bound(diff: RowDiff, row: RowChange) -> list[Any]:
    assigned = diff.assigned_in(row)

    def values(found: tuple[Any, ...] | None) -> list[Any] | None:
        if found is None:
            return None
        return [value for name, value in zip(diff.columns, found, strict=True) if name not in assigned]

    is_key_known = not assigned & set(diff.key)
    return [row.kind, list(row.key) if is_key_known else None, values(row.before), values(row.after)]


def digest_of(request: ChangeRequest) -> str:
    """The digest that a reviewer approves: source, statement, parameters, requester, rows, schema and rules."""
    bound = {
        "source": request.source,
        "statement": request.statement,
        "parameters": dict(request.parameters),
        "action": request.action,
        "requester": request.requester.id,
        "diff": diff_digest(request.diff),
        "schema": request.schema_version,
        "rules": sorted([rule.id, rule.digest] for rule in request.rules),
    }
    if request.purpose is not None:
        bound["purpose"] = request.purpose
    if request.execution != Execution():
        bound["execution"] = {"when": str(request.execution), "valid_h": request.execution.valid_h}
    if request.undoes is not None:
        bound["undoes"] = {"change": request.undoes, "left": [list(key) for key in request.left]}
    return _sha256(bound)


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
