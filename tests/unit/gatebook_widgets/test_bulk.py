"""Rows are marked on several pages, and one action is done for all of them, at a real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stories.gateway import Gateway
from tests.unit.gatebook_widgets.desks import as_person, desk

from gatebook import Outcome
from gatebook_widgets import ActionForm, RecordTable

GRANTS = """
grants:
  - {id: clerks, to: "group:clerks", actions: [rename, one_name], on: chinook.artist, allow: [select]}
approvals:
  - {id: renaming, actions: [rename, one_name], require: []}
"""
RENAME = """
action: rename
title: Set the name
source: chinook
params:
  artist_id: {type: integer, title: Artist}
  name: {type: string, minLength: 1, title: Name}
sql: update artist set name = :name where artistid = :artist_id
expect_rows: 1
confirm: "Call {artist_id} {name}?"
bulk: {parameter: artist_id, most: 50}
"""
ONE = RENAME.replace("action: rename", "action: one_name").replace("bulk: {parameter: artist_id, most: 50}", "")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with desk(tmp_path_factory.mktemp("bulk"), chinook_template, GRANTS, RENAME, ONE) as found:
        yield found


@pytest.fixture
def artists(running: Gateway) -> Iterator[RecordTable]:
    with as_person(running, "kim", "clerks"):
        yield RecordTable("Artists", source="chinook", table="artist", rows=3, may_select=True)


def renamed(running: Gateway) -> list[int]:
    return [number for (number,) in running.rows("select artistid from artist where name = 'Nobody' order by 1")]


def test_marked_rows_of_two_pages_are_one_change(running: Gateway, artists: RecordTable) -> None:
    form = ActionForm("rename", artists.selected, artist_id="artistid")
    artists.selected.mark(0, 2)
    assert artists.browser is not None
    artists.browser.next()
    artists.selected.mark(1)
    assert "1, 3, 5" in form._head.value
    form.fill(name="Nobody")
    form.ask()
    assert "Call 1, 3, 5 Nobody?" in form._question.value
    assert "3 rows" in form._effect.value
    assert renamed(running) == []
    form.send()
    assert isinstance(form.answer, Outcome), form.status.text
    assert "3 rows changed" in form.status.text
    assert renamed(running) == [1, 3, 5]
    # None is marked any more, and a second press has nothing to be done for.
    assert artists.selected.records == []
    assert form._form.layout.display == "none"
    form.send()
    assert renamed(running) == [1, 3, 5]


def test_an_action_for_one_record_is_not_done_for_several(running: Gateway, artists: RecordTable) -> None:
    form = ActionForm("one_name", artists.selected, artist_id="artistid")
    artists.selected.mark(0, 1)
    assert "one record at a time" in form.status.text
    form.fill(name="Nobody")
    form.send()
    assert form.answer is None
    assert 2 not in renamed(running)
