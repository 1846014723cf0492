"""How does a table of records look? Every value escaped, numbers lined up, buttons where a page's script has them.

Where there is no such script (JupyterLab) the buttons are not shown: the fields beneath the table do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

import pandas as pd

from gatebook.model import counted
from gatebook_widgets.wording import digits_of, heading_of, html_of, is_missing, masked_columns, text_of

MOST_ROWS = 200
_WRAP_FROM = 40
_LABEL_COLUMNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a table shows besides its rows. `sortable` are its sort column's choices, in the order of that field."""

    title: str
    labels: Mapping[str, str]
    may_choose: bool = False
    chosen: int | None = None
    is_marked: Callable[[int], bool] | None = None
    sortable: tuple[str, ...] = ()
    sort: str | None = None
    is_descending: bool = False
    caption: str = ""


def table_of(frame: pd.DataFrame, look: Look) -> str:
    """The table as HTML, its first 200 rows."""
    masked = masked_columns(frame)
    rows = frame.head(MOST_ROWS)
    values = list(rows.itertuples(index=False, name=None))
    digits = [digits_of(row[place] for row in values) for place in range(frame.shape[1])]
    heads = [
        _head(str(name), heading_of(str(name), look.labels, masked), places, look)
        for name, places in zip(frame.columns, digits, strict=True)
    ]
    if look.is_marked is not None:
        heads.insert(0, '<th scope="col" class="gb-live-only">Mark</th>')
    if look.may_choose:
        heads.insert(0, '<th scope="col" class="gb-live-only">Choice</th>')
    body = "".join(_row(frame, place, row, digits, look) for place, row in enumerate(values))
    shown = f"{len(rows):,} of {len(frame):,} rows" if len(frame) > len(rows) else counted(len(frame), "row")
    return (
        f'<div class="gb-scroll" role="region" tabindex="0" aria-label="{escape(look.title)}">'
        f'<table class="gb-table"><caption>{escape(look.caption or shown)}</caption>'
        f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def label_of_row(frame: pd.DataFrame, place: int) -> str:
    """What a row is called where it is chosen: its first values."""
    values = [value for value in frame.iloc[place].tolist()[:_LABEL_COLUMNS] if not is_missing(value)]
    return ", ".join(text_of(value) for value in values)


def _head(name: str, heading: str, digits: int | None, look: Look) -> str:
    if name not in look.sortable:
        return f'<th scope="col"{_number(digits)}>{heading}</th>'
    is_sorted = name == look.sort
    sorting = f' aria-sort="{"descending" if look.is_descending else "ascending"}"' if is_sorted else ""
    arrow = ("&#9660;" if look.is_descending else "&#9650;") if is_sorted else ""
    mark = f' <span aria-hidden="true">{arrow}</span>' if arrow else ""
    # The first choice of the field is the key.
    button = (
        f'<button type="button" class="gb-head" data-gb-sort="{look.sortable.index(name) + 1}">{heading}{mark}</button>'
        f'<span class="gb-still">{heading}{mark}</span>'
    )
    return f'<th scope="col"{_number(digits)}{sorting}>{button}</th>'


def _row(frame: pd.DataFrame, place: int, row: tuple[object, ...], digits: list[int | None], look: Look) -> str:
    cells = "".join(
        f"<td{_number(places) or _wrap(value)}>{html_of(value, places)}</td>"
        for value, places in zip(row, digits, strict=True)
    )
    label = escape(label_of_row(frame, place)) if look.may_choose or look.is_marked else ""
    if look.is_marked is not None:
        is_on = look.is_marked(place)
        box = (
            f'<input type="checkbox" class="gb-mark-row" data-gb-mark="{place}" aria-label="Mark {label}"'
            f"{' checked' if is_on else ''}>"
        )
        cells = f'<td class="gb-live-only">{box}</td>{cells}'
    is_chosen = place == look.chosen
    if look.may_choose:
        word = "Chosen" if is_chosen else "Choose"
        button = (
            f'<button type="button" class="gb-choose" data-gb-choose="{place + 1}" '
            f'aria-pressed="{str(is_chosen).lower()}" aria-label="{word} {label}">{word}</button>'
        )
        cells = f'<td class="gb-live-only">{button}</td>{cells}'
    return f'<tr class="gb-chosen">{cells}</tr>' if is_chosen else f"<tr>{cells}</tr>"


def _number(digits: int | None) -> str:
    return "" if digits is None else ' class="gb-number"'


def _wrap(value: object) -> str:
    return ' class="gb-wrap"' if isinstance(value, str) and len(value) > _WRAP_FROM else ""
