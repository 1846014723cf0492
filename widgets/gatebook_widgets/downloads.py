"""How does a person take rows along? The rows are read once, under their rights, and a link saves them.

One read makes one file, and the book has that read with its number of rows. The file travels with the page: no other
service sees it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape

import ipywidgets
import pyarrow as pa

import gatebook
from gatebook.errors import InvalidInput, LimitExceeded
from gatebook.model import counted
from gatebook.provenance import claiming
from gatebook_widgets.files import Format, file_of
from gatebook_widgets.keyset import Statement, everything
from gatebook_widgets.parts import Part, button, line
from gatebook_widgets.tables import RecordTable

MOST_BYTES = 16 * 2**20
Params = Mapping[str, object] | Callable[[], Mapping[str, object]]


class Download(Part):
    """Buttons that make a file of the rows of `sql`, or of all rows that the table `of` shows on its pages.

    `params` may be a function, which is called with each press. Announces nothing.
    """

    kind = "download"

    def __init__(
        self,
        title: str,
        source: str | None = None,
        sql: str | None = None,
        params: Params | None = None,
        *,
        of: RecordTable | None = None,
        formats: Sequence[str] = tuple(Format),
        name: str | None = None,
        most_bytes: int = MOST_BYTES,
        reason: str | None = None,
        purpose: str | None = None,
    ) -> None:
        self.content: bytes | None = None
        self._title = title
        self._name = re.sub(r"[^\w-]+", "_", name or title).strip("_").lower() or "rows"
        self._source, self._sql, self._params, self._of = source, sql, params, of
        self._most_bytes = most_bytes
        self._reason, self._purpose = reason, purpose
        self._head = ipywidgets.HTML(f"<h2>{escape(title)}</h2>")
        self.buttons = {Format(form): button(f"Make {Format(form).words}", "gb-second") for form in formats}
        self.link = ipywidgets.HTML()
        super().__init__(self._head, line(*self.buttons.values()), self.link)
        for form, one in self.buttons.items():
            one.on_click(lambda _press, form=form: self.make(form))

    def make(self, form: str) -> None:
        """Read the rows and offer them as a file of this format."""
        self.content = None
        self.link.value = ""
        self.attempt(lambda: self._make(Format(form)), "reading …")

    def _make(self, form: Format) -> None:
        source, asked = self._asked()
        with claiming(file=str(form)):
            table = self._read(source, asked)
        content = file_of(table, form)
        if len(content) > self._most_bytes:
            raise self._too_large()
        self.content = content
        name = f"{self._name}.{form}"
        told = escape(f"{counted(table.num_rows, 'row')}, {_size(len(content))}")
        address = f"data:{form.media_type};base64,{base64.b64encode(content).decode()}"
        self.link.value = (
            f'<p role="status"><a class="gb-file" download="{escape(name)}" href="{address}">Save {escape(name)}</a> '
            f'<span class="gb-quiet">{told}</span></p>'
        )

    def _asked(self) -> tuple[str, Statement]:
        if self._of is not None:
            browser = self._of.browser
            if browser is None:
                message = "only a table of the database has all of its rows to save"
                raise InvalidInput(message)
            return browser.pages.source, everything(browser.pages.wanted, browser.pages.engine)
        if self._source is None or self._sql is None:
            message = "there is nothing to save: name a source and a statement, or a table"
            raise InvalidInput(message)
        params = self._params() if callable(self._params) else self._params or {}
        return self._source, Statement(sql=self._sql, params=params)

    def _read(self, source: str, asked: Statement) -> pa.Table:
        kept, size = [], 0
        through = gatebook.connect(source)
        with through.batches(asked.sql, asked.params, reason=self._reason, purpose=self._purpose) as batches:
            for batch in batches:
                kept.append(batch)
                size += batch.nbytes
                if size > 4 * self._most_bytes:
                    raise self._too_large()
        return pa.Table.from_batches(kept, batches.schema)

    def _too_large(self) -> LimitExceeded:
        message = f"the file would be larger than {_size(self._most_bytes)}, which is the most that a page saves"
        return LimitExceeded(message, ask="fewer rows or columns; a notebook or a job for more")


def _size(number: int) -> str:
    if number < 2**20:
        return f"{max(1, round(number / 1024)):,} KB"
    return f"{number / 2**20:,.1f} MB"
