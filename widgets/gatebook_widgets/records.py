"""How is one record shown? Its columns as terms and values, every value escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from gatebook_widgets.parts import Part
from gatebook_widgets.tables import RecordTable
from gatebook_widgets.wording import digits_of, heading_of, html_of, masked_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """A table whose rows belong to a record: `on` names its columns, or a mapping of them to the record's."""

    title: str
    source: str
    table: str
    on: Mapping[str, str] | Sequence[str]
    columns: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    rows: int = 10
    may_choose: bool = False

    def table_beneath(self, record: Part) -> RecordTable:
        """The table, which follows the record."""
        return RecordTable(
            self.title,
            self.source,
            table=self.table,
            columns=self.columns,
            rows=self.rows,
            of=record,
            on=self.on,
            labels=self.labels,
            empty=f"No {self.title.lower()}.",
            may_choose=self.may_choose,
        )


class RecordView(Part):
    """Shows the record that `source` announces, or the first row of what `load` returns for it; announces it too.

    Beneath it are the tables of `related`, each with the rows that belong to the record.
    """

    kind = "record"

    def __init__(
        self,
        title: str,
        source: Part,
        load: Callable[[Any], Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        related: Sequence[Related] = (),
    ) -> None:
        self.title = title
        self.record: dict[str, Any] | None = None
        self._load = load
        self._labels = dict(labels or {})
        self._given: Any = None
        self._view = ipywidgets.HTML()
        super().__init__(self._view)
        self.related = tuple(one.table_beneath(self) for one in related)
        self.box.children = [self._view, self.status.widget, *(table.box for table in self.related)]
        self._draw(frozenset())
        source.follow(self._on_news)

    def refresh(self) -> None:
        """Load again."""
        if self._given is not None:
            self._on_news(self._given)

    def _on_news(self, what: Any) -> None:
        self._given = what
        self.record = None
        self._draw(frozenset())
        if what is not None:
            self.attempt(lambda: self._take(what), "loading …")
        self.announce(self.record)

    def _take(self, what: Any) -> None:
        masked: frozenset[str] = frozenset()
        record = what
        if self._load is not None:
            frame = self._load(what)
            if not isinstance(frame, pd.DataFrame):
                message = "a record comes from a DataFrame"
                raise TypeError(message)
            masked = masked_columns(frame)
            record = None if frame.empty else dict(zip(map(str, frame.columns), frame.iloc[0].tolist(), strict=True))
        self.record = record
        self._draw(masked)

    def _draw(self, masked: frozenset[str]) -> None:
        record = self.record
        self.box.layout.display = None if self._given is not None else "none"
        if record is None:
            self._view.value = f"<h2>{escape(self.title)}</h2>"
            return
        facts = "".join(
            f"<div><dt>{heading_of(name, self._labels, masked)}</dt><dd>{html_of(value, digits)}</dd></div>"
            for name, value in record.items()
            for digits in (digits_of((value,)),)
        )
        self._view.value = f'<h2>{escape(self.title)}</h2><dl class="gb-facts">{facts}</dl>'
