"""How does a tool's notebook become a page? Voila runs its cells and writes them out, in a frame of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from traitlets.config import Config
from voila.configuration import VoilaConfiguration
from voila.execute import VoilaExecutor
from voila.notebook_renderer import NotebookRenderer
from voila.utils import get_page_config

from gatebook_server.tools.catalogue import Tool
from gatebook_server.tools.kernels import KERNEL, ToolKernel, ToolKernels
from gatebook_server.tools.parameters import Value, assignments

TEMPLATES = Path(__file__).parent / "templates"
_DISCARDED = logging.getLogger(f"{__name__}.discarded")
_DISCARDED.disabled = True
# Stands in a page that waits for the name of who will see it. No notebook writes before it.
NAME_MARK = "\ufdd0viewer\ufdd1"
_CANCELLED_WITHIN_S = 0.2
# The end of a page whose kernel did not start or was lost.
_BROKEN = (
    '<p class="wide notice" id="broken" role="alert">This tool could not be opened. <a href="">Try it once more</a>; '
    "if it stays, tell the people who run the workspace.</p></main></body></html>"
)


def voila_configuration(assets: str) -> VoilaConfiguration:
    """Return Voila's configuration; nothing in an address or a notebook may change it. `assets` is where files are."""
    config = Config()
    config.VoilaConfiguration = Config(
        allow_template_override="NO",
        allow_theme_override="NO",
        show_tracebacks=False,
        file_allowlist=[],
        strip_sources=True,
        theme="light",
        extension_allowlist=["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"],
        resources={"name_mark": NAME_MARK, "assets": assets},
    )
    return VoilaConfiguration(config=config)


def page_config(kernels: ToolKernels, prefix: str, assets: str, configuration: VoilaConfiguration) -> dict[str, Any]:
    """Return what Voila's scripts read; formulas would need a typesetter from somewhere else, so there are none."""
    found: dict[str, Any] = get_page_config(
        base_url=prefix,
        settings={"mathjax_config": "", "mathjax_url": ""},
        log=kernels.log,
        voila_configuration=configuration,
    )
    found["fullStaticUrl"] = f"{assets}voila"
    found["fullLabextensionsUrl"] = f"{assets}labextensions"
    found["disabledExtensions"] = ["@jupyterlab/mathjax2-extension"]
    return found


class ToolRenderer(NotebookRenderer):
    """Voila's renderer, for a notebook that was read (and proven) before, with the values of an address."""

    def __init__(
        self, tool: Tool, kernel: ToolKernel, content: str, values: Mapping[str, Value], **kwargs: Any
    ) -> None:
        super().__init__(notebook_path=f"{tool.name}.ipynb", **kwargs)
        self._tool = tool
        self._kernel = kernel
        self._content = content
        self._values = values

    async def load_notebook(self, path: str) -> nbformat.NotebookNode:  # noqa: ARG002 - the file is not read again
        """Return the notebook whose version the gateway will be told."""
        notebook: nbformat.NotebookNode = nbformat.reads(self._content, as_version=4)  # type: ignore[no-untyped-call]
        notebook.metadata.kernelspec = nbformat.from_dict(  # type: ignore[no-untyped-call]
            {"name": KERNEL, "display_name": "Python 3", "language": "python"}
        )
        notebook.metadata.title = self._tool.title
        if self._values:
            cell = nbformat.v4.new_code_cell(assignments(self._values))  # type: ignore[no-untyped-call]
            notebook.cells.insert(_after_parameters(notebook), cell)
        return notebook

    async def _jinja_kernel_start(self, nb: nbformat.NotebookNode, kernel_id: str, kernel_future: Any) -> str:
        """Run the cells over the channels that the kernel has already: opening others takes half a second."""
        channels = await self._kernel.channels()
        self.executor = VoilaExecutor(nb, km=kernel_future(), config=self.traitlet_config, show_tracebacks=False)
        self.executor.kc = channels
        return kernel_id

    def hush(self) -> None:
        """Be told of no cell that breaks off: the page is not wanted any more."""
        if getattr(self, "executor", None) is not None:
            self.executor.log = self.log = _DISCARDED

    async def _cleanup_resources(self) -> None:
        """Close the channels: the page has some of its own from now on."""
        self._kernel.close()


def _after_parameters(notebook: nbformat.NotebookNode) -> int:
    tags = (cell.get("metadata", {}).get("tags", ()) for cell in notebook.cells)
    places = (place for place, found in enumerate(tags, 1) if "parameters" in found)
    return next(places, 0)


class Page:
    """A tool's page in a kernel of its own, rendered in the background, as far as it goes without a viewer."""

    def __init__(
        self, tool: Tool, kernel: ToolKernel, *, content: str, values: Mapping[str, Value] | None = None
    ) -> None:
        self.tool = tool
        self.kernel = kernel
        self._content = content
        self._values = values or {}
        self._snippets: list[str] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._renderer: ToolRenderer | None = None

    @property
    def kernel_id(self) -> str:
        """Its kernel's id."""
        return self.kernel.id

    @property
    def is_drawn(self) -> bool:
        """Whether all cells have run."""
        return self._task is not None and self._task.done() and not self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether rendering broke off; a cell that raised is no failure, its message is part of the page."""
        return (
            self._task is not None
            and self._task.done()
            and (self._task.cancelled() or self._task.exception() is not None)
        )

    def begin(self, kernels: ToolKernels, *, prefix: str, assets: str, configuration: VoilaConfiguration) -> None:
        """Start to render."""
        self._task = asyncio.create_task(self._render(kernels, prefix, assets, configuration))
        self._task.add_done_callback(lambda _task: self._news.set())

    async def _render(self, kernels: ToolKernels, prefix: str, assets: str, configuration: VoilaConfiguration) -> None:
        renderer = ToolRenderer(
            self.tool,
            self.kernel,
            self._content,
            self._values,
            voila_configuration=configuration,
            traitlet_config=Config(),
            template_paths=[str(TEMPLATES)],
            base_url=prefix,
            page_config=page_config(kernels, prefix, assets, configuration) | {"kernelId": self.kernel_id},
            mathjax_url="",
            mathjax_config="",
        )
        self._renderer = renderer
        await renderer.initialize()
        async for snippet, _resources in renderer.generate_content_generator(
            self.kernel_id, lambda: kernels.get_kernel(self.kernel_id)
        ):
            self._snippets.append(snippet)
            self._news.set()

    async def snippets(self, viewer: str) -> AsyncIterator[str]:
        """Yield what there is, then what follows, with the viewer's name in its place."""
        sent, is_named = 0, False
        while True:
            self._news.clear()
            is_last = self._task is None or self._task.done()
            text = "".join(self._snippets[sent:])
            sent = len(self._snippets)
            if text:
                # The frame's head comes before anything that a cell wrote, so the first mark is ours.
                yield text if is_named else text.replace(NAME_MARK, escape(viewer), 1)
                is_named = is_named or NAME_MARK in text
            if is_last:
                if self.has_failed:
                    yield _BROKEN
                return
            await self._news.wait()

    async def aclose(self) -> None:
        """Stop rendering."""
        if self._renderer is not None:
            self._renderer.hush()
        # nbclient makes a dead kernel of a cancellation, and Voila goes on with the next cell: once is not enough.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CANCELLED_WITHIN_S)
