"""How does a person find records? A field, a button, and a function that asks the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ipywidgets
import pandas as pd

from gatebook_widgets.parts import Part

DEBOUNCE_S = 0.25


class Search(Part):
    """Calls `find(text)` on Enter, on the button, or when the field is left; announces the DataFrame that it returns.

    Not on every key: each search is an entry in the book.
    """

    kind = "search"

    def __init__(self, label: str, find: Callable[[str], Any], *, shortest: int = 2, button: str = "Search") -> None:
        self._find = find
        self._shortest = shortest
        self._asked: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.field = ipywidgets.Text(description=label, continuous_update=False, style={"description_width": "initial"})
        self.button = ipywidgets.Button(description=button)
        self.button.add_class("gb-press")
        line = ipywidgets.HBox([self.field, self.button])
        line.add_class("gb-line")
        super().__init__(line)
        self.field.observe(lambda _change: self._soon(), names="value")
        self.button.on_click(lambda _button: self._soon(is_pressed=True))

    def run(self, text: str) -> None:
        """Search for this text."""
        wanted = text.strip()
        self._asked = wanted
        if len(wanted) < self._shortest:
            self.announce(None)
            self.status.complain(f"type at least {self._shortest} characters") if wanted else self.status.clear()
            return
        self.attempt(lambda: self._search(wanted), "searching …")

    def refresh(self) -> None:
        """Search again for the same."""
        if self._asked:
            self.run(self._asked)

    def _search(self, wanted: str) -> None:
        found = self._find(wanted)
        if not isinstance(found, pd.DataFrame):
            message = "a search has to return a DataFrame"
            raise TypeError(message)
        self.announce(found)

    def _soon(self, *, is_pressed: bool = False) -> None:
        # Leaving the field by pressing the button says the same thing twice.
        if self._timer is not None:
            self._timer.cancel()
        text = str(self.field.value)
        if not is_pressed and text.strip() == self._asked:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.run(text)
            return
        self._timer = loop.call_later(DEBOUNCE_S, self.run, text)
