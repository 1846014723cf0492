"""How do tools' kernels live and end? None restarts, none outlives its page for long, none runs code on request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from traitlets.config import Config

from gatebook_server.tools.options import Options
from gatebook_server.tools.viewers import Handouts

# What widgets need, and nothing else: no request to run, complete, inspect, debug or shut down anything.
ALLOWED_MESSAGES = ("comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request")
KERNEL = "python3"
_CULL_INTERVAL_S = 30


class ToolKernel(ServerKernelManager):
    """One kernel. An error inside of it must not end what its page hears."""

    @property
    def traceback_replacement_message(self) -> str:
        """What a page is told instead of a traceback; jupyter-server looks for it here, and has it at the parent."""
        assert self.parent is not None
        return str(self.parent.traceback_replacement_message)


class ToolKernels(AsyncMappingKernelManager):
    """The kernels of this service."""

    handouts: Handouts
    vanished_s: int
    on_end: Callable[[str], None]

    def watch(self, handouts: Handouts, *, vanished_s: int, on_end: Callable[[str], None]) -> None:
        """Say to whom kernels belong, and whom to tell of their end."""
        self.handouts, self.vanished_s, self.on_end = handouts, vanished_s, on_end
        self._seen: dict[str, float] = {}

    def remove_kernel(self, kernel_id: str) -> Any:
        """Whatever ended it: it belongs to nobody from now on."""
        self.handouts.forget(kernel_id)
        self._seen.pop(kernel_id, None)
        self.on_end(kernel_id)
        return super().remove_kernel(kernel_id)

    async def end(self, kernel_id: str) -> None:
        """End a kernel at once; one that has ended already is fine."""
        self.handouts.forget(kernel_id)
        if kernel_id in self:
            await ensure_async(self.shutdown_kernel(kernel_id, now=True))  # type: ignore[no-untyped-call]

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


def make_kernels(options: Options, *, folder: str) -> ToolKernels:
    """Return the manager; connection files go to the private `folder`, which is also where local kernels start."""
    config = Config()
    config.MappingKernelManager.cull_idle_timeout = options.idle_s
    config.MappingKernelManager.cull_interval = min(_CULL_INTERVAL_S, options.idle_s, options.vanished_s)
    config.MappingKernelManager.cull_connected = True
    config.MappingKernelManager.cull_busy = False
    config.MappingKernelManager.allow_tracebacks = False
    config.MultiKernelManager.kernel_manager_class = f"{__name__}.ToolKernel"
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
