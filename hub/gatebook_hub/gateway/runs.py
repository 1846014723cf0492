"""/api/v1/runs: look at job runs, start one; claim and report them as the worker."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from gatebook_hub.gateway.documents import FinishDocument, ProgressDocument, RunStartDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases
from gatebook_hub.gateway.views import run_view

router = APIRouter()
RunId = Annotated[str, Path(pattern=r"^[a-z0-9_T-]{1,120}$")]
JobName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


@router.get("/runs", operation_id="list_runs", responses=PROBLEM)
def list_runs(cases: Cases, call: Calling) -> dict[str, Any]:
    """Runs that the caller may look at, newest first."""
    return {"runs": [run_view(run) for run in cases.jobs.find(call.principal)]}


@router.post("/runs/claim", operation_id="claim_run", responses={204: {"description": "nothing is due"}, **PROBLEM})
def claim_run(cases: Cases, call: Calling, response: Response) -> Any:  # noqa: ANN401 - an object or nothing
    """The next due run with its job and token; for the worker alone."""
    claimed = cases.jobs.claim(call)
    if claimed is None:
        return Response(status_code=204)
    job = claimed.job
    response.headers["Cache-Control"] = "no-store"
    return {
        "run": run_view(claimed.run),
        "job": {"name": job.name, "notebook": job.notebook, "timeout_s": job.timeout_s},
        "token": claimed.token,
    }


@router.post("/jobs/{name}/runs", operation_id="start_run", status_code=201, responses=PROBLEM)
def start_run(cases: Cases, call: Calling, name: JobName, body: RunStartDocument) -> dict[str, Any]:
    """Start a run by hand."""
    return run_view(cases.jobs.start_by_hand(call, name, body.parameters))


@router.get("/runs/{run_id}", operation_id="get_run", responses=PROBLEM)
def get_run(cases: Cases, call: Calling, run_id: RunId) -> dict[str, Any]:
    """One run."""
    return run_view(cases.jobs.get(call.principal, run_id))


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
