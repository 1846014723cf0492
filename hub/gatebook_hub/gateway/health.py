"""Is the gateway alive, ready, and what has it done: /healthz, /readyz, /metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gatebook_hub.errors import GatebookError, NotPermitted
from gatebook_hub.gateway.answers import StatusDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases
from gatebook_hub.policy import may_read_metrics

router = APIRouter()
READINESS: dict[int | str, dict[str, Any]] = {
    200: {"model": StatusDocument, "description": "ready"},
    503: {"model": StatusDocument, "description": "not ready"},
}


@router.get("/healthz", operation_id="get_health")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="get_readiness", responses=READINESS, response_model=None)
def readyz(cases: Cases) -> JSONResponse:
    """The book can be read and the policy is in force; a source that is down does not stop the others."""
    try:
        cases.auditing.checkpoint()
    except GatebookError:
        return JSONResponse({"status": "the book is not ready"}, status_code=503)
    return JSONResponse({"status": "ok"})


@router.get("/metrics", operation_id="get_metrics", responses=PROBLEM, response_class=PlainTextResponse)
def metrics(cases: Cases, call: Calling) -> PlainTextResponse:
    """Prometheus metrics, for those whom a grant lets read them."""
    if not may_read_metrics(cases.gate.policy, call.principal, cases.gate.circumstances()):
        raise NotPermitted("the metrics are not for you", ask="a grant with `metrics: true`")
    return PlainTextResponse(generate_latest().decode(), media_type=CONTENT_TYPE_LATEST)
