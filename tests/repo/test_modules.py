"""Does each module say what it answers, and is it short enough to be read?"""

from __future__ import annotations

import ast
from pathlib import Path

MAX_LINES = 500
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}


def test_there_are_modules(modules: tuple[Path, ...]) -> None:
    assert modules


def test_no_module_reaches_500_lines(modules: tuple[Path, ...], root: Path) -> None:
    sizes = {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in modules}
    assert {name: size for name, size in sizes.items() if size >= MAX_LINES} == {}


def test_every_module_begins_with_its_docstring(modules: tuple[Path, ...], root: Path) -> None:
    silent = [str(path.relative_to(root)) for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_no_module_has_a_vague_name(modules: tuple[Path, ...], root: Path) -> None:
    names = [path.relative_to(root) for path in modules]
    assert [str(name) for name in names if VAGUE & {part.removesuffix(".py").strip("_") for part in name.parts}] == []


def test_every_package_is_typed(root: Path) -> None:
    """A package without the marker is untyped for those who install it (PEP 561)."""
    for package in ("extensions/gatebook", "widgets/gatebook_widgets"):
        assert (root / package / "py.typed").is_file(), package
