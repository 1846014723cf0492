"""How far is something that takes its time, and how is it stopped? A bar, a sentence and a button.

The work is a generator in a thread of its own, which yields how far it is; between two steps it can be stopped. A long
read is such work: leaving it hangs up, on which the gateway cancels the statement in the database.
"""

from __future__ import annotations

import contextvars
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets

import gatebook
from gatebook.errors import GatebookError, LimitExceeded
from gatebook.model import counted
from gatebook.rows import Rows
from gatebook_widgets.parts import Part, button, in_this_loop, line, show

MOST_BYTES = 512 * 2**20
SHORTEST_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far it is: so many of so many, and what of; without `total` nobody knows how many there will be."""

    done: int
    total: int | None = None
    noun: str = "step"

    def __str__(self) -> str:
        if self.total is None:
            return counted(self.done, self.noun)
        return f"{self.done:,} of {counted(self.total, self.noun)}"


Work = Callable[[], Generator[Step, None, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    run: int
    step: Step | None = None
    result: object = None
    error: BaseException | None = None
    is_over: bool = False


class Progress(Part):
    """Does `work` in the background when a person presses the button; announces what it returns, and None before.

    Only what comes to its end is announced: nothing of a read that was stopped or broke off is kept.
    """

    kind = "progress"

    def __init__(self, title: str, work: Work, *, press: str = "Start", is_started: bool = False) -> None:
        self.title = title
        self.result: object = None
        self._work = work
        self._run = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended: _News | None = None
        self._head = ipywidgets.HTML(f"<h2>{escape(title)}</h2>")
        self.start_button, self.cancel_button = button(press, "gb-press"), button("Cancel", "gb-second")
        self.bar = ipywidgets.HTML()
        super().__init__(self._head, line(self.start_button, self.cancel_button), self.bar)
        self.start_button.on_click(lambda _press: self.start())
        self.cancel_button.on_click(lambda _press: self.cancel())
        self._draw(None)
        if is_started:
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether it is under way."""
        return self._thread is not None

    def start(self) -> None:
        """Begin; nothing happens while it is under way."""
        if self.is_running:
            return
        self._run += 1
        self._stop = threading.Event()
        self.result = self._ended = None
        self.status.clear()
        self.announce(None)
        tell, context = in_this_loop(self._on_news), contextvars.copy_context()
        arguments = (self._carry_out, self._run, self._stop, tell)
        self._thread = threading.Thread(target=context.run, args=arguments, name="gatebook progress", daemon=True)
        self._draw(Step(done=0))
        self._thread.start()

    def cancel(self) -> None:
        """Stop at the next step; nothing of it is kept."""
        self._stop.set()
        self.cancel_button.disabled = True

    def refresh(self) -> None:
        """Do it again if it was done."""
        if self.result is not None:
            self.start()

    def wait(self, timeout_s: float | None = None) -> object:
        """What it returned, once it is over; None if it failed, was stopped, or is not over by then."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
            # A cell that waits here keeps the kernel from hearing the news by itself.
            if self._ended is not None:
                self._on_news(self._ended)
        return self.result

    def _carry_out(self, run: int, stop: threading.Event, tell: Callable[[_News], None]) -> None:
        work = None
        told_at = 0.0
        try:
            work = self._work()
            while not stop.is_set():
                step = next(work)
                if time.monotonic() - told_at >= SHORTEST_PAUSE_S:
                    told_at = time.monotonic()
                    tell(_News(run=run, step=step))
            ended = _News(run=run, is_over=True)
        except StopIteration as end:
            ended = _News(run=run, result=end.value, is_over=True)
        except Exception as error:  # noqa: BLE001 - it is told where the person looks
            ended = _News(run=run, error=error, is_over=True)
        finally:
            if work is not None:
                work.close()
        self._ended = ended
        tell(ended)

    def _on_news(self, news: _News) -> None:
        if news.run != self._run or not self.is_running:
            return
        if not news.is_over:
            self._draw(news.step)
            return
        self._draw(None)
        if news.error is not None:
            self._tell_error(news.error)
        elif news.result is None and self._stop.is_set():
            self.status.say("stopped; nothing of it is kept")
        else:
            self.result = news.result
            self.status.praise("done")
        self._thread = None
        if self.result is not None:
            self.attempt(lambda: self.announce(self.result))

    def _tell_error(self, error: BaseException) -> None:
        if isinstance(error, GatebookError):
            self.status.refuse(error)
            return
        reference = secrets.token_hex(4)
        print(f"tool error {reference}", file=sys.__stderr__)
        traceback.print_exception(error, file=sys.__stderr__)
        self.status.complain(f"this failed ({type(error).__name__}); tell the tool's owner the reference {reference}")

    def _draw(self, step: Step | None) -> None:
        show(self.start_button, is_shown=step is None)
        show(self.cancel_button, is_shown=step is not None)
        show(self.bar, is_shown=step is not None)
        self.cancel_button.disabled = self._stop.is_set() and step is not None
        if step is None:
            self.bar.value = ""
            return
        # Without a value the bar moves: nobody knows how far it is.
        far = "" if not step.total else f' max="{step.total}" value="{min(step.done, step.total)}"'
        label = escape(self.title)
        self.bar.value = (
            f'<progress class="gb-progress" aria-label="{label}"{far}></progress>'
            f'<p class="gb-quiet" role="status">{escape(str(step)) if step.done else "Waiting for the beginning"}</p>'
        )


def reading(
    source: str,
    sql: str,
    params: Mapping[str, object] | None = None,
    *,
    expected: int | None = None,
    most_bytes: int = MOST_BYTES,
    reason: str | None = None,
    purpose: str | None = None,
) -> Work:
    """A read as the work of a `Progress`, which gives its DataFrame; `expected` rows make the bar one that fills.

    Raises `LimitExceeded` beyond `most_bytes`, and what the gate refuses.
    """

    def work() -> Generator[Step, None, Any]:
        import pyarrow as pa

        kept, rows, size = [], 0, 0
        with gatebook.connect(source).batches(sql, params, reason=reason, purpose=purpose) as batches:
            for batch in batches:
                kept.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if size > most_bytes:
                    message = f"the rows take more than {most_bytes / 2**20:,.0f} MB"
                    raise LimitExceeded(message, ask="a narrower question, with fewer rows or columns")
                yield Step(done=rows, total=expected if expected and expected >= rows else None, noun="row")
            assert batches.outcome is not None
            return Rows(pa.Table.from_batches(kept, batches.schema), batches.outcome).df()

    return work
