"""How does papermill run a notebook for us? With our kernel, one deadline for all cells, and progress after each."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager

from gatebook_hub.worker.notebooks import KERNEL

_START_S = 60
_OUTPUT_LATE_S = 30
_MAX_OUTPUT = 12_000_000
_CUT = "\n[the rest of the output was left out: it is too large to be kept]\n"
_OUTPUTS = frozenset({"stream", "display_data", "execute_result", "update_display_data"})


@dataclass(slots=True, kw_only=True)
class Course:
    """The course of one run: where it is, until when it may take, and the notebook as far as it was executed."""

    timeout_s: float
    folder: Path
    on_progress: Callable[[int, int], None]
    cell: int | None = None
    notebook: Any = None
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.timeout_s

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return self.deadline - time.monotonic()


class BoundedClient(PapermillNotebookClient):
    """Keeps no more output than fits into the report; a notebook that prints for hours must not fill our memory."""

    _kept = 0

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel, cut it, or leave it out."""
        if msg["msg_type"] in _OUTPUTS:
            left = _MAX_OUTPUT - self._kept
            size = _size(msg["content"])
            self._kept += size
            if left <= 0:
                return None
            if size > left:
                msg = _cut(msg, left)
        return super().process_message(msg, cell, cell_index)


class CourseEngine(Engine):
    """An engine of papermill; its stock one has a deadline per cell only and reports to nobody."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, course: Course, **_unused: Any
    ) -> None:
        """Execute the cells until one fails or the time is over."""
        course.notebook = nb_man.nb
        _watch(nb_man, course)
        manager = AsyncKernelManager(
            kernel_name=kernel_name,
            kernel_spec_manager=KernelSpecManager(allowed_kernelspecs={KERNEL}, ensure_native_kernel=True),
            # Others on this machine can reach the kernel's ports.
            transport_encryption="required",
            connection_file=str(course.folder / "kernel.json"),
        )
        client = BoundedClient(
            nb_man,
            km=manager,
            timeout=math.ceil(course.left_s),
            timeout_func=lambda _cell: max(0.1, course.left_s),
            startup_timeout=max(1, math.ceil(min(_START_S, course.left_s))),
            iopub_timeout=_OUTPUT_LATE_S,
            # What a notebook has not done by its last cell it does not do any more.
            shutdown_kernel="immediate",
            store_widget_state=False,
        )
        client.execute(cwd=str(course.folder), cleanup_kc=True)


def _watch(nb_man: NotebookExecutionManager, course: Course) -> None:
    started, completed, total = nb_man.cell_start, nb_man.cell_complete, len(nb_man.nb.cells)

    def cell_start(cell: Any, cell_index: int, **more: Any) -> None:
        course.cell = cell_index + 1
        started(cell, cell_index, **more)

    def cell_complete(cell: Any, cell_index: int, **more: Any) -> None:
        completed(cell, cell_index=cell_index, **more)
        # papermill calls this for cells that failed too, and takes one that was cut off for completed.
        if sys.exc_info()[0] is not None:
            cell.metadata.papermill.update(status=nb_man.FAILED, exception=True)
        if not cell.metadata.papermill["exception"]:
            course.on_progress(cell_index + 1, total)

    nb_man.cell_start, nb_man.cell_complete = cell_start, cell_complete
    course.on_progress(0, total)


def _cut(message: dict[str, Any], length: int) -> dict[str, Any]:
    """The beginning of a text, or nothing of another output, and a line that says so."""
    text = message["content"]["text"][:length] if message["msg_type"] == "stream" else ""
    header = {**message["header"], "msg_type": "stream"}
    return {**message, "header": header, "msg_type": "stream", "content": {"name": "stdout", "text": text + _CUT}}


def _size(content: dict[str, Any]) -> int:
    data = content.get("data") or {}
    return len(content.get("text") or "") + sum(len(part) if isinstance(part, str) else 1_000 for part in data.values())
