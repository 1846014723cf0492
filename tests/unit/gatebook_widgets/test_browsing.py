"""Does a table of the database show its pages, and does it send what was edited as one change request?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.stories.gateway import Gateway
from tests.unit.gatebook_widgets.desks import as_person, desk

import gatebook
from gatebook import Change
from gatebook.catalogue import recent_schema
from gatebook_widgets import ActionForm, RecordTable
from gatebook_widgets.changeset import ChangeSet, is_same
from gatebook_widgets.keyset import Comparison

_GRANTS = """
grants:
  - {id: desk-tracks, to: "group:operations", on: chinook.track, allow: [update]}
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with desk(tmp_path_factory.mktemp("browsing"), chinook_template, _GRANTS) as running:
        yield running


@pytest.fixture(autouse=True)
def ops(stand: Gateway) -> Iterator[None]:
    with as_person(stand, "ops", "operations"):
        yield


@pytest.fixture
def tracks() -> RecordTable:
    columns = ("trackid", "name", "composer", "unitprice")
    return RecordTable(
        "Tracks", "chinook", table="track", columns=columns, rows=20, editable=("name", "composer", "unitprice"),
        may_select=True,
    )  # fmt: skip


def browsed(table: RecordTable) -> list[int]:
    assert table.browser is not None, table.status.text
    return [record["trackid"] for record in table.browser.pages.records]


def test_pages_are_turned_and_read_again(tracks: RecordTable) -> None:
    browser = tracks.browser
    assert browser is not None
    assert browsed(tracks) == list(range(1, 21))
    assert browser.back.disabled
    browser.forth.click()
    assert browsed(tracks) == list(range(21, 41))
    assert "Page 2" in browser.place.value
    tracks.refresh()
    assert browsed(tracks) == list(range(21, 41))
    browser.back.click()
    assert browsed(tracks) == list(range(1, 21))


def test_a_person_sorts_filters_and_chooses_columns(tracks: RecordTable) -> None:
    browser = tracks.browser
    assert browser is not None
    browser.sort_by("name", is_descending=True)
    names = [record["name"] for record in browser.pages.records]
    assert names == sorted(names, reverse=True)
    assert 'aria-sort="descending"' in tracks._view.value
    browser.column.value = "composer"
    browser.comparison.value = Comparison.CONTAINS
    browser.value.value = "jagger"
    browser.add.click()
    assert browser.pages.records
    assert all("jagger" in record["composer"].lower() for record in browser.pages.records)
    assert "Only rows whose Composer contains jagger" in browser.told.value
    browser.shown.value = ("name",)
    assert list(tracks.frame.columns) == ["name"]  # type: ignore[union-attr]
    tracks.choose(0)
    assert {"trackid", "name"} <= set(tracks.chosen or {})
    browser.none.click()
    assert not browser.filters


def test_a_filter_that_does_not_fit_is_said_and_asks_nothing(tracks: RecordTable) -> None:
    browser = tracks.browser
    assert browser is not None
    assert not browser.narrow("trackid", Comparison.AT_LEAST, "ten")
    assert "Trackid has to be a whole number." in browser.wrong.value
    assert not browser.narrow("trackid", Comparison.AT_LEAST, " ")
    assert browsed(tracks) == list(range(1, 21))


def test_what_cannot_be_shown_is_a_sentence() -> None:
    for table, told in ((None, "name the table"), ("nothing", "there is no table")):
        made = RecordTable("Things", "chinook", table=table)
        assert told in made.status.text.lower()
        made.refresh()
    column = RecordTable("Tracks", "chinook", table="track", columns=("nothing",))
    assert "no column" in column.status.text
    for editable, told in (("trackid", "is the key"), ("nothing", "no column")):
        assert told in RecordTable("Tracks", "chinook", table="track", editable=(editable,)).status.text
    assert "may not change" in RecordTable("Artists", "chinook", table="artist", editable=("name",)).status.text


def test_a_table_follows_the_record_of_another() -> None:
    albums = RecordTable("Albums", "chinook", table="album", rows=5)
    tracks = RecordTable("Tracks", "chinook", table="track", of=albums, on=["albumid"], columns=("name", "albumid"))
    assert tracks.frame is None
    albums.choose(3)
    assert {record["albumid"] for record in tracks.browser.pages.records} == {4}  # type: ignore[union-attr]
    albums.choose(None)
    assert tracks.frame is None


def test_rows_are_marked_over_pages_and_announced_as_a_list(tracks: RecordTable) -> None:
    said: list[list[dict[str, object]]] = []
    tracks.selected.follow(said.append)
    tracks.selected.field.index = (0, 2)
    tracks.browser.next()  # type: ignore[union-attr]
    assert tracks.selected.field.index == ()
    tracks.selected.mark(1, 99, -5)
    assert [one["trackid"] for one in said[-1]] == [1, 3, 22]
    assert "3 rows marked" in tracks.selected.told.value
    assert tracks._view.value.count("checked") == 1
    tracks.browser.previous()  # type: ignore[union-attr]
    assert tracks.selected.field.index == (0, 2)
    tracks.selected.clear()
    assert said[-1] == []


