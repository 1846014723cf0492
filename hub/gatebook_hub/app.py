"""How is the gateway's web application put together?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
import pyarrow as pa
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gatebook_hub.gateway import (
    audit,
    catalogue,
    changes,
    health,
    runs,
    saved,
    search,
    statements,
    tools,
    transactions,
)
from gatebook_hub.portal import routes as portal
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.delivering import Postman
from gatebook_hub.services.gate import Gate
from gatebook_hub.services.keeping import Keeper
from gatebook_hub.services.opening import OPERATOR, start
from gatebook_hub.services.reloading import Reloading, Watcher
from gatebook_hub.sources.arrow import batch_of
from gatebook_hub.web import problems
from gatebook_hub.web.authentication import Doorman
from gatebook_hub.web.held import Held
from gatebook_hub.web.hub import open_hub
from gatebook_hub.web.metrics import Metered, notice_counted, policy_told
from gatebook_hub.web.shield import Shield

_THREADS = 256


def make_api() -> FastAPI:
    """The API's routes, without anything behind them; the OpenAPI document is made from here."""
    app = FastAPI(
        title="Gatebook",
        version="1",
        description="One audited gate in front of databases.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    for module in (statements, transactions, changes, catalogue, saved, search, audit, runs, tools):
        app.include_router(module.router, prefix="/api/v1")
    app.include_router(health.router)
    problems.install(app)
    return app


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the API."""
    return make_api().openapi()


def make_app(gate: Gate) -> ASGIApp:
    """The whole application over an open gate."""
    cases = start(gate)
    settings = gate.settings
    app = make_api()
    watcher = Watcher(gate, Reloading(gate, policy_told), OPERATOR)
    gate.notices.counted = notice_counted
    keeper, postman = Keeper(cases.changes, OPERATOR), Postman(gate)
    app.router.lifespan_context = partial(_lifespan, watcher, keeper, postman, cases)
    hub = open_hub(settings)
    app.state.cases = cases
    app.state.doorman = Doorman(cases, hub)
    portal.install(app, cases, hub)
    app.add_middleware(Metered)
    app.add_middleware(Held, in_force=gate.in_force)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
        )
    hosts = {settings.portal_host, settings.gateway_bind, "127.0.0.1"}
    return Shield(app, hosts=hosts, limit_body_bytes=settings.limit_body_bytes, is_tls=settings.is_tls)


@asynccontextmanager
async def _lifespan(
    watcher: Watcher, keeper: Keeper, postman: Postman, cases: UseCases, _: FastAPI
) -> AsyncIterator[None]:
    # Each waiting card and each streaming read holds a thread; 40 would be few.
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    # pyarrow imports pandas at its first conversion: half a second that the first caller need not wait for.
    batch_of(pa.schema([("warm", pa.string())]), [("up",)])
    watcher.start()
    keeper.start()
    postman.start()
    yield
    postman.stop()
    keeper.stop()
    watcher.stop()
    cases.transactions.close()
