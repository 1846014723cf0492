"""How are records shown and one of them chosen? A table, and a field to choose with.

Its rows are a search's, a function's, or those of a table of the database, which is then read page by page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from gatebook.errors import InvalidInput
from gatebook.model import counted
from gatebook_widgets.browsing import Browser, values_of
from gatebook_widgets.drawing import MOST_ROWS, Look, label_of_row, table_of
from gatebook_widgets.editing import Edits
from gatebook_widgets.pages import Pages
from gatebook_widgets.parts import Part, show, when_open
from gatebook_widgets.selecting import Selection

Record = dict[str, Any]


class RecordTable(Part):
    """Shows what `source` announces: a search's DataFrame, or what `load` returns for a chosen record.

    Announces the record that a person chooses. Without a source it shows what `load()` returns, at once. With `table`
    it shows that table of the source whose name `source` is, page by page; `of` is then the part whose chosen record
    says which rows, by `on`: a column of the table to a column of that record. `editable` columns can be changed, and
    `selected` announces the list of rows that are marked, if they may be.
    """

    kind = "table"

    def __init__(
        self,
        title: str,
        source: Part | str | None = None,
        load: Callable[..., Any] | None = None,
        *,
        table: str | None = None,
        columns: Sequence[str] = (),
        rows: int = 50,
        of: Part | None = None,
        on: Mapping[str, str] | Sequence[str] = (),
        editable: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        empty: str = "Nothing found.",
        may_choose: bool = True,
        may_select: bool = False,
    ) -> None:
        self.title = title
        self.frame: pd.DataFrame | None = None
        self.browser: Browser | None = None
        self.edits: Edits | None = None
        self._source = of if isinstance(source, str) else source
        self._load = load
        self._on = dict(on) if isinstance(on, Mapping) else {name: name for name in on}
        self._labels = dict(labels or {})
        self._empty = empty
        self._may_choose = may_choose
        self._may_select = may_select
        self._given: Any = None
        self._chosen: int | None = None
        self._is_filling = False
        self._head, self._view = ipywidgets.HTML(), ipywidgets.HTML()
        self._choice = ipywidgets.Dropdown(
            description=f"Choose from {title.lower()}", style={"description_width": "initial"}
        )
        self._choice.add_class("gb-pick")
        self.selected = Selection(title, self._draw, self.refresh)
        super().__init__(self._head, self._view, self._choice, self.selected.box)
        self._choice.observe(self._on_choice, names="index")
        if isinstance(source, str):
            self.attempt(lambda: self._browse(source, table, tuple(columns), rows, tuple(editable)))
        self._draw()
        self._begin()

    @property
    def chosen(self) -> Record | None:
        """The record that is chosen; of a table that is paged also the columns that are not shown."""
        if self.frame is None or self._chosen is None:
            return None
        return self._records()[self._chosen]

    def show(self, frame: object) -> None:
        """Show a DataFrame; None empties the table."""
        if frame is not None and not isinstance(frame, pd.DataFrame):
            message = "a table shows a DataFrame"
            raise TypeError(message)
        self.frame, self._chosen = frame, None
        self._fill_choice()
        self._draw()
        if self.edits is not None:
            self.edits.open(None)
        self.announce(None)

    def choose(self, place: int | None) -> None:
        """Choose the row at this place of the DataFrame; one that is not there chooses none."""
        is_there = self.frame is not None and place is not None and 0 <= place < min(len(self.frame), MOST_ROWS)
        self._chosen = place if is_there and self._may_choose else None
        self._draw()
        if self.edits is not None:
            self.attempt(lambda: self.edits.open(self.chosen))  # type: ignore[union-attr]
        self.attempt(lambda: self.announce(self.chosen))

    def refresh(self) -> None:
        """Load again, or have the source search again."""
        if self.browser is not None:
            if self._source is None or self._given is not None:
                self.browser.again()
        elif self._load is None:
            if self._source is not None:
                self._source.refresh()
        elif self._source is None:
            self.attempt(lambda: self.show(self._load()), "loading …")  # type: ignore[misc]
        elif self._given is not None:
            self._on_news(self._given)

    def _browse(
        self, source: str, table: str | None, columns: tuple[str, ...], rows: int, editable: tuple[str, ...]
    ) -> None:
        if table is None:
            message = "name the table that is to be shown: `table=…`"
            raise InvalidInput(message)
        pages = Pages(source, table, columns=columns, rows=rows)
        for name in self._on:
            pages.column(name)
        self.edits = Edits(pages, editable, self._labels, self.refresh) if editable else None
        self.browser = Browser(pages, self._labels, self.attempt, self.show)
        parts = [self._head, self.browser.controls, self._view, self.browser.pager, self._choice, self.selected.box]
        self.box.children = [*parts, *((self.edits.box,) if self.edits else ()), self.status.widget]

    def _begin(self) -> None:
        if self._source is not None:
            self._source.follow(self._on_news)
            if self.browser is not None:
                show(self.box, is_shown=False)
        elif self.browser is not None:
            self.browser.first()
        elif self._load is not None:
            load = self._load
            self.attempt(lambda: self.show(when_open(load)), "loading …")

    def _on_news(self, what: Any) -> None:
        self._given = what
        if self.browser is not None:
            self._on_record(self.browser, what)
        elif what is None or self._load is None:
            self.status.clear()
            self.show(what)
        else:
            load = self._load
            self.attempt(lambda: self.show(load(what)), "loading …")

    def _on_record(self, browser: Browser, record: Any) -> None:
        show(self.box, is_shown=record is not None)
        self.selected.forget()
        if record is None:
            self.show(None)
        else:
            self.attempt(lambda: browser.restrict(values_of(record, self._on)))

    def _records(self) -> list[Record]:
        frame = self.frame
        if self.browser is not None:
            return self.browser.pages.records
        if frame is None:
            return []
        # Value by value: a row of its own would make floats of integers beside floats.
        return [
            {str(name): frame.iloc[place, column] for column, name in enumerate(frame.columns)}
            for place in range(min(len(frame), MOST_ROWS))
        ]

    def _fill_choice(self) -> None:
        frame = self.frame
        number = 0 if frame is None else min(len(frame), MOST_ROWS)
        labels = [label_of_row(frame, place) for place in range(number)] if frame is not None else []
        self._is_filling = True
        try:
            offered = labels if self._may_choose else []
            self._choice.options = [
                ("none", None),
                *((f"{place + 1}: {label}", place) for place, label in enumerate(offered)),
            ]
            self._choice.index = 0
            show(self._choice, is_shown=bool(offered))
        finally:
            self._is_filling = False
        if self.browser is None:
            self.selected.forget()
        records = self._records() if self._may_select and frame is not None else []
        self.selected.show(
            {self._identity(place, one): one for place, one in enumerate(records)}, labels[: len(records)]
        )

    def _identity(self, place: int, record: Record) -> object:
        if self.browser is None:
            return place
        return tuple(record[name] for name in self.browser.pages.table.key)

    def _on_choice(self, change: Mapping[str, Any]) -> None:
        # The page says which place; nothing else of what it sends is used.
        if not self._is_filling:
            index = change["new"]
            self.choose(None if not isinstance(index, int) or index < 1 else index - 1)

    def _draw(self) -> None:
        frame = self.frame
        show(self._head, is_shown=frame is not None)
        if frame is None:
            self._head.value = self._view.value = ""
            return
        self._head.value = f"<h2>{escape(self.title)}</h2>"
        self._view.value = f"<p>{escape(self._empty)}</p>" if frame.empty else table_of(frame, self._look())

    def _look(self) -> Look:
        pages = self.browser.pages if self.browser is not None else None
        return Look(
            title=self.title,
            labels=self._labels,
            may_choose=self._may_choose,
            chosen=self._chosen,
            is_marked=self.selected.is_marked if self._may_select else None,
            sortable=pages.sortable if pages else (),
            sort=pages.wanted.sort if pages else None,
            is_descending=bool(pages and pages.wanted.is_descending),
            caption=f"{counted(len(pages.records), 'row')} on this page" if pages else "",
        )
