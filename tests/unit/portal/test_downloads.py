"""A download is data, whatever its cells hold."""

import csv
import io
from typing import Any

import pytest

from gatebook_hub.portal.downloads import csv_cell, csv_download


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\uff1d1"]
)
def test_a_text_that_a_spreadsheet_would_run_is_marked(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value,cell",
    [
        (None, ""),
        (-1, "-1"),
        (-1.5, "-1.5"),
        (True, "true"),
        ("plain", "plain"),
        ("a=b", "a=b"),
        ({"b": 1, "a": "ä"}, '{"a": "ä", "b": 1}'),
        ([1, "=1"], '[1, "=1"]'),
    ],
)
def test_other_values_stay_as_they_are(value: Any, cell: str) -> None:
    assert csv_cell(value) == cell


def test_the_file_reads_back() -> None:
    rows = [{"a": 'quote "', "b": "two\nlines"}, {"b": "comma, here", "c": "left out"}]
    body = bytes(csv_download("name", ("a", "b"), rows).body).decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(body, newline="")))
    assert read == [["a", "b"], ['quote "', "two\nlines"], ["", "comma, here"]]
