"""How does a value, a column or an error read on a page? Escaped, in words, and never one thing for another."""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

import pandas as pd

LONGEST_TEXT = 200
MOST_DIGITS = 6


def label_of(name: str) -> str:
    """`billing_city` as a person reads it."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def text_of(value: object) -> str:
    """A value as plain text; a day has no midnight."""
    match value:
        case pd.Timestamp() | dt.datetime() if not (value.hour or value.minute or value.second or value.microsecond):
            text = value.date().isoformat()
        case pd.Timestamp() | dt.datetime():
            text = value.isoformat(sep=" ", timespec="seconds")
        case bytes():
            text = f"{len(value):,} bytes"
        case _:
            text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def is_missing(value: object) -> bool:
    """Whether the value is NULL in any of pandas's ways of saying so."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124


def is_number(value: object) -> bool:
    """Whether the value is a number to be lined up with others."""
    return isinstance(value, (numbers.Number, Decimal)) and not isinstance(value, bool)


def digits_of(values: Iterable[object]) -> int | None:
    """How many decimals a column of numbers needs, so that they line up; None for other columns."""
    present = [value for value in values if not is_missing(value)]
    if not present or not all(is_number(value) for value in present):
        return None
    return max(map(_digits, present))


def _digits(value: Any) -> int:
    """A float is told by its first decimals: what a sum of cents has behind those is no cent."""
    if isinstance(value, float) and abs(rounded := round(value, MOST_DIGITS)) > 0:
        value = rounded
    return min(len(str(value).partition(".")[2]), MOST_DIGITS)


def html_of(value: object, digits: int | None = None) -> str:
    """A value as HTML, a number with so many decimals; NULL and the empty text are visible."""
    if is_missing(value):
        return '<span class="gb-mark">NULL</span>'
    if value == "":
        return '<span class="gb-mark">empty</span>'
    if digits and is_number(value):
        return f"{value:.{digits}f}"
    return escape(text_of(value))


def masked_columns(frame: pd.DataFrame) -> frozenset[str]:
    """The columns of an answer that arrived masked."""
    outcome = frame.attrs.get("gatebook")
    masks: Sequence[Any] = outcome.get("masks") or () if isinstance(outcome, Mapping) else ()
    return frozenset(str(mask["column"]).rpartition(".")[2].lower() for mask in masks if isinstance(mask, Mapping))


def heading_of(column: str, labels: Mapping[str, str], masked: frozenset[str]) -> str:
    """A column's name as HTML, with the word masked where it is."""
    mark = ' <span class="gb-mark">masked</span>' if column.lower() in masked else ""
    return escape(labels.get(column, label_of(column))) + mark
