"""/api/v1/runs: look at job runs, start one; claim and report them as the worker."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from gatebook_hub.gateway.answers import ClaimedDocument, RunDocument, RunsDocument
from gatebook_hub.gateway.documents import FinishDocument, ProgressDocument, RunStartDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases, answers
from gatebook_hub.web.views import run_view

router = APIRouter()
RunId = Annotated[str, Path(pattern=r"^[a-z0-9_T-]{1,120}$")]
JobName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Places = Annotated[int, Query(ge=0, le=1_000, description="How many more runs the worker has room for.")]


@router.get("/runs", operation_id="list_runs", **answers(RunsDocument))
def list_runs(cases: Cases, call: Calling) -> dict[str, Any]:
    """Runs that the caller may look at, newest first."""
    return {"runs": [run_view(run) for run in cases.jobs.find(call.principal)]}


@router.post(
    "/runs/claim",
    operation_id="claim_run",
    responses={200: {"model": ClaimedDocument}, 204: {"description": "nothing is due"}, **PROBLEM},
    response_model=None,
)
def claim_run(cases: Cases, call: Calling, places: Places = 1) -> dict[str, Any] | Response:
    """The run that waits longest, with its job and token; for the worker alone, which asks without free places too."""
    claimed = cases.jobs.claim(call, places=places)
    if claimed is None:
        return Response(status_code=204)
    job = claimed.job
    return {
        "run": run_view(claimed.run),
        "job": {"name": job.name, "notebook": job.notebook, "timeout_s": claimed.timeout_s},
        "token": claimed.token,
    }


@router.post("/jobs/{name}/runs", operation_id="start_run", **answers(RunDocument, 201))
def start_run(cases: Cases, call: Calling, name: JobName, body: RunStartDocument) -> dict[str, Any]:
    """Start a run by hand."""
    return run_view(cases.jobs.start_by_hand(call, name, body.parameters))


@router.get("/runs/{run_id}", operation_id="get_run", **answers(RunDocument))
def get_run(cases: Cases, call: Calling, run_id: RunId) -> dict[str, Any]:
    """One run."""
    return run_view(cases.jobs.get(call.principal, run_id))


@router.get(
    "/runs/{run_id}/notebook",
    operation_id="get_run_notebook",
    responses={200: {"content": {"application/x-ipynb+json": {"schema": {"type": "object"}}}}, **PROBLEM},
    response_class=Response,
)
def get_run_notebook(cases: Cases, call: Calling, run_id: RunId) -> Response:
    """The executed notebook, as a file; looking at it is in the book."""
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.ipynb"'}
    text = cases.jobs.notebook(call.principal, run_id)
    return Response(text, media_type="application/x-ipynb+json", headers=headers)


@router.post("/runs/{run_id}/progress", operation_id="report_progress", status_code=204, responses=PROBLEM)
def report_progress(cases: Cases, call: Calling, run_id: RunId, body: ProgressDocument) -> Response:
    """How far the run is; for the worker alone."""
    cases.jobs.progress(call, run_id, body.done, body.total)
    return Response(status_code=204)


@router.post("/runs/{run_id}/finish", operation_id="finish_run", status_code=204, responses=PROBLEM)
def finish_run(cases: Cases, call: Calling, run_id: RunId, body: FinishDocument) -> Response:
    """The run's report; for the worker alone."""
    error = body.error.model_dump() if body.error else None
    cases.jobs.finish(call, run_id, is_ok=body.ok, error=error, notebook=body.notebook, token=body.token)
    return Response(status_code=204)
