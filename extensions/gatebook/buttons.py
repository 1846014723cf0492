"""Which buttons does a card have, and what does a press do?

A press asks a question; only its answer goes to the gate, with the person's own token, and the gate decides again. What
a front end sends is a wish: a message for a button that is not shown does nothing. Work is done in threads, so that a
cell may run meanwhile. ipywidgets is loaded with the first buttons.
"""

from __future__ import annotations

import contextvars
import secrets
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from gatebook.cards import card_of
from gatebook.changes import Change, State, Step
from gatebook.errors import GatebookError, GatewayUnreachable
from gatebook.live import Listener, watch
from gatebook.wording import problem_of, sentence

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_AGAIN = "this card does not follow its request any more"
_UNKNOWN = "the gateway broke off before it answered, so it is not known what came of it; look at the request's page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a step's buttons and its question say."""

    press: str
    question: str
    yes: str
    keep: str
    doing: str


WORDS = {
    Step.EXECUTE: Words(
        press="Execute",
        question="Execute it now? The rows are compared once more, and if they differ from those above, nothing is "
        "written.",
        yes="Yes, execute it",
        keep="Not now",
        doing="executing …",
    ),
    Step.WITHDRAW: Words(
        press="Withdraw",
        question="Withdraw this request? Nobody can approve it then, and nothing is written.",
        yes="Yes, withdraw it",
        keep="Keep it",
        doing="withdrawing …",
    ),
    Step.UNDO: Words(
        press="Undo",
        question="Ask for the rows as they were? That is a request of its own. Rows that were changed since stay as "
        "they are.",
        yes="Yes, ask to undo it",
        keep="Leave it",
        doing="asking …",
    ),
}


