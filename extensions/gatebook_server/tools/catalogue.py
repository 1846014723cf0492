"""Which tools are there, and in which version? Those that the gateway has in force, each proven by its hash.

Notebooks lie in a private folder; whoever could write there changes nothing, for each is proven again when it is read.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_VERSION = re.compile(r"[0-9a-f]{64}\Z")
# The first part of every other path that this service answers.
RESERVED = frozenset({"api", "voila", "static", "logout", "oauth_callback"})
_log = logging.getLogger(__name__)


class NotProven(Exception):
    """A notebook is not the one whose version it bears."""


class Published(Protocol):
    """Where versions come from: the gateway."""

    async def in_force(self) -> Mapping[str, str]:
        """Name and version of every tool in force; raises `GatewayUnreachable`."""

    async def notebook(self, name: str, version: str) -> str:
        """The text of a version that is in force; raises `GatewayUnreachable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One version of a curated notebook: `version` is the SHA-256 of the bytes in `file`."""

    name: str
    title: str
    summary: str
    version: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    file: Path = field(repr=False)

    @property
    def claim(self) -> str:
        """The header `Gatebook-Tool`."""
        return f"{self.name}@{self.version}"

    def content(self) -> str:
        """The notebook's text; raises `NotProven` if it is not this version any more."""
        try:
            raw = self.file.read_bytes()
        except OSError as exc:
            message = f"the notebook of {self.name} is gone"
            raise NotProven(message) from exc
        return proven(self.name, self.version, raw)


class Catalogue:
    """The tools that are in force."""

    def __init__(self, published: Published, folder: Path) -> None:
        self._published = published
        self._folder = folder
        self._tools: dict[str, Tool] = {}
        self._lock = asyncio.Lock()
        folder.mkdir(mode=0o700, exist_ok=True)

    def find(self, name: str) -> Tool | None:
        """Return the version in force, as the gateway last said, or None if there is none of this name."""
        return self._tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        """Return every tool, by name."""
        return tuple(self._tools[name] for name in sorted(self._tools))

    async def refresh(self) -> frozenset[str]:
        """Ask the gateway what is in force; returns the names of which another version is, or none any more.

        Raises `GatewayUnreachable`; what was known stays known then.
        """
        async with self._lock:
            told = await self._published.in_force()
            found: dict[str, Tool] = {}
            for name, version in told.items():
                if not _NAME.match(name) or name in RESERVED or not _VERSION.match(version):
                    _log.error("the gateway names what is no tool: %r", name[:64])
                    continue
                try:
                    found[name] = await self._tool(name, version)
                except NotProven as exc:
                    _log.error("%s; it is not served", exc)
            before, self._tools = self._tools, found
            self._forget(before, found)
            return frozenset(
                name
                for name in before.keys() | found.keys()
                if _version_of(before.get(name)) != _version_of(found.get(name))
            )

    async def _tool(self, name: str, version: str) -> Tool:
        known = self._tools.get(name)
        if known is not None and known.version == version:
            with suppress(NotProven):
                known.content()
                return known
            _log.error("the private copy of %s was changed; it is fetched anew", name)
        content = await self._published.notebook(name, version)
        proven(name, version, content.encode())
        return describe(name, version, content, self._keep(name, version, content))

    def _keep(self, name: str, version: str, content: str) -> Path:
        """Write the copy: a new file in place of whatever is there, and nothing through a link."""
        path = self._folder / f"{name}-{version}.ipynb"
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode())
        fresh.replace(path)
        return path

    def _forget(self, before: Mapping[str, Tool], found: Mapping[str, Tool]) -> None:
        kept = {tool.file for tool in found.values()}
        for tool in before.values():
            if tool.file not in kept:
                tool.file.unlink(missing_ok=True)


def proven(name: str, version: str, raw: bytes) -> str:
    """Return the text of these bytes if they are that version; raises `NotProven`."""
    if hashlib.sha256(raw).hexdigest() != version:
        message = f"the notebook of {name} is not the version {version[:12]} that it is said to be"
        raise NotProven(message)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        message = f"the notebook of {name} is no text"
        raise NotProven(message) from exc


def describe(name: str, version: str, content: str, file: Path) -> Tool:
    """Return the tool that the notebook describes; raises `NotProven` for what is no tool."""
    try:
        document: dict[str, Any] = json.loads(content)
        described = document["metadata"]["gatebook"]
        is_tool = described.get("kind") == "tool"
        parameters = described.get("parameters", {})
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        message = f"what is in force as {name} is no tool"
        raise NotProven(message) from exc
    if not is_tool or not isinstance(parameters, dict):
        message = f"what is in force as {name} is no tool"
        raise NotProven(message)
    return Tool(
        name=name,
        title=str(described.get("title") or name),
        summary=str(described.get("summary") or ""),
        version=version,
        parameters=parameters,
        file=file,
    )


def _version_of(tool: Tool | None) -> str | None:
    return tool.version if tool is not None else None
