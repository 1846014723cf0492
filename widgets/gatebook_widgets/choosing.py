"""How does a person choose one of few things, such as a month? A field with what is there, the first one chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import pandas as pd

from gatebook_widgets.drawing import label_of_row
from gatebook_widgets.parts import Follower, Part, show, when_open

MOST_CHOICES = 500


class Choice(Part):
    """Offers the rows of the DataFrame that `load()` returns, at most 500, each called by its value in `column`.

    Announces the record that is chosen: to begin with the first. Who follows later is told what is chosen by then.
    """

    kind = "choice"

    def __init__(
        self,
        label: str,
        load: Callable[[], Any],
        *,
        column: str | None = None,
        empty: str = "There is nothing to choose.",
    ) -> None:
        self.frame: pd.DataFrame | None = None
        self._load, self._column, self._empty = load, column, empty
        self._chosen: int | None = None
        self._is_filling = False
        self.field = ipywidgets.Dropdown(description=label, style={"description_width": "initial"})
        super().__init__(self.field)
        show(self.field, is_shown=False)
        self.field.observe(self._on_choice, names="index")
        self.refresh()

    @property
    def chosen(self) -> dict[str, Any] | None:
        """The record that is chosen."""
        frame = self.frame
        if frame is None or self._chosen is None:
            return None
        return {str(name): frame.iloc[self._chosen, place] for place, name in enumerate(frame.columns)}

    def follow(self, follower: Follower) -> None:
        """Have `follower` called with whatever is chosen, and at once with what is now."""
        super().follow(follower)
        if self._chosen is not None:
            follower(self.chosen)

    def choose(self, place: int) -> None:
        """Choose the row at this place; one that is not there changes nothing."""
        if self.frame is not None and 0 <= place < min(len(self.frame), MOST_CHOICES):
            self._chosen = place
            self._fill()
            self.attempt(lambda: self.announce(self.chosen))

    def refresh(self) -> None:
        """Load again; what was chosen stays so, if it is still there."""
        self.attempt(lambda: self._take(when_open(self._load)), "loading …")
        if self.frame is not None and self.frame.empty:
            self.status.say(self._empty)

    def _take(self, frame: object) -> None:
        if not isinstance(frame, pd.DataFrame):
            message = "a choice is one of the rows of a DataFrame"
            raise TypeError(message)
        before = self._name(self._chosen) if self._chosen is not None else None
        self.frame = frame
        names = [self._name(place) for place in range(min(len(frame), MOST_CHOICES))]
        self._chosen = names.index(before) if before in names else 0 if names else None
        self._fill()
        self.announce(self.chosen)

    def _name(self, place: int) -> str:
        assert self.frame is not None
        named = self.frame if self._column is None else self.frame[[self._column]]
        return label_of_row(named, place)

    def _fill(self) -> None:
        number = 0 if self.frame is None else min(len(self.frame), MOST_CHOICES)
        self._is_filling = True
        try:
            options = [(self._name(place), place) for place in range(number)]
            if tuple(options) != tuple(self.field.options):
                self.field.options = options
            self.field.index = self._chosen
            show(self.field, is_shown=bool(options))
        finally:
            self._is_filling = False

    def _on_choice(self, change: Mapping[str, Any]) -> None:
        # The page says which place; nothing else of what it sends is used.
        place = change["new"]
        if self._is_filling or place == self._chosen:
            return
        if isinstance(place, int):
            self.choose(int(place))  # what a page sends may be `true`, which is 1
        else:
            self._fill()
