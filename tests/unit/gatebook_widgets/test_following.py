"""Do records, requests and long work show what is there, and nothing that is not theirs?"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.stories.gateway import Gateway
from tests.unit.gatebook_widgets.desks import as_person

import gatebook
from gatebook import Change
from gatebook.changes import State
from gatebook_widgets import Inbox, Part, Progress, RecordTable, RecordView, Related, RowDiff, Step, reading
from gatebook_widgets.inbox import _link

FIX = "update invoice set billingpostalcode = :code where invoiceid = 1"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("following"), chinook_template) as running:
        yield running


@pytest.fixture(autouse=True)
def analyst(stand: Gateway) -> Iterator[None]:
    with as_person(stand, "analyst", "analysts"):
        yield


@pytest.fixture
def request_of_mine() -> Iterator[Change]:
    made = gatebook.query("chinook", FIX, code="70176", reason="a digit was wrong")
    assert isinstance(made, Change)
    yield made
    if made.refresh().state is State.AWAITING_REVIEW:
        made.withdraw()


def test_a_record_has_its_related_rows_beneath() -> None:
    albums = RecordTable("Albums", "chinook", table="album", rows=5)
    tracks = Related(title="Tracks", source="chinook", table="track", on=["albumid"], columns=("name", "albumid"))
    artist = Related(title="Artist", source="chinook", table="artist", on={"artistid": "artistid"})
    album = RecordView("Album", albums, related=[tracks, artist])
    albums.choose(2)
    assert "<dd>3</dd>" in album._view.value
    assert set(album.related[0].frame["albumid"]) == {3}  # type: ignore[index]
    assert album.related[1].frame["artistid"].tolist() == [albums.chosen["artistid"]]  # type: ignore[index]
    assert album.box.children[-1] is album.related[1].box
    albums.choose(None)
    assert album.related[0].frame is None


def test_a_record_without_the_column_says_so() -> None:
    source = Part()
    view = RecordView(
        "Thing", source, related=[Related(title="Tracks", source="chinook", table="track", on=["albumid"])]
    )
    source.announce({"other": 1})
    assert "failed (KeyError)" in view.related[0].status.text


def test_a_missing_value_has_the_rows_that_miss_it_too() -> None:
    source = Part()
    RecordView("Thing", source, related=[])
    table = RecordTable("Tracks", "chinook", table="track", of=source, on=["composer"], columns=("composer",))
    source.announce({"composer": None})
    assert table.frame is not None
    assert table.frame["composer"].isna().all()


def test_the_rows_of_a_request_stand_alone(request_of_mine: Change) -> None:
    source = Part()
    rows = RowDiff(source=source)
    assert rows.box.layout.display == "none"
    source.announce(request_of_mine)
    assert "<del>" in rows._view.value
    assert "70176" in rows._view.value
    assert "Awaiting review" not in rows._view.value
    (listed,) = [one for one in gatebook.changes(mine=True) if one.id == request_of_mine.id]
    assert listed.diffs is None
    rows.show(listed)
    assert "70176" in rows._view.value, "rows that a list leaves out are asked for"
    source.announce("an outcome")
    assert rows._view.value == ""


def test_the_inbox_lists_what_waits_and_links_to_the_portal(stand: Gateway, request_of_mine: Change) -> None:
    mine = Inbox()
    assert request_of_mine.id in [one.id for one in mine.mine]
    assert "Nothing waits for you." in mine._view.value
    assert f'href="{request_of_mine.url}"' in mine._own.value
    with as_person(stand, "reviewer", "reviewers"):
        theirs = Inbox()
        assert [one.id for one in theirs.waiting] == [request_of_mine.id]
        assert "analyst" in theirs._view.value
        assert "You have asked for nothing." in theirs._own.value
    request_of_mine.withdraw()
    mine.again.click()
    assert "withdrawn" in mine._own.value


def test_a_request_of_ones_own_is_chosen_followed_and_withdrawn(request_of_mine: Change) -> None:
    inbox = Inbox()
    place = [one.id for one in inbox.mine].index(request_of_mine.id)
    for wrong in (-1, 10**6, None):
        inbox.choose(wrong)
        assert inbox.card.change is None
    inbox.choice.index = place + 1
    assert inbox.card.change is not None
    assert "70176" in inbox.card._view.value, "a list leaves the rows out, and the card has them"
    assert 'aria-label="Chosen request' in inbox._own.value
    request_of_mine.withdraw()
    deadline = time.monotonic() + 30
    while "withdrawn" not in inbox._own.value:
        assert time.monotonic() < deadline, "the list did not hear of it"
        time.sleep(0.05)


def test_the_inbox_has_no_button_that_approves(stand: Gateway, request_of_mine: Change) -> None:
    with as_person(stand, "reviewer", "reviewers"):
        inbox = Inbox()
        for change in inbox.waiting:
            with pytest.raises(gatebook.GatebookError):
                change._gate.post("changes", change.id, "review", body={"verdict": "approve", "digest": change.digest})
    assert request_of_mine.refresh().state is State.AWAITING_REVIEW
    assert [name for name in dir(inbox) if "approve" in name or "reject" in name] == []


def test_an_address_that_is_no_web_page_is_text() -> None:
    change = Change(id="<b>", state=State.AWAITING_REVIEW, url="javascript:alert(1)")
    assert _link(change) == "&lt;b&gt;"


def test_a_long_read_ends_in_its_rows() -> None:
    read = Progress("Tracks", reading("chinook", "select trackid, name from track", expected=3503))
    said: list[object] = []
    read.follow(said.append)
    read.start_button.click()
    frame = read.wait(30)
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 3503
    assert said[0] is None
    assert said[1] is frame
    assert frame.attrs["gatebook"]["rows"] == 3503
    assert "Done." in read.status.text


def test_work_is_stopped_between_two_steps_and_nothing_is_kept() -> None:
    closed, go_on = threading.Event(), threading.Event()

    def work() -> Generator[Step, None, Any]:
        try:
            for done in range(1_000_000):
                yield Step(done=done + 1, total=1_000_000)
                go_on.wait(5)
        finally:
            closed.set()

    progress = Progress("Work", work, is_started=True)
    assert progress.is_running
    progress.start()
    progress.cancel()
    go_on.set()
    progress.wait(5)
    assert closed.is_set()
    assert progress.result is None
    assert "Stopped; nothing of it is kept." in progress.status.text
    assert progress.start_button.layout.display is None


def test_the_bar_says_how_far_it_is() -> None:
    progress = Progress("Rows <b>", lambda: iter(()))  # type: ignore[arg-type, return-value]
    progress._draw(Step(done=1_200, total=5_000, noun="row"))
    assert 'max="5000" value="1200"' in progress.bar.value
    assert "1,200 of 5,000 rows" in progress.bar.value
    assert "<b>" not in progress.bar.value
    progress._draw(Step(done=7, noun="row"))
    assert "value=" not in progress.bar.value


@pytest.mark.parametrize(
    "sql, told", [("select birthdate from employee", "reference"), ("select * from nothing", "no table")]
)
def test_what_the_gate_refuses_is_a_sentence(sql: str, told: str) -> None:
    read = Progress("Read", reading("chinook", sql), is_started=True)
    assert read.wait(10) is None
    assert told in read.status.text


def test_a_read_that_is_too_large_stops() -> None:
    read = Progress("Read", reading("chinook", "select * from track", most_bytes=10_000), is_started=True)
    assert read.wait(10) is None
    assert "fewer rows or columns" in read.status.text


def test_what_fails_is_a_sentence_with_a_number(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> Generator[Step, None, Any]:
        yield Step(done=1)
        raise ValueError("the secret of the house")

    progress = Progress("Work", work, is_started=True)
    progress.wait(5)
    assert "failed (ValueError)" in progress.status.text
    assert "secret" not in progress.status.text
