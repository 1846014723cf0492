"""The rows of a read are one Arrow table, for pandas, polars, DuckDB and whatever else reads Arrow."""

import datetime as dt
import importlib.util
import re
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

import gatebook
from gatebook.errors import InvalidInput, LibraryMissing, NotATable
from gatebook.model import Outcome
from gatebook.rows import Rows

TABLE = pa.table(
    {
        "id": pa.array([2**62 + 1, None, 3]),
        "price": pa.array([Decimal("0.10"), None, Decimal("2.50")], pa.decimal128(12, 2)),
        "ratio": pa.array([float("nan"), None, 0.5]),
        "name": pa.array(["a", None, "<b>"]),
        "at": pa.array([dt.datetime(2020, 2, 29, tzinfo=dt.UTC), None, None], pa.timestamp("us", "UTC")),
        "tags": pa.array([["x"], None, []]),
        "nothing": pa.nulls(3),
    }
)
OUTCOME = Outcome(rows=3, elapsed_ms=4, audit_index=7)


def is_whole(table: pa.Table) -> bool:
    """Whether it is the table, with NaN and NULL where they were; `equals` holds no NaN equal to another."""
    return bool(table.schema == TABLE.schema) and str(table.to_pydict()) == str(TABLE.to_pydict())


@pytest.fixture
def rows(gate_server: Any) -> Rows:
    gate_server.on("POST", "/query", gate_server.rows(pa.Table.from_batches(TABLE.to_batches(max_chunksize=2))))
    return gatebook.connect("chinook").read("select * from t where id > :lo", lo=1)


def test_a_read_gives_its_table_and_its_outcome(gate_server: Any, rows: Rows) -> None:
    assert is_whole(rows.arrow())
    assert (len(rows), rows.outcome.rows, rows.outcome.audit_index) == (3, 3, 7)
    assert gate_server.bodies("/query")[-1]["params"] == {"lo": 1}


def test_a_write_has_no_rows(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.said(gate_server.change(), 202))
    with pytest.raises(NotATable):
        gatebook.connect("chinook").read("update invoice set total = 1")


def test_arrows_dtypes_convert_nothing(rows: Rows) -> None:
    frame = rows.df(dtypes="arrow")
    assert [kind.pyarrow_dtype for kind in frame.dtypes] == TABLE.schema.types
    assert frame["id"][0] == 2**62 + 1
    assert frame["price"][0] == Decimal("0.10")
    # What NaN and NULL are stays apart, which the nullable dtypes lose.
    held = [pa.chunked_array(frame[name].array.__arrow_array__()) for name in TABLE.column_names]
    assert held[2].is_null().to_pylist() == [False, True, False]
    buffers = {buffer.address for chunk in rows.arrow()["id"].chunks for buffer in chunk.buffers() if buffer}
    assert {buffer.address for chunk in held[0].chunks for buffer in chunk.buffers() if buffer} == buffers
    assert frame.attrs["gatebook"]["audit_index"] == 7


def test_frames_leave_the_table_as_it_was(rows: Rows) -> None:
    assert rows.df()["id"].dtype == "Int64"
    assert rows.df().equals(rows.df("nullable"))
    assert is_whole(rows.arrow())


def test_query_gives_the_dtypes_that_are_asked_for(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(TABLE))
    assert gatebook.query("chinook", "select 1", dtypes="arrow").dtypes["name"] == pd.ArrowDtype(pa.string())
    assert gatebook.query("chinook", "select 1")["id"].dtype == "Int64"
    asked = len(gate_server.bodies("/query"))
    with pytest.raises(InvalidInput, match="`nullable` or `arrow`, not `numpy`"):
        gatebook.query("chinook", "select 1", dtypes="numpy")
    assert len(gate_server.bodies("/query")) == asked


def test_two_columns_of_one_name_keep_their_dtypes() -> None:
    twice = Rows(pa.Table.from_arrays([pa.array([1, None]), pa.array(["x", "y"])], names=["id", "id"]), OUTCOME)
    assert list(twice.df("arrow").columns) == ["id", "id"]
    assert twice.df("arrow").dtypes.astype("str").tolist() == ["int64[pyarrow]", "string[pyarrow]"]
    assert twice._repr_html_().count("<th>id</th>") == 2


def test_whatever_reads_arrow_reads_rows(rows: Rows) -> None:
    assert is_whole(pa.table(rows))
    assert duckdb.sql("select count(*), sum(price) from rows").fetchall() == [(3, Decimal("2.60"))]
    assert is_whole(pa.RecordBatchReader.from_stream(rows).read_all())


def test_rows_for_polars(rows: Rows) -> None:
    if importlib.util.find_spec("polars") is None:
        pytest.skip("polars is not installed")
    import polars as pl

    frame = rows.to_polars()
    assert frame["id"].to_list() == [2**62 + 1, None, 3]
    assert frame["price"].to_list() == [Decimal("0.10"), None, Decimal("2.50")]
    assert frame["ratio"].is_null().to_list() == [False, True, False]
    assert frame["at"][0] == dt.datetime(2020, 2, 29, tzinfo=dt.UTC)
    assert pl.DataFrame(rows).equals(frame)
    assert rows.to("polars").equals(frame)


def test_without_polars_it_is_said_what_to_install(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(LibraryMissing, match="pip install polars") as missing:
        rows.to_polars()
    assert missing.value.code == "GB-906"


def test_a_kind_that_is_not_known_is_refused(rows: Rows) -> None:
    assert rows.to("rows") is rows
    assert is_whole(rows.to("arrow"))
    assert rows.to("pandas", "arrow").dtypes["id"] == pd.ArrowDtype(pa.int64())
    with pytest.raises(InvalidInput, match="pandas, arrow, polars, rows"):
        rows.to("spark")


def test_rows_are_shown_with_their_outcome(rows: Rows) -> None:
    html = rows._repr_html_()
    assert "3 rows · 12 ms · book entry 7" in html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "3 rows · 12 ms · book entry 7" in repr(rows)


def test_of_many_rows_the_first_and_the_last_are_shown_with_their_numbers() -> None:
    count = 1_000_000
    many = Rows(pa.table({"n": pa.array(range(10, count + 10))}), Outcome(rows=count))
    numbers = [int(text) for text in re.findall(r"<th>(\d+)</th>", many._repr_html_())]
    assert numbers == [*range(30), *range(count - 30, count)]
    assert "<td>1000009</td>" in many._repr_html_()
    assert repr(many).splitlines()[-2:] == ["999999  1000009", "1,000,000 rows"]
    with pd.option_context("display.max_rows", None):
        assert repr(Rows(pa.table({"n": list(range(200))}), OUTCOME)).splitlines()[200] == "199  199"