def test_edits_are_collected_taken_back_and_sent_as_one_request(tracks: RecordTable, stand: Gateway) -> None:
    edits = tracks.edits
    assert edits is not None
    before = stand.rows("select unitprice, name from track where trackid in (1, 2, 3)")
    for place, values in enumerate(({"unitprice": "1.29"}, {"unitprice": "1,39", "name": "Balls"}, {"composer": None})):
        tracks.choose(place)
        edits.fill(**values)
        edits.keep_button.click()
    assert [(edit.key, edit.column, edit.after) for edit in edits.changes] == [
        ((1,), "unitprice", Decimal("1.29")), ((2,), "name", "Balls"), ((2,), "unitprice", Decimal("1.39")),
        ((3,), "composer", None),
    ]  # fmt: skip
    edits.take_back(1)
    assert "<del>0.99</del> <ins>1.29</ins>" in edits._list.value
    assert "Balls" not in edits._list.value
    edits.yes.click()
    assert edits.answer is None, "nothing is sent that was not asked about"
    edits.reason.value = "prices of the year"
    edits.ask_button.click()
    assert "Send 3 values of 3 rows of track as one change request?" in edits._question.value
    edits.yes.click()
    assert isinstance(edits.answer, Change), edits.status.text
    assert "nothing has changed yet" in edits.status.text
    seen = edits.answer.refresh()
    assert seen.diff is not None
    after = {row.key: dict(zip(seen.diff.columns, row.after or (), strict=True)) for row in seen.diff.rows}
    assert {key: (float(str(row["unitprice"])), row["composer"]) for key, row in after.items()} == {
        (1,): (1.29, "Angus Young, Malcolm Young, Brian Johnson"),
        (2,): (1.39, None),
        (3,): (0.99, None),
    }
    assert seen.reason == "prices of the year"
    assert stand.rows("select unitprice, name from track where trackid in (1, 2, 3)") == before
    assert not len(edits.changes)
    edits.yes.click()
    assert len(gatebook.changes(mine=True, state="awaiting_review")) == 1
    seen.withdraw()


def test_a_value_that_does_not_fit_stays_in_its_field(tracks: RecordTable) -> None:
    edits = tracks.edits
    assert edits is not None
    tracks.choose(0)
    edits.fill(unitprice="dear", name="x" * 201)
    edits.keep()
    assert not len(edits.changes)
    assert "Unitprice has to be a number." in edits._entries["unitprice"]._message.value
    assert "may have at most 200 characters" in edits._entries["name"]._message.value


def test_what_nobody_touched_is_no_change(tracks: RecordTable) -> None:
    edits = tracks.edits
    assert edits is not None
    tracks.choose(0)
    edits.keep()
    edits.fill(unitprice="0.990")
    edits.keep()
    assert not len(edits.changes)


def test_somebody_elses_change_in_between_is_told(tracks: RecordTable, stand: Gateway) -> None:
    edits = tracks.edits
    assert edits is not None
    tracks.choose(9)
    edits.fill(unitprice="2.00")
    edits.keep()
    stand.rows("update track set unitprice = 1.49 where trackid = 10")
    edits.ask()
    edits.send()
    assert "1 row had changed since you looked" in edits.status.text
    assert isinstance(edits.answer, Change)
    edits.answer.withdraw()


def test_a_hostile_name_is_a_value(tracks: RecordTable) -> None:
    edits = tracks.edits
    assert edits is not None
    tracks.choose(4)
    hostile = "'); drop table track; --<img src=x onerror=alert(1)>"
    edits.fill(name=hostile)
    edits.keep()
    assert "<img" not in edits._list.value
    edits.ask()
    edits.send()
    assert isinstance(edits.answer, Change), edits.status.text
    assert hostile in str(edits.answer.refresh().diff)
    assert "<img" not in edits.card._view.value
    edits.answer.withdraw()


def test_the_statement_has_names_and_parameters_alone() -> None:
    changes = ChangeSet(recent_schema("chinook")["track"])
    changes.put({"trackid": 1, "name": "a"}, "name", "b")
    assert changes.statement("sqlite").sql == "update `track` set `name` = :v0 where `trackid` = :k0"
    changes.put({"trackid": 2, "composer": "a"}, "composer", None)
    sets = changes.statement("postgresql")
    assert sets.sql == (
        'update "track" set "name" = case when :is0 then :v0 else "name" end, '
        '"composer" = case when :is1 then :v1 else "composer" end where "trackid" = :k0'
    )
    assert sets.sets[1] == {"k0": 2, "v0": None, "is0": False, "v1": None, "is1": True}


@pytest.mark.parametrize(
    "one, other, same",
    [(None, "", False), ("", None, False), ("1", "1.0", False), (1.1, Decimal("1.10"), True), (1, True, True),
     ("2020-01-01", "2020-01-02", False), (None, None, True), ("x", 1, False)],
)  # fmt: skip
def test_same_values(one: object, other: object, same: bool) -> None:
    assert is_same(one, other) is same


def test_an_action_that_takes_one_record_takes_no_list_of_them(tracks: RecordTable) -> None:
    form = ActionForm("refund_invoice", tracks.selected, invoice_id="trackid")
    tracks.selected.mark(0)
    assert form._form.layout.display == "none"
    assert form.answer is None
