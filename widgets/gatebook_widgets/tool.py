"""What holds a tool together? Its title, what it is for, its parts in a row, a line for what concerns all of it."""

from __future__ import annotations

from html import escape

import ipywidgets

from gatebook_widgets.parts import Part
from gatebook_widgets.style import STYLE


class Tool(Part):
    """A tool: shown as the last expression of a notebook's cell."""

    kind = "tool"

    def __init__(self, title: str, description: str, *parts: Part) -> None:
        self.parts = parts
        head = ipywidgets.HTML(f"{STYLE}<h1>{escape(title)}</h1><p>{escape(description)}</p>")
        super().__init__(head)
        self.box.children = [head, self.status.widget, *(part.box for part in parts)]
        self.box.add_class("gb-tool")
        self.status.say("what you look up and what you change is written to the book")

    def refresh(self) -> None:
        """Have every part show what is true now."""
        for part in self.parts:
            part.refresh()
