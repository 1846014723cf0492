"""What exactly does an approval bind? A digest over the request's source, statement, rows, schema and rules."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gatebook_hub.changes.request import ChangeRequest, RowDiff


def diff_digest(diff: RowDiff) -> str:
    """The digest of the rows before and after; columns assigned at execution are left out."""
    kept = [index for index, name in enumerate(diff.columns) if name not in diff.assigned]

    def values(row: tuple[Any, ...] | None) -> list[Any] | None:
        return None if row is None else [row[index] for index in kept]

    is_key_known = not diff.assigned & set(diff.key)
    rows = [
        [row.kind, list(row.key) if is_key_known else None, values(row.before), values(row.after)] for row in diff.rows
    ]
    rows.sort(key=lambda row: json.dumps(row, sort_keys=True))
    return _sha256([list(diff.key), [diff.columns[index] for index in kept], rows])


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
    return _sha256(bound)


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
