"""How does a person change values in a table? One row at a time, collected in a list, sent as one change request.

Nothing is sent before somebody has read the list and said yes. What is sent is a wish: the gateway decides about it,
and shows the rows as they are by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets

from gatebook import Change, Outcome
from gatebook.errors import InvalidInput, NotPermitted
from gatebook.model import counted
from gatebook_widgets.cards import ChangeCard
from gatebook_widgets.changeset import ChangeSet
from gatebook_widgets.fields import NotFitting
from gatebook_widgets.forms import told
from gatebook_widgets.kinds import Kind, kind_of
from gatebook_widgets.pages import Pages
from gatebook_widgets.parts import Part, button, line
from gatebook_widgets.sending import send_sets
from gatebook_widgets.typing_in import Entry
from gatebook_widgets.wording import html_of, label_of

LONGEST_REASON = 500


class Edits(Part):
    """The fields of the row that is chosen, and what has been changed so far; announces what came of sending it."""

    kind = "edits"

    def __init__(
        self, pages: Pages, columns: tuple[str, ...], labels: Mapping[str, str], after: Callable[[], None]
    ) -> None:
        self.pages = pages
        self.changes = ChangeSet(pages.table)
        self.answer: Change | Outcome | None = None
        self._columns = checked(pages, columns)
        self._labels = labels
        self._after = after
        self._record: Mapping[str, Any] | None = None
        self._entries: dict[str, Entry] = {}
        self._is_asking = self._is_sending = False
        self._unlike = ""
        self._head, self._list = ipywidgets.HTML(), ipywidgets.HTML()
        self._fields = ipywidgets.VBox()
        self.keep_button = button("Keep these values", "gb-second")
        self.which = ipywidgets.Dropdown(description="Take back", style={"description_width": "initial"})
        self.back_button = button("Take it back", "gb-second")
        self.reason = ipywidgets.Text(description="Why?", placeholder="for those who approve it")
        self.ask_button = button("Send", "gb-press")
        self._question = ipywidgets.HTML()
        self.yes, self.no = button("Yes, send it", "gb-press"), button("Back", "gb-second")
        self._form = ipywidgets.VBox([self._head, self._fields, line(self.keep_button)])
        self._asking = ipywidgets.VBox([self._question, line(self.yes, self.no)])
        self._taking = line(self.which, self.back_button)
        self._sheet = ipywidgets.VBox([self._list, self._taking, self.reason, line(self.ask_button), self._asking])
        self._form.add_class("gb-form")
        self._sheet.add_class("gb-form")
        self.reason.add_class("gb-wide")
        self.card = ChangeCard()
        super().__init__(self._form, self._sheet)
        self.box.children = [self._form, self._sheet, self.status.widget, self.card.box]
        self.keep_button.on_click(lambda _press: self.keep())
        self.back_button.on_click(lambda _press: self.take_back(self.which.value))
        self.ask_button.on_click(lambda _press: self.ask())
        self.yes.on_click(lambda _press: self.send())
        self.no.on_click(lambda _press: self._ask_no_more())
        self.card.follow(lambda _change: self._after())
        self._draw()

    def open(self, record: Mapping[str, Any] | None) -> None:
        """Show the fields of this row; None shows none."""
        self._record = record
        self._entries = {}
        if record is not None:
            self._entries = {
                name: Entry(self.pages.column(name), self._label(name), self.changes.after(record, name))
                for name in self._columns
            }
            key = ", ".join(str(value) for value in self.changes.key_of(record))
            self._head.value = f"<h3>Change {escape(self.pages.table.name)} {escape(key)}</h3>"
        self._fields.children = [entry.box for entry in self._entries.values()]
        self._draw()

    def fill(self, **values: object) -> None:
        """Type values into fields, as a person would; None ticks NULL."""
        for name, value in values.items():
            entry = self._entries[name]
            entry.clear() if value is None else entry.fill(value)

    def keep(self) -> None:
        """Put what was typed on the list, if all of it fits."""
        record = self._record
        if record is None or self._is_sending:
            return
        read, is_fitting = {}, True
        for name, entry in self._entries.items():
            try:
                read[name] = entry.read()
            except NotFitting:
                is_fitting = False
        if not is_fitting:
            return
        self.status.clear()
        self.card.show(None)
        for name, value in read.items():
            self.changes.put(record, name, value)
        self._ask_no_more()

    def take_back(self, place: object) -> None:
        """Take one edit off the list."""
        if isinstance(place, int) and not self._is_sending:
            self.changes.take_back(place)
            self.open(self._record)
            self._ask_no_more()

    def ask(self) -> None:
        """Ask whether all of it is meant."""
        if not len(self.changes) or self._is_sending:
            return
        self._is_asking = True
        what = f"{counted(len(self.changes), 'value')} of {counted(len(self.changes.keys), 'row')}"
        told = escape(f"Send {what} of {self.pages.table.name} as one change request?")
        self._question.value = f'<p role="alert"><strong>{told}</strong></p>'
        self._draw()

    def send(self) -> None:
        """Send what was asked about, once."""
        if not self._is_asking or self._is_sending or not len(self.changes):
            return
        self._is_sending = True
        self._draw()
        try:
            if self.attempt(self._send, "sending …") and self.answer is not None:
                if self._unlike:
                    self.status.complain(self._unlike)
                else:
                    self.status.praise(told(self.answer))
        finally:
            self._is_sending = False
            self._ask_no_more()

    def _send(self) -> None:
        wanted = self.changes.statement(self.pages.engine)
        reason = str(self.reason.value).strip()[:LONGEST_REASON] or None
        answer = send_sets(self.pages.source, wanted.sql, wanted.sets, reason=reason)
        self.answer = answer
        self._unlike = self._what_differs(answer, len(wanted.sets))
        self.changes.clear()
        self.reason.value = ""
        self.card.show(answer if isinstance(answer, Change) else None)
        self.open(None)
        self._after()
        self.announce(answer)

    def _what_differs(self, answer: Change | Outcome, rows: int) -> str:
        if isinstance(answer, Outcome):
            missing = rows - (answer.rows_changed or 0)
            return f"{answer}; {counted(missing, 'row')} of yours did not change" if missing > 0 else ""
        moved = self.changes.moved(answer)
        seen = f"{counted(moved, 'row')} had changed since you looked; the request below shows what is there now"
        return seen if moved else ""

    def _ask_no_more(self) -> None:
        self._is_asking = False
        self._draw()

    def _label(self, name: str) -> str:
        return self._labels.get(name, label_of(name))

    def _draw(self) -> None:
        number = len(self.changes)
        self._form.layout.display = "none" if self._record is None else None
        self._sheet.layout.display = None if number else "none"
        self._asking.layout.display = None if self._is_asking else "none"
        self.ask_button.layout.display = "none" if self._is_asking else None
        self.ask_button.description = f"Send {counted(number, 'change')}"
        for one in (self.keep_button, self.back_button, self.ask_button, self.yes, self.no):
            one.disabled = self._is_sending
        self.which.options = [
            (f"{edit.label}: {self._label(edit.column)}", place) for place, edit in enumerate(self.changes)
        ]
        if number:
            self.which.index = 0
        self._list.value = self._table()

    def _table(self) -> str:
        rows = "".join(
            f'<tr><th scope="row">{escape(edit.label)}</th><td>{escape(self._label(edit.column))}</td>'
            f"<td><del>{html_of(edit.before)}</del> <ins>{html_of(edit.after)}</ins></td></tr>"
            for edit in self.changes
        )
        return (
            f'<h3>Your changes, not sent yet</h3><div class="gb-scroll"><table class="gb-table gb-changes"><thead><tr>'
            f'<th scope="col">{escape(", ".join(map(self._label, self.pages.table.key)))}</th>'
            f'<th scope="col">Column</th><th scope="col">Before and after</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )


def checked(pages: Pages, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that a person may type into; raises `NotPermitted`, `InvalidInput` where that cannot be."""
    table = pages.table
    if "update" not in table.may:
        raise NotPermitted(f"you may not change rows of `{table.name}`", ask=f"a grant to update `{table.name}`")
    for column in map(pages.column, columns):
        if column.name in table.key or column.mask is not None or kind_of(column.type) is Kind.OTHER:
            why = "the key" if column.name in table.key else "masked" if column.mask else f"of the type {column.type}"
            message = f"`{column.name}` is {why}, and cannot be changed here"
            raise InvalidInput(message)
    return tuple(pages.column(name).name for name in columns)
