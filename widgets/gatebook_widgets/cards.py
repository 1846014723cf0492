"""How does a person follow a change request on a tool's page, and move it on? By its card and its buttons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import ipywidgets

from gatebook import Change
from gatebook.buttons import Buttons
from gatebook.cards import card_of
from gatebook_widgets.parts import Part


class ChangeCard(Part):
    """Shows a change request with its buttons and follows it; announces it once it is final."""

    kind = "change"

    def __init__(self, change: Change | None = None) -> None:
        self.change: Change | None = None
        self._view = ipywidgets.HTML()
        self._acts = ipywidgets.VBox()
        super().__init__(self._view, self._acts)
        self.show(change)

    def show(self, change: Change | None) -> None:
        """Show and follow another request; None shows none."""
        self.change = change
        self._draw()
        self._acts.children = (Buttons(change, _in_this_loop(self._on_news)).box,) if change is not None else ()

    def _on_news(self, newer: Change) -> None:
        if self.change is None or newer.id != self.change.id:
            return
        self.change = newer
        self._draw()
        if newer.is_final:
            self.announce(newer)

    def _draw(self) -> None:
        self.box.layout.display = None if self.change is not None else "none"
        self._view.value = card_of(self.change) if self.change is not None else ""


def _in_this_loop(receive: Callable[[Change], None]) -> Callable[[Change], None]:
    """News comes from another thread; widgets are changed in the kernel's own."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return receive

    def tell(newer: Change) -> None:
        loop.call_soon_threadsafe(receive, newer)

    return tell
