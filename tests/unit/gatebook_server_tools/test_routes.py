"""Which requests does the service answer? Exactly the listed ones, and to nobody who has not logged in."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.unit.gatebook_server_tools.conftest import Service
from tornado.httpclient import HTTPClientError
from tornado.routing import PathMatches, Rule
from tornado.websocket import websocket_connect

from gatebook_server.tools.handlers import NothingHandler
from gatebook_server.tools.kernels import ALLOWED_MESSAGES

KERNEL = "00000000-0000-4000-8000-000000000000"
ROUTES = {
    r"/services/tools/": "IndexHandler",
    r"/services/tools/logout": "LogoutHandler",
    r"/services/tools/oauth_callback": "CallbackHandler",
    r"/services/tools/static/DIGEST/page/(.+)": "AssetHandler",
    r"/services/tools/static/DIGEST/voila/(.+)": "AssetHandler",
    r"/services/tools/static/DIGEST/labextensions/(.+)": "AssetHandler",
    r"/services/tools/([a-z][a-z0-9_]*)": "ToolHandler",
    r"/services/tools/api/kernels/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})": "KernelHandler",
    r"/services/tools/api/kernels/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/channels": "ChannelsHandler",
    r"/services/tools/voila/api/shutdown/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})": "ShutdownHandler",
}
NOWHERE = [
    "/",
    "/lab",
    "/tree",
    "/api",
    "/services/tools",
    "/services/tools/lab",
    "/services/tools/tree",
    "/services/tools/lab/api/settings",
    "/services/tools/api/contents",
    "/services/tools/api/contents/customer_desk.ipynb",
    "/services/tools/api/kernels",
    "/services/tools/api/sessions",
    "/services/tools/api/terminals",
    "/services/tools/api/kernelspecs",
    f"/services/tools/api/kernels/{KERNEL}/restart",
    f"/services/tools/api/kernels/{KERNEL}/interrupt",
    f"/services/tools/voila/query/{KERNEL}",
    f"/services/tools/voila/execution/{KERNEL}",
    "/services/tools/voila/files/customer_desk.ipynb",
    "/services/tools/voila/tree",
    "/services/tools/voila/render/customer_desk.ipynb",
    "/services/tools/voila/templates/base/static/voila.js",
    "/services/tools/voila/static/voila.js",
    "/services/tools/static/page.js",
    "/services/tools/static/0123456789abcdef0123/page/page.js",
    "/services/tools/voila/api/contents",
    "/services/tools/voila/api/themes/x",
    "/services/tools/gatebook/api/v1/me",
    "/services/tools/files/x",
    "/services/tools/metrics",
    "/services/tools/customer_desk.ipynb",
    "/services/tools/login",
    "/services/tools/customer_desk/",
    "/services/tools//customer_desk",
]
WALLED = [
    "/services/tools/", "/services/tools/customer_desk", "/services/tools/logout",
    "/services/tools/static/DIGEST/page/page.js", "/services/tools/static/DIGEST/voila/voila.js",
    "/services/tools/static/DIGEST/labextensions/x.js", f"/services/tools/api/kernels/{KERNEL}",
]  # fmt: skip


def rules(service: Service) -> list[Rule]:
    return [rule for rule in service.application.wildcard_router.rules if isinstance(rule.matcher, PathMatches)]


def test_there_are_no_other_routes(service: Service) -> None:
    """A new route, ours or Voila's, has to be written down here."""
    found = {rule.matcher.regex.pattern.removesuffix("$"): rule.target.__name__ for rule in rules(service)}
    digest = service.desk.assets.digest
    assert re.fullmatch(r"[0-9a-f]{20}", digest)
    assert found == {pattern.replace("DIGEST", digest): name for pattern, name in ROUTES.items()}
    assert service.application.settings["default_handler_class"] is NothingHandler
    assert all(rule.target.__module__.startswith("gatebook_server.tools.") for rule in rules(service))


def test_only_widget_messages_reach_a_kernel(service: Service) -> None:
    assert service.desk.kernels.allowed_message_types == list(ALLOWED_MESSAGES)
    assert set(ALLOWED_MESSAGES) == {"comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request"}


@pytest.mark.parametrize("path", NOWHERE)
async def test_there_is_nothing_else(service: Service, path: str) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = await client.request(method, path)
            assert answer.status_code in {302, 403, 404}, (method, answer.status_code)
            if answer.status_code == 302:
                # One word could be a tool's name: a stranger is sent to log in before they learn that there is none.
                assert re.fullmatch(r"/services/tools/[a-z]+", path)
                assert answer.headers["Location"].startswith("/hub/api/oauth2/authorize")


@pytest.mark.parametrize("path", WALLED)
async def test_a_stranger_has_to_log_in(service: Service, path: str) -> None:
    path = path.replace("DIGEST", service.desk.assets.digest)
    async with httpx.AsyncClient(base_url=service.url) as client:
        answer = await client.get(path)
        assert answer.status_code in {302, 403}
        if answer.status_code == 302:
            assert answer.headers["Location"].startswith("/hub/api/oauth2/authorize")
            assert "code_challenge=" in answer.headers["Location"]
        for more in ({"Authorization": "token service-secret"}, {"Authorization": "Bearer service-secret"}):
            assert (await client.get(path, headers=more)).status_code in {302, 403}
        assert (await client.get(path, params={"token": "service-secret"})).status_code in {302, 403}


async def test_a_stranger_opens_no_websocket(service: Service) -> None:
    address = f"{service.url.replace('http', 'ws', 1)}/services/tools/api/kernels/{KERNEL}/channels"
    with pytest.raises(HTTPClientError) as refused:
        await websocket_connect(address)
    assert refused.value.code == 403


async def test_answers_carry_what_browsers_need(service: Service) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        for path in ("/services/tools/", "/services/tools/nothing/here"):
            headers = (await client.get(path)).headers
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "'unsafe-eval'" not in headers["Content-Security-Policy"]
            assert re.search(r"script-src 'self';", headers["Content-Security-Policy"])
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert headers["Cache-Control"] == "no-store"
            assert "Server" not in headers
