"""Only a stream that its outcome closes is an answer."""

import datetime as dt
import gc
import itertools
import threading
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import gatebook
from gatebook.errors import AccessRefused, NotATable, StreamCut

TABLE = pa.table({"id": pa.array([1, 2, 3]), "name": ["a", None, "c"]})


def test_a_whole_answer_carries_its_outcome(gate_server: Any) -> None:
    gate_server.on(
        "POST", "/query", gate_server.rows(TABLE, {"masks": [{"column": "name", "mask": "email", "rule": "pii"}]})
    )
    frame = gatebook.query("chinook", "select id, name from t")
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame["name"].tolist()[::2] == ["a", "c"]
    outcome = frame.attrs["gatebook"]
    assert (outcome["rows"], outcome["audit_index"]) == (3, 7)
    assert outcome["masks"] == [{"column": "name", "mask": "email", "rule": "pii"}]


def test_a_frame_with_its_outcome_can_be_saved_and_joined(gate_server: Any, tmp_path: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(TABLE))
    frame = gatebook.query("chinook", "select 1")
    frame.to_parquet(tmp_path / "t.parquet")
    assert pd.read_parquet(tmp_path / "t.parquet").attrs == frame.attrs
    assert len(pd.concat([frame, frame.copy()])) == 6


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.9])
def test_a_cut_connection_never_looks_like_a_short_table(gate_server: Any, kept: Any) -> None:
    table = pa.table({"id": pa.array(range(100_000))})
    whole = gate_server.stream(pa.Table.from_batches(table.to_batches(max_chunksize=10_000)))
    cut = whole[: int(len(whole) * kept)]
    gate_server.on(
        "POST", "/query", gate_server.reply(media_type="application/vnd.apache.arrow.stream", chunks=[cut], is_cut=True)
    )
    with pytest.raises(StreamCut):
        gatebook.query("chinook", "select 1")


def test_every_place_where_a_stream_can_end_early_is_noticed(gate_server: Any) -> None:
    whole = gate_server.stream(TABLE)
    closing = whole.rindex(b"gatebook.outcome")
    for length in range(0, closing + 1, 7):
        answer = gate_server.reply(
            media_type="application/vnd.apache.arrow.stream", chunks=[whole[:length]] if length else []
        )
        gate_server.on("POST", "/query", answer)
        with pytest.raises(StreamCut):
            gatebook.query("chinook", "select 1")


@pytest.mark.parametrize(
    "parts",
    [{"ends_properly": False}, {"outcome": {"rows": 4}}, {"outcome": {"rows": 2}}, {"after_end": TABLE}],
    ids=["no outcome", "rows lost", "rows too many", "rows after the end"],
)
def test_a_stream_that_contradicts_its_outcome_is_cut(gate_server: Any, parts: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(TABLE, **parts))
    with pytest.raises(StreamCut) as cut:
        gatebook.query("chinook", "select 1")
    assert "3 rows" in str(cut.value)


def test_a_problem_in_mid_stream_is_raised_as_itself(gate_server: Any) -> None:
    told = {
        "status": 403,
        "code": "GB-301",
        "detail": "The time window ended.",
        "rule": "office_hours",
        "reference": "9",
    }
    gate_server.on("POST", "/query", gate_server.rows(TABLE, problem=told))
    with pytest.raises(AccessRefused) as refusal:
        gatebook.query("chinook", "select 1")
    assert (refusal.value.code, refusal.value.rule, refusal.value.reference) == ("GB-301", "office_hours", "9")


def test_an_empty_answer_keeps_its_columns_and_types(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(TABLE.slice(0, 0)))
    frame = gatebook.query("chinook", "select 1")
    assert frame.shape == (0, 2)
    assert frame.dtypes.astype("str").tolist() == ["Int64", "str"]


