"""How is a value of a column typed in? A field of its kind; where NULL is possible, a box beside it says so."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from html import escape
from typing import Any

import ipywidgets

from gatebook.model import Column
from gatebook.wording import sentence
from gatebook_widgets import kinds
from gatebook_widgets.fields import NotFitting
from gatebook_widgets.kinds import Kind, kind_of

_LONG_TEXT = 120
WIDE = {"description_width": "initial"}


def typed_text(value: object) -> str:
    """A value as somebody would type it, all of it; the empty text for NULL."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dt.datetime():
            return value.isoformat(sep=" ")
        case dt.date() | dt.time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


class Entry:
    """The field of one column of one row."""

    def __init__(self, column: Column, label: str, value: object) -> None:
        self.column = column
        self._label = label
        self._kind = kind_of(column.type)
        self._text = typed_text(value)
        self._value = value
        self._field = self._make()
        self._null = ipywidgets.Checkbox(
            value=value is None, description=f"{label}: no value (NULL)", indent=False, style=WIDE
        )
        self._message = ipywidgets.HTML()
        # Where an empty field can only mean NULL there is nothing to tick.
        has_box = column.nullable and self._kind is Kind.TEXT
        self.box = ipywidgets.VBox([self._field, *((self._null,) if has_box else ()), self._message])
        self.box.add_class("gb-field")
        self._field.observe(lambda _change: self._untick(), names="value")

    def fill(self, value: object) -> None:
        """Type something, as a person would."""
        self._field.value = value
        self._null.value = False

    def clear(self) -> None:
        """Tick NULL."""
        self._null.value = True
        if self._kind is not Kind.TEXT:
            self._field.value = None if self._kind is Kind.TRUTH else ""

    def read(self) -> object:
        """The value; raises `NotFitting`, which is also said at the field. What nobody touched stays as it is."""
        self._message.value = ""
        try:
            return self._read()
        except NotFitting as error:
            told = escape(sentence(f"{self._label} {error}"))
            self._message.value = f'<p class="gb-wrong" role="alert">{told}</p>'
            raise

    def _read(self) -> object:
        raw = self._field.value
        if self._kind is Kind.TEXT and self._null.value and self.column.nullable:
            return None
        if raw is None or (self._kind is not Kind.TEXT and not str(raw).strip()):
            if self.column.nullable:
                return None
            raise NotFitting("is missing")
        text = typed_text(raw)
        # Some engines tell their values in other types than a person's: what is the same text is the same value.
        return self._value if text == self._text and self._value is not None else kinds.read(self.column, text)

    def _untick(self) -> None:
        if self._field.value not in {"", None}:
            self._null.value = False

    def _make(self) -> Any:
        common = {"description": self._label, "style": WIDE}
        if self._kind is Kind.TRUTH:
            options = [*((("", None),) if self.column.nullable else ()), ("yes", True), ("no", False)]
            return ipywidgets.Dropdown(
                options=options, value=None if self._value is None else bool(self._value), **common
            )
        is_long = len(self._text) > _LONG_TEXT or "\n" in self._text
        return (ipywidgets.Textarea if is_long else ipywidgets.Text)(value=self._text, **common)
