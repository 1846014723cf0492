"""Which versions of tools wait for a second person, what is new in them, and what does that person press?"""

from __future__ import annotations

import datetime as dt
from typing import Any

from starlette.responses import Response

from gatebook_hub.errors import GatebookError, InvalidInput, NotFound, PortalOnly
from gatebook_hub.model import Channel
from gatebook_hub.portal.notebook_diff import about_of, cells_of
from gatebook_hub.portal.pages.frame import FieldError, address
from gatebook_hub.portal.pages.tool_versions import (
    CheckReport,
    ToolVersionPage,
    ToolVersionsPage,
    Verdict,
    VersionRow,
)
from gatebook_hub.portal.visits import Visit, leave_for, shown
from gatebook_hub.services.notebook_form import ToolNotebook, look_at
from gatebook_hub.services.publishing import Served
from gatebook_hub.stores.tools import ToolVersion, VersionState

_VERDICTS = {"approve": True, "reject": False}
_NOTICES = {"approved": "It is in force now. Whoever has the tool open is told.", "rejected": "It was rejected."}


def versions(visit: Visit) -> Response:
    """GET /tool-versions."""
    publishing = visit.cases.publishing
    in_force = {(one.name, one.version) for one in publishing.in_force()}
    rows = tuple(_row(one, in_force) for one in publishing.seen_by(visit.principal))
    return shown(ToolVersionsPage(frame=visit.frame(), versions=rows))


def version(visit: Visit) -> Response:
    """GET /tool-versions/{name}/{version}."""
    return shown(_page(visit, notice=_NOTICES.get(visit.asked("notice"))))


def review(visit: Visit) -> Response:
    """POST /tool-versions/{name}/{version}/review: approve or reject what was on the page."""
    if visit.principal.channel is not Channel.PORTAL:
        raise PortalOnly("a review comes from a person at the portal")
    name, version_id = visit.request.path_params["name"], visit.request.path_params["version"]
    reason = visit.form.get("reason", "").replace("\r\n", "\n").strip()
    try:
        is_approved = _VERDICTS.get(visit.form.get("verdict", ""))
        if is_approved is None:
            raise InvalidInput("press `Approve` or `Reject`")
        visit.cases.publishing.review(
            visit.call, name, version_id, is_approved=is_approved, reason=reason, seen=visit.form.get("seen", "")
        )
    except NotFound:
        raise
    except GatebookError as error:
        field = "reason" if isinstance(error, InvalidInput) else None
        return shown(_page(visit, errors=(FieldError(message=str(error), field=field),), given=reason), error.status)
    notice = "approved" if is_approved else "rejected"
    return leave_for(address(f"/tool-versions/{name}/{version_id}", notice=notice))


def _page(
    visit: Visit, *, notice: str | None = None, errors: tuple[FieldError, ...] = (), given: str = ""
) -> ToolVersionPage:
    publishing = visit.cases.publishing
    params = visit.request.path_params
    found = publishing.get(visit.principal, params["name"], params["version"])
    current = publishing.current(found.name)
    tool = look_at(found.name, found.content)
    before = _before(current, found)
    why_not = publishing.why_not(visit.principal, found)
    return ToolVersionPage(
        frame=visit.frame(notice),
        row=_row(found, {(current.name, current.version)} if current else set()),
        summary=tool.summary,
        seen=current.version if current else "",
        about=about_of(before, tool),
        cells=cells_of(before, tool),
        report=_report(found.report),
        why_not=why_not if found.state is VersionState.PROPOSED else None,
        verdict=_verdict(found),
        errors=errors,
        given_reason=given,
    )


def _before(current: Served | None, found: ToolVersion) -> ToolNotebook | None:
    """What it is compared with: the version in force, unless it is that one itself."""
    if current is None or current.version == found.version:
        return None
    return look_at(current.name, current.content)


def _row(found: ToolVersion, in_force: set[tuple[str, str]]) -> VersionRow:
    return VersionRow(
        name=found.name,
        title=look_at(found.name, found.content).title,
        version=found.version,
        state="in_force" if (found.name, found.version) in in_force else str(found.state),
        author=found.author.removeprefix("user:"),
        created_at=dt.datetime.fromisoformat(found.created_at),
        note=found.note,
    )


def _report(report: Any) -> CheckReport:
    return CheckReport(
        rights=str(report.get("rights", "")),
        run=str(report.get("run", "")),
        sources=tuple(report.get("sources", ())),
        tables=tuple(report.get("tables", ())),
        actions=tuple(report.get("actions", ())),
        refused=tuple(report.get("refused", ())),
        others=tuple((one["to"], one["sentence"]) for one in report.get("others", ())),
    )


def _verdict(found: ToolVersion) -> Verdict | None:
    if found.reviewer is None or found.reviewed_at is None:
        return None
    return Verdict(
        is_approved=found.state is not VersionState.REJECTED,
        reviewer=found.reviewer.removeprefix("user:"),
        reason=found.reason or "",
        at=dt.datetime.fromisoformat(found.reviewed_at),
    )
