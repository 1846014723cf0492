"""How does the kernel of a run reach the gateway? Through a relay beside it that adds the run's token."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gatebook_hub.worker.orders import Order
from gatebook_server.handlers import listen, serve_relay
from gatebook_server.launching import (
    KernelLauncher,
    KernelProcess,
    KernelStart,
    LauncherRefused,
    LocalLauncher,
    SocketLauncher,
)
from gatebook_server.provisioner import KernelGate, install
from gatebook_server.relay import Relay
from gatebook_server.tokens import KernelTokens

_SLOT_WAIT_S = 20.0
_SLOT_RETRY_S = 0.5


class PatientLauncher:
    """Asks again for a while: the account of the run before is given back only once it has been cleared."""

    is_local = False

    def __init__(self, launcher: KernelLauncher) -> None:
        self._launcher = launcher

    def start(self, kernel: KernelStart) -> KernelProcess:
        """Start the kernel; raises LauncherRefused."""
        deadline = time.monotonic() + _SLOT_WAIT_S
        while True:
            try:
                return self._launcher.start(kernel)
            except LauncherRefused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_SLOT_RETRY_S)


@contextmanager
def relay(order: Order, provenance: Callable[[], Mapping[str, object]]) -> Iterator[str]:
    """Have all kernels of this process start clean and reach the gateway as the run; gives the relay's address.

    The relay has a thread and an event loop of its own: papermill keeps the main thread busy, and the kernel must be
    started from there, since it ends with the thread that started it.
    """
    tokens = KernelTokens()
    sockets, url = listen()

    async def credentials(kernel_id: str) -> Mapping[str, str]:  # noqa: ARG001 - one run, one identity
        return {"Authorization": f"Bearer {order.token}"}

    def make() -> Relay:
        return Relay(
            gateway_url=order.gateway_url,
            tokens=tokens,
            credentials=credentials,
            provenance=lambda _kernel_id: provenance(),
        )

    loop, stop, is_up = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    thread = threading.Thread(target=_serve, args=(loop, make, sockets, url, is_up, stop), name="relay", daemon=True)
    thread.start()
    is_up.wait()
    launcher = PatientLauncher(SocketLauncher(order.launcher)) if order.launcher else LocalLauncher()
    install(KernelGate(url=url, tokens=tokens, launcher=launcher))
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _serve(
    loop: asyncio.AbstractEventLoop,
    make: Callable[[], Relay],
    sockets: list[Any],
    url: str,
    is_up: threading.Event,
    stop: asyncio.Event,
) -> None:
    async def serve() -> None:
        server = serve_relay(make(), sockets=sockets, url=url)
        is_up.set()
        await stop.wait()
        await server.aclose()

    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(serve())
    finally:
        # Were it not for this, a relay that does not start would hold the run for ever.
        is_up.set()
        loop.close()
