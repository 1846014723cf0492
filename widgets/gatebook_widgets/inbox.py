"""Which change requests wait for me, and where do mine stand? Two lists whose entries lead to the portal.

Nothing is approved here: a review comes from a person at the portal, and a page that a notebook draws is none. A
request of one's own can be chosen: its card follows it, and withdraws, executes or takes it back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets

import gatebook
from gatebook import Change
from gatebook.cards import web_address
from gatebook.changes import State
from gatebook.live import watch
from gatebook.model import counted
from gatebook.wording import sentence
from gatebook_widgets.cards import ChangeCard
from gatebook_widgets.parts import Part, button, in_this_loop, line, show, when_open

MOST_REQUESTS = 50
MOST_FOLLOWED = 3


class Inbox(Part):
    """Lists the requests that wait for the viewer and those that they asked for, the newest first.

    The newest of one's own that wait are followed: the list changes when somebody decides.
    """

    kind = "inbox"

    def __init__(self, title: str = "Inbox", *, most: int = 20) -> None:
        self.title = title
        self.waiting: tuple[Change, ...] = ()
        self.mine: tuple[Change, ...] = ()
        self._most = max(1, min(most, MOST_REQUESTS))
        self._is_filling = False
        self._view, self._own = ipywidgets.HTML(), ipywidgets.HTML()
        self.choice = ipywidgets.Dropdown(description="Choose a request", style={"description_width": "initial"})
        self.choice.add_class("gb-pick")
        self.card = ChangeCard()
        # The page's script knows a table whose rows are chosen by this name.
        listed = ipywidgets.VBox([self._own, self.choice])
        listed.add_class("gb-table-part")
        self.again = button("Look again", "gb-second")
        super().__init__(self._view, listed, self.card.box, line(self.again))
        self._hear = in_this_loop(self._on_news)
        self.again.on_click(lambda _press: self.refresh())
        self.choice.observe(self._on_choice, names="index")
        self.card.follow(lambda _change: self.refresh())
        self.refresh()

    def refresh(self) -> None:
        """Ask for both lists again."""
        self.attempt(lambda: when_open(self._look), "loading …")

    def choose(self, place: int | None) -> None:
        """Show the card of the request at this place of one's own; one that is not there shows none."""
        is_there = place is not None and 0 <= place < len(self.mine)
        chosen = self.mine[place] if is_there and place is not None else None
        self.attempt(lambda: self.card.show(chosen.refresh() if chosen is not None else None))
        self._draw()

    def _look(self) -> None:
        open_ones = gatebook.changes(state=State.AWAITING_REVIEW, limit=MOST_REQUESTS)
        self.waiting = tuple(one for one in open_ones if one.may.get("review"))[: self._most]
        self.mine = gatebook.changes(mine=True, limit=self._most)
        self._draw()
        for change in [one for one in self.mine if not one.is_final][:MOST_FOLLOWED]:
            watch(change, self._hear)

    def _on_news(self, newer: Change) -> None:
        listed = {one.id: one.state for one in self.mine}
        if listed.get(newer.id, newer.state) is not newer.state:
            self.refresh()

    @property
    def _place(self) -> int | None:
        shown = self.card.change.id if self.card.change is not None else None
        return next((place for place, one in enumerate(self.mine) if one.id == shown), None)

    def _on_choice(self, change: Mapping[str, Any]) -> None:
        # The page says which place; nothing else of what it sends is used.
        if not self._is_filling:
            index = change["new"]
            self.choose(None if not isinstance(index, int) or index < 1 else index - 1)

    def _draw(self) -> None:
        waiting = "".join(_row(one, (one.requester or "somebody").removeprefix("user:")) for one in self.waiting)
        mine = "".join(
            _row(one, one.state.words, place=place, is_chosen=place == self._place)
            for place, one in enumerate(self.mine)
        )
        self._view.value = f"<h2>{escape(self.title)}</h2>" + _list(
            "Waiting for you", waiting, "Nothing waits for you.", ("Request", "Asked by", "On", "Since", "Page")
        )
        self._own.value = _list(
            "You asked for", mine, "You have asked for nothing.", ("", "Request", "State", "On", "Since", "Page")
        )
        self._is_filling = True
        try:
            names = [f"{one.id}: {sentence(one.sentence)}" for one in self.mine]
            self.choice.options = [("none", None), *((name, place) for place, name in enumerate(names))]
            self.choice.index = 0 if self._place is None else self._place + 1
            show(self.choice, is_shown=bool(names))
        finally:
            self._is_filling = False


def _list(title: str, rows: str, empty: str, names: tuple[str, ...]) -> str:
    head = f"<h3>{escape(title)}</h3>"
    if not rows:
        return f"{head}<p>{escape(empty)}</p>"
    columns = "".join(
        f'<th scope="col">{name}</th>' if name else '<th scope="col" class="gb-live-only">Choice</th>' for name in names
    )
    return (
        f'{head}<div class="gb-scroll" role="region" tabindex="0" aria-label="{escape(title)}"><table class="gb-table">'
        f"<caption>{counted(rows.count('<tr'), 'request')}</caption>"
        f"<thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(change: Change, who: str, *, place: int | None = None, is_chosen: bool = False) -> str:
    choose = "" if place is None else _choose(change, place, is_chosen=is_chosen)
    cells = "".join(f"<td>{escape(text)}</td>" for text in (who, change.source, _moment(change.created_at)))
    opening = '<tr class="gb-chosen">' if is_chosen else "<tr>"
    request = f'<td class="gb-wrap">{escape(sentence(change.sentence))}</td>'
    return f"{opening}{choose}{request}{cells}<td>{_link(change)}</td></tr>"


def _choose(change: Change, place: int, *, is_chosen: bool) -> str:
    word = "Chosen" if is_chosen else "Choose"
    label = escape(f"{word} request {change.id}")
    return (
        f'<td class="gb-live-only"><button type="button" class="gb-choose" data-gb-choose="{place + 1}" '
        f'aria-pressed="{str(is_chosen).lower()}" aria-label="{label}">{word}</button></td>'
    )


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
