"""Which jobs ran, how far are they, and what did their notebooks show?"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from starlette.responses import Response

from gatebook_hub.errors import GatebookError, NotFound
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.notebooks import HTML_HEADERS, html_of
from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.change import Parameter
from gatebook_hub.portal.pages.frame import Downloads, Pager, Tab, address
from gatebook_hub.portal.pages.runs import CellFailure, Progress, RunPage, RunRow, RunsPage
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.stores.runs import Run, RunState
from gatebook_hub.web.views import run_view

PAGE_ROWS = 50
COLUMNS = (
    "id", "job", "state", "trigger", "scheduled_for", "started_at", "finished_at", "attempt", "cells_done",
    "cells_total", "parameters", "error",
)  # fmt: skip
_TITLES = {
    "": "All", "due": "Due", "running": "Running", "succeeded": "Succeeded", "failed": "Failed", "skipped": "Skipped",
}  # fmt: skip


def runs(visit: Visit) -> Response:
    """GET /runs, /runs.json and /runs.csv; `job` and `state` narrow the list."""
    job, state, after = visit.asked("job")[:64], visit.asked("state"), visit.asked("after")
    if state not in _TITLES:
        raise NotFound("there is no such list")
    found = [run for run in visit.cases.jobs.find(visit.principal) if job in {"", run.job} and state in {"", run.state}]
    path = visit.request.url.path
    if path.endswith(".json"):
        return json_download({"runs": [run_view(run) for run in found]})
    if path.endswith(".csv"):
        return csv_download("runs", COLUMNS, [run_view(run) for run in found])
    start = next((place + 1 for place, run in enumerate(found) if run.id == after), 0)
    rows = found[start : start + PAGE_ROWS]
    has_more = start + PAGE_ROWS < len(found)
    page = RunsPage(
        frame=visit.frame(),
        tabs=tuple(
            Tab(title=title, url=address("/runs", job=job, state=name), is_current=name == state)
            for name, title in _TITLES.items()
        ),
        runs=tuple(_row(visit, run) for run in rows),
        pager=Pager(older_url=address("/runs", job=job, state=state, after=rows[-1].id) if has_more else None),
        downloads=Downloads(
            json_url=address("/runs.json", job=job, state=state), csv_url=address("/runs.csv", job=job, state=state)
        ),
    )
    return shown(page)


def run(visit: Visit) -> Response:
    """GET /runs/{id}."""
    found = visit.cases.jobs.get(visit.principal, visit.request.path_params["id"])
    job = visit.cases.gate.policy.jobs.get(found.job)
    page = RunPage(
        frame=visit.frame(),
        run=_row(visit, found),
        principal=f"job:{found.job}",
        notebook=job.notebook if job else "no longer declared",
        parameters=tuple(Parameter(name=name, value=cell_of(value)) for name, value in found.parameters.items()),
        attempt=found.attempt,
        attempts_allowed=max(found.attempt, job.retries + 1 if job else 1),
        schedule=f"{job.cron} ({job.zone})" if job else None,
        finished_at=_time(found.finished_at),
        failure=_failure(found),
        downloads=Downloads(json_url=f"/api/v1/runs/{found.id}"),
        notebook_url=f"/runs/{found.id}/notebook" if _has_notebook(visit, found.id) else None,
    )
    return shown(page)


def notebook(visit: Visit) -> Response:
    """GET /runs/{id}/notebook: the executed notebook to be read, in a sandbox without scripts."""
    document = _notebook(visit)
    return Response(html_of(document), media_type="text/html; charset=utf-8", headers=HTML_HEADERS)


def notebook_file(visit: Visit) -> Response:
    """GET /runs/{id}/notebook.ipynb: the same as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{visit.request.path_params["id"]}.ipynb"'}
    return Response(_notebook(visit), media_type="application/x-ipynb+json", headers=headers)


def _notebook(visit: Visit) -> str:
    return visit.cases.jobs.notebook(visit.principal, visit.request.path_params["id"])


def _has_notebook(visit: Visit, run_id: str) -> bool:
    try:
        visit.cases.jobs.notebook(visit.principal, run_id)
    except GatebookError:
        return False
    return True


def _row(visit: Visit, found: Run) -> RunRow:
    job = visit.cases.gate.policy.jobs.get(found.job)
    due, started, finished = _time(found.scheduled_for), _time(found.started_at), _time(found.finished_at)
    assert due is not None
    ended = finished or (visit.cases.gate.now() if found.state is RunState.RUNNING else None)
    return RunRow(
        id=found.id,
        job=found.job,
        title=f"{job.title if job else found.job}, {due.day} {due:%B %Y}",
        state=str(found.state),
        due_at=due,
        started_at=started,
        duration_s=(ended - started).total_seconds() if started and ended else None,
        progress=Progress(done=found.cells_done, total=found.cells_total) if found.cells_total else None,
    )


def _failure(found: Run) -> CellFailure | None:
    if not found.error:
        return None
    error: dict[str, Any] = dict(found.error)
    cell = error.get("cell")
    return CellFailure(
        number=cell if isinstance(cell, int) else None,
        source=_text(error.get("source")),
        error_name=_text(error.get("name")),
        error_text=_text(error.get("message")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
