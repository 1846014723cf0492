"""Which tools are there, and in which version? The notebooks of one folder, read again each time they are asked for."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
# The first part of every other path that this service answers.
RESERVED = frozenset({"api", "voila", "static", "logout", "oauth_callback"})
_VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One curated notebook; `version` is of exactly this `content`."""

    name: str
    title: str
    summary: str
    version: str
    content: str = field(repr=False)

    @property
    def claim(self) -> str:
        """The header `Gatebook-Tool`."""
        return f"{self.name}@{self.version}"


class Catalogue:
    """The tools of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> Tool | None:
        """Return the tool as its file is now, or None if there is none of this name."""
        if not _NAME.match(name) or name in RESERVED:
            return None
        path = self._folder / f"{name}.ipynb"
        try:
            raw = path.read_bytes()
            document: dict[str, Any] = json.loads(raw)
            described = document["metadata"].get("gatebook", {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Half written, or no notebook: not a tool until it is one.
            return None
        if described.get("kind") != "tool":
            return None
        return Tool(
            name=name,
            title=str(described.get("title") or name),
            summary=str(described.get("summary") or ""),
            version=hashlib.sha256(raw).hexdigest()[:_VERSION_DIGITS],
            content=raw.decode("utf-8"),
        )

    def all(self) -> tuple[Tool, ...]:
        """Return every tool, by name."""
        names = sorted(path.stem for path in self._folder.glob("*.ipynb"))
        return tuple(tool for name in names if (tool := self.find(name)) is not None)
