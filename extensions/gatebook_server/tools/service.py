"""What runs in the tools service? Its routes behind the proxy, its kernels, and their relay on loopback."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import signal
import socket
import tempfile
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.httpserver import HTTPServer
from tornado.web import Application
from traitlets.config import Config

from gatebook_server.errors import GatewayUnreachable
from gatebook_server.handlers import listen, serve_relay
from gatebook_server.launching import LocalLauncher, SocketLauncher
from gatebook_server.provisioner import KernelGate, install
from gatebook_server.relay import Relay
from gatebook_server.tokens import KernelTokens
from gatebook_server.tools.assets import Assets
from gatebook_server.tools.catalogue import Catalogue
from gatebook_server.tools.channels import kernel_routes
from gatebook_server.tools.handlers import Desk, NothingHandler, page_routes
from gatebook_server.tools.kernels import make_kernels
from gatebook_server.tools.options import Options
from gatebook_server.tools.ready import ReadyPages
from gatebook_server.tools.rendering import voila_configuration
from gatebook_server.tools.sessions import Sessions, ViewerAuth, ViewerIdentity
from gatebook_server.tools.speaking import Gateway, Speaker
from gatebook_server.tools.viewers import Handouts

_LIMIT_BODY_BYTES = 1 << 20
_HUB_CACHE_S = 10


class DenyAllAuthorizer(Authorizer):
    """Refuses whatever asks: our handlers decide for themselves, and no other handler may have a route."""

    def is_authorized(self, handler: object, user: object, action: str, resource: str) -> bool:  # noqa: ARG002
        """Say no."""
        return False


def make_auth(options: Options) -> ViewerAuth:
    """Return the login with the Hub."""
    auth = ViewerAuth(
        api_token=options.api_token,
        api_url=options.hub_api_url,
        base_url=options.prefix,
        oauth_client_id=options.client_id,
        access_scopes=set(options.access_scopes),
        cache_max_age=_HUB_CACHE_S,
        cookie_options={"samesite": "Lax"},
    )
    auth.sessions = Sessions()
    return auth


def make_application(desk: Desk) -> Application:
    """Return the application: the routes listed here are all there are."""
    identity = ViewerIdentity(hub_auth=desk.auth)
    return Application(
        [*kernel_routes(desk), *page_routes(desk, desk.assets.places)],
        default_handler_class=NothingHandler,
        default_handler_args={"desk": desk},
        base_url=desk.prefix,
        cookie_secret=secrets.token_bytes(32),
        xsrf_cookies=True,
        identity_provider=identity,
        authorizer=DenyAllAuthorizer(identity_provider=identity),
        kernel_manager=desk.kernels,
        kernel_websocket_connection_class=ZMQChannelsWebsocketConnection,
        allow_unauthenticated_access=False,
        # The proxy binds every route to the Hub's own host name.
        allow_remote_access=True,
        config=Config(),
        # Requests are in the gateway's book and in the proxy's log; addresses of pages need not be in ours.
        log_function=lambda _handler: None,
    )


async def run(options: Options, listener: socket.socket | None = None) -> None:
    """Serve until SIGTERM, on the port of the options, or on what somebody else passes on."""
    folder = tempfile.mkdtemp(prefix="gatebook-tools-")
    async with AsyncExitStack() as stack:
        stack.callback(partial(shutil.rmtree, folder, ignore_errors=True))
        tokens, handouts = KernelTokens(), Handouts()
        gateway = Gateway(options.gateway_url, options.api_token)
        stack.push_async_callback(gateway.aclose)
        auth = make_auth(options)
        speaker = Speaker(handouts=handouts, sessions=auth.sessions, service_token=options.api_token)
        # A port of its own, which the proxy does not know: no browser can reach the relay.
        sockets, url = listen()
        relay = Relay(
            gateway_url=options.gateway_url,
            tokens=tokens,
            credentials=speaker.credentials,
            provenance=speaker.provenance,
        )
        stack.push_async_callback(serve_relay(relay, sockets=sockets, url=url).aclose)
        kernels = make_kernels(options, folder=folder)
        kernels.watch(handouts, vanished_s=options.vanished_s, on_end=tokens.revoke)
        launcher = SocketLauncher(options.launcher) if options.launcher is not None else LocalLauncher()
        install(KernelGate(url=url, tokens=tokens, launcher=launcher), parent=kernels)
        stack.push_async_callback(kernels.shutdown_all, now=True)
        catalogue = Catalogue(gateway, Path(folder) / "versions")
        assets = Assets.find()
        configuration = voila_configuration(assets.address(options.prefix))
        ready = ReadyPages(
            kernels,
            catalogue,
            begin=lambda page: page.begin(
                kernels, prefix=options.prefix, assets=assets.address(options.prefix), configuration=configuration
            ),
            ready=options.ready,
            spare=options.spare,
            seats=options.seats,
        )
        stack.push_async_callback(ready.aclose)
        desk = Desk(
            prefix=options.prefix, assets=assets, auth=auth, catalogue=catalogue, gateway=gateway, ready=ready,
            kernels=kernels, handouts=handouts, per_viewer=options.per_viewer, process=options.process,
        )  # fmt: skip
        server = HTTPServer(make_application(desk), xheaders=True, max_body_size=_LIMIT_BODY_BYTES)
        if listener is None:
            server.listen(options.port, "127.0.0.1")
        else:
            server.add_socket(listener)
        stack.push_async_callback(server.close_all_connections)
        stack.callback(server.stop)
        looking = asyncio.create_task(_look(catalogue, ready, options.look_s))
        stack.callback(looking.cancel)
        logging.getLogger(__name__).info("tools at 127.0.0.1:%s%s", options.port, options.prefix)
        await _stopped()


async def _look(catalogue: Catalogue, ready: ReadyPages, look_s: float) -> None:
    """Ask the gateway again and again which versions are in force."""
    is_away = False
    while True:
        try:
            ready.replace(await catalogue.refresh())
            ready.fill()
            is_away = False
        except GatewayUnreachable as exc:
            if not is_away:
                logging.getLogger(__name__).warning("%s", exc)
            is_away = True
        await asyncio.sleep(look_s)


async def _stopped() -> None:
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    await stopped.wait()
