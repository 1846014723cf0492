"""Does a drawing stand inside its box and show each value, and does what cannot be drawn say so?"""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook_hub.portal.pages.charts import MOST_BARS, Drawing, NoChart, drawing_of
from gatebook_hub.saved import Chart, ChartKind

COLUMNS = ("label", "value")
BAR, LINE = (Chart(kind=kind, x="label", y="value") for kind in (ChartKind.BAR, ChartKind.LINE))
NUMBERS = st.one_of(
    st.none(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=True, allow_infinity=True),
    st.decimals(-(10**9), 10**9, places=2),
)
LABELS = st.one_of(st.none(), st.text(max_size=60), st.integers(), st.dates())


def draw(chart: Chart, *rows: tuple[Any, Any]) -> Drawing:
    return drawing_of(chart, COLUMNS, rows)


def test_bars_are_as_long_as_their_values() -> None:
    drawing = draw(BAR, ("a", 10), ("b", Decimal("2.5")), ("c", 0), ("d", None))
    assert [bar.width for bar in drawing.bars[:3]] == [370.0, 92.5, 0.0]
    assert len(drawing.bars) == 3
    assert [text.words for text in drawing.texts] == ["a", "10", "b", "2.5", "c", "0", "d", "NULL"]
    assert drawing.says == "Bar chart of value by label: 3 values, from 0 to 10"


def test_a_bar_below_zero_ends_where_the_others_begin() -> None:
    high, low = draw(BAR, ("a", 3), ("b", -1)).bars
    assert low.x + low.width == pytest.approx(high.x)
    assert high.width == pytest.approx(3 * low.width, abs=0.2)


def test_a_line_begins_anew_after_a_gap_and_a_lonely_point_is_a_dot() -> None:
    drawing = draw(LINE, ("a", 1), ("b", 2), ("c", None), ("d", 3))
    assert drawing.path.count("M") == 2
    assert len(drawing.dots) == 3
    many = draw(LINE, *((str(number), None if number in {50, 52} else number) for number in range(100)))
    assert len(many.dots) == 1


def test_a_higher_value_stands_higher() -> None:
    drawing = draw(LINE, ("a", 1), ("b", 5), ("c", -5))
    (_, first), (_, high), (_, low) = drawing.dots
    assert high < first < low


@given(rows=st.lists(st.tuples(LABELS, NUMBERS), min_size=1, max_size=40), chart=st.sampled_from([BAR, LINE]))
def test_nothing_leaves_the_box(rows: list[tuple[Any, Any]], chart: Chart) -> None:
    try:
        drawing = drawing_of(chart, COLUMNS, rows)
    except NoChart:
        finite = [abs(float(value)) for _, value in rows if value is not None and abs(float(value)) < float("inf")]
        assert not finite or max(finite) > 1e300
        return
    for bar in drawing.bars:
        assert bar.width >= 0
        assert bar.x >= 0
        assert bar.x + bar.width <= drawing.width + 0.2
        assert bar.y + bar.height <= drawing.height
    for x, y in drawing.dots:
        assert 0 <= x <= drawing.width
        assert -0.2 <= y <= drawing.height + 0.2
    for text in drawing.texts:
        assert 0 <= text.x <= drawing.width
        assert text.words.isprintable()
    for number in " ".join(drawing.path.replace("M", " ").replace("L", " ").split()).split():
        assert float(number) == float(number)


@pytest.mark.parametrize("value", ["12", True, b"1", [1], {"a": 1}, "g***@example.org"])
def test_what_is_no_number_is_not_drawn(value: Any) -> None:
    for chart in (BAR, LINE):
        with pytest.raises(NoChart, match="`value` has no numbers to draw"):
            draw(chart, ("a", value))


def test_what_cannot_be_drawn_says_why() -> None:
    for chart, rows, words in (
        (Chart(kind=ChartKind.BAR, x="label", y="gone"), [("a", 1)], "no column `gone`"),
        (Chart(kind=ChartKind.LINE, x="gone", y="value"), [("a", 1)], "no column `gone`"),
        (BAR, [], "nothing to draw"),
        (LINE, [("a", None), ("b", float("nan"))], "nothing to draw"),
        (BAR, [("a", 1)] * (MOST_BARS + 1), f"at most {MOST_BARS} bars"),
        (BAR, [("a", 10**400)], "too large to draw"),
    ):
        with pytest.raises(NoChart, match=words):
            drawing_of(chart, COLUMNS, rows)


def test_many_points_have_few_labels() -> None:
    drawing = draw(LINE, *((f"a rather long label {number}", number) for number in range(200)))
    assert len([text for text in drawing.texts if "long" in text.words or "…" in text.words]) == 6