def test_dtypes_keep_integers_whole_and_decimals_exact(gate_server: Any) -> None:
    table = pa.table(
        {
            "big": pa.array([2**62 + 1, None]),
            "small": pa.array([1, None], pa.int16()),
            "price": pa.array([Decimal("0.10"), None], pa.decimal128(12, 2)),
            "flag": [True, None],
            "ratio": [0.5, None],
            "day": [dt.date(2020, 2, 29), None],
            "at": pa.array([dt.datetime(1, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
            "span": pa.array([dt.timedelta(days=1), None]),
            "clock": pa.array([dt.time(1), None]),
            "raw": [b"\x00", None],
            "tags": [["a"], None],
            "nothing": pa.nulls(2),
        }
    )
    gate_server.on("POST", "/query", gate_server.rows(table))
    frame = gatebook.query("chinook", "select 1")
    assert frame["big"][0] == 2**62 + 1
    assert frame["big"].dtype == "Int64"
    assert frame["small"].dtype == "Int16"
    assert frame["price"][0] == Decimal("0.10")
    assert (frame["price"] * 3)[0] == Decimal("0.30")
    assert frame["flag"].dtype == "boolean"
    assert frame["ratio"].dtype == np.float64
    assert frame["day"][0] == dt.date(2020, 2, 29)
    assert frame["at"][0] == dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    assert frame["span"].dtype.kind == "m"
    assert frame["clock"][0] == dt.time(1)
    assert frame["raw"][0] == b"\x00"
    assert frame.loc[1].isna().all()


def test_two_columns_may_have_one_name(gate_server: Any) -> None:
    table = pa.Table.from_arrays([pa.array([1, None]), pa.array(["x", "y"])], names=["id", "id"])
    gate_server.on("POST", "/query", gate_server.rows(table))
    frame = gatebook.query("chinook", "select a.id, b.id from a join b using (k)")
    assert list(frame.columns) == ["id", "id"]
    assert frame.dtypes.astype("str").tolist() == ["Int64", "str"]


def test_arrow_and_batches_give_what_arrived(gate_server: Any) -> None:
    table = pa.Table.from_batches(TABLE.to_batches(max_chunksize=2))
    gate_server.on("POST", "/query", gate_server.rows(table))
    with gatebook.connect("chinook") as connection:
        assert connection.arrow("select 1").equals(TABLE)
        with connection.batches("select 1") as batches:
            assert batches.schema == TABLE.schema
            assert [batch.num_rows for batch in batches] == [2, 1]
            assert batches.outcome.rows == 3


def test_a_write_is_no_table_but_its_request_is_not_lost(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.said(gate_server.change(), 202))
    with pytest.raises(NotATable) as refusal:
        gatebook.connect("chinook").arrow("update invoice set total = 1")
    assert refusal.value.answer.id == "chg_1"


def endless(gate_server: Any, started: Any) -> Any:
    """An answer that never ends by itself."""
    batch = pa.table({"id": pa.array(range(10_000))})
    whole = gate_server.stream(batch, ends_properly=False)
    header = len(gate_server.stream(batch.slice(0, 0), ends_properly=False)) - 8
    body = whole[header:-8]

    def chunks() -> Any:
        yield whole[:header]
        for number in itertools.count():
            yield body
            if number == 3:
                started.set()

    return gate_server.reply(media_type="application/vnd.apache.arrow.stream", chunks=chunks())


def test_batches_arrive_while_the_statement_runs_and_closing_hangs_up(gate_server: Any) -> None:
    gate_server.on("POST", "/query", endless(gate_server, threading.Event()))
    with gatebook.connect("chinook").batches("select 1") as batches:
        assert next(batches).num_rows == 10_000
        assert next(batches).num_rows == 10_000
    assert gate_server.hung_up.wait(5)
    assert list(batches) == []


def test_batches_that_nobody_holds_hang_up(gate_server: Any) -> None:
    gate_server.on("POST", "/query", endless(gate_server, threading.Event()))
    batches = gatebook.connect("chinook").batches("select 1")
    next(batches)
    del batches
    gc.collect()
    assert gate_server.hung_up.wait(5)