class Buttons:
    """The buttons of one request, which follow it; `tell` hears of every newer state, in whichever thread."""

    def __init__(self, change: Change, tell: Listener) -> None:
        import ipywidgets

        self.change = change
        self._tell = tell
        self._lock = threading.RLock()
        self._asked: Step | None = None
        self._is_busy = self._is_lost = False
        self._presses = {step: _button(words.press, f"{words.press}: {change.place}") for step, words in WORDS.items()}
        self._again = _button("Look again", change.place)
        self._yes, self._keep = _button("", ""), _button("", "")
        self._question, self._said = ipywidgets.HTML(), ipywidgets.HTML(tabbable=True)
        self._reason = ipywidgets.Text(description="Why?", placeholder="for those who approve it")
        self._row = _line(*self._presses.values(), self._again)
        self._asking = ipywidgets.VBox([self._question, self._reason, _line(self._yes, self._keep)])
        self._below = ipywidgets.VBox()
        self.box = ipywidgets.VBox([self._row, self._asking, self._said, self._below])
        for widget, name in ((self.box, "acts"), (self._asking, "ask"), (self._yes, "yes"), (self._below, "below")):
            widget.add_class(f"gb-{name}")
        for step, button in self._presses.items():
            button.on_click(lambda _, step=step: self._ask(step))
        self._again.on_click(lambda _: self._look_again())
        self._yes.on_click(lambda _: self._send())
        self._keep.on_click(lambda _: self._leave())
        self._draw()
        watch(change, self._on_news, self._on_lost)

    @property
    def bundle(self) -> dict[str, Any]:
        """What a front end is sent to show them; one that has no widgets shows nothing."""
        return bundle_of(self.box)

    def _ask(self, step: Step) -> None:
        with self._lock:
            if self._is_busy or step not in self.change.steps:
                return
            self._asked = step
            words = WORDS[step]
            self._question.value = f'<p role="alert">{escape(words.question)}</p>'
            self._yes.description, self._keep.description = words.yes, words.keep
            self._reason.value = ""
            self._say("")
            self._draw()
            (self._reason if step is Step.UNDO else self._keep).focus()

    def _leave(self) -> None:
        with self._lock:
            step, self._asked = self._asked, None
            self._draw()
            if step is not None:
                self._presses[step].focus()

    def _send(self) -> None:
        with self._lock:
            step = self._asked
            if step is None or self._is_busy or step not in self.change.steps:
                return
            change, reason = self.change, self._reason.value.strip() or None
            self._begin(WORDS[step].doing)
        match step:
            case Step.EXECUTE:
                self._work(change.execute)
            case Step.WITHDRAW:
                self._work(change.withdraw)
            case Step.UNDO:
                self._work(lambda: self._undo(change, reason))

    def _look_again(self) -> None:
        with self._lock:
            if self._is_busy or not self._is_lost:
                return
            change = self.change
            self._begin("looking …")
        self._work(lambda: self._follow_again(change))

    def _undo(self, change: Change, reason: str | None) -> Change:
        card = Card(change.undo(reason), lambda newer: self._on_undo(change, newer))
        with self._lock:
            self._below.children = (*self._below.children, card.box)
        return change.refresh()  # an undo that needs nobody is done by now

    def _on_undo(self, change: Change, undo: Change) -> None:
        if undo.state is State.EXECUTED:
            self._on_news(_looked_at(change) or change)

    def _follow_again(self, change: Change) -> Change:
        newer = change.refresh()
        self._is_lost = False
        watch(newer, self._on_news, self._on_lost)
        return newer

    def _begin(self, doing: str) -> None:
        self._is_busy, self._asked = True, None
        self._say(sentence(doing))
        self._draw()
        self._said.focus()

    def _work(self, work: Callable[[], Change]) -> None:
        """Do it in a thread of its own, whose messages belong to the press."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._carry_out, work), name="gatebook press", daemon=True).start()

    def _carry_out(self, work: Callable[[], Change]) -> None:
        said, newer = "", None
        try:
            newer = work()
        except GatebookError as error:
            said = escape(sentence(_UNKNOWN)) if _is_unknown(error) else problem_of(error)
            newer = _looked_at(self.change)
        except Exception as error:  # noqa: BLE001 - a person at a card must not see a traceback, or nothing at all
            reference = secrets.token_hex(4)
            print(f"card error {reference}", file=sys.__stderr__)
            traceback.print_exc(file=sys.__stderr__)
            said = escape(sentence(f"the card failed ({type(error).__name__}), reference {reference}"))
        with self._lock:
            self._is_busy = False
            self._say(said, is_bad=bool(said))
        self._on_news(newer or self.change)

    def _on_news(self, newer: Change) -> None:
        with self._lock:
            is_news = newer != self.change and not (self.change.is_final and not newer.is_final)
            if is_news:
                self.change = newer
            self._draw()
            if is_news:
                self._tell(newer)

    def _on_lost(self) -> None:
        with self._lock:
            self._is_lost = True
            self._say(escape(sentence(_AGAIN)))
            self._draw()

    def _say(self, html: str, *, is_bad: bool = False) -> None:
        role = "alert" if is_bad else "status"
        self._said.value = f'<p class="{"gb-wrong" if is_bad else ""}" role="{role}">{html}</p>' if html else ""

    def _draw(self) -> None:
        steps = self.change.steps
        if self._asked not in steps:
            self._asked = None
        for step, button in self._presses.items():
            _show(button, is_shown=step in steps)
            button.disabled = self._is_busy
        _show(self._again, is_shown=self._is_lost)
        _show(self._row, is_shown=self._asked is None and (bool(steps) or self._is_lost))
        _show(self._asking, is_shown=self._asked is not None)
        _show(self._reason, is_shown=self._asked is Step.UNDO)
        _show(self._said, is_shown=bool(self._said.value))


class Card:
    """A card and its buttons as one widget, which follows its request; `tell` hears of every newer state."""

    def __init__(self, change: Change, tell: Listener = lambda _: None) -> None:
        import ipywidgets

        self._view = ipywidgets.HTML(card_of(change))
        self._tell = tell
        self.box = ipywidgets.VBox([self._view, Buttons(change, self._show).box])

    @property
    def bundle(self) -> dict[str, Any]:
        """What a front end is sent to show it."""
        return bundle_of(self.box)

    def _show(self, newer: Change) -> None:
        self._view.value = card_of(newer)
        self._tell(newer)


def bundle_of(widget: Any) -> dict[str, Any]:
    """What shows a widget, and nothing in its place where there are none."""
    shown = widget._repr_mimebundle_()
    return {WIDGET_VIEW: shown[WIDGET_VIEW], "text/html": "", "text/plain": ""}


def _is_unknown(error: GatebookError) -> bool:
    return isinstance(error, GatewayUnreachable) and error.was_sent


def _looked_at(change: Change) -> Change | None:
    """The request as it is now, if that can be asked: the card's buttons were perhaps those of another state."""
    try:
        return change.refresh()
    except GatebookError:
        return None


def _button(label: str, tooltip: str) -> Any:
    import ipywidgets

    return ipywidgets.Button(description=label, tooltip=tooltip)


def _line(*widgets: Any) -> Any:
    import ipywidgets

    line = ipywidgets.HBox(widgets)
    line.add_class("gb-line")
    return line


def _show(widget: Any, *, is_shown: bool) -> None:
    widget.layout.display = None if is_shown else "none"
