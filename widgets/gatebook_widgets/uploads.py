"""How do the rows of a file get into a table? They are read and shown, and one request is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets

from gatebook import Change, Outcome
from gatebook.catalogue import engine_of
from gatebook.model import Table, counted
from gatebook.wording import sentence
from gatebook_widgets.cards import ChangeCard
from gatebook_widgets.forms import told
from gatebook_widgets.loading import Loaded, Mode, load, loadable, statement
from gatebook_widgets.pages import table_of
from gatebook_widgets.parts import Part, button, line, show
from gatebook_widgets.sending import MOST_SETS, send_sets
from gatebook_widgets.sheets import Sheet, sheet_of
from gatebook_widgets.wording import html_of, label_of

MOST_SHOWN = 10
MOST_WRONG_SHOWN = 20
_WIDE = {"description_width": "initial"}


class BulkUpload(Part):
    """A field for a file (CSV, TSV, XLSX), what its rows would do to `table`, and a button that sends them.

    `modes` says what a person may choose: `insert`, `update`, `upsert`. Announces what came of sending it.
    """

    kind = "upload"

    def __init__(
        self,
        title: str,
        source: str,
        table: str,
        *,
        columns: Sequence[str] = (),
        modes: Sequence[str] = ("update",),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.title = title
        self.loaded: Loaded | None = None
        self.answer: Change | Outcome | None = None
        self._source, self._wanted, self._columns = source, table, tuple(columns)
        self._labels = dict(labels or {})
        self._table: Table | None = None
        self._sheet: Sheet | None = None
        self._file = ""
        self._is_asking = self._is_sending = False
        self._sent = 0
        self._head = ipywidgets.HTML(f"<h2>{escape(title)}</h2>")
        self.field = ipywidgets.FileUpload(accept=".csv,.tsv,.txt,.xlsx", multiple=False, description="Choose a file")
        self.field.add_class("gb-second")
        self.mode = ipywidgets.Dropdown(
            options=[(Mode(one).words, Mode(one)) for one in modes], description="What for", style=_WIDE
        )
        self.wrong_rows = ipywidgets.Dropdown(
            options=[("send nothing", False), ("leave them out", True)], description="If rows do not fit", style=_WIDE
        )
        self._view = ipywidgets.HTML()
        self.reason = ipywidgets.Text(description="Why?", placeholder="for those who approve it")
        self.reason.add_class("gb-wide")
        self.ask_button, self.forget_button = button("Send", "gb-press"), button("Forget the file", "gb-second")
        self._question = ipywidgets.HTML()
        self.yes, self.no = button("Yes, send it", "gb-press"), button("Back", "gb-second")
        self._asking = ipywidgets.VBox([self._question, line(self.yes, self.no)])
        self._pressing = line(self.ask_button, self.forget_button)
        self.card = ChangeCard()
        super().__init__()
        choices = line(*((self.mode,) if len(modes) > 1 else ()), self.wrong_rows)
        parts = [self._head, self.field, choices, self._view, self.reason, self._pressing, self._asking]
        self.box.children = [*parts, self.status.widget, self.card.box]
        self.field.observe(self._on_file, names="value")
        for choice in (self.mode, self.wrong_rows):
            choice.observe(lambda _change: self._look(), names="value")
        self.ask_button.on_click(lambda _press: self.ask())
        self.forget_button.on_click(lambda _press: self.forget())
        self.yes.on_click(lambda _press: self.send())
        self.no.on_click(lambda _press: self._ask_no_more())
        self._draw()

    def take(self, name: str, content: bytes) -> None:
        """Read a file, as if a person had chosen it."""
        self.forget()
        self.card.show(None)
        if self.attempt(lambda: self._open(name, content), "reading …"):
            self._look()

    def forget(self) -> None:
        """Put the file away; nothing is sent of it."""
        self._sheet, self.loaded, self._file = None, None, ""
        self.status.clear()
        self._ask_no_more()

    def ask(self) -> None:
        """Ask whether the rows are meant."""
        if self.loaded is None or not self._may_send or self._is_sending:
            return
        self._is_asking = True
        what = f"{self.mode.label}: send {counted(len(self.loaded.rows), 'row')} as one change request?"
        left = f" {counted(len(self.loaded.wrong), 'row')} left out." if self.loaded.wrong else ""
        self._question.value = f'<p role="alert"><strong>{escape(what + left)}</strong></p>'
        self._draw()

    def send(self) -> None:
        """Send what was asked about, once."""
        if not self._is_asking or self._is_sending or self.loaded is None:
            return
        self._is_sending = True
        self._draw()
        try:
            if self.attempt(self._send, "sending …") and self.answer is not None:
                self._tell(self.answer)
        finally:
            self._is_sending = False
            self._ask_no_more()

    @property
    def _may_send(self) -> bool:
        loaded = self.loaded
        return loaded is not None and bool(loaded.rows) and (not loaded.wrong or bool(self.wrong_rows.value))

    def _on_file(self, change: Mapping[str, Any]) -> None:
        for one in change["new"] or ():
            self.take(str(one["name"]), bytes(one["content"]))

    def _open(self, name: str, content: bytes) -> None:
        self._table = table_of(self._source, self._wanted)
        self._sheet = sheet_of(name, content, most_rows=MOST_SETS)
        self._file = name

    def _look(self) -> None:
        self.loaded = None
        self._is_asking = False
        if self._sheet is not None:
            self.status.clear()
            self.attempt(self._load)
        self._draw()

    def _load(self) -> None:
        assert self._table is not None
        assert self._sheet is not None
        allowed = loadable(self._table, self._columns)
        self.loaded = load(self._sheet, self._table, allowed, self._labels, self.mode.value)

    def _send(self) -> None:
        assert self._table is not None
        assert self.loaded is not None
        wanted = statement(self._table, self.loaded, engine_of(self._source), self.mode.value)
        self._sent = len(wanted.sets)
        reason = str(self.reason.value).strip()[:500] or None
        self.answer = send_sets(self._source, wanted.sql, wanted.sets, reason=reason)
        self._sheet, self.loaded, self._file = None, None, ""
        self.reason.value = ""
        self.card.show(self.answer if isinstance(self.answer, Change) else None)
        self.announce(self.answer)

    def _tell(self, answer: Change | Outcome) -> None:
        if isinstance(answer, Change):
            changed = sum(diff.total for diff in answer.diffs or ())
        else:
            changed = answer.rows_changed or 0
        if changed < self._sent:
            rest = counted(self._sent - changed, "row")
            self.status.complain(
                f"{told(answer)}; {rest} of the file would change nothing, or {_is_are(rest)} not there"
            )
        else:
            self.status.praise(told(answer))

    def _ask_no_more(self) -> None:
        self._is_asking = False
        self._draw()

    def _draw(self) -> None:
        show(self.reason, is_shown=self._may_send)
        show(self._pressing, is_shown=self._sheet is not None and not self._is_asking)
        show(self._asking, is_shown=self._is_asking)
        self.ask_button.disabled = not self._may_send or self._is_sending
        self.ask_button.description = f"Send {counted(len(self.loaded.rows), 'row')}" if self.loaded else "Send"
        for one in (self.yes, self.no, self.forget_button, self.field):
            one.disabled = self._is_sending
        self._view.value = self._preview()

    def _preview(self) -> str:
        loaded = self.loaded
        if loaded is None:
            return ""
        fit, wrong = counted(len(loaded.rows), "row"), counted(len(loaded.wrong), "row")
        head = f"<p><strong>{escape(self._file)}</strong>: {fit} that fit{'s' if len(loaded.rows) == 1 else ''}"
        return head + (f", {wrong} not.</p>{_wrong(loaded)}" if loaded.wrong else ".</p>") + self._rows(loaded)

    def _rows(self, loaded: Loaded) -> str:
        if not loaded.rows:
            return ""
        head = "".join(
            f'<th scope="col">{escape(self._labels.get(one.name, label_of(one.name)))}</th>' for one in loaded.columns
        )
        body = "".join(
            f"<tr>{''.join(f'<td>{html_of(value)}</td>' for value in row)}</tr>" for row in loaded.rows[:MOST_SHOWN]
        )
        shown = f"The first {MOST_SHOWN} of them" if len(loaded.rows) > MOST_SHOWN else "As they were read"
        return (
            f'<div class="gb-scroll" role="region" tabindex="0" aria-label="Rows of the file"><table class="gb-table">'
            f"<caption>{shown}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


def _wrong(loaded: Loaded) -> str:
    rows = "".join(
        f"<li>Row {one.number:,}: {escape(sentence(one.why))}</li>" for one in loaded.wrong[:MOST_WRONG_SHOWN]
    )
    more = len(loaded.wrong) - MOST_WRONG_SHOWN
    rest = f"<li>And {counted(more, 'more row')}.</li>" if more > 0 else ""
    return f'<ul class="gb-wrong-rows">{rows}{rest}</ul>'


def _is_are(rows: str) -> str:
    return "is" if rows.startswith("1 ") else "are"
