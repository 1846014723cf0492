"""To whom does a kernel belong? To the one it was handed out to: written down once, never changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gatebook_server.tools.catalogue import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A person, in one session."""

    name: str
    session_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """A kernel, the tool it runs and whom it was handed out to."""

    kernel_id: str
    viewer: Viewer
    tool: Tool


class Handouts:
    """The kernels that were handed out and still run, oldest first."""

    def __init__(self) -> None:
        self._handouts: dict[str, Handout] = {}
        self._early: set[str] = set()
        self.on_early: Callable[[str], None] = lambda _kernel_id: None
        self._turns: dict[str, asyncio.Lock] = {}

    def turn(self, name: str) -> asyncio.Lock:
        """What a person holds while a page of theirs is opened."""
        return self._turns.setdefault(name, asyncio.Lock())

    def note_early(self, kernel_id: str) -> None:
        """A kernel that still waits has asked for something: what it drew is not for whoever comes."""
        if kernel_id not in self._early:
            self._early.add(kernel_id)
            self.on_early(kernel_id)

    def was_early(self, kernel_id: str) -> bool:
        """Whether the kernel asked for something before it was handed out."""
        return kernel_id in self._early

    def record(self, handout: Handout) -> None:
        """Write down a hand-out; a kernel is handed out once."""
        if handout.kernel_id in self._handouts:
            message = "this kernel was handed out before"
            raise RuntimeError(message)
        self._handouts[handout.kernel_id] = handout

    def find(self, kernel_id: str) -> Handout | None:
        """Return the hand-out, or None for a kernel that waits, has ended or never was."""
        return self._handouts.get(kernel_id)

    def is_of(self, kernel_id: str, viewer: Viewer) -> bool:
        """Whether this kernel was handed out to this person in this very session."""
        handout = self._handouts.get(kernel_id)
        return handout is not None and handout.viewer == viewer

    def of(self, name: str) -> tuple[Handout, ...]:
        """Return the hand-outs of one person, oldest first."""
        return tuple(one for one in self._handouts.values() if one.viewer.name == name)

    def in_session(self, session_id: str) -> tuple[Handout, ...]:
        """Return the hand-outs of one session."""
        return tuple(one for one in self._handouts.values() if one.viewer.session_id == session_id)

    def forget(self, kernel_id: str) -> None:
        """The kernel has ended; ids are never used again."""
        self._handouts.pop(kernel_id, None)
        self._early.discard(kernel_id)
