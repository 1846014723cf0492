"""How do numbers become a picture that everybody can read? Drawn here as SVG, with words for it and its values beneath.

Nothing is loaded from anywhere. The colours are told apart by those who see few, follow light and dark, and never say
alone which line is which.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import pandas as pd

from gatebook.errors import InvalidInput
from gatebook_widgets.drawing import MOST_ROWS, Look, table_of
from gatebook_widgets.parts import Part, when_open
from gatebook_widgets.wording import is_missing, label_of, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("bar", "line")
MOST_POINTS = 5_000
MOST_SERIES = 6
MOST_NAMES = 40
_LONGEST_NAME = 24
_INK = "#010203"
# Stand-ins that no chart has otherwise; the page's own colours take their place.
_SERIES = tuple(f"#0a0b0{number}" for number in range(1, MOST_SERIES + 1))
_STYLES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
_HATCHES = ("", "//", "..", "xx", "--", "oo")


class Chart(Part):
    """Draws the DataFrame that `source` announces, or what `load` returns for it; without a source that of `load()`.

    `y` names one column of numbers or several, `x` the column beneath. Announces nothing.
    """

    kind = "chart"

    def __init__(
        self,
        title: str,
        source: Part | None = None,
        load: Callable[..., Any] | None = None,
        *,
        x: str,
        y: str | Sequence[str],
        kind: str = "bar",
        labels: Mapping[str, str] | None = None,
        alt: str | None = None,
    ) -> None:
        self.title = title
        self.frame: pd.DataFrame | None = None
        self._source, self._load = source, load
        self._x, self._y = x, (y,) if isinstance(y, str) else tuple(y)
        self._kind, self._alt = kind, alt
        self._labels = dict(labels or {})
        self._given: Any = None
        self._view = ipywidgets.HTML()
        super().__init__(self._view)
        if source is not None:
            source.follow(self._on_news)
        else:
            self.refresh()

    def show(self, frame: object) -> None:
        """Draw a DataFrame; None draws nothing. Raises `TypeError`, `InvalidInput` for what is no chart."""
        if frame is not None and not isinstance(frame, pd.DataFrame):
            message = "a chart shows a DataFrame"
            raise TypeError(message)
        self.frame = frame
        self._view.value = "" if frame is None else self._drawn(frame)

    def refresh(self) -> None:
        """Load again."""
        load = self._load
        if self._source is None and load is not None:
            self.attempt(lambda: self.show(when_open(load)), "loading …")
        elif self._given is not None:
            self._on_news(self._given)

    def _on_news(self, what: Any) -> None:
        self._given = what
        load = self._load if what is not None else None
        self.attempt(lambda: self.show(what if load is None else load(what)), "loading …")

    def _drawn(self, frame: pd.DataFrame) -> str:
        self._check(frame)
        head = f"<h2>{escape(self.title)}</h2>"
        if frame.empty:
            return f"{head}<p>There is nothing to draw.</p>"
        values = frame[[self._x, *self._y]]
        table = table_of(values, Look(title=f"{self.title}: values", labels=self._labels))
        more = "" if len(frame) <= MOST_ROWS else f" (the first {MOST_ROWS})"
        return (
            f'{head}<div class="gb-chart" role="img" aria-label="{escape(self._alt or self._words(frame))}">'
            f"{self._picture(frame)}</div>"
            f"<details><summary>The values as a table{more}</summary>{table}</details>"
        )

    def _check(self, frame: pd.DataFrame) -> None:
        missing = [name for name in (self._x, *self._y) if name not in frame.columns]
        if missing:
            raise InvalidInput(f"there is no column `{missing[0]}` to draw")
        if self._kind not in KINDS:
            raise InvalidInput(f"a chart is {' or '.join(f'`{one}`' for one in KINDS)}, not `{self._kind}`")
        if not 0 < len(self._y) <= MOST_SERIES:
            raise InvalidInput(f"a chart has one to {MOST_SERIES} columns of numbers")
        if len(frame) > MOST_POINTS:
            message = f"{len(frame):,} points are more than a chart shows"
            raise InvalidInput(message, ask=f"sums or averages, at most {MOST_POINTS:,} rows")

    def _words(self, frame: pd.DataFrame) -> str:
        parts = []
        for name in self._y:
            numbers = [number for number in map(_number, frame[name]) if number is not None]
            if numbers:
                least, most = min(numbers), max(numbers)
                parts.append(f"{self._label(name)} from {least:,.6g} to {most:,.6g}")
        ends = f"{text_of(frame[self._x].iloc[0])} to {text_of(frame[self._x].iloc[-1])}"
        kind = f"{self._kind.capitalize()} chart"
        return f"{kind} by {self._label(self._x)}, {ends}: {'; '.join(parts) or 'no numbers'}. Its values are beneath."

    def _picture(self, frame: pd.DataFrame) -> str:
        import matplotlib as mpl
        from matplotlib.figure import Figure

        settings: Any = {
            "svg.fonttype": "none",  # text stays text, in the page's own letters
            "svg.hashsalt": secrets.token_hex(8),  # names inside of one picture are no other picture's
            "text.parse_math": False,  # two prices in dollars are no formula
            "font.family": "sans-serif",
            **dict.fromkeys(
                ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "hatch.color"), _INK
            ),
        }
        written = io.StringIO()
        with mpl.rc_context(settings):
            figure = Figure(figsize=(8, 4), layout="constrained")
            axes = figure.subplots()
            self._draw(axes, frame)
            figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
        return _for_a_page(written.getvalue())

    def _draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        names = [_short(text_of(value)) for value in frame[self._x]]
        places = list(range(len(frame)))
        width = 0.8 / len(self._y)
        for number, name in enumerate(self._y):
            heights = [value if (value := _number(one)) is not None else float("nan") for one in frame[name]]
            label, colour = self._label(name), _SERIES[number]
            if self._kind == "bar":
                shift = (number - (len(self._y) - 1) / 2) * width
                hatch = _HATCHES[number]
                axes.bar([place + shift for place in places], heights, width, label=label, color=colour, hatch=hatch)
            else:
                axes.plot(places, heights, label=label, color=colour, linestyle=_STYLES[number], linewidth=2)
        step = max(1, -(-len(names) // MOST_NAMES))
        is_crowded = sum(map(len, names[::step])) > 80
        axes.set_xticks(
            places[::step], names[::step], rotation=60 if is_crowded else 0, ha="right" if is_crowded else "center"
        )
        axes.set_xlabel(self._label(self._x))
        axes.margins(x=0.01)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.10g}")
        if len(self._y) > 1:
            axes.legend(frameon=False)
        else:
            axes.set_ylabel(self._label(self._y[0]))

    def _label(self, name: str) -> str:
        return self._labels.get(name, label_of(name))


def _number(value: Any) -> float | None:
    if is_missing(value):
        return None
    if isinstance(value, (str, bytes)) or not (hasattr(value, "__float__") or isinstance(value, Decimal)):
        raise InvalidInput(f"`{text_of(value)}` is no number, so it cannot be drawn")
    return float(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _for_a_page(svg: str) -> str:
    """The picture alone, as wide as there is room, in the page's colours; its stylesheet would be the whole page's."""
    drawn = svg[svg.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r'(?<=<g) id="[^"]*"'):
        drawn = re.sub(pattern, "", drawn, flags=re.DOTALL)
    drawn = re.sub(r' (?:width|height)="[\d.]+pt"', "", drawn, count=2).replace("<svg", '<svg aria-hidden="true"', 1)
    drawn = drawn.replace(_INK, "currentColor")
    for number, stand_in in enumerate(_SERIES, start=1):
        drawn = drawn.replace(stand_in, f"var(--gb-series-{number})")
    return drawn
