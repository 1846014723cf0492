"""Which texts are questions about a source, and does it take no time to find out?"""

from __future__ import annotations

import time

import pytest

from gatebook_hub.sql import Explain, ShowColumns, ShowTables, asked


def test_questions_are_told_from_statements() -> None:
    assert asked(" show tables ; ") == ShowTables()
    assert asked("describe customer;") == ShowColumns("customer")
    assert asked("explain select 1") == Explain("select 1")
    assert asked("select 1") is None


@pytest.mark.parametrize("start", ["show tables", "describe a", "show columns from a", "explain", "", "show"])
def test_a_row_of_spaces_costs_nothing(start: str) -> None:
    began = time.process_time()
    asked(start + " " * 50_000 + "\0")
    assert time.process_time() - began < 1
