"""How does a saved query look in JSON? One view for the API and for the portal's lists."""

from __future__ import annotations

from typing import Any

from gatebook_hub.saved import SavedQuery, Version
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.saved_queries import Found


def saved_view(cases: UseCases, found: Found) -> dict[str, Any]:
    """A saved query in a list: what it is called, whose it is, and what it takes."""
    query, version = found.query, found.version
    draft = version.draft
    return {
        "id": query.id,
        "url": f"{cases.gate.settings.portal_url}/saved/{query.id}",
        "name": query.name,
        "author": person_of(query.author),
        "title": draft.title,
        "description": draft.description,
        "source": draft.source,
        "version": version.number,
        "newest": query.version,
        "saved_by": person_of(version.author),
        "saved_at": version.at,
        "params": version.schema,
    }


def saved_text_view(cases: UseCases, found: Found) -> dict[str, Any]:
    """The same with its text and how it is drawn."""
    draft = found.version.draft
    chart = {"kind": str(draft.chart.kind), "x": draft.chart.x, "y": draft.chart.y} if draft.chart else None
    return {**saved_view(cases, found), "sql": draft.sql, "chart": chart, "note": draft.note}


def versions_view(query: SavedQuery, versions: tuple[Version, ...]) -> dict[str, Any]:
    """All versions, newest first."""
    return {
        "id": query.id,
        "name": query.name,
        "author": person_of(query.author),
        "deleted_at": query.deleted_at,
        "versions": [
            {
                "version": one.number,
                "saved_by": person_of(one.author),
                "saved_at": one.at,
                "note": one.draft.note,
                "title": one.draft.title,
                "source": one.draft.source,
                "sql": one.draft.sql,
                "params": one.schema,
            }
            for one in versions
        ],
    }


def person_of(principal: str) -> str:
    """`ann` for `user:ann`; others as they are."""
    return principal.removeprefix("user:")
