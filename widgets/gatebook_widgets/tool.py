"""What holds a tool together? Its title, its parts in a row or on tabs, a line for what concerns all of it.

When a part cannot reach the gateway the tool says so, looks until it is there again, and has its parts load anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from html import escape

import ipywidgets

import gatebook
from gatebook import GatebookError
from gatebook_widgets.parts import UNREACHABLE, Part, hear_of_loss, in_this_loop, show
from gatebook_widgets.style import STYLE

SHORTEST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0
MOST_LOOKS = 240
_LOST = (
    "the gateway cannot be reached. What you sent last may have been done, so look before you send it again; trying …"
)


class SideBySide(Part):
    """Parts beside one another; where the page is narrow, beneath one another."""

    kind = "beside"

    def __init__(self, *parts: Part) -> None:
        self.parts = parts
        row = ipywidgets.HBox([part.box for part in parts])
        row.add_class("gb-beside")
        super().__init__(row)

    def refresh(self) -> None:
        """Have every part show what is true now."""
        for part in self.parts:
            part.refresh()


class Tabs(Part):
    """Parts on tabs, of which one is shown; announces the name of the one that a person opens."""

    kind = "tabs"

    def __init__(self, tabs: Mapping[str, Sequence[Part]], label: str = "Parts of this tool") -> None:
        self.tabs = {name: tuple(parts) for name, parts in tabs.items()}
        self.parts = tuple(part for parts in self.tabs.values() for part in parts)
        self.chooser = ipywidgets.ToggleButtons(options=list(self.tabs), description=label)
        self.chooser.add_class("gb-tabs")
        self._panels = {name: ipywidgets.VBox([part.box for part in parts]) for name, parts in self.tabs.items()}
        super().__init__(self.chooser, *self._panels.values())
        self.chooser.observe(lambda _change: self._on_choice(), names="value")
        self._draw()

    def open(self, name: str) -> None:
        """Show the tab of this name; one that is not there changes nothing."""
        if name in self.tabs:
            self.chooser.value = name

    def refresh(self) -> None:
        """Have every part show what is true now, also on the tabs that are not shown."""
        for part in self.parts:
            part.refresh()

    def _on_choice(self) -> None:
        self._draw()
        self.attempt(lambda: self.announce(self.chooser.value))

    def _draw(self) -> None:
        for name, panel in self._panels.items():
            show(panel, is_shown=name == self.chooser.value)


class Tool(Part):
    """A tool: shown as the last expression of a notebook's cell. What is on `tabs` is beneath its other parts."""

    kind = "tool"

    def __init__(
        self, title: str, description: str, *parts: Part, tabs: Mapping[str, Sequence[Part]] | None = None
    ) -> None:
        self.tabs = Tabs(tabs, label=title) if tabs else None
        self.parts = (*parts, *((self.tabs,) if self.tabs else ()))
        self._looking: threading.Thread | None = None
        head = ipywidgets.HTML(f"{STYLE}<h1>{escape(title)}</h1><p>{escape(description)}</p>")
        super().__init__(head)
        self.box.children = [head, self.status.widget, *(part.box for part in self.parts)]
        self.box.add_class("gb-tool")
        self._greet()
        hear_of_loss(self)

    @property
    def is_lost(self) -> bool:
        """Whether the gateway is being looked for."""
        return self._looking is not None

    def refresh(self) -> None:
        """Have every part show what is true now."""
        for part in self.parts:
            part.refresh()

    def on_lost(self) -> None:
        """A part could not reach the gateway: say so, and look until it is there again."""
        if self.is_lost:
            return
        self.status.complain(_LOST)
        tell = in_this_loop(self._on_end)
        self._looking = threading.Thread(target=self._look, args=(tell,), name="gatebook lost", daemon=True)
        self._looking.start()

    def _look(self, tell: Callable[[GatebookError | None], None]) -> None:
        pause, waiting = SHORTEST_PAUSE_S, threading.Event()
        error: GatebookError | None = None
        for _ in range(MOST_LOOKS):
            waiting.wait(pause)
            pause = min(LONGEST_PAUSE_S, pause * 1.5)
            try:
                gatebook.me()
            except GatebookError as known:
                error = known
                if known.code not in UNREACHABLE:
                    break
            else:
                error = None
                break
        tell(error)

    def _on_end(self, error: GatebookError | None) -> None:
        self._looking = None
        if error is not None:
            self.status.refuse(error)
            return
        self.refresh()
        if not self.is_lost:  # it may have gone away again meanwhile
            self.status.praise("the gateway is there again, and everything was loaded anew")

    def _greet(self) -> None:
        self.status.say("what you look up and what you change is written to the book")
