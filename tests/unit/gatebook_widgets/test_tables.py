"""Does a table show what is there, escaped, and choose only what is there?"""

from __future__ import annotations

import pandas as pd
import pytest

from gatebook_widgets import Part, RecordTable, RecordView

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture
def source() -> Part:
    return Part()


def test_every_value_name_and_title_is_escaped(source: Part) -> None:
    table = RecordTable(HOSTILE, source, labels={"b": HOSTILE})
    source.announce(pd.DataFrame({HOSTILE: [HOSTILE], "b": [HOSTILE]}))
    assert "<img" not in table._view.value
    assert (table._head.value + table._view.value).count("&lt;img") >= 6
    assert "<img" not in table._head.value
    view = RecordView(HOSTILE, table)
    table.choose(0)
    assert "<img" not in view._view.value


def test_missing_empty_and_numbers_are_told_apart(source: Part) -> None:
    table = RecordTable("Things", source)
    source.announce(pd.DataFrame({"text": [None, "", "x"], "number": [1.5, 2.0, 3.25]}, dtype=object))
    html = table._view.value
    assert '<span class="gb-mark">NULL</span>' in html
    assert '<span class="gb-mark">empty</span>' in html
    assert [f'<td class="gb-number">{text}</td>' in html for text in ("1.50", "2.00", "3.25")] == [True] * 3


def test_masked_columns_say_so(source: Part) -> None:
    table = RecordTable("Customers", source)
    frame = pd.DataFrame({"email": ["a***"], "city": ["Rome"]})
    frame.attrs["gatebook"] = {"masks": [{"column": "customer.email", "mask": "email", "rule": "mask-email"}]}
    source.announce(frame)
    assert 'Email <span class="gb-mark">masked</span>' in table._view.value
    assert table._view.value.count("masked") == 1


def test_the_chosen_record_is_announced(source: Part) -> None:
    table, said = RecordTable("Things", source), []
    table.follow(said.append)
    source.announce(pd.DataFrame({"id": [7, 8], "name": ["a", "b"]}))
    table._choice.index = 2
    assert said[-1] == {"id": 8, "name": "b"}
    table._choice.index = 0
    assert said[-1] is None


@pytest.mark.parametrize("place", [-1, 2, 10**9])
def test_a_place_that_is_not_there_chooses_nothing(source: Part, place: int) -> None:
    table = RecordTable("Things", source)
    source.announce(pd.DataFrame({"id": [7, 8]}))
    table.choose(place)
    assert table.chosen is None


def test_marks_are_of_the_rows_that_were_shown(source: Part) -> None:
    table = RecordTable("Things", source, may_select=True)
    said: list[list[dict[str, object]]] = []
    table.selected.follow(said.append)
    source.announce(pd.DataFrame({"id": [7, 8]}))
    table.selected.mark(1)
    assert said == [[{"id": 8}]]
    assert table._view.value.count("data-gb-mark") == 2
    source.announce(pd.DataFrame({"id": [9, 10]}))
    assert said[-1] == []
    assert table.selected.records == []
    assert " checked" not in table._view.value


def test_equal_names_are_no_trouble(source: Part) -> None:
    table = RecordTable("Things", source)
    frame = pd.DataFrame([[1, 2]])
    frame.columns = pd.Index(["a", "a"])
    source.announce(frame)
    table.choose(0)
    assert table.chosen == {"a": 2}


def test_followers_of_followers_are_emptied(source: Part) -> None:
    customers = RecordTable("Customers", source)
    invoices = RecordTable("Invoices", customers, lambda one: pd.DataFrame({"of": [one["id"]]}))
    source.announce(pd.DataFrame({"id": [7]}))
    customers.choose(0)
    assert invoices.frame is not None
    assert invoices.frame["of"].tolist() == [7]
    source.announce(None)
    assert customers.frame is None
    assert invoices.frame is None


def test_what_fails_is_a_sentence_and_no_traceback(source: Part, capfd: pytest.CaptureFixture[str]) -> None:
    def load(_record: object) -> pd.DataFrame:
        raise ValueError("the secret of the house")

    customers = RecordTable("Customers", source)
    invoices = RecordTable("Invoices", customers, load)
    source.announce(pd.DataFrame({"id": [7]}))
    customers.choose(0)
    assert "failed (ValueError)" in invoices.status.text
    assert "secret" not in invoices.status.text
    assert 'role="alert"' in invoices.status.text


def test_an_empty_answer_says_so(source: Part) -> None:
    table = RecordTable("Things", source, empty="Nobody & nothing.")
    source.announce(pd.DataFrame({"id": []}))
    assert "Nobody &amp; nothing." in table._view.value
