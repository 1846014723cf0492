"""How do secrets get into what is declared? The gateway fills in `${env:NAME}` and `${file:PATH}`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gatebook_hub.errors import PolicyInvalid

_PLACEHOLDER = re.compile(r"\$\{(state|env:[A-Za-z_][A-Za-z0-9_]*|file:[^}]+)\}")


def fill(what: str, text: str, state: Path) -> str:
    """A text with its placeholders filled in; raises PolicyInvalid that names `what`, and never a value."""

    def value(match: re.Match[str]) -> str:
        kind, _, argument = match[1].partition(":")
        if kind == "state":
            return str(state.absolute())
        try:
            return os.environ[argument] if kind == "env" else Path(argument).read_text(encoding="utf-8").strip()
        except (KeyError, OSError) as error:
            raise PolicyInvalid(f"{what}: `${{{match[1]}}}` is not set") from error

    return _PLACEHOLDER.sub(value, text)
