"""What does the book say? Its newest events as a table; those of others for those who may read the book alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatebook.transport import gate

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("index", "time", "principal", "kind", "source", "tables", "rows", "outcome", "tool", "reason", "change")


def events(
    *,
    principal: str | None = None,
    kind: str | None = None,
    source: str | None = None,
    table: str | None = None,
    change: str | None = None,
    since: str | None = None,
    limit: int = 100,
) -> pd.DataFrame:
    """Events, newest first; without a grant of `audit`, `principal` must be oneself. At most 1,000."""
    import pandas as pd

    document = gate().get(
        "audit", "events",
        principal=principal, kind=kind, source=source, table=table, change=change, since=since, limit=limit,
    )  # fmt: skip
    rows = [{name: _plain(event.get(name)) for name in _COLUMNS} for event in document["events"]]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _plain(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
