"""How do values come from a form, and go into one?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gatebook_hub.errors import GatebookError, InvalidInput
from gatebook_hub.portal.pages.frame import FieldError
from gatebook_hub.saved import Kind, read_value

_NAMED = re.compile(r"`([^`]+)`")


def field_error(error: GatebookError, known: Iterable[str]) -> FieldError:
    """A refusal, beside the field of the parameter that its sentence begins with, if that is a known one."""
    ask = f"; ask for {error.ask}" if error.ask else ""
    named = _NAMED.match(str(error)) if isinstance(error, InvalidInput) else None
    return FieldError(message=f"{error}{ask}", field=f"p-{named[1]}" if named and named[1] in set(known) else None)


def values_of(form: Mapping[str, str], parameters: Iterable[tuple[str, Kind, bool]]) -> dict[str, Any]:
    """The values that a form gives to parameters (name, kind, whether it has a default); raises InvalidInput.

    An empty field is no value; of a text with a default it is the empty text.
    """
    values = {}
    for name, kind, has_default in parameters:
        text = form.get(f"p-{name}", "")
        if text or (has_default and kind is Kind.TEXT):
            values[name] = read_value(name, kind, text.replace("\r\n", "\n"))
    return values


def words_of(value: Any) -> str:
    """A value as a field of a form has it."""
    return ("true" if value else "false") if isinstance(value, bool) else "" if value is None else str(value)
