"""Does a choice offer what is there, say what is chosen to whoever follows, and take nothing else?"""

from __future__ import annotations

import pandas as pd
import pytest

from gatebook_widgets import Choice, RecordView
from gatebook_widgets.wording import digits_of, html_of

MONTHS = pd.DataFrame({"month": ["2013-12", "2013-11", "2013-10"], "revenue": [38.62, 49.62, 0.1 + 0.2]})


def test_the_first_is_chosen_and_whoever_follows_later_hears_of_it() -> None:
    choice, said = Choice("Month", lambda: MONTHS, column="month"), []
    choice.follow(said.append)
    assert said == [{"month": "2013-12", "revenue": 38.62}]
    assert [name for name, _place in choice.field.options] == ["2013-12", "2013-11", "2013-10"]
    choice.field.index = 1
    assert said[-1] == choice.chosen == {"month": "2013-11", "revenue": 49.62}
    view = RecordView("The month", choice)
    choice.choose(2)
    assert "<dd>0.3</dd>" in view._view.value


@pytest.mark.parametrize("place", [-1, 3, 10**9])
def test_a_place_that_is_not_there_changes_nothing(place: int) -> None:
    choice, said = Choice("Month", lambda: MONTHS, column="month"), []
    choice.follow(said.append)
    choice.choose(place)
    assert said == [choice.chosen]
    choice.field.index = None
    assert (choice.field.index, len(said)) == (0, 1)
    choice.field.set_state({"index": True})
    assert (choice.chosen or {})["month"] == "2013-11"


def test_what_was_chosen_stays_so_when_it_is_loaded_again() -> None:
    newer = pd.DataFrame({"month": ["2014-01", "2013-11"], "revenue": [1.0, 2.0]})
    shown = iter([MONTHS, newer, MONTHS.head(0)])
    choice, said = Choice("Month", lambda: next(shown), column="month", empty="No month yet."), []
    choice.choose(1)
    choice.follow(said.append)
    choice.refresh()
    assert said[-1] == {"month": "2013-11", "revenue": 2.0}
    choice.refresh()
    assert said[-1] is None
    assert "No month yet." in choice.status.text
    assert choice.field.layout.display == "none"


def test_what_is_no_frame_and_what_fails_is_a_sentence() -> None:
    assert "TypeError" in Choice("Month", lambda: [1, 2]).status.text
    assert Choice("Month", lambda: [1, 2]).chosen is None


@pytest.mark.parametrize(
    "values, shown",
    [
        ([0.99, 1.98 + 0.99], ["0.99", "2.97"]),
        ([22.77 - 14.85, 5.0], ["7.92", "5.00"]),
        ([3.0, 5.0], ["3.0", "5.0"]),
        ([1e-9], ["1e-09"]),
        ([1 / 3], ["0.333333"]),
    ],
)
def test_a_sum_of_cents_is_shown_in_cents(values: list[float], shown: list[str]) -> None:
    assert [html_of(value, digits_of(values)) for value in values] == shown
