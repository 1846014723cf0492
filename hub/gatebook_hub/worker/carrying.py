"""What comes of one order? The notebook is checked, executed by papermill, and whatever goes wrong is in the report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
from nbclient.exceptions import DeadKernelError
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook, remove_error_markers

from gatebook_hub.worker.engine import Course, CourseEngine
from gatebook_hub.worker.notebooks import (
    KERNEL,
    LANGUAGE,
    NotebookRefused,
    as_template,
    check_notebook,
    find_notebook,
)
from gatebook_hub.worker.orders import Failure, Order, Report, failure, within_limit
from gatebook_hub.worker.relaying import relay
from gatebook_server.launching import LauncherRefused

_ENGINE = "gatebook"
_log = logging.getLogger(__name__)


def carry_out(order: Order, on_progress: Callable[[int, int], None]) -> Report:
    """Run the notebook in the current folder, which is the run's own; never raises for what the notebook does."""
    course = Course(timeout_s=order.timeout_s, folder=Path.cwd(), on_progress=on_progress)
    try:
        failed = _execute(order, course)
    except Exception as error:  # noqa: BLE001 - the border of the process: the report says what happened
        failed = _failure_of(error, order, course)
    if course.notebook is None:
        return Report(failure=failed)
    # Where our files lie is nobody's business.
    course.notebook.metadata.papermill.update(input_path=order.notebook, output_path=None)
    # papermill's marks of the failing cell would shift the cells' numbers.
    text = nbformat.writes(remove_error_markers(course.notebook))  # type: ignore[no-untyped-call]
    return Report(failure=failed, notebook=within_limit(text))


def _execute(order: Order, course: Course) -> Failure | None:
    path = find_notebook(order.notebooks, order.notebook)
    check_notebook(path, order.parameters)
    papermill_engines.register(_ENGINE, CourseEngine)
    with relay(order, lambda: _provenance(order, course)):
        try:
            execute_notebook(
                as_template(path),
                None,
                dict(order.parameters),
                engine_name=_ENGINE,
                kernel_name=KERNEL,
                language=LANGUAGE,
                progress_bar=False,
                course=course,
            )
        except PapermillExecutionError as error:
            # The error's own words, not the traceback, which shows the source of other cells and of packages.
            return failure(error.ename, error.evalue, cell=error.cell_index + 1, source=error.source)
    return None


def _failure_of(error: Exception, order: Order, course: Course) -> Failure:
    if isinstance(error, NotebookRefused):
        return failure(error.name, str(error))
    if isinstance(error, LauncherRefused):
        return failure("NoKernel", str(error))
    cell, source = course.cell, ""
    if course.notebook is not None and cell is not None:
        source = course.notebook.cells[cell - 1].source
    if course.left_s <= 0:
        return failure("Timeout", f"the run took longer than {order.timeout_s:g} seconds", cell=cell, source=source)
    if isinstance(error, DeadKernelError):
        return failure("KernelDied", "the kernel ended before the cell did", cell=cell, source=source)
    _log.error("%s failed outside the notebook", order.run_id, exc_info=error)
    message = f"the run failed outside the notebook ({type(error).__name__}); see the worker's log"
    return failure("WorkerFailed", message, cell=cell, source=source)


def _provenance(order: Order, course: Course) -> Mapping[str, object]:
    return {"notebook": order.notebook, "cell": str(course.cell or "")}
