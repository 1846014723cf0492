"""What exactly does an approval bind? A digest over the request's source, statement, rows, schema and rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gatebook_hub.changes.request import ChangeRequest, RowChange, RowDiff, RowKind
from gatebook_hub.windows import Execution

_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def diff_digest(diffs: Sequence[RowDiff]) -> str:
    """The digest of the rows before and after, of all tables; columns assigned at execution are left out."""
    each = sorted((diff.table, _rows_digest(diff)) for diff in diffs if diff.total)
    return _sha256(_text(each))


def _rows_digest(diff: RowDiff) -> str:
    """The digest of the rows of one table."""
    shape = _text([list(diff.key), list(diff.columns), sorted(diff.assigned)])
    if diff.beyond is not None:
        return _sha256(shape, diff.beyond.digest, _text(dict(diff.beyond.counts)))
    return _sha256(shape, *sorted(_text(_bound(diff, row)) for row in diff.rows))


def _bound(diff: RowDiff, row: RowChange) -> list[Any]:
    assigned = diff.assigned_in(row)

    def values(found: tuple[Any, ...] | None) -> list[Any] | None:
        if found is None:
            return None
        return [value for name, value in zip(diff.columns, found, strict=True) if name not in assigned]

    is_key_known = not assigned & set(diff.key)
    along = ["along"] if row.is_along else []
    return [row.kind, list(row.key) if is_key_known else None, values(row.before), values(row.after), *along]


def beside_digest(diffs: Sequence[RowDiff]) -> str:
    """The digest of what triggers write: which rows, and which of their columns. How many are added is an effect.

    Their values are those of the moment: a total that others write too is another one a minute later.
    """
    each = [
        [diff.table, row.kind, list(row.key), sorted(replace(diff, rows=(row,)).changed_columns())]
        for diff in diffs
        for row in diff.rows
        if row.kind is not RowKind.ADDED
    ]
    return _sha256(*sorted(_text(one) for one in each))


def digest_of(request: ChangeRequest) -> str:
    """The digest that a reviewer approves: source, statement, parameters, requester, rows, schema and rules."""
    bound = {
        "source": request.source,
        "statement": request.statement,
        "parameters": dict(request.parameters),
        "action": request.action,
        "requester": request.requester.id,
        "diff": diff_digest(request.diffs),
        "schema": request.schema_version,
        "rules": sorted([rule.id, rule.digest] for rule in request.rules),
    }
    if request.sets:
        bound["sets"] = _text([dict(one) for one in request.sets])
    if request.effects:
        bound["effects"] = _text([[one.table, one.kind, one.rows] for one in request.effects])
    if request.beside:
        bound["beside"] = beside_digest(request.beside)
    if request.purpose is not None:
        bound["purpose"] = request.purpose
    if request.execution != Execution():
        bound["execution"] = {"when": str(request.execution), "valid_h": request.execution.valid_h}
    if request.undoes is not None:
        bound["undoes"] = {"change": request.undoes, "left": [[one.table, list(one.key)] for one in request.left]}
    return _sha256(_text(bound))


def _text(value: Any) -> str:
    return _WRITER.encode(value)


def _sha256(*texts: str) -> str:
    """Over texts of JSON, none of which has a line break in it."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
