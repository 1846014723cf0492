"""A tools service without a Hub: its real application, on a free port, with nobody logged in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from gatebook_server.tools.catalogue import Catalogue
from gatebook_server.tools.handlers import Desk
from gatebook_server.tools.kernels import make_kernels
from gatebook_server.tools.options import Options
from gatebook_server.tools.ready import ReadyPages
from gatebook_server.tools.service import make_application, make_auth
from gatebook_server.tools.speaking import Gateway
from gatebook_server.tools.viewers import Handouts

HUB = {
    "JUPYTERHUB_API_TOKEN": "service-secret",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
    "JUPYTERHUB_CLIENT_ID": "service-tools",
    "JUPYTERHUB_SERVICE_PREFIX": "/services/tools/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:8083",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:services!service=tools"]',
}


def notebook(**described: Any) -> str:
    about = {"title": "Customer desk", "summary": "Refunds.", "owner": "operations", "kind": "tool", "sources": []}
    metadata = {"gatebook": {**about, **described}}
    return json.dumps({"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """The folder of a tool's notebook."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "customer_desk.ipynb").write_text(notebook())
    return folder


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options.read(["--notebooks", str(tmp_path)], dict(HUB))


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a test needs of the service."""

    desk: Desk
    application: Application
    url: str


@pytest_asyncio.fixture
async def service(options: Options, tools: Path, tmp_path: Path) -> AsyncIterator[Service]:
    handouts = Handouts()
    kernels = make_kernels(options, folder=str(tmp_path))
    kernels.watch(handouts, vanished_s=options.vanished_s, on_end=lambda _kernel_id: None)
    catalogue, gateway = Catalogue(tools), Gateway("http://127.0.0.1:9")
    ready = ReadyPages(kernels, catalogue, begin=lambda _page: None, ready=0)
    desk = Desk(
        prefix=options.prefix, auth=make_auth(options), catalogue=catalogue, gateway=gateway, ready=ready,
        kernels=kernels, handouts=handouts, per_viewer=2,
    )  # fmt: skip
    application = make_application(desk)
    server = HTTPServer(application)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    yield Service(desk=desk, application=application, url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}")
    server.stop()
    await server.close_all_connections()
    await ready.aclose()
    await gateway.aclose()
