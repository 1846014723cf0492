"""Why does a tool open at once? A kernel that has run its notebook already waits for the next viewer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any

from gatebook_server.launching import LauncherRefused
from gatebook_server.tools.catalogue import Catalogue, Tool
from gatebook_server.tools.kernels import KERNEL, ToolKernels
from gatebook_server.tools.parameters import Value
from gatebook_server.tools.rendering import Page

_log = logging.getLogger(__name__)
_REFILL_DELAY_S = 0.5


class NoKernelFree(Exception):
    """Every kernel that this service may have is in use."""


class ReadyPages:
    """Pages that wait for a viewer, by tool."""

    def __init__(
        self, kernels: ToolKernels, catalogue: Catalogue, *, begin: Callable[[Page], None], ready: int
    ) -> None:
        self._kernels = kernels
        self._catalogue = catalogue
        self._begin = begin
        self._ready = ready
        self._waiting: dict[str, list[asyncio.Task[Page]]] = {}
        self._refills: set[asyncio.Task[None]] = set()
        self._not_before: set[str] = set()
        self._is_closed = False

    def fill(self) -> None:
        """Keep pages ready for every tool."""
        for tool in self._catalogue.all():
            self._fill(tool)

    async def take(self, tool: Tool, values: Mapping[str, Value] | None = None) -> Page:
        """Return a page of exactly this version of the tool and forget it: it is handed out once.

        A page with values of its own has not run before. Raises `NoKernelFree`, `NotProven`.
        """
        page = None if values else await self._first_fit(tool)
        page = page or await self._fresh(tool, values or {})
        self._refill_later(tool.name)
        return page

    def replace(self, names: Iterable[str]) -> None:
        """Other versions of these tools are in force: what waits of the old ones ends, and the new ones get ready."""
        for name in names:
            for task in self._waiting.pop(name, []):
                self._later(self._discarded(task))
            tool = self._catalogue.find(name)
            if tool is not None:
                self._fill(tool)

    async def _discarded(self, task: asyncio.Task[Page]) -> None:
        with suppress(Exception):
            await self._discard(await task)

    async def _first_fit(self, tool: Tool) -> Page | None:
        waiting = self._waiting.setdefault(tool.name, [])
        while waiting:
            task = waiting.pop(0)
            try:
                page = await asyncio.shield(task)
            except Exception as exc:  # noqa: BLE001 - whatever kept a kernel from starting, the next may start
                _log.warning("a kernel for %s did not start: %s", tool.name, exc)
                continue
            is_current = page.tool.version == tool.version and not page.has_failed
            is_early = self._kernels.handouts.was_early(page.kernel_id)
            if is_current and not is_early and page.kernel_id in self._kernels:
                return page
            if is_early:
                # It asks for its viewer's data when it opens, so it cannot be drawn before the viewer is there.
                self._not_before.add(page.tool.version)
            await self._discard(page)
        return None

    async def _fresh(self, tool: Tool, values: Mapping[str, Value]) -> Page:
        try:
            return await self._start(tool, values)
        except LauncherRefused:
            # Kernels that wait for nobody give way to somebody who is here.
            if not await self._give_way():
                raise NoKernelFree from None
        try:
            return await self._start(tool, values)
        except LauncherRefused:
            raise NoKernelFree from None

    async def _start(self, tool: Tool, values: Mapping[str, Value]) -> Page:
        content = tool.content()
        kernel_id: str = await self._kernels.start_kernel(kernel_name=KERNEL)
        page = Page(tool, kernel_id, content=content, values=values)
        self._begin(page)
        return page

    async def _give_way(self) -> bool:
        for waiting in self._waiting.values():
            while waiting:
                with suppress(Exception):
                    await self._discard(await asyncio.shield(waiting.pop()))
                    return True
        return False

    async def _discard(self, page: Page) -> None:
        await page.aclose()
        await self._kernels.end(page.kernel_id)

    def _fill(self, tool: Tool) -> None:
        waiting = self._waiting.setdefault(tool.name, [])
        if tool.version in self._not_before:
            return
        while len(waiting) < self._ready and not self._is_closed:
            task = asyncio.create_task(self._start(tool, {}))
            task.add_done_callback(_consume)
            waiting.append(task)

    def _refill_later(self, name: str) -> None:
        async def refill() -> None:
            # Not while the page that was just handed out is being drawn.
            await asyncio.sleep(_REFILL_DELAY_S)
            tool = self._catalogue.find(name)
            if tool is not None:
                self._fill(tool)

        self._later(refill())

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._refills.add(task)
        task.add_done_callback(self._refills.discard)

    async def aclose(self) -> None:
        """Discard all that waits."""
        self._is_closed = True
        for refill in tuple(self._refills):
            refill.cancel()
        for waiting in self._waiting.values():
            while waiting:
                with suppress(Exception):
                    await self._discard(await waiting.pop())


def _consume(task: asyncio.Task[Page]) -> None:
    # A kernel that did not start is told of when a page is taken; asyncio must not complain before.
    if not task.cancelled():
        task.exception()
