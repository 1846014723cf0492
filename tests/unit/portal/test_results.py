"""Is a file whole or visibly cut, and does a page take no more of an answer than it shows?"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from starlette.responses import Response
from tests.unit.web.test_streaming import LARGE, SMALL, Batched, Caller

from gatebook_hub.errors import LimitExceeded, StatementFailed
from gatebook_hub.portal.results import LONGEST_TEXT, MOST_CELLS, MOST_ROWS, csv_response, result_of
from gatebook_hub.saved import Chart, ChartKind


class Answered(Batched):
    """An answer that says in its outcome what a read's does, and remembers that it was enough."""

    def __init__(self, *sizes: int, batch: pa.RecordBatch | None = None, fails: bool = False) -> None:
        super().__init__(*sizes, fails=fails)
        self._batch = batch
        if batch is not None:
            self.schema = batch.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        if self._batch is None:
            yield from super().batches()
        else:
            yield self._batch

    def suffice(self, why: str) -> None:
        self.told.append(why)

    def outcome(self) -> dict[str, Any]:
        mask = {"column": "customer.email", "mask": "email", "rule": "mask-email"}
        scope = {"table": "customer", "rule": "readers"}
        return {"elapsed_ms": 1.5, "audit_index": 7, "masks": [mask], "row_filters": [scope]}


async def sent(answer: Batched, caller: Caller) -> Response:
    response = await asyncio.to_thread(csv_response, answer, "file")  # type: ignore[arg-type]
    await response({"type": "http"}, caller.receive, caller.send)  # type: ignore[arg-type]
    return response


@pytest.mark.parametrize("sizes", [(), (SMALL,), (LARGE, SMALL), (SMALL, LARGE, LARGE)], ids=str)
async def test_a_file_has_every_row_and_its_name(sizes: tuple[int, ...]) -> None:
    caller = Caller()
    response = await sent(Batched(*sizes), caller)
    rows = list(csv.reader(io.StringIO(caller.body.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["x"]
    assert len(rows) == sum(sizes) + 1
    assert caller.is_ended
    assert response.headers["content-disposition"] == 'attachment; filename="file.csv"'
    assert response.headers["content-type"] == "text/csv; charset=utf-8"


async def test_a_file_that_fails_on_its_way_is_cut_and_never_looks_whole() -> None:
    answer, caller = Batched(LARGE, SMALL, fails=True), Caller()
    await sent(answer, caller)
    assert not caller.is_ended
    assert not answer.is_open


async def test_what_fails_before_the_first_piece_is_told() -> None:
    with pytest.raises(StatementFailed):
        await sent(Batched(SMALL, fails=True), Caller())


async def test_who_leaves_a_download_frees_the_database() -> None:
    answer = Batched(*(LARGE,) * 50)
    await sent(answer, Caller(1, leaves=True))
    assert not answer.is_open
    assert answer.rows < LARGE * 50


def result(answer: Answered, chart: Chart | None = None) -> Any:
    return result_of(answer, chart)  # type: ignore[arg-type]


def test_a_page_shows_the_first_rows_and_takes_no_more() -> None:
    answer = Answered(LARGE, LARGE)
    shown = result(answer)
    assert (len(shown.rows), shown.is_whole) == (MOST_ROWS, False)
    assert answer.rows == LARGE
    assert answer.told == ["the first 200 rows were shown"]
    whole = result(Answered(MOST_ROWS))
    assert (len(whole.rows), whole.is_whole) == (MOST_ROWS, True)


def test_a_page_says_what_is_masked_and_what_is_left_out() -> None:
    shown = result(Answered(SMALL))
    assert (shown.masks[0].name, shown.masks[0].how, shown.scopes[0].rule) == ("customer.email", "email", "readers")
    assert shown.audit_index == 7


def test_wide_rows_are_fewer_and_long_texts_are_cut() -> None:
    wide = pa.record_batch({f"c{number}": list(range(100)) for number in range(400)})
    assert len(result(Answered(batch=wide)).rows) == MOST_CELLS // 400
    long = pa.record_batch({"text": ["x" * 1_000_000]})
    [[cell]] = result(Answered(batch=long)).rows
    assert len(cell.text) < LONGEST_TEXT + 50
    assert cell.text.endswith("… (1,000,000 characters)")


def test_two_columns_of_one_name_stay_two() -> None:
    batch = pa.record_batch([pa.array([1]), pa.array(["a"])], names=["x", "x"])
    shown = result(Answered(batch=batch))
    assert [cell.text for cell in shown.rows[0]] == ["1", "a"]
    assert shown.numeric == {0}


def test_what_cannot_be_drawn_is_a_table_with_a_sentence() -> None:
    chart = Chart(kind=ChartKind.BAR, x="x", y="gone")
    shown = result(Answered(SMALL), chart)
    assert shown.drawing is None
    assert shown.no_chart == "the result has no column `gone` to draw"
    assert result(Answered(SMALL), Chart(kind=ChartKind.LINE, x="x", y="x")).drawing is not None


def test_an_answer_over_its_limit_is_told_and_not_shown() -> None:
    class Over(Answered):
        def batches(self) -> Iterator[pa.RecordBatch]:
            yield from super().batches()
            raise LimitExceeded("the answer has more rows than 10; narrow the statement")

    with pytest.raises(LimitExceeded):
        result(Over(SMALL))
