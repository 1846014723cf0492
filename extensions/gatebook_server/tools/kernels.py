"""How do tools' kernels live and end? None restarts, none outlives its page for long, none runs code on request."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from traitlets.config import Config

from gatebook_server.tools.options import Options
from gatebook_server.tools.viewers import Handouts

# What widgets need, and nothing else: no request to run, complete, inspect, debug or shut down anything.
ALLOWED_MESSAGES = ("comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request")
KERNEL = "python3"
# What notebooks of tools import, and what that imports later, on the first call of the gate.
LOADED = ("pandas", "pyarrow", "ipywidgets", "IPython.display", "gatebook", "gatebook_widgets")
# Leaves no name behind, and touches nothing but modules: whoever gets the kernel cannot tell whether it waited.
_LOAD = f"[__import__(name) for name in {LOADED!r}] and None"
_START_S = 60
_CULL_INTERVAL_S = 30


class QuietKernel(ServerKernelManager):
    """One kernel. An error inside of it must not end what its page hears."""

    @property
    def traceback_replacement_message(self) -> str:
        """What a page is told instead of a traceback; jupyter-server looks for it here, and has it at the parent."""
        assert self.parent is not None
        return str(self.parent.traceback_replacement_message)


class NotLoaded(Exception):
    """A kernel could not load what tools need."""


class ToolKernel:
    """One kernel of this service, from the moment it is wanted, and the channels by which its notebook is run."""

    def __init__(self, kernels: ToolKernels, *, is_loaded: bool) -> None:
        self.id = str(uuid.uuid4())
        self._channels: AsyncKernelClient | None = None
        self._start = asyncio.create_task(self._started(kernels, is_loaded=is_loaded))
        self._start.add_done_callback(_consume)

    @property
    def has_started(self) -> bool:
        """Whether it can be used at once."""
        return self._start.done() and not self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether it did not start."""
        return self._start.done() and (self._start.cancelled() or self._start.exception() is not None)

    async def channels(self) -> AsyncKernelClient:
        """Return its channels once it has started; raises what kept it from starting."""
        return await asyncio.shield(self._start)

    async def settle(self) -> None:
        """Wait until it has started, or has not."""
        await asyncio.wait({self._start})

    def close(self) -> None:
        """Close the channels; the kernel is not touched."""
        if self._channels is not None:
            self._channels.stop_channels()
            self._channels = None

    async def _started(self, kernels: ToolKernels, *, is_loaded: bool) -> AsyncKernelClient:
        # By this name, which is Voila's, the client knows that a page shows its widgets.
        environment = {**os.environ, "VOILA_KERNEL_ID": self.id}
        try:
            await kernels.start_kernel(kernel_id=self.id, kernel_name=KERNEL, env=environment)
        except BaseException:
            # Or the manager would look for it when it ends all kernels.
            kernels._pending_kernels.pop(self.id, None)  # noqa: SLF001
            raise
        manager: Any = kernels.get_kernel(self.id)
        channels: AsyncKernelClient = manager.client()
        # Its manager knows whether it lives, and nobody types into it.
        channels.start_channels(stdin=False, hb=False)
        channels.allow_stdin = False
        self._channels = channels
        await channels.wait_for_ready(timeout=_START_S)
        if is_loaded:
            reply = await channels.execute(_LOAD, silent=True, store_history=False, reply=True, timeout=_START_S)
            if reply["content"]["status"] != "ok":
                message = f"a kernel did not load what tools need: {reply['content'].get('evalue')}"
                raise NotLoaded(message)
        return channels


class ToolKernels(AsyncMappingKernelManager):
    """The kernels of this service."""

    handouts: Handouts
    vanished_s: int
    on_end: Callable[[str], None]

    def watch(self, handouts: Handouts, *, vanished_s: int, on_end: Callable[[str], None]) -> None:
        """Say to whom kernels belong, and whom to tell of their end."""
        self.handouts, self.vanished_s, self.on_end = handouts, vanished_s, on_end
        self._seen: dict[str, float] = {}
        self._begun: dict[str, ToolKernel] = {}

    @property
    def count(self) -> int:
        """How many there are, those that start among them."""
        return len(self._begun)

    def begin(self, *, is_loaded: bool = False) -> ToolKernel:
        """Begin to start a kernel; one that `is_loaded` imports what tools need, and then waits."""
        kernel = ToolKernel(self, is_loaded=is_loaded)
        self._begun[kernel.id] = kernel
        return kernel

    def remove_kernel(self, kernel_id: str) -> Any:
        """Whatever ended it: it belongs to nobody from now on."""
        self.handouts.forget(kernel_id)
        self._seen.pop(kernel_id, None)
        self._forget(kernel_id)
        self.on_end(kernel_id)
        return super().remove_kernel(kernel_id)

    def _forget(self, kernel_id: str) -> None:
        kernel = self._begun.pop(kernel_id, None)
        if kernel is not None:
            kernel.close()

    async def end(self, kernel_id: str) -> None:
        """End a kernel at once; one that has ended already is fine, one that still starts ends when it has."""
        self.handouts.forget(kernel_id)
        kernel = self._begun.get(kernel_id)
        if kernel is not None:
            await kernel.settle()
        if kernel_id in self:
            await ensure_async(self.shutdown_kernel(kernel_id, now=True))  # type: ignore[no-untyped-call]
        self._forget(kernel_id)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel whose page is gone or unused; those that still wait for a page stay."""
        if self.handouts.find(kernel_id) is None:
            return
        now = time.monotonic()
        if self._kernel_connections.get(kernel_id, 0) > 0:
            self._seen[kernel_id] = now
        elif now - self._seen.setdefault(kernel_id, now) > self.vanished_s:
            self.log.info("the page of kernel %s is gone", kernel_id)
            await self.end(kernel_id)
            return
        await super().cull_kernel_if_idle(kernel_id)  # type: ignore[no-untyped-call]


def _consume(task: asyncio.Task[AsyncKernelClient]) -> None:
    # A kernel that did not start is told of when it is wanted; asyncio must not complain before.
    if not task.cancelled():
        task.exception()


def make_kernels(options: Options, *, folder: str) -> ToolKernels:
    """Return the manager; connection files go to the private `folder`, which is also where local kernels start."""
    config = Config()
    config.MappingKernelManager.cull_idle_timeout = options.idle_s
    config.MappingKernelManager.cull_interval = min(_CULL_INTERVAL_S, options.idle_s, options.vanished_s)
    config.MappingKernelManager.cull_connected = True
    config.MappingKernelManager.cull_busy = False
    config.MappingKernelManager.allow_tracebacks = False
    config.MultiKernelManager.kernel_manager_class = f"{__name__}.QuietKernel"
    config.MappingKernelManager.transport_encryption = "required"
    # A kernel that dies stays dead: a fresh one under the same id would be an empty page.
    config.KernelRestarter.restart_limit = 0
    config.KernelManager.transport_encryption = "required"
    return ToolKernels(  # type: ignore[no-untyped-call]
        config=config,
        connection_dir=folder,
        root_dir=folder,
        kernel_spec_manager=KernelSpecManager(allowed_kernelspecs={KERNEL}, ensure_native_kernel=True),
        allowed_message_types=list(ALLOWED_MESSAGES),
        default_kernel_name=KERNEL,
    )
