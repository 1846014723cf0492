"""What the gate says itself is shown in full, as text; rows are shown as pandas shows them."""

import pandas as pd
import pytest

from gatebook.results import Told, is_question

OUTCOME = {"rows": 2, "elapsed_ms": 3, "audit_index": 7}
CONDITION = "country in ('Germany', 'Austria', 'Switzerland', 'Liechtenstein', 'Luxembourg')"


def frame(rows: list[tuple[str | None, ...]]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["step", "what", "rules"], dtype="str")
    made.attrs["gatebook"] = OUTCOME
    return made


@pytest.mark.parametrize("statement", ["show tables", "  DESCRIBE customer", "desc t", "explain\nselect 1"])
def test_a_question_is_told(statement: str) -> None:
    assert is_question(statement)


@pytest.mark.parametrize("statement", ["select 1", "with explain as (select 1) select 2", "showing"])
def test_a_read_is_shown_as_rows(statement: str) -> None:
    assert not is_question(statement)


def test_columns_stand_below_each_other_and_nothing_is_cut() -> None:
    lines = repr(Told(frame([("rows", CONDITION, "dach"), ("limit", "10", None)]))).splitlines()
    assert lines == [
        f"step   {'what':{len(CONDITION)}}  rules",
        f"rows   {CONDITION}  dach",
        "limit  10",
        "2 rows · 3 ms · book entry 7",
    ]


def test_what_a_database_holds_is_text_on_the_page() -> None:
    html = Told(frame([("rows", "name = '<b>$1 and $2'", None)]))._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "mathjax_ignore" in html
    assert "nan" not in html.lower()


def test_nothing_to_tell_is_a_head_alone() -> None:
    assert repr(Told(frame([]))).splitlines()[0] == "step  what  rules"
    assert "<tbody></tbody>" in Told(frame([]))._repr_html_()
