"""Which change requests wait for me, and where do mine stand? Two lists whose entries lead to the portal.

Nothing is approved here: a review comes from a person at the portal, and a page that a notebook draws is none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from html import escape

import ipywidgets

import gatebook
from gatebook import Change
from gatebook.cards import web_address
from gatebook.changes import State
from gatebook.model import counted
from gatebook.wording import sentence
from gatebook_widgets.parts import Part, button, line, when_open

MOST_REQUESTS = 50


class Inbox(Part):
    """Lists the requests that wait for the viewer and those that they asked for, the newest first."""

    kind = "inbox"

    def __init__(self, title: str = "Inbox", *, most: int = 20) -> None:
        self.title = title
        self.waiting: tuple[Change, ...] = ()
        self.mine: tuple[Change, ...] = ()
        self._most = max(1, min(most, MOST_REQUESTS))
        self._view = ipywidgets.HTML()
        self.again = button("Look again", "gb-second")
        super().__init__(self._view, line(self.again))
        self.again.on_click(lambda _press: self.refresh())
        self.refresh()

    def refresh(self) -> None:
        """Ask for both lists again."""
        self.attempt(lambda: when_open(self._look), "loading …")

    def _look(self) -> None:
        open_ones = gatebook.changes(state=State.AWAITING_REVIEW, limit=MOST_REQUESTS)
        self.waiting = tuple(one for one in open_ones if one.may.get("review"))[: self._most]
        self.mine = gatebook.changes(mine=True, limit=self._most)
        self._draw()

    def _draw(self) -> None:
        self._view.value = (
            f"<h2>{escape(self.title)}</h2>"
            + _list("Waiting for you", self.waiting, "Nothing waits for you.", is_mine=False)
            + _list("You asked for", self.mine, "You have asked for nothing.", is_mine=True)
        )


def _list(title: str, changes: tuple[Change, ...], empty: str, *, is_mine: bool) -> str:
    head = f"<h3>{escape(title)}</h3>"
    if not changes:
        return f"{head}<p>{escape(empty)}</p>"
    names = ("Request", "State" if is_mine else "Asked by", "On", "Since", "Page")
    columns = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(f"<tr>{_cells(_entry(change, is_mine=is_mine))}<td>{_link(change)}</td></tr>" for change in changes)
    return (
        f'{head}<div class="gb-scroll" role="region" tabindex="0" aria-label="{escape(title)}"><table class="gb-table">'
        f"<caption>{counted(len(changes), 'request')}</caption>"
        f"<thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _entry(change: Change, *, is_mine: bool) -> tuple[str, ...]:
    who = change.state.words if is_mine else (change.requester or "somebody").removeprefix("user:")
    return (sentence(change.sentence), who, change.source, _moment(change.created_at))


def _cells(texts: Iterable[str]) -> str:
    first, *rest = texts
    return f'<td class="gb-wrap">{escape(first)}</td>' + "".join(f"<td>{escape(text)}</td>" for text in rest)


def _link(change: Change) -> str:
    url = web_address(change.url)
    if url is None:
        return escape(change.id)
    label = escape(f"Open request {change.id} at the portal, in a new tab")
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer" aria-label="{label}">Open</a>'


def _moment(text: str | None) -> str:
    try:
        return dt.datetime.fromisoformat(text or "").strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return text or ""
