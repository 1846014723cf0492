"""A download is data, whatever its cells hold."""

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import Any
from uuid import UUID

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
        (Decimal("-1.50"), "-1.50"),
        (Decimal("1E+3"), "1000"),
        (dt.date(2026, 3, 31), "2026-03-31"),
        (dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC), "2026-03-31T12:00:00+00:00"),
        (dt.timedelta(minutes=1), "0:01:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00", "AA=="),
        ([Decimal("1.5")], '["1.5"]'),
    ],
)
def test_other_values_stay_as_they_are(value: Any, cell: str) -> None:
    assert csv_cell(value) == cell


def test_the_file_reads_back() -> None:
    rows = [{"a": 'quote "', "b": "two\nlines"}, {"b": "comma, here", "c": "left out"}]
    body = bytes(csv_download("name", ("a", "b"), rows).body).decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(body, newline="")))
    assert read == [["a", "b"], ['quote "', "two\nlines"], ["", "comma, here"]]
