"""Which tools does the installation bring? The notebooks of its own folder, where the operator's setting says so."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.notebook_form import MAX_BYTES, ToolNotebook, is_name, look_at

_CALL = Call(principal=Principal(kind=PrincipalKind.SERVICE, name="gateway", channel=Channel.OPERATOR))


class InstalledTools:
    """Tools without a review, each as long as nobody has published one of its name."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._told: set[tuple[str, str]] = set()

    def tools(self, *, leave_out: frozenset[str]) -> Iterator[tuple[ToolNotebook, str]]:
        """Each tool with the text of its notebook; each version is told to the book once in this process."""
        settings = self._gate.settings
        if not settings.serves_installed_tools:
            return
        folder = settings.notebooks / "tools"
        for path in sorted(folder.glob("*.ipynb")):
            name = path.stem
            if not is_name(name) or name in leave_out:
                continue
            content = _text(str(path))
            try:
                tool = look_at(name, content) if content is not None else None
            except GatebookError:
                tool = None  # half written, or no notebook: not a tool until it is one
            if tool is None or content is None or tool.described.get("kind") != "tool":
                continue
            self._tell(tool)
            yield tool, content

    def _tell(self, tool: ToolNotebook) -> None:
        which = (tool.name, tool.version)
        if which in self._told:
            return
        extra = {"tool": tool.name, "version": tool.version}
        self._gate.book.append(self._gate.event(EventKind.TOOL_INSTALLED, _CALL, outcome=Outcome.OK, extra=extra))
        self._told.add(which)


def _text(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            data = file.read(MAX_BYTES + 1)
        return data.decode("utf-8") if len(data) <= MAX_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None
