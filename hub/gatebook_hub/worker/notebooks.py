"""May this notebook be run with these parameters? What is not exactly so is refused before a kernel starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from papermill.inspection import inspect_notebook

KERNEL = "python3"
LANGUAGE = "python"
_TYPES: Mapping[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (float, int), "bool": (bool,)}


class NotebookRefused(Exception):
    """The notebook or its parameters are not what the job may run; `name` is the kind of refusal."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def find_notebook(notebooks: Path, name: str) -> Path:
    """The path of a job's notebook, which lies below `jobs`, also when links are followed; raises NotebookRefused."""
    folder = (notebooks / "jobs").resolve()
    path = (notebooks / name).resolve()
    if not path.is_relative_to(folder) or path.suffix != ".ipynb" or not path.is_file():
        raise NotebookRefused("NoNotebook", f"there is no notebook `{name}` among the job notebooks")
    return path


def check_notebook(path: Path, parameters: Mapping[str, Any]) -> None:
    """Raise NotebookRefused unless it is a notebook for our kernel that takes these parameters."""
    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
    except Exception as error:
        # nbformat raises whatever a file that is no notebook brings about.
        raise NotebookRefused("NoNotebook", f"`{path.name}` cannot be read as a notebook") from error
    kernel = notebook.metadata.get("kernelspec", {})
    if kernel.get("name") != KERNEL or kernel.get("language", LANGUAGE) != LANGUAGE:
        raise NotebookRefused("WrongKernel", f"`{path.name}` is not for the kernel `{KERNEL}`")
    known = inspect_notebook(as_template(path))
    for name, value in parameters.items():
        if name not in known:
            raise NotebookRefused("UnknownParameter", f"`{path.name}` has no parameter `{name}`")
        expected = known[name]["inferred_type_name"]
        # A bool is an int to Python, but hardly what was meant.
        if expected in _TYPES and (
            not isinstance(value, _TYPES[expected]) or (isinstance(value, bool) and expected != "bool")
        ):
            raise NotebookRefused("WrongParameter", f"the parameter `{name}` of `{path.name}` is of type {expected}")


def as_template(path: Path) -> str:
    """The path for papermill, which takes it for a format string."""
    return str(path).replace("{", "{{").replace("}", "}}")
