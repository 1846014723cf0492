"""Does a person read of the book what was done, with how it ended, in words and whole numbers?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from tests.stories.gateway import Gateway

import gatebook
from gatebook.auditing import _joined, _plain


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("auditing"), chinook_template) as running:
        yield running


@pytest.fixture(autouse=True)
def analyst(stand: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEBOOK_URL", stand.url)
    monkeypatch.setenv("GATEBOOK_TOKEN", stand.token("analyst", "analysts"))


def newest_intent() -> pd.Series:
    """The newest statement's row, once its end is in the book: ends are written with the next group."""
    deadline = time.monotonic() + 20
    while True:
        found = gatebook.events(principal="user:analyst", is_joined=True)
        newest = found[found["kind"] == "query.intent"].iloc[0]
        if isinstance(newest["outcome"], str):
            return newest
        assert time.monotonic() < deadline, "the book has no end of it"
        time.sleep(0.05)


def test_a_read_is_one_row_with_its_end() -> None:
    gatebook.query("chinook", "select name, unitprice from track where trackid < 4")
    newest = newest_intent()
    assert (newest["rows"], newest["outcome"]) == (3, "ok")
    assert newest["tables"] == "select track (name, trackid, unitprice)"
    kinds = set(gatebook.events(principal="user:analyst", is_joined=True)["kind"])
    assert "query.outcome" not in kinds
    apart = gatebook.events(principal="user:analyst")
    assert {"query.intent", "query.outcome"} <= set(apart["kind"])
    assert apart["rows"].dtype == "Int64"


def test_a_write_names_what_it_writes() -> None:
    gatebook.query("chinook", "update invoice set billingcity = 'Ulm' where invoiceid = 1").withdraw()
    found = gatebook.events(principal="user:analyst", table="invoice", is_joined=True)
    assert found["tables"].tolist() == ["update invoice (invoiceid, billingcity)"]


def test_an_end_whose_beginning_is_not_there_stays_and_so_does_a_beginning() -> None:
    uses = [{"access": "update", "table": "track"}]
    begun = {"index": 4, "kind": "query.intent", "principal": "user:a", "tables": uses}
    lost = {"index": 3, "kind": "query.outcome", "refers_to": 1, "outcome": "ok", "rows": 2}
    assert _joined([begun, lost]) == [begun, lost]
    failed = {"index": 6, "kind": "query.outcome", "refers_to": 4, "outcome": "failed", "detail": "too slow"}
    assert _joined([failed, begun]) == [{**begun, "outcome": "failed", "detail": "too slow"}]
    asked = {"index": 5, "kind": "change.proposed", "refers_to": 4, "rows": 1}
    assert _joined([asked, begun, lost]) == [{**asked, "tables": uses}, lost]
    assert _joined([asked]) == [asked]


def test_lists_are_words() -> None:
    assert _plain(["a", "b"]) == "a; b"
    assert _plain([{"access": "delete", "table": "track", "columns": []}]) == "delete track"
    assert _plain(7) == 7
