"""How do the rows of a saved query reach a person? The first of them on a page, with a chart; all of them as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pyarrow as pa
from starlette.responses import Response

from gatebook_hub.portal.downloads import csv_cell
from gatebook_hub.portal.pages.cells import Cell, cell_of, excerpt_of
from gatebook_hub.portal.pages.charts import NoChart, drawing_of
from gatebook_hub.portal.pages.saved import Result, Seen
from gatebook_hub.saved import Chart
from gatebook_hub.services.queries import Answer
from gatebook_hub.web.streaming import streaming

MOST_ROWS = 200
# A page stays one that a browser shows at once, however wide the rows and however long their texts are.
MOST_CELLS = 8_000
LONGEST_TEXT = 2_000
_CHUNK_ROWS = 2_000

Row = tuple[Any, ...]


def result_of(answer: Answer, chart: Chart | None) -> Result:
    """The first rows of an answer, drawn where a chart is wanted; no more is read than is shown."""
    columns = tuple(answer.schema.names)
    rows, is_whole = _first(answer, max(1, min(MOST_ROWS, MOST_CELLS // len(columns))))
    outcome = answer.outcome()
    drawing = no_chart = None
    if chart is not None:
        try:
            drawing = drawing_of(chart, columns, rows)
        except NoChart as error:
            no_chart = str(error)
    return Result(
        columns=columns,
        rows=tuple(tuple(_cell(value) for value in row) for row in rows),
        numeric=frozenset(place for place, kind in enumerate(answer.schema.types) if _is_number(kind)),
        is_whole=is_whole,
        elapsed_ms=outcome["elapsed_ms"],
        audit_index=outcome["audit_index"],
        masks=tuple(Seen(name=one["column"], how=one["mask"], rule=one["rule"]) for one in outcome["masks"]),
        scopes=tuple(Seen(name=one["table"], how="", rule=one["rule"]) for one in outcome["row_filters"]),
        drawing=drawing,
        no_chart=no_chart,
    )


def csv_response(answer: Answer, name: str) -> Response:
    """The whole answer as a CSV file, as it arrives; one that ends early is cut off, and is no whole file."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return streaming(answer, _csv_chunks(answer), media_type="text/csv; charset=utf-8", headers=headers)


def _first(answer: Answer, most: int) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    with closing(answer.batches()) as batches:  # type: ignore[type-var]
        for batch in batches:
            rows += _rows(batch.slice(0, most + 1 - len(rows)))
            if len(rows) > most:
                answer.suffice(f"the first {most} rows were shown")
                return rows[:most], False
    return rows, True


def _csv_chunks(answer: Answer) -> Iterator[bytes]:
    # The mark has spreadsheets read UTF-8.
    yield "\ufeff".encode() + _csv([answer.schema.names])
    for batch in answer.batches():
        for start in range(0, batch.num_rows, _CHUNK_ROWS):
            yield _csv(_rows(batch.slice(start, _CHUNK_ROWS)))


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue().encode(errors="replace")


def _rows(batch: pa.RecordBatch) -> list[Row]:
    """Rows by place, since two columns may have one name."""
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _cell(value: Any) -> Cell:
    """A value to be read; of a very long one its beginning."""
    cell = cell_of(value)
    if len(cell.text) <= LONGEST_TEXT:
        return cell
    text = f"{cell.text[:LONGEST_TEXT]}… ({len(cell.text):,} characters)"
    return replace(cell, text=text, excerpt=excerpt_of(text))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
