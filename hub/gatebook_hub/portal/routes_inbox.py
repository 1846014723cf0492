"""Which change requests wait, for whom, and which are done?"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from gatebook_hub.changes import Outline, Place, State, place_of, read_place
from gatebook_hub.errors import NotFound
from gatebook_hub.portal.cards import card_of
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.changes import InboxPage
from gatebook_hub.portal.pages.frame import Downloads, Pager, Tab, address
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.web.views import change_view

PAGE_ROWS = 50
TABS = {"waiting": "Waiting for me", "mine": "My requests", "all": "All I may see", "done": "Done"}
COLUMNS = (
    "id", "state", "summary", "source", "table", "operation", "action", "requester", "reason", "created_at",
    "expires_at", "url",
)  # fmt: skip
_DONE = tuple(state for state in State if state.is_final)


def inbox(visit: Visit) -> Response:
    """GET /inbox, /inbox.json and /inbox.csv."""
    tab = visit.asked("tab") or "waiting"
    if tab not in TABS:
        raise NotFound("there is no such list")
    before = read_place(visit.asked("before")) if visit.asked("before") else None
    found = _listed(visit, tab, before)
    kept, older = _cut(found, tab)
    path = visit.request.url.path
    if path.endswith((".json", ".csv")):
        requests = visit.cases.changes.opened(visit.principal, kept)
        views = [
            change_view(visit.cases, visit.principal, request, has_diff=False, sights=visit.sights)
            for request in requests
        ]
        if path.endswith(".json"):
            return json_download({"changes": views, "next_before": older})
        return csv_download(f"inbox-{tab}", COLUMNS, views)
    frame = visit.frame(waiting=len(found) if tab == "waiting" and before is None else None)
    counts = {"waiting": frame.inbox_count}
    page = InboxPage(
        frame=frame,
        tab=tab,
        tabs=tuple(
            Tab(title=title, url=address("/inbox", tab=name), is_current=name == tab, count=counts.get(name))
            for name, title in TABS.items()
        ),
        changes=tuple(card_of(outline, visit.sights) for outline in kept),
        pager=Pager(older_url=address("/inbox", tab=tab, before=older) if older else None),
        downloads=Downloads(
            json_url=address("/inbox.json", tab=tab, before=visit.asked("before")),
            csv_url=address("/inbox.csv", tab=tab, before=visit.asked("before")),
        ),
        tools_waiting=sum(
            visit.cases.publishing.why_not(visit.principal, one) is None
            for one in visit.cases.publishing.waiting(visit.principal)
        ),
    )
    return shown(page)


def _listed(visit: Visit, tab: str, before: Place | None) -> tuple[Outline, ...]:
    """The requests of a tab from there on; of what is not counted, one more than a page has."""
    if tab == "waiting":
        return visit.inbox() if before is None else visit.inbox(before, PAGE_ROWS + 1)
    return visit.cases.changes.listed(
        visit.principal,
        states=_DONE if tab == "done" else (),
        is_mine=tab == "mine",
        before=before,
        limit=PAGE_ROWS + 1,
    )


def _cut(found: Sequence[Outline], tab: str) -> tuple[Sequence[Outline], str | None]:
    """A page of them, and where the next one begins; what was done before its review is on the first page."""
    first = sum(outline.broken is not None for outline in found) if tab == "waiting" else 0
    kept = found[: first + PAGE_ROWS]
    return kept, str(place_of(kept[-1])) if len(found) > len(kept) else None
