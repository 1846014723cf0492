"""How does a person move in a table of any size? Back and forth, sorted, filtered, in chosen columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from gatebook.model import Column
from gatebook.wording import sentence
from gatebook_widgets import kinds
from gatebook_widgets.fields import NotFitting
from gatebook_widgets.keyset import Comparison, Filter, comparisons_of
from gatebook_widgets.kinds import kind_of
from gatebook_widgets.pages import Pages
from gatebook_widgets.parts import button, line, show
from gatebook_widgets.wording import is_missing, label_of, text_of

WIDE = {"description_width": "initial"}
_MOST_LINES = 8


class Browser:
    """The controls of a table, above it and beneath it. `take` is given each page that was read.

    `attempt` does work whose errors become sentences, as a part's does.
    """

    def __init__(
        self,
        pages: Pages,
        labels: Mapping[str, str],
        attempt: Callable[[Callable[[], None], str], bool],
        take: Callable[[pd.DataFrame], None],
    ) -> None:
        self.pages = pages
        self.fixed: tuple[Filter, ...] = ()
        self.filters: tuple[Filter, ...] = ()
        self._labels = labels
        self._attempt, self._take = attempt, take
        self._is_filling = False
        named = [(self.label(column.name), column.name) for column in pages.columns]
        self.more = ipywidgets.ToggleButton(description="Sort, filter, columns", icon="")
        self.more.add_class("gb-second")
        sortable = [(self.label(name), name) for name in pages.sortable]
        self.sort = ipywidgets.Dropdown(
            options=[("the key", None), *sortable], index=0, description="Sort by", style=WIDE
        )
        self.way = ipywidgets.Dropdown(options=[("rising", False), ("falling", True)], description="Order", style=WIDE)
        self.sort.add_class("gb-sort")
        self.way.add_class("gb-way")
        self.column = ipywidgets.Dropdown(options=named, description="Only rows whose", style=WIDE)
        self.comparison = ipywidgets.Dropdown(description="Comparison", style=WIDE)
        self.value = ipywidgets.Text(description="Value", style=WIDE)
        self.wrong = ipywidgets.HTML()
        self.add = button("Filter", "gb-second")
        self.none = button("Show all rows", "gb-second")
        self.shown = ipywidgets.SelectMultiple(
            options=named,
            value=pages.wanted.columns,
            rows=min(len(named), _MOST_LINES),
            description="Columns",
            style=WIDE,
        )
        self._panel = ipywidgets.VBox(
            [
                line(self.sort, self.way),
                line(self.column, self.comparison, self.value, self.add),
                self.wrong,
                self.shown,
            ]
        )
        self._panel.add_class("gb-panel")
        self.told = ipywidgets.HTML()
        self.controls = ipywidgets.VBox([line(self.more), self._panel, line(self.told, self.none)])
        self.controls.add_class("gb-controls")
        self.back, self.forth = button("Previous", "gb-second"), button("Next", "gb-second")
        self.place = ipywidgets.HTML()
        self.pager = line(self.back, self.forth, self.place)
        self.pager.add_class("gb-pager")
        self._offer_comparisons()
        self._listen()
        self._draw()

    def label(self, name: str) -> str:
        """What a person reads."""
        return self._labels.get(name, label_of(name))

    def restrict(self, filters: tuple[Filter, ...]) -> None:
        """Show only these rows, whatever a person filters besides."""
        self.fixed = filters
        self.first()

    def first(self) -> None:
        """Show the first page of what is wanted."""
        self.pages.filter((*self.fixed, *self.filters))
        self._read(self.pages.first)

    def next(self) -> None:
        """Show the next page."""
        if self.pages.has_next:
            self._read(self.pages.next)

    def previous(self) -> None:
        """Show the page before."""
        if self.pages.has_previous:
            self._read(self.pages.previous)

    def again(self) -> None:
        """Show this page as it is now."""
        self._read(self.pages.again)

    def sort_by(self, name: str | None, *, is_descending: bool = False) -> None:
        """Sort, as a person would."""
        self._is_filling = True
        try:
            self.sort.value, self.way.value = name, is_descending
        finally:
            self._is_filling = False
        self._sort()

    def narrow(self, column: str, comparison: Comparison, text: str = "") -> bool:
        """Add a filter, as a person would; returns whether the text fits the column."""
        found = self.pages.column(column)
        self.wrong.value = ""
        try:
            value = self._value(found, comparison, text)
        except NotFitting as error:
            told = escape(sentence(f"{self.label(found.name)} {error}"))
            self.wrong.value = f'<p class="gb-wrong" role="alert">{told}</p>'
            return False
        new = Filter(column=found.name, comparison=comparison, value=value)
        same = (one for one in self.filters if (one.column, one.comparison) != (new.column, new.comparison))
        self.filters = (*same, new)
        self.first()
        return True

    def widen(self) -> None:
        """Take all filters away."""
        self.filters = ()
        self.first()

    @staticmethod
    def _value(column: Column, comparison: Comparison, text: str) -> object:
        if not comparison.needs_value:
            return None
        if not text.strip():
            raise NotFitting("is compared with nothing: type a value")
        # What is contained need not be a whole value, and may be longer than the column.
        return text if comparison is Comparison.CONTAINS else kinds.read(column, text)

    def _listen(self) -> None:
        self.more.observe(lambda _change: self._draw(), names="value")
        for widget in (self.sort, self.way):
            widget.observe(lambda _change: self._sort(), names="value")
        self.column.observe(lambda _change: self._offer_comparisons(), names="value")
        self.comparison.observe(lambda _change: self._draw(), names="value")
        self.shown.observe(lambda _change: self._choose_columns(), names="value")
        self.add.on_click(lambda _press: self._narrow())
        self.none.on_click(lambda _press: self.widen())
        self.back.on_click(lambda _press: self.previous())
        self.forth.on_click(lambda _press: self.next())

    def _sort(self) -> None:
        if not self._is_filling:
            self.pages.sort(self.sort.value, is_descending=bool(self.way.value))
            self.first()

    def _narrow(self) -> None:
        if self.column.value is not None and self.comparison.value is not None:
            self.narrow(self.column.value, self.comparison.value, str(self.value.value))

    def _choose_columns(self) -> None:
        wanted = set(self.shown.value)
        columns = tuple(one.name for one in self.pages.columns if one.name in wanted)
        if columns:
            self.pages.show(columns)
            self.again()

    def _offer_comparisons(self) -> None:
        if self.column.value is not None:
            kind = kind_of(self.pages.column(self.column.value).type)
            self.comparison.options = [(str(one), one) for one in comparisons_of(kind)]
            self.comparison.index = 0

    def _read(self, page: Callable[[], pd.DataFrame]) -> None:
        self._attempt(lambda: self._take(page()), "loading …")
        self._draw()

    def _draw(self) -> None:
        pages = self.pages
        show(self._panel, is_shown=bool(self.more.value))
        show(self.value, is_shown=self.comparison.value is None or self.comparison.value.needs_value)
        show(self.none, is_shown=bool(self.filters))
        self.told.value = f"<p>{escape(self._words())}</p>" if self.filters else ""
        show(self.told, is_shown=bool(self.filters))
        show(self.pager, is_shown=pages.has_next or pages.has_previous)
        self.back.disabled, self.forth.disabled = not pages.has_previous, not pages.has_next
        self.place.value = f'<p class="gb-quiet" role="status">Page {pages.number:,}</p>'

    def _words(self) -> str:
        return "Only rows whose " + " and ".join(
            f"{self.label(one.column)} {one.comparison}"
            + (f" {text_of(one.value)}" if one.comparison.needs_value else "")
            for one in self.filters
        )


def values_of(record: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[Filter, ...]:
    """The rows whose columns have the values that this record has, as a filter; raises `KeyError`."""
    return tuple(
        Filter(column=column, comparison=Comparison.IS_NULL if is_missing(value) else Comparison.EQUALS, value=value)
        for column, value in ((column, record[name]) for column, name in columns.items())
    )
