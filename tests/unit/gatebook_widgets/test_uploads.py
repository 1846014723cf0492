"""Do the rows of a file become one request, and are wrong ones said where they are?"""

from __future__ import annotations

import base64
import datetime as dt
import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest
from tests.stories.gateway import Gateway
from tests.unit.gatebook_widgets.desks import as_person, desk

import gatebook
from gatebook import Change
from gatebook_widgets import BulkUpload, Comparison, Download, RecordTable
from gatebook_widgets.files import Format
from gatebook_widgets.loading import Loaded, Mode, statement

_GRANTS = """
grants:
  - {id: desk-loads, to: "group:operations", on: [chinook.track, chinook.genre], allow: [insert, update]}
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with desk(tmp_path_factory.mktemp("uploads"), chinook_template, _GRANTS) as running:
        yield running


@pytest.fixture(autouse=True)
def ops(stand: Gateway) -> Iterator[None]:
    with as_person(stand, "ops", "operations"):
        yield


@pytest.fixture
def prices() -> BulkUpload:
    columns = ("trackid", "unitprice", "name", "composer")
    return BulkUpload("Prices", "chinook", "track", columns=columns, labels={"unitprice": "Price"})


@pytest.fixture
def genres() -> BulkUpload:
    return BulkUpload("Genres", "chinook", "genre", modes=("insert", "upsert", "update"))


def rows_of(change: Change) -> dict[tuple[object, ...], str]:
    diff = change.refresh().diff
    assert diff is not None
    return {row.key: row.kind for row in diff.rows}


def test_prices_of_a_file_are_one_request(prices: BulkUpload, stand: Gateway) -> None:
    before = stand.rows("select unitprice from track where trackid in (1, 2)")
    prices.take("prices.csv", b"TrackId;Price\n1;1,29\n2;1,39\n")
    assert "2 rows that fit" in prices._view.value
    prices.yes.click()
    assert prices.answer is None, "nothing is sent that was not asked about"
    prices.reason.value = "prices of the year"
    prices.ask_button.click()
    assert "send 2 rows as one change request?" in prices._question.value
    prices.yes.click()
    assert isinstance(prices.answer, Change), prices.status.text
    assert rows_of(prices.answer) == {(1,): "changed", (2,): "changed"}
    assert stand.rows("select unitprice from track where trackid in (1, 2)") == before
    prices.yes.click()
    assert len(gatebook.changes(mine=True, state="awaiting_review")) == 1
    prices.answer.withdraw()


def test_wrong_rows_are_said_and_stop_it_unless_they_are_left_out(prices: BulkUpload) -> None:
    prices.take("prices.csv", b"trackid,unitprice\n1,dear\n2,1.29\n,1\n2,1.39\n3,1.2345\n4,1,5\n")
    told = prices._view.value
    for text in (
        "Row 2: Unitprice has to be a number.", "Row 4: Trackid is missing.", "Row 5: Has the same key as row 3.",
        "Row 6: Unitprice may have at most 2 digits after the point.", "Row 7: Has 3 values for 2 columns.",
    ):  # fmt: skip
        assert text in told
    assert prices.ask_button.disabled
    prices.ask()
    prices.send()
    assert prices.answer is None
    prices.wrong_rows.value = True
    prices.ask()
    assert "5 rows left out." in prices._question.value
    prices.send()
    assert isinstance(prices.answer, Change), prices.status.text
    assert rows_of(prices.answer) == {(2,): "changed"}
    prices.answer.withdraw()


def test_rows_are_added_or_changed_by_their_key(genres: BulkUpload) -> None:
    genres.take("genres.tsv", b"genreid\tname\n1\tHard rock\n900\tSea shanties\n")
    assert genres.mode.value is Mode.INSERT
    genres.mode.value = Mode.UPSERT
    genres.ask()
    genres.send()
    assert isinstance(genres.answer, Change), genres.status.text
    assert rows_of(genres.answer) == {(1,): "changed", (900,): "added"}
    genres.answer.withdraw()
    genres.mode.value = Mode.UPDATE
    genres.take("genres.tsv", b"genreid\tname\n1\tHard rock\n900\tSea shanties\n")
    genres.ask()
    genres.send()
    assert isinstance(genres.answer, Change)
    assert "1 row of the file would change nothing, or is not there" in genres.status.text
    genres.answer.withdraw()


def test_a_row_that_is_there_already_cannot_be_added(genres: BulkUpload) -> None:
    genres.take("genres.csv", b"genreid,name\n1,Rock\n")
    genres.ask()
    genres.send()
    assert genres.answer is None
    assert "reference" in genres.status.text


@pytest.mark.parametrize(
    "content, told",
    [
        (b"trackid,nothing\n1,2\n", "is none of"),
        (b"unitprice\n1\n", "no column <code>trackid</code>"),
        (b"trackid\n1\n", "nothing but the key"),
        (b"trackid,bytes\n1,2\n", "is none of"),
        (b"trackid,unitprice,price\n1,2,3\n", "same column"),
    ],
)
def test_a_file_that_cannot_be_meant_is_a_sentence(prices: BulkUpload, content: bytes, told: str) -> None:
    prices.take("prices.csv", content)
    assert told in prices.status.text
    assert prices.loaded is None


def test_who_may_not_is_told_before_anything_is_sent() -> None:
    upload = BulkUpload("Artists", "chinook", "artist", modes=("insert",))
    upload.take("a.csv", b"artistid,name\n900,x\n")
    assert "may not insert rows" in upload.status.text


def test_names_and_values_of_a_file_are_escaped(genres: BulkUpload) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    genres.take(f"{hostile}.csv", f"genreid,name\n900,{hostile}\nx,y\n".encode())
    assert "<img" not in genres._view.value
    assert genres._view.value.count("&lt;img") == 2
    genres.take("a.csv", f"{hostile},name\n1,2\n".encode())
    assert "<img" not in genres.status.text


def test_forged_messages_of_the_field_send_nothing(genres: BulkUpload) -> None:
    genres.yes.click()
    genres.ask_button.click()
    genres.yes.click()
    assert genres.answer is None
    genres.field.value = (
        {"name": "a.csv", "type": "", "size": 3, "content": memoryview(b"a"), "last_modified": dt.datetime.now(dt.UTC)},
    )
    assert genres.loaded is None
    assert genres.answer is None


def test_one_statement_for_each_engine(stand: Gateway) -> None:
    table = gatebook.schema("chinook")["genre"]
    loaded = Loaded(columns=table.columns, rows=((1, "a"),), wrong=())
    sql = {engine: statement(table, loaded, engine, Mode.UPSERT).sql for engine in ("postgresql", "mariadb")}
    assert sql["postgresql"] == (
        'insert into "genre" ("genreid", "name") values (:v0, :v1) '
        'on conflict ("genreid") do update set "name" = excluded."name"'
    )
    assert sql["mariadb"] == (
        "insert into `genre` (`genreid`, `name`) values (:v0, :v1) on duplicate key update `name` = values(`name`)"
    )


# ── and the other way round ──


def saved(download: Download) -> tuple[str, bytes]:
    found = re.search(r'download="([^"]+)" href="data:[^;]+;base64,([^"]+)"', download.link.value)
    assert found, download.status.text
    return found[1], base64.b64decode(found[2])


def test_a_download_is_one_read_with_its_rows_in_the_book(stand: Gateway) -> None:
    download = Download("Genres of Rock", "chinook", "select * from genre where genreid <= :most", {"most": 3})
    download.buttons[Format.CSV].click()
    name, content = saved(download)
    assert name == "genres_of_rock.csv"
    assert content == download.content
    assert pd.read_csv(io.BytesIO(content))["genreid"].tolist() == [1, 2, 3]
    assert "3 rows" in download.link.value
    for form in (Format.XLSX, Format.PARQUET):
        download.make(form)
        assert saved(download)[0] == f"genres_of_rock.{form}"
    headers = {"Authorization": f"Bearer {stand.token('auditor', 'auditors')}"}
    asked = {"principal": "user:ops", "source": "chinook", "limit": "6"}
    events = httpx.get(f"{stand.url}/api/v1/audit/events", params=asked, headers=headers).json()["events"]
    contents = [event.get("content", event) for event in events]
    assert [one.get("rows") for one in contents if one["kind"] == "query.outcome"] == [3, 3, 3]
    files = [one["provenance"]["file"] for one in contents if one["kind"] == "query.intent"]
    assert files == ["parquet", "xlsx", "csv"]


def test_a_tables_download_has_all_of_its_rows_in_its_filter(stand: Gateway) -> None:
    tracks = RecordTable("Tracks", "chinook", table="track", columns=("name", "genreid"), rows=10)
    tracks.browser.narrow("genreid", Comparison.EQUALS, "2")  # type: ignore[union-attr]
    download = Download("Tracks", of=tracks, formats=("csv",))
    download.make("csv")
    frame = pd.read_csv(io.BytesIO(saved(download)[1]))
    assert len(frame) == stand.rows("select count(*) from track where genreid = 2")[0][0]
    assert list(frame.columns) == ["name", "genreid"]


def test_a_download_stays_masked_and_refusals_are_sentences() -> None:
    masked = Download("Staff", "chinook", "select birthdate from employee")
    masked.make("csv")
    assert masked.content is None
    assert "reference" in masked.status.text
    assert masked.link.value == ""


def test_a_download_that_is_too_large_says_so() -> None:
    download = Download("Tracks", "chinook", "select * from track", most_bytes=10_000)
    download.make("csv")
    assert "larger than 10 KB" in download.status.text
    assert download.content is None
    download = Download("Tracks", "chinook", "select trackid, name from track", most_bytes=60_000)
    download.make("csv")
    assert "larger than 59 KB" in download.status.text
    assert download.link.value == ""


def test_a_hostile_title_is_a_harmless_name() -> None:
    download = Download('../"><script>x', "chinook", "select 1 as one from genre where genreid = 1")
    download.make("csv")
    assert saved(download)[0] == "script_x.csv"
    assert "<script" not in download._head.value + download.link.value
