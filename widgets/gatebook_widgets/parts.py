"""What have the parts of a tool in common? They follow one another, and say in a sentence what went wrong."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from html import escape
from typing import Any, ClassVar, Protocol, TypeVar
from weakref import WeakSet

import ipywidgets

from gatebook import GatebookError
from gatebook.wording import problem_of, sentence
from gatebook_widgets.style import STYLE

T = TypeVar("T")
Follower = Callable[[Any], None]

# What the tools service answers to a kernel that waits for somebody to open its page.
_NOBODY_YET = "GB-605"
_PAUSE_S = 0.25
# What the client says if it reaches nobody, and what the relay says if it does not reach the gateway.
UNREACHABLE = frozenset({"GB-902", "GB-601"})


class HearsOfLoss(Protocol):
    """Somebody who does something about a connection that is lost."""

    def on_lost(self) -> None:
        """A part could not reach the gateway."""


_hear_of_loss: WeakSet[HearsOfLoss] = WeakSet()


def hear_of_loss(one: HearsOfLoss) -> None:
    """Have it told when a part of this kernel could not reach the gateway, for as long as it is there."""
    _hear_of_loss.add(one)


def when_open(ask: Callable[[], T]) -> T:
    """Ask the gate for something that a tool needs at its start; a page made in advance waits here for its viewer."""
    while True:
        try:
            return ask()
        except GatebookError as error:
            if error.code != _NOBODY_YET:
                raise
        time.sleep(_PAUSE_S)


def in_this_loop(receive: Callable[[T], None]) -> Callable[[T], None]:
    """For news from another thread: widgets are changed in the kernel's own, in the order in which news came."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return receive

    def tell(news: T) -> None:
        loop.call_soon_threadsafe(receive, news)

    return tell


def button(label: str, tone: str) -> ipywidgets.Button:
    """A button; `gb-press` does what the part is for, `gb-second` the rest."""
    made = ipywidgets.Button(description=label)
    made.add_class(tone)
    return made


def line(*widgets: ipywidgets.Widget) -> ipywidgets.HBox:
    """Widgets side by side, which wrap where the page is narrow."""
    made = ipywidgets.HBox(widgets)
    made.add_class("gb-line")
    return made


def show(widget: ipywidgets.Widget, *, is_shown: bool) -> None:
    """Have a widget on the page, or not."""
    widget.layout.display = None if is_shown else "none"


class Status:
    """One sentence: what is going on, what went well, or what went wrong."""

    def __init__(self) -> None:
        self.widget = ipywidgets.HTML()
        self.clear()

    def clear(self) -> None:
        """Say nothing."""
        self._show("", "status", "")

    def say(self, text: str) -> None:
        """Say what is going on."""
        self._show(escape(sentence(text)), "status", "")

    def praise(self, text: str) -> None:
        """Say what went well."""
        self._show(escape(sentence(text)), "status", "gb-good")

    def complain(self, text: str) -> None:
        """Say what is wrong."""
        self._show(escape(sentence(text)), "alert", "gb-bad")

    def refuse(self, error: GatebookError) -> None:
        """Say what the gate refused, and how to go on."""
        self._show(problem_of(error), "alert", "gb-bad")

    @property
    def text(self) -> str:
        """What is shown, as HTML."""
        return str(self.widget.value)

    def _show(self, html: str, role: str, tone: str) -> None:
        self.widget.value = f'<div class="gb-status {tone}" role="{role}">{html}</div>' if html else ""
        self.widget.layout.display = None if html else "none"


class Part:
    """One part of a tool; `box` is its widget. Others follow it: each is told what it announces, or None."""

    kind: ClassVar[str] = "part"

    def __init__(self, *children: ipywidgets.Widget) -> None:
        self.status = Status()
        self._followers: list[Follower] = []
        self.box = ipywidgets.VBox([*children, self.status.widget])
        self.box.add_class("gb-part")
        self.box.add_class(f"gb-{self.kind}-part")

    def follow(self, follower: Follower) -> None:
        """Have `follower` called with whatever this part announces."""
        self._followers.append(follower)

    def announce(self, what: object) -> None:
        """Tell all followers."""
        for follower in tuple(self._followers):
            follower(what)

    def refresh(self) -> None:
        """Show what is true now; parts that hold no data have nothing to do."""

    def attempt(self, work: Callable[[], None], doing: str = "") -> bool:
        """Do the work; whatever goes wrong becomes a sentence. Returns whether it went well."""
        if doing:
            self.status.say(doing)
        try:
            work()
        except GatebookError as error:
            self.status.refuse(error)
            if error.code in UNREACHABLE:
                for hear in tuple(_hear_of_loss):
                    hear.on_lost()
        except Exception as error:  # noqa: BLE001 - a person at a tool must not see a traceback, or nothing at all
            reference = secrets.token_hex(4)
            print(f"tool error {reference}", file=sys.__stderr__)
            traceback.print_exc(file=sys.__stderr__)
            kind = type(error).__name__
            self.status.complain(f"this part of the tool failed ({kind}); tell its owner the reference {reference}")
        else:
            if doing:
                self.status.clear()
            return True
        return False

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(ipywidgets.HTML(STYLE), self.box)  # type: ignore[no-untyped-call]
