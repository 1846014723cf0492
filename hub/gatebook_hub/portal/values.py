"""How do values come from a form, and go into one?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gatebook_hub.errors import GatebookError, InvalidInput
from gatebook_hub.portal.pages.frame import FieldError

_NAMED = re.compile(r"`([^`]+)`")


def field_error(error: GatebookError, known: Iterable[str]) -> FieldError:
    """A refusal, beside the field of the parameter that its sentence begins with, if that is a known one."""
    ask = f"; ask for {error.ask}" if error.ask else ""
    named = _NAMED.match(str(error)) if isinstance(error, InvalidInput) else None
    return FieldError(message=f"{error}{ask}", field=f"p-{named[1]}" if named and named[1] in set(known) else None)


def words_of(value: Any) -> str:
    """A value as a field of a form has it."""
    return ("true" if value else "false") if isinstance(value, bool) else "" if value is None else str(value)
