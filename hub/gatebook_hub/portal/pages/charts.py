"""Where does each mark of a chart stand? Rows and two of their columns go in, lengths of an SVG drawing come out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.saved import Chart, ChartKind

MOST_BARS = 50
WIDTH = 640
_LABELS = 180
_VALUES = 90
_ROW = 26
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 20, 12, 34
_HEIGHT = 300
_TICKS = 5
_LARGEST = 1e300
_MOST_X_LABELS = 6
_MOST_DOTS = 60
_LONGEST_LABEL = 24
_HALF_LABEL = 11


class NoChart(Exception):
    """The result cannot be drawn: a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text at a place; `anchor` is SVG's `start`, `middle` or `end`."""

    x: float
    y: float
    words: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A straight line of the frame."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A chart as lengths in a box of `width` by `height`; `says` is what it shows, in words."""

    width: int
    height: int
    says: str
    bars: tuple[Bar, ...] = ()
    path: str = ""
    dots: tuple[tuple[float, float], ...] = ()
    rules: tuple[Rule, ...] = ()
    texts: tuple[Text, ...] = ()


def drawing_of(chart: Chart, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Drawing:
    """Draw one column over another; raises NoChart."""
    for name in (chart.x, chart.y):
        if name not in columns:
            raise NoChart(f"the result has no column `{name}` to draw")
    x, y = columns.index(chart.x), columns.index(chart.y)
    labels = [_label(row[x]) for row in rows]
    values = [_number(row[y], chart.y) for row in rows]
    seen = [value for value in values if value is not None]
    if not seen:
        raise NoChart("there is nothing to draw")
    low, high = min(0.0, *seen), max(0.0, *seen)
    says = f"of {chart.y} by {chart.x}: {len(seen)} values, from {_words(min(seen))} to {_words(max(seen))}"
    match chart.kind:
        case ChartKind.BAR:
            if len(rows) > MOST_BARS:
                raise NoChart(f"a bar chart has at most {MOST_BARS} bars, and these are {len(rows)} rows")
            return _bars(labels, values, low, high, f"Bar chart {says}")
        case ChartKind.LINE:
            return _line(labels, values, low, high, f"Line chart {says}")


def _bars(labels: list[str], values: list[float | None], low: float, high: float, says: str) -> Drawing:
    wide = WIDTH - _LABELS - _VALUES
    size = (high - low) or 1.0
    zero = _LABELS + wide * -low / size
    bars, texts = [], []
    for place, (label, value) in enumerate(zip(labels, values, strict=True)):
        top = place * _ROW + 4
        texts.append(Text(x=_LABELS - 8, y=top + 14, words=label, anchor="end"))
        if value is None:
            texts.append(Text(x=zero + 6, y=top + 14, words="NULL"))
            continue
        length = wide * abs(value) / size
        left = zero - length if value < 0 else zero
        bars.append(Bar(x=_short(left), y=top, width=_short(length), height=_ROW - 8))
        texts.append(Text(x=_short(max(left + length, zero) + 6), y=top + 14, words=_words(value)))
    height = len(labels) * _ROW + 4
    axis = Rule(x1=_short(zero), y1=0, x2=_short(zero), y2=height)
    return Drawing(
        width=WIDTH, height=height, says=says, bars=tuple(bars), rules=(axis,), texts=tuple(_placed(texts))
    )  # fmt: skip


def _line(labels: list[str], values: list[float | None], low: float, high: float, says: str) -> Drawing:
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    wide, tall = WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    size = (high - low) or 1.0

    def across(place: int) -> float:
        return _short(_LEFT + (wide * place / (len(values) - 1) if len(values) > 1 else wide / 2))

    def down(value: float) -> float:
        return _short(_TOP + tall * (high - value) / size)

    path, dots = [], []
    is_sparse = len(values) <= _MOST_DOTS
    around = [None, *values, None]
    for place, value in enumerate(values):
        if value is None:
            continue
        before, after = around[place], around[place + 2]
        path.append(f"{'M' if before is None else 'L'}{across(place)} {down(value)}")
        if is_sparse or (before is None and after is None):
            dots.append((across(place), down(value)))
    rules = tuple(Rule(x1=_LEFT, y1=down(tick), x2=WIDTH - _RIGHT, y2=down(tick)) for tick in ticks)
    texts = [Text(x=_LEFT - 8, y=down(tick) + 4, words=_words(tick), anchor="end") for tick in ticks]
    last = len(labels) - 1
    for place in _few(len(labels)):
        anchor = "start" if place == 0 and last else "end" if place == last and last else "middle"
        label = labels[place] if len(labels[place]) <= _HALF_LABEL else labels[place][: _HALF_LABEL - 1] + "…"
        texts.append(Text(x=across(place), y=_HEIGHT - _BOTTOM + 20, words=label, anchor=anchor))
    return Drawing(
        width=WIDTH,
        height=_HEIGHT,
        says=says,
        path=" ".join(path),
        dots=tuple(dots),
        rules=rules,
        texts=tuple(texts),
    )


def _placed(texts: Iterable[Text]) -> Iterable[Text]:
    """Texts that would leave the box at its right begin earlier."""
    for text in texts:
        is_over = text.anchor == "start" and text.x > WIDTH - _VALUES + 8
        yield Text(x=WIDTH, y=text.y, words=text.words, anchor="end") if is_over else text


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers around what is drawn: steps of one, two or five."""
    span = (high - low) or 1.0
    rough = span / (_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)] if last > first else [low, low + step]


def _few(count: int) -> list[int]:
    if count <= _MOST_X_LABELS:
        return list(range(count))
    return sorted({round(number * (count - 1) / (_MOST_X_LABELS - 1)) for number in range(_MOST_X_LABELS)})


def _label(value: object) -> str:
    cell = cell_of(value)
    text = cell.text or ("NULL" if value is None else "empty text")
    # A mark cannot be spelled out inside of a drawing; the table does it.
    text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"


def _number(value: object, column: str) -> float | None:
    match value:
        case None:
            return None
        case bool():
            raise NoChart(f"`{column}` has no numbers to draw")
        case int() | float() | Decimal():
            try:
                number = float(value)
            except OverflowError as error:
                raise NoChart(f"`{column}` has numbers that are too large to draw") from error
            if _LARGEST < abs(number) < math.inf:
                raise NoChart(f"`{column}` has numbers that are too large to draw")
            # What is smaller than any length is none.
            return None if not math.isfinite(number) else number if abs(number) > 1 / _LARGEST else 0.0
        case _:
            raise NoChart(f"`{column}` has no numbers to draw")


def _words(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,.6g}"


def _short(length: float) -> float:
    return round(length, 1)
