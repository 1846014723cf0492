"""How are records shown and one of them chosen? An HTML table, every value escaped, and a field to choose with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from gatebook_widgets.parts import Part, when_open
from gatebook_widgets.wording import digits_of, heading_of, html_of, is_missing, masked_columns, text_of

MOST_ROWS = 200
_WRAP_FROM = 40
_LABEL_COLUMNS = 4
Record = dict[str, Any]


class RecordTable(Part):
    """Shows what `source` announces: a search's DataFrame, or what `load` returns for a chosen record.

    Announces the record that a person chooses. Without a source it shows what `load()` returns, at once.
    """

    kind = "table"

    def __init__(
        self,
        title: str,
        source: Part | None = None,
        load: Callable[..., Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        empty: str = "Nothing found.",
        may_choose: bool = True,
    ) -> None:
        self.title = title
        self.frame: pd.DataFrame | None = None
        self._source = source
        self._load = load
        self._labels = dict(labels or {})
        self._empty = empty
        self._may_choose = may_choose
        self._given: object = None
        self._chosen: int | None = None
        self._is_filling = False
        self._view = ipywidgets.HTML()
        self._choice = ipywidgets.Dropdown(
            description=f"Choose from {title.lower()}", style={"description_width": "initial"}
        )
        self._choice.add_class("gb-pick")
        super().__init__(self._view, self._choice)
        self._choice.observe(self._on_choice, names="index")
        self._draw()
        if source is not None:
            source.follow(self._on_news)
        elif load is not None:
            self.attempt(lambda: self.show(when_open(load)))

    @property
    def chosen(self) -> Record | None:
        """The record that is chosen."""
        if self.frame is None or self._chosen is None:
            return None
        # Value by value: a row of its own would make floats of integers beside floats.
        return {str(name): self.frame.iloc[self._chosen, place] for place, name in enumerate(self.frame.columns)}

    def show(self, frame: object) -> None:
        """Show a DataFrame; None empties the table."""
        if frame is not None and not isinstance(frame, pd.DataFrame):
            message = "a table shows a DataFrame"
            raise TypeError(message)
        self.frame, self._chosen = frame, None
        self._fill_choice()
        self._draw()
        self.announce(None)

    def choose(self, place: int | None) -> None:
        """Choose the row at this place of the DataFrame; one that is not there chooses none."""
        is_there = self.frame is not None and place is not None and 0 <= place < min(len(self.frame), MOST_ROWS)
        self._chosen = place if is_there and self._may_choose else None
        self._draw()
        self.attempt(lambda: self.announce(self.chosen))

    def refresh(self) -> None:
        """Load again, or have the source search again."""
        if self._load is None:
            if self._source is not None:
                self._source.refresh()
        elif self._source is None:
            self.attempt(lambda: self.show(self._load()))  # type: ignore[misc]
        elif self._given is not None:
            self._on_news(self._given)

    def _on_news(self, what: object) -> None:
        self._given = what
        if what is None or self._load is None:
            self.status.clear()
            self.show(what)
        else:
            load = self._load
            self.attempt(lambda: self.show(load(what)), "loading …")

    def _fill_choice(self) -> None:
        frame = self.frame
        self._is_filling = True
        try:
            rows = range(0 if frame is None or not self._may_choose else min(len(frame), MOST_ROWS))
            self._choice.options = [("none", None), *((f"{place + 1}: {self._label(place)}", place) for place in rows)]
            self._choice.index = 0
            self._choice.layout.display = None if rows else "none"
        finally:
            self._is_filling = False

    def _on_choice(self, change: Mapping[str, Any]) -> None:
        # The page says which place; nothing else of what it sends is used.
        if not self._is_filling:
            index = change["new"]
            self.choose(None if not isinstance(index, int) or index < 1 else index - 1)

    def _label(self, place: int) -> str:
        if self.frame is None:
            return ""
        values = [value for value in self.frame.iloc[place].tolist()[:_LABEL_COLUMNS] if not is_missing(value)]
        return ", ".join(text_of(value) for value in values)

    def _draw(self) -> None:
        frame = self.frame
        if frame is None:
            self._view.value = ""
            return
        head = f"<h2>{escape(self.title)}</h2>"
        if frame.empty:
            self._view.value = f"{head}<p>{escape(self._empty)}</p>"
            return
        self._view.value = head + self._table(frame)

    def _table(self, frame: pd.DataFrame) -> str:
        masked = masked_columns(frame)
        rows = frame.head(MOST_ROWS)
        values = list(rows.itertuples(index=False, name=None))
        digits = [digits_of(row[place] for row in values) for place in range(frame.shape[1])]
        head = "".join(
            f'<th scope="col"{_number(places)}>{heading_of(str(name), self._labels, masked)}</th>'
            for name, places in zip(frame.columns, digits, strict=True)
        )
        if self._may_choose:
            head = f'<th scope="col">Choice</th>{head}'
        body = "".join(self._row(place, row, digits) for place, row in enumerate(values))
        shown = f"{len(rows):,} of {len(frame):,} rows" if len(frame) > len(rows) else _counted(len(frame))
        return (
            f'<div class="gb-scroll" role="region" tabindex="0" aria-label="{escape(self.title)}">'
            '<table class="gb-table">'
            f"<caption>{shown}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _row(self, place: int, row: tuple[object, ...], digits: list[int | None]) -> str:
        is_chosen = place == self._chosen
        cells = "".join(
            f"<td{_number(places) or _wrap(value)}>{html_of(value, places)}</td>"
            for value, places in zip(row, digits, strict=True)
        )
        if self._may_choose:
            word = "Chosen" if is_chosen else "Choose"
            # Where no script gives the button a meaning it is not shown: the field below chooses too.
            button = (
                f'<button type="button" class="gb-choose" data-gb-choose="{place + 1}" '
                f'aria-pressed="{str(is_chosen).lower()}" aria-label="{word} {escape(self._label(place))}">'
                f"{word}</button>"
            )
            cells = f"<td>{button}</td>{cells}"
        return f'<tr class="gb-chosen">{cells}</tr>' if is_chosen else f"<tr>{cells}</tr>"


def _number(digits: int | None) -> str:
    return "" if digits is None else ' class="gb-number"'


def _wrap(value: object) -> str:
    return ' class="gb-wrap"' if isinstance(value, str) and len(value) > _WRAP_FROM else ""


def _counted(number: int) -> str:
    return f"{number:,} row" if number == 1 else f"{number:,} rows"
