"""The example pages, for the tests of this folder."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    """Return the module of ordinary example pages."""
    return _loaded("examples")


@pytest.fixture(scope="session")
def foreign_texts() -> ModuleType:
    """Return the module of pages full of foreign texts."""
    return _loaded("foreign_texts")


def _loaded(name: str) -> ModuleType:
    # Test folders are no packages, so their modules are loaded by path.
    spec = spec_from_file_location(f"portal_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
