"""What does the book say? Its newest events as a table; those of others for those who may read the book alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gatebook.transport import gate

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    "index", "time", "principal", "kind", "source", "tables", "rows", "outcome", "tool", "reason", "change", "detail",
)  # fmt: skip
_OF_AN_END = ("rows", "outcome", "detail")
_ASKED = "change.proposed"


def events(
    *,
    principal: str | None = None,
    kind: str | None = None,
    source: str | None = None,
    table: str | None = None,
    change: str | None = None,
    since: str | None = None,
    limit: int = 100,
    is_joined: bool = False,
) -> pd.DataFrame:
    """Events, newest first; without a grant of `audit`, `principal` must be oneself. At most 1,000.

    With `is_joined` an intent and its outcome are one row, and so are a request and its preview, where both are there.
    """
    import pandas as pd

    document = gate().get(
        "audit", "events",
        principal=principal, kind=kind, source=source, table=table, change=change, since=since, limit=limit,
    )  # fmt: skip
    found = _joined(document["events"]) if is_joined else document["events"]
    rows = [{name: _plain(event.get(name)) for name in _COLUMNS} for event in found]
    # Integers stay such beside events that have none.
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"rows": "Int64"})


def _joined(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    intents = {event["index"]: event for event in found if str(event["kind"]).endswith(".intent")}
    closing = [event for event in found if event.get("refers_to") in intents]
    ends = {event["refers_to"]: event for event in closing if str(event["kind"]).endswith(".outcome")}
    previews = {event["refers_to"] for event in closing if event["kind"] == _ASKED}
    gone = previews | {end["index"] for end in ends.values()}
    joined: list[Mapping[str, Any]] = []
    for event in found:
        if event["index"] in gone:
            continue
        end, begun = ends.get(event["index"], {}), intents.get(event.get("refers_to", -1), {})
        uses = {"tables": begun["tables"]} if event["kind"] == _ASKED and "tables" in begun else {}
        joined.append({**event, **uses, **{name: end[name] for name in _OF_AN_END if name in end}})
    return joined


def _plain(value: object) -> object:
    if isinstance(value, list):
        return "; ".join(_use(one) if isinstance(one, Mapping) else str(one) for one in value)
    return value


def _use(use: Mapping[str, Any]) -> str:
    """What is done to a table, in words: `select invoice (billingcountry, total)`."""
    written = [str(one) for one in (*(use.get("columns") or ()), *(use.get("writes") or ()))]
    named = f" ({', '.join(dict.fromkeys(written))})" if written else ""
    return f"{use.get('access', '')} {use.get('table', '')}{named}".strip()
