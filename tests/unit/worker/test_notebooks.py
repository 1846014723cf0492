"""Does the worker run only notebooks of the jobs folder, with parameters that they have?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from gatebook_hub.worker.notebooks import NotebookRefused, as_template, check_notebook, find_notebook

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = (
    'month: str = "2013-12"  # year and month\nlimit: int = 3\nshare: float = 0.5\nis_final: bool = False\nfree = 1'
)


def write(path: Path, *, kernel: str = "python3", cell: str = PARAMETERS) -> Path:
    """A notebook with a cell of parameters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        cells=[nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]})],
    )
    nbformat.write(notebook, path)
    return path


def test_a_notebook_of_the_jobs_folder_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "jobs" / "good.ipynb")
    assert find_notebook(tmp_path, "jobs/good.ipynb") == path


@pytest.mark.parametrize(
    "name",
    [
        "tools/desk.ipynb",
        "jobs/../tools/desk.ipynb",
        "../outside.ipynb",
        "jobs/link.ipynb",
        "jobs/gone.ipynb",
        "jobs",
        "",
    ],
)
def test_nothing_outside_the_jobs_folder_is_run(tmp_path: Path, name: str) -> None:
    """Also not through `..` or a link."""
    write(tmp_path / "outside.ipynb")
    write(tmp_path / "notebooks" / "tools" / "desk.ipynb")
    write(tmp_path / "notebooks" / "jobs" / "good.ipynb")
    (tmp_path / "notebooks" / "jobs" / "link.ipynb").symlink_to(tmp_path / "outside.ipynb")
    with pytest.raises(NotebookRefused):
        find_notebook(tmp_path / "notebooks", name)


def test_an_absolute_path_is_not_run(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.ipynb")
    (tmp_path / "notebooks" / "jobs").mkdir(parents=True)
    with pytest.raises(NotebookRefused):
        find_notebook(tmp_path / "notebooks", str(outside))


@pytest.mark.parametrize(
    "parameters",
    [{}, {"month": "x"}, {"limit": 4, "share": 1, "is_final": True}, {"share": 0.25}, {"free": "anything"}],
    ids=str,
)
def test_parameters_that_the_notebook_has_are_taken(tmp_path: Path, parameters: dict[str, Any]) -> None:
    check_notebook(write(tmp_path / "a.ipynb"), parameters)


@pytest.mark.parametrize(
    "parameters, name",
    [
        ({"mouth": "x"}, "UnknownParameter"),
        ({"month": 3}, "WrongParameter"),
        ({"limit": "3"}, "WrongParameter"),
        ({"limit": 3.5}, "WrongParameter"),
        ({"limit": True}, "WrongParameter"),
        ({"is_final": 1}, "WrongParameter"),
    ],
    ids=str,
)
def test_other_parameters_are_refused(tmp_path: Path, parameters: dict[str, Any], name: str) -> None:
    with pytest.raises(NotebookRefused) as refused:
        check_notebook(write(tmp_path / "a.ipynb"), parameters)
    assert refused.value.name == name


def test_a_notebook_without_parameters_takes_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", cell="print(1)")
    check_notebook(path, {})
    with pytest.raises(NotebookRefused, match="no parameter `month`"):
        check_notebook(path, {"month": "x"})


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"cells": 3}', '{"nbformat": 9}'])
def test_what_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(NotebookRefused):
        check_notebook(path, {})


def test_another_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotebookRefused, match="kernel"):
        check_notebook(write(tmp_path / "a.ipynb", kernel="bash"), {})


def test_braces_of_a_folder_are_no_placeholders(tmp_path: Path) -> None:
    """Papermill formats the path that it is given."""
    path = write(tmp_path / "{month} {" / "a.ipynb")
    check_notebook(path, {"month": "x"})
    assert as_template(path).format() == str(path)
