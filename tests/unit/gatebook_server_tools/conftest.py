"""A tools service without a Hub: its real application, on a free port, with nobody logged in."""

from __future__ import annotations

import hashlib
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

from gatebook_server.tools.assets import Assets
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


class Shelf:
    """What is in force, as a gateway would say; `lies` gives another text under a version."""

    def __init__(self, **tools: str) -> None:
        self.tools = dict(tools)
        self.versions = {name: version_of(text) for name, text in tools.items()}
        self.fetched: list[str] = []

    def put(self, name: str, text: str, *, version: str | None = None) -> None:
        """Put a notebook in force."""
        self.tools[name] = text
        self.versions[name] = version or version_of(text)

    async def in_force(self) -> dict[str, str]:
        return dict(self.versions)

    async def notebook(self, name: str, version: str) -> str:
        self.fetched.append(f"{name}@{version}")
        return self.tools[name]


def version_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def shelf() -> Shelf:
    """One tool in force."""
    return Shelf(customer_desk=notebook(parameters={"customer": {"type": "integer", "minimum": 1}}))


@pytest_asyncio.fixture
async def catalogue(shelf: Shelf, tmp_path: Path) -> Catalogue:
    made = Catalogue(shelf, tmp_path / "versions")
    await made.refresh()
    return made


@pytest.fixture
def options() -> Options:
    return Options.read([], dict(HUB))


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a test needs of the service."""

    desk: Desk
    application: Application
    url: str


@pytest_asyncio.fixture
async def service(options: Options, catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[Service]:
    handouts = Handouts()
    kernels = make_kernels(options, folder=str(tmp_path))
    kernels.watch(handouts, vanished_s=options.vanished_s, on_end=lambda _kernel_id: None)
    gateway = Gateway("http://127.0.0.1:9")
    ready = ReadyPages(kernels, catalogue, begin=lambda _page: None, ready=0)
    desk = Desk(
        prefix=options.prefix, assets=Assets.find(), auth=make_auth(options), catalogue=catalogue, gateway=gateway,
        ready=ready, kernels=kernels, handouts=handouts, per_viewer=2,
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
