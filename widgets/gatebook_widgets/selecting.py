"""Which rows has a person marked? A list that keeps them over pages, for an action on several rows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets

from gatebook.model import counted
from gatebook_widgets.parts import Part, button, line

Record = dict[str, Any]


class Selection(Part):
    """The rows that are marked; announces the list of their records, in the order in which they were marked."""

    kind = "selection"

    def __init__(self, title: str, redraw: Callable[[], None], again: Callable[[], None]) -> None:
        self._redraw = redraw
        self._again = again
        self._shown: dict[object, Record] = {}
        self._marked: dict[object, Record] = {}
        self._is_filling = False
        self.field = ipywidgets.SelectMultiple(
            description=f"Mark rows of {title.lower()}", style={"description_width": "initial"}
        )
        self.field.add_class("gb-marks")
        self.told = ipywidgets.HTML()
        self.none = button("Mark none", "gb-second")
        super().__init__(self.field, line(self.told, self.none))
        self.field.observe(self._on_marks, names="index")
        self.none.on_click(lambda _press: self.clear())
        self._tell()

    @property
    def records(self) -> list[Record]:
        """The records that are marked."""
        return list(self._marked.values())

    def show(self, rows: Mapping[object, Record], labels: Sequence[str]) -> None:
        """Offer these rows, by what tells them apart; those that were marked elsewhere stay marked."""
        self._shown = dict(rows)
        for key in self._shown.keys() & self._marked.keys():
            self._marked[key] = self._shown[key]
        self._is_filling = True
        try:
            self.field.options = [(f"{place + 1}: {label}", place) for place, label in enumerate(labels)]
            self.field.index = tuple(place for place, key in enumerate(self._shown) if key in self._marked)
            self.field.rows = max(2, min(len(self._shown), 6))
        finally:
            self._is_filling = False
        self._tell()

    def is_marked(self, place: int) -> bool:
        """Whether the row at this place of those that are shown is marked."""
        keys = list(self._shown)
        return 0 <= place < len(keys) and keys[place] in self._marked

    def mark(self, *places: int) -> None:
        """Mark exactly these of the rows that are shown; places that are not there mark nothing."""
        keys = list(self._shown)
        wanted = {keys[place] for place in places if 0 <= place < len(keys)}
        kept = {key: record for key, record in self._marked.items() if key not in self._shown or key in wanted}
        self._marked = kept | {key: self._shown[key] for key in keys if key in wanted and key not in kept}
        self._after()

    def refresh(self) -> None:
        """After an action on them none is marked any more, and the rows are loaded again."""
        self.clear()
        self._again()

    def forget(self) -> None:
        """Other rows will be shown: none of those that were is marked any more."""
        self._shown = {}
        if self._marked:
            self._marked = {}
            self.attempt(lambda: self.announce([]))

    def clear(self) -> None:
        """Mark none, on no page."""
        self._marked = {}
        self._after()

    def _after(self) -> None:
        self._is_filling = True
        try:
            self.field.index = tuple(place for place, key in enumerate(self._shown) if key in self._marked)
        finally:
            self._is_filling = False
        self._tell()
        self._redraw()
        self.attempt(lambda: self.announce(self.records))

    def _on_marks(self, change: Mapping[str, Any]) -> None:
        # The page says which places; nothing else of what it sends is used.
        if not self._is_filling:
            self.mark(*(place for place in change["new"] or () if isinstance(place, int)))

    def _tell(self) -> None:
        number = len(self._marked)
        self.told.value = f'<p class="gb-quiet" role="status">{counted(number, "row")} marked.</p>' if number else ""
        self.none.layout.display = None if number else "none"
        self.box.layout.display = None if number or self._shown else "none"
