"""Why does a tool open at once? What takes long was done before anybody came.

Two things wait for viewers. A **page** waits in a kernel that has run its notebook, for tools that draw the same for
everybody. A **spare** is a kernel that has loaded what every tool needs and has run no cell: for a page with values in
its address, and for a tool that asks for its viewer's data when it opens. Either is handed out once, and forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from gatebook_server.tools.catalogue import Catalogue, NotProven, Tool
from gatebook_server.tools.kernels import ToolKernel, ToolKernels
from gatebook_server.tools.parameters import Value
from gatebook_server.tools.rendering import Page
from gatebook_server.tools.viewers import Handout, Viewer

_log = logging.getLogger(__name__)
# Not while the page that was just handed out is being drawn.
_REFILL_DELAY_S = 1.0
_FAILED_PAUSE_S = 10.0


class NoKernelFree(Exception):
    """Every kernel that this service may have is in use."""


class ReadyPages:
    """What waits for a viewer. `seats` are the kernels that there may be at once, None without such a bound."""

    def __init__(
        self,
        kernels: ToolKernels,
        catalogue: Catalogue,
        *,
        begin: Callable[[Page], None],
        ready: int,
        spare: int = 0,
        seats: int | None = None,
    ) -> None:
        self._kernels = kernels
        self._catalogue = catalogue
        self._begin = begin
        self._ready = ready
        self._spare = spare
        self._seats = seats
        self._pages: dict[str, list[Page]] = {}
        self._spares: list[ToolKernel] = []
        # Versions that ask for something when they open.
        self._asking: set[str] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._paused_until = 0.0
        self._is_closed = False
        kernels.handouts.on_early = self._drop

    def fill(self) -> None:
        """Keep spares ready, and pages of every tool, as far as there are seats."""
        self._weed()
        if self._is_closed or time.monotonic() < self._paused_until:
            return
        while len(self._spares) < self._spare and self._has_seat:
            self._spares.append(self._kernels.begin(is_loaded=True))
        for tool in self._catalogue.all():
            self._fill(tool)

    def _fill(self, tool: Tool) -> None:
        pages = self._pages.setdefault(tool.name, [])
        while len(pages) < self._ready and tool.version not in self._asking and self._has_seat:
            try:
                content = tool.content()
            except NotProven as exc:
                _log.error("%s; no page of it waits", exc)
                return
            page = Page(tool, self._kernels.begin(), content=content)
            pages.append(page)
            self._begin(page)

    async def take(self, tool: Tool, viewer: Viewer, values: Mapping[str, Value] | None = None) -> Page:
        """Return a page of exactly this version of the tool, in a kernel that is this viewer's from now on.

        Raises `NoKernelFree`, `NotProven`. No cell of a page with values, or of a tool that asks when it opens, has run
        before the kernel was the viewer's.
        """
        content = tool.content()
        page = None if values else self._waiting(tool)
        is_fresh = page is None
        if page is None:
            page = Page(tool, await self._kernel(), content=content, values=values)
        # From here on the kernel speaks in this viewer's name, and in nobody else's ever.
        self._kernels.handouts.record(Handout(kernel_id=page.kernel_id, viewer=viewer, tool=page.tool))
        if is_fresh:
            self._begin(page)
        self._pause(_REFILL_DELAY_S)
        self._later(self._refill())
        return page

    def replace(self, names: Iterable[str]) -> None:
        """Other versions of these tools are in force: what waits of the old ones ends, and the new ones get ready."""
        for name in names:
            for page in self._pages.pop(name, []):
                self._discard(page)
            self.fill()

    @property
    def _has_seat(self) -> bool:
        return self._seats is None or self._kernels.count < self._seats

    def _waiting(self, tool: Tool) -> Page | None:
        """A page that is drawn, or one that will be sooner than a spare would draw it."""
        self._weed()
        pages = [page for page in self._pages.get(tool.name, ()) if page.tool.version == tool.version]
        drawn = [page for page in pages if page.is_drawn]
        has_spare = any(spare.has_started for spare in self._spares)
        found = next(iter(drawn or (() if has_spare else pages)), None)
        if found is not None:
            self._pages[tool.name].remove(found)
        return found

    async def _kernel(self) -> ToolKernel:
        """A kernel for somebody who is here: a spare, or a new one, for which what waits gives way."""
        self._weed()
        self._spares.sort(key=lambda spare: not spare.has_started)
        if self._spares:
            return self._spares.pop(0)
        while not self._has_seat:
            page = next((pages.pop() for pages in self._pages.values() if pages), None)
            if page is None:
                raise NoKernelFree
            await self._end(page)
        return self._kernels.begin()

    def _weed(self) -> None:
        """Forget what cannot be handed out: what did not start or has ended, and what asked before it had a viewer."""
        for spare in tuple(self._spares):
            if not self._may_be_handed_out(spare):
                self._spares.remove(spare)
                self._later(self._kernels.end(spare.id))
        for pages in self._pages.values():
            for page in tuple(pages):
                if page.has_failed or not self._may_be_handed_out(page.kernel):
                    pages.remove(page)
                    self._discard(page)

    def _may_be_handed_out(self, kernel: ToolKernel) -> bool:
        if kernel.has_failed:
            _log.warning("a kernel did not start; the next attempt is in %d seconds", _FAILED_PAUSE_S)
            self._pause(_FAILED_PAUSE_S)
            return False
        is_there = not kernel.has_started or kernel.id in self._kernels
        handouts = self._kernels.handouts
        return is_there and not handouts.was_early(kernel.id) and handouts.find(kernel.id) is None

    def _drop(self, kernel_id: str) -> None:
        """A kernel that waits has asked for something: what it draws is not for whoever comes, so it ends."""
        for pages in self._pages.values():
            for page in pages:
                if page.kernel_id == kernel_id:
                    self._asking.add(page.tool.version)
        self._weed()

    def _discard(self, page: Page) -> None:
        self._later(self._end(page))

    async def _end(self, page: Page) -> None:
        await page.aclose()
        await self._kernels.end(page.kernel_id)

    def _pause(self, pause_s: float) -> None:
        self._paused_until = max(self._paused_until, time.monotonic() + pause_s)

    async def _refill(self) -> None:
        await asyncio.sleep(_REFILL_DELAY_S)
        self.fill()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("what waited for a viewer did not end as it should", exc_info=error)

    async def aclose(self) -> None:
        """Discard all that waits."""
        self._is_closed = True
        for pages in self._pages.values():
            while pages:
                self._discard(pages.pop())
        while self._spares:
            self._later(self._kernels.end(self._spares.pop().id))
        while self._work:
            await asyncio.wait(self._work)
