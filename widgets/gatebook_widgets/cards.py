"""How does a person follow a change request on a tool's page, and move it on? By its card and its buttons."""

from __future__ import annotations

import ipywidgets

from gatebook import Change
from gatebook.buttons import Buttons
from gatebook.cards import card_of, rows_of
from gatebook.changes import State
from gatebook_widgets.parts import Part, in_this_loop


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
        self._acts.children = (Buttons(change, in_this_loop(self._on_news)).box,) if change is not None else ()

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


class RowDiff(Part):
    """Shows the rows of a change request before and after, without the rest of its card.

    Follows a part that announces requests, such as a form; what is none shows nothing. Announces nothing.
    """

    kind = "diff"

    def __init__(self, change: Change | None = None, source: Part | None = None) -> None:
        self.change: Change | None = None
        self._view = ipywidgets.HTML()
        super().__init__(self._view)
        self.show(change)
        if source is not None:
            source.follow(self.show)

    def show(self, change: object) -> None:
        """Show the rows of this request; None shows none."""
        self.change = change if isinstance(change, Change) else None
        self.status.clear()
        if self.change is None or self.change.diffs is not None:
            self._draw()
        else:
            self.refresh()

    def refresh(self) -> None:
        """Ask for the rows again."""
        if self.change is not None and self.change.state is not State.DRAFT:
            self.attempt(self._look, "loading …")

    def _look(self) -> None:
        if self.change is not None:
            self.change = self.change.refresh()
            self._draw()

    def _draw(self) -> None:
        self.box.layout.display = None if self.change is not None else "none"
        self._view.value = rows_of(self.change) if self.change is not None else ""
