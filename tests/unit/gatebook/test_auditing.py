"""Does a person read of the book what was done, with how it ended, in words and whole numbers?"""

from __future__ import annotations

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


def test_a_read_is_one_row_with_its_end() -> None:
    gatebook.query("chinook", "select name, unitprice from track where trackid < 4")
    found = gatebook.events(principal="user:analyst", is_joined=True)
    assert not found["kind"].str.endswith("query.outcome").any()
    newest = found[found["kind"] == "query.intent"].iloc[0]
    assert (newest["rows"], newest["outcome"]) == (3, "ok")
    assert newest["tables"] == "select track (name, trackid, unitprice)"
    apart = gatebook.events(principal="user:analyst")
    assert {"query.intent", "query.outcome"} <= set(apart["kind"])
    assert apart["rows"].dtype == "Int64"


def test_a_write_names_what_it_writes() -> None:
    gatebook.query("chinook", "update invoice set billingcity = 'Ulm' where invoiceid = 1").withdraw()
    found = gatebook.events(principal="user:analyst", is_joined=True)
    asked = found[found["kind"] == "change.proposed"].iloc[0]
    assert str(asked["tables"]).startswith("update invoice (")
    assert "billingcity" in asked["tables"]
    assert isinstance(found, pd.DataFrame)


def test_an_end_whose_beginning_is_not_there_stays_and_so_does_a_beginning() -> None:
    begun = {"index": 4, "kind": "query.intent", "principal": "user:a"}
    lost = {"index": 3, "kind": "query.outcome", "refers_to": 1, "outcome": "ok", "rows": 2}
    asked = {"index": 5, "kind": "change.proposed", "refers_to": 4}
    assert _joined([asked, begun, lost]) == [asked, begun, lost]
    failed = {"index": 6, "kind": "query.outcome", "refers_to": 4, "outcome": "failed", "detail": "too slow"}
    assert _joined([failed, begun]) == [{**begun, "outcome": "failed", "detail": "too slow"}]


def test_lists_are_words() -> None:
    assert _plain(["a", "b"]) == "a; b"
    assert _plain([{"access": "delete", "table": "track", "columns": []}]) == "delete track"
    assert _plain(7) == 7
