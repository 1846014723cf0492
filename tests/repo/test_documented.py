"""Has everything that a person may set, meet or call an entry in the reference?"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import pytest

ERROR_MODULES = ("gatebook_hub.errors", "gatebook.errors", "gatebook_server.errors")

NEVER_RAISED = {"", "GB-000", "GB-600"}  # the codes of base classes


def load(name: str) -> ModuleType:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} does not exist yet")
    return importlib.import_module(name)


def reference(root: Path, name: str) -> str:
    path = root / "docs" / "reference" / name
    assert path.is_file(), f"docs/reference/{name} is missing"
    return path.read_text()


def codes(module: ModuleType) -> dict[str, str]:
    """Code → class name, of every class that the module itself defines."""
    found = {}
    for name, kind in inspect.getmembers(module, inspect.isclass):
        code = getattr(kind, "code", None)
        is_own = kind.__module__ == module.__name__ and "code" in vars(kind)
        if is_own and isinstance(code, str) and code not in NEVER_RAISED:
            assert code not in found, f"{code} means both {found.get(code)} and {name}"
            found[code] = name
    return found


def test_every_setting_is_documented(root: Path) -> None:
    settings = load("gatebook_hub.settings").Settings
    text = reference(root, "settings.md")
    prefix = settings.model_config["env_prefix"]
    assert [name for name in settings.model_fields if f"`{prefix}{name.upper()}`" not in text] == []


def test_every_setting_has_a_help_text() -> None:
    fields = load("gatebook_hub.settings").Settings.model_fields
    assert fields
    assert [name for name, field in fields.items() if not field.description] == []


@pytest.mark.parametrize("name", ERROR_MODULES)
def test_every_error_code_is_documented(name: str, root: Path) -> None:
    found = codes(load(name))
    text = reference(root, "errors.md")
    assert [code for code in found if code not in text] == []


def test_the_gateway_has_error_codes() -> None:
    """Guards the test above against an introspection that finds nothing."""
    assert all(code.startswith("GB-") for code in codes(load("gatebook_hub.errors")))
    assert codes(load("gatebook_hub.errors"))


def test_every_route_is_documented(root: Path) -> None:
    """The document at /api/v1/openapi.json is made from the code; the reference has one line for each path of it."""
    app = load("gatebook_hub.app")
    if not hasattr(app, "openapi_document"):
        pytest.skip("gatebook_hub.app has no openapi_document() yet")
    text = reference(root, "http.md")
    assert [path for path in app.openapi_document()["paths"] if f"`{path}`" not in text] == []
