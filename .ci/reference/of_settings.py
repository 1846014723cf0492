"""Which settings are there?"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from writing import literal, table, whole_page

from gatebook_hub.settings import Settings

_INTRO = """
Each setting is an environment variable, or a line `GATEBOOK_NAME=value` of the file `gatebook.env` in the folder
where Gatebook starts. The environment wins over the file, an option of a command over both. Settings are read once,
at start. Lists are JSON: `GATEBOOK_CORS_ORIGINS='["https://reports.example"]'`.
"""


def page() -> str:
    """The page."""
    prefix = str(Settings.model_config["env_prefix"])
    rows = [
        (f"`{prefix}{name.upper()}`", _type(field.annotation), _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return whole_page("Settings", _INTRO, table(("variable", "type", "default", "meaning"), rows))


def _type(annotation: Any) -> str:
    known = {"Path": "path", "str": "text", "bool": "true or false", "int": "integer", "float": "number"}
    if annotation is SecretStr:
        return "secret"
    arguments = [part for part in get_args(annotation) if part not in {type(None), Ellipsis}]
    if getattr(annotation, "__origin__", None) is tuple:
        return "list"
    name = getattr(arguments[0] if arguments else annotation, "__name__", str(annotation))
    return known.get(name, name)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, SecretStr) or value in ("", None):
        return ""
    if isinstance(value, bool | int | float | tuple):
        return literal(value)
    return f"`{value}`"
