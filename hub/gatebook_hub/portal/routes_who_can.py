"""Who may do what on this table or column? The access review, for those who may read the book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from gatebook_hub.errors import InvalidInput, NotFound
from gatebook_hub.policy import PolicySet
from gatebook_hub.policy.entitling import Entitlement
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.frame import Downloads, FieldError, address
from gatebook_hub.portal.pages.who_can import EntitledRow, Rule, WhoCanPage
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.services.entitlements import COLUMNS, review_access, rows_of

_FIELD = "of"


def who_can(visit: Visit) -> Response:
    """GET /who-can, /who-can.json and /who-can.csv, `?of=source.table.column`."""
    gate, target, path = visit.cases.gate, visit.asked(_FIELD)[:200], visit.request.url.path
    errors: tuple[FieldError, ...] = ()
    found: Sequence[Entitlement] = ()
    if target or path.endswith((".json", ".csv")) or not visit.cases.auditing.may_read_all(visit.principal):
        try:
            found = review_access(gate, visit.call, target)
        except (InvalidInput, NotFound) as error:
            if path.endswith((".json", ".csv")):
                raise
            errors = (FieldError(message=str(error), field=_FIELD),)
    if path.endswith(".json"):
        return json_download({"revision": gate.policy.revision, "entitlements": list(rows_of(gate.policy, found))})
    if path.endswith(".csv"):
        return csv_download("who-can", COLUMNS, rows_of(gate.policy, found))
    page = WhoCanPage(
        frame=visit.frame(),
        target=target,
        revision=gate.policy.revision,
        rows=_rows(gate.policy, found),
        downloads=Downloads(json_url=address("/who-can.json", of=target), csv_url=address("/who-can.csv", of=target)),
        errors=errors,
    )
    return shown(page, 422 if errors else 200)


def _rows(policy_set: PolicySet, found: Sequence[Entitlement]) -> tuple[EntitledRow, ...]:
    """Columns that a principal meets alike share a row."""
    grouped: dict[tuple[Any, ...], list[str]] = {}
    for item in found:
        key = (item.principal, item.tool, item.access, str(item.sight), item.sentence(), item.rules)
        grouped.setdefault(key, []).append(item.column)
    return tuple(
        EntitledRow(
            principal=principal,
            tool=tool,
            access=access,
            columns=tuple(column for column in columns if column),
            sight=sight,
            sentence=sentence,
            rules=tuple(Rule(id=rule, place=policy_set.place_of(rule)) for rule in rules),
        )
        for (principal, tool, access, sight, sentence, rules), columns in sorted(
            grouped.items(), key=lambda entry: (entry[0][0], entry[0][1] or "")
        )
    )
