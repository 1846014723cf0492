"""How far is a read? Rows and seconds on one line, told in place while batches arrive."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from typing import Protocol, Self

from IPython import get_ipython
from IPython.display import display as _untyped_display
from IPython.display import update_display as _untyped_update

from gatebook.model import counted

display: Callable[..., object] = _untyped_display
update_display: Callable[..., object] = _untyped_update
SHORTEST_PAUSE_S = 0.25


class Line(Protocol):
    """A line that can be replaced."""

    def put(self, text: str) -> None:
        """Show this text in the line's place."""

    def end(self, text: str) -> None:
        """Show it for good."""

    def give_way(self, view: object) -> None:
        """Show the result where the line was."""


class Progress:
    """Use it in a `with` block around all of a read; what breaks in is told on the line."""

    def __init__(self, line: Line, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._began = clock()
        self._told_at = self._began
        self._rows = 0

    def __enter__(self) -> Self:
        self._line.put("waiting for the first rows")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            how = "interrupted" if issubclass(kind, KeyboardInterrupt) else "stopped"
            self._line.end(f"{how} after {self._so_far()}; nothing of it is kept")

    def seen(self, rows: int) -> None:
        """So many rows are there; told a few times per second at most."""
        self._rows = rows
        now = self._clock()
        if now - self._told_at >= SHORTEST_PAUSE_S:
            self._told_at = now
            self._line.put(self._so_far())

    def answered(self) -> None:
        """There are no rows: it was a write."""
        self._line.end(f"answered after {self._clock() - self._began:.1f} s")

    def done(self, view: object) -> None:
        """The result takes the line's place."""
        self._line.give_way(view)

    def _so_far(self) -> str:
        return f"{counted(self._rows, 'row')} · {self._clock() - self._began:.1f} s"


def line_here() -> Line:
    """A line on the page in a kernel, one of the terminal elsewhere, and none where nobody looks."""
    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        return OnPage()
    return InTerminal() if sys.stdout.isatty() else Unseen()


class OnPage:
    """A display that a front end replaces."""

    def __init__(self) -> None:
        self._id = f"gatebook-{uuid.uuid4().hex}"
        self._show = display  # and once it is there, an update

    def put(self, text: str) -> None:
        """Show this text."""
        self._put({"text/plain": text}, raw=True)

    def end(self, text: str) -> None:
        """Show it for good."""
        self.put(text)

    def give_way(self, view: object) -> None:
        """Show the result in the same place."""
        self._put(view, raw=False)

    def _put(self, shown: object, *, raw: bool) -> None:
        self._show(shown, raw=raw, display_id=self._id)
        self._show = update_display


class InTerminal:
    """The line that the cursor is in."""

    def __init__(self) -> None:
        self._width = 0

    def put(self, text: str) -> None:
        """Write over what is there."""
        sys.stdout.write(f"\r{text.ljust(self._width)}")
        sys.stdout.flush()
        self._width = len(text)

    def end(self, text: str) -> None:
        """Write over what is there, and go on below."""
        self.put(text)
        sys.stdout.write("\n")

    def give_way(self, view: object) -> None:
        """Wipe the line out, and show the result."""
        self.put("")
        sys.stdout.write("\r")
        display(view)


class Unseen:
    """Output goes into a file: no line, but the result."""

    def put(self, text: str) -> None:
        """Nobody looks."""

    def end(self, text: str) -> None:
        """Nobody looks."""

    def give_way(self, view: object) -> None:
        """Show the result."""
        display(view)
