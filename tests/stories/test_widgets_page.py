"""Operations use every widget on a tool's page: they turn pages, edit values, load a file and save one.

A tool that holds them all, in a workspace of its own: the person's part in Chromium, the attacker's with forged ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.stories.lab import Lab
from tests.stories.test_docs_of_widgets import TUTORIAL, blocks
from tests.stories.test_operations import answers, connect, forge, kernel_on, message, widgets
from tests.stories.workspace import APP, Workspace

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]

ROOM = "/services/tools/widget_room"
SHOTS = os.environ.get("GBTEST_SHOTS")
BEFORE_DRAWN_MS = 60_000
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
GRANTS = """
grants:
  - {id: room, to: "group:operations", tools: [widget_room]}
  - {id: room-tracks, to: "group:operations", on: chinook.track, allow: [update], via: widget_room}
  - {id: room-invoices, to: "group:operations", on: [chinook.invoice], allow: [select], via: widget_room}
"""
IMPORTS = """
import gatebook
from gatebook_widgets import BulkUpload, Chart, Download, Inbox, Progress, RecordTable, RecordView, Related
from gatebook_widgets import Tool, reading
"""
PARTS = """
COLUMNS = ["trackid", "name", "composer", "unitprice"]
ONE = "select * from track where trackid = :id"
PER_YEAR = "select substr(invoicedate, 1, 4) as year, sum(total) as revenue from invoice group by 1 order by 1"
more = {"editable": COLUMNS[1:], "may_select": True}
tracks = RecordTable("Tracks", "chinook", table="track", columns=COLUMNS, rows=10, **more)
album = Related(title="Album", source="chinook", table="album", on=["albumid"])
load = lambda one: gatebook.query("chinook", ONE, id=one["trackid"])
track = RecordView("Track", tracks, load, related=[album])
upload = BulkUpload("Prices of a file", "chinook", "track", columns=["trackid", "unitprice"])
chart = Chart("Revenue", load=lambda: gatebook.query("chinook", PER_YEAR), x="year", y="revenue")
read = Progress("All tracks", reading("chinook", "select * from track", expected=3503))
file = Download("Revenue by year", "chinook", PER_YEAR)
tabs = {"Tracks": [tracks, track], "A file": [upload], "Figures": [chart, file], "Requests": [Inbox()],
        "Everything": [read, Download("Tracks", of=tracks)]}
Tool("Widget room", "Every widget on one page.", tabs=tabs)
"""


ABOUT = {"kind": "tool", "owner": "operations", "sources": ["chinook"], "summary": "All.", "title": "Widget room"}


def write_tool(path: Path, about: dict[str, Any], *texts: str) -> None:
    """A notebook with these cells."""
    cells = [
        {"cell_type": "code", "execution_count": None, "id": str(place), "metadata": {}, "outputs": [], "source": text}
        for place, text in enumerate(texts)
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"gatebook": about, "kernelspec": kernel, "language_info": {"name": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    running = Workspace(services=("gateway", "tools"))
    policies, notebooks = running.folder / "policies", running.folder / "notebooks"
    shutil.copytree(APP / "policies", policies)
    shutil.rmtree(policies / "tests")
    (policies / "room.yaml").write_text(GRANTS)
    shutil.copytree(APP / "notebooks", notebooks)
    write_tool(notebooks / "tools" / "widget_room.ipynb", ABOUT, IMPORTS.strip(), PARTS.strip())
    about = json.loads(*blocks(TUTORIAL, "json"))["gatebook"]
    write_tool(notebooks / "tools" / "album_desk.ipynb", about, *blocks(TUTORIAL, "python"))
    (policies / "album_desk.yaml").write_text(*blocks(TUTORIAL, "yaml"))
    running.settings = running.settings.model_copy(update={"policies": policies, "notebooks": notebooks})
    with running:
        yield running


@contextlib.contextmanager
def opened(browser: Browser, workspace: Workspace, tool: str = ROOM, **how: Any) -> Iterator[Page]:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    try:
        page = context.new_page()
        page.goto(workspace.settings.hub_url + tool)
        page.fill("#username_input", "ops")
        page.fill("#password_input", workspace.password("ops"))
        page.click("#login_submit")
        page.get_by_role("heading", level=1).wait_for(timeout=BEFORE_DRAWN_MS)
        yield page
    finally:
        context.close()


@pytest.fixture
def page(browser: Browser, workspace: Workspace) -> Iterator[Page]:
    with opened(browser, workspace) as drawn:
        yield drawn


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def prices(workspace: Workspace, *tracks: int) -> list[float]:
    """What the database itself says."""
    path = workspace.settings.state / "databases" / "chinook.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        found = connection.execute("select trackid, unitprice from track").fetchall()
    return [price for track, price in found if track in tracks]


def test_pages_heads_and_filters(page: Page) -> None:
    """Next, a head that sorts and turns round, a filter with its words."""
    expect(page.get_by_role("row", name="Choose 1, For Those")).to_be_visible()
    page.get_by_role("button", name="Next").first.click()
    expect(page.get_by_text("Page 2", exact=True)).to_be_visible()
    page.get_by_role("button", name="Name").click()
    head = page.get_by_role("columnheader", name="Name")
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("button", name="Name")).to_be_focused()
    page.get_by_role("button", name="Name").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Sort, filter, columns").first.click()
    page.get_by_label("Only rows whose").first.select_option("Composer")
    page.get_by_label("Comparison").first.select_option("contains")
    page.get_by_label("Value", exact=True).first.fill("Jagger")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_text("Only rows whose Composer contains Jagger")).to_be_visible()
    shoot(page, "widgets-table")
    page.get_by_role("button", name="Show all rows").click()
    expect(page.get_by_text("Only rows whose Composer contains Jagger")).to_be_hidden()


def test_rows_are_marked_on_two_pages(page: Page) -> None:
    """By the boxes in the rows."""
    page.get_by_label("Mark 1, For Those").check()
    page.get_by_label("Mark 3, Fast As").check()
    expect(page.get_by_text("2 rows marked.")).to_be_visible()
    page.get_by_role("button", name="Next").first.click()
    page.get_by_label("Mark 11,").check()
    expect(page.get_by_text("3 rows marked.")).to_be_visible()
    page.get_by_role("button", name="Previous").first.click()
    expect(page.get_by_label("Mark 3, Fast As")).to_be_checked()
    page.get_by_role("button", name="Mark none").click()
    expect(page.get_by_label("Mark 3, Fast As")).not_to_be_checked()


def test_edits_become_one_request(workspace: Workspace, page: Page) -> None:
    """Two rows, one request, nothing written; the card and the inbox have it."""
    before = prices(workspace, 1, 2)
    for track, price in ((1, "1.29"), (2, "1,39")):
        page.get_by_role("button", name=f"Choose {track},").click()
        page.get_by_role("heading", name=f"Change track {track}", exact=True).wait_for()
        page.get_by_label("Unitprice", exact=True).fill(price)
        page.get_by_role("button", name="Keep these values").click()
        expect(page.get_by_role("row", name=f"{track} Unitprice")).to_be_visible()
    expect(page.locator(".gb-record-part").get_by_role("heading", name="Album").first).to_be_visible()
    shoot(page, "widgets-edits")
    page.get_by_label("Why?").first.fill("prices of the year")
    page.get_by_role("button", name="Send 2 changes").click()
    page.get_by_role("button", name="Yes, send it").first.click()
    card = page.locator(".gb-edits-part .gb-card")
    expect(card.get_by_text("Awaiting review")).to_be_visible()
    expect(card.get_by_text("1.39")).to_be_visible()
    shoot(page, "widgets-request")
    assert prices(workspace, 1, 2) == before
    page.get_by_role("button", name="Requests").click()
    page.get_by_role("button", name="Look again").click()
    link = page.get_by_role("link", name="Open request").first.get_attribute("href") or ""
    assert link.startswith(workspace.settings.portal_url)
    shoot(page, "widgets-inbox")


def choose(page: Page, name: str, content: bytes) -> None:
    with page.expect_file_chooser() as asked:
        page.get_by_role("button", name="Choose a file").click()
    asked.value.set_files({"name": name, "mimeType": "text/csv", "buffer": content})


def test_a_file_is_loaded(workspace: Workspace, page: Page, tmp_path: Path) -> None:
    """Wrong rows are said; the others are one request. One that is too large never leaves the browser."""
    before = prices(workspace, 3, 4)
    page.get_by_role("button", name="A file").click()
    content = b"trackid,unitprice\n3,1.49\n4,dear\n"
    choose(page, "p.csv", content)
    expect(page.get_by_text("Row 3: Unitprice has to be a number.")).to_be_visible()
    page.get_by_label("If rows do not fit").select_option("leave them out")
    shoot(page, "widgets-upload")
    page.locator(".gb-upload-part").get_by_role("button", name="Send 1 row").click()
    page.locator(".gb-upload-part").get_by_role("button", name="Yes, send it").click()
    expect(page.locator(".gb-upload-part .gb-card").get_by_text("Awaiting review")).to_be_visible()
    assert prices(workspace, 3, 4) == before
    choose(page, "large.csv", b"trackid,unitprice\n" + b"1,2\n" * 300_000)
    expect(page.get_by_text("larger than 900 KB")).to_be_visible()
    expect(page.locator("#lost")).to_be_hidden()


def test_a_chart_and_its_file(page: Page, tmp_path: Path) -> None:
    """The picture has words, and the browser saves what was read."""
    page.get_by_role("button", name="Figures").click()
    expect(page.get_by_role("img", name="Bar chart by Year")).to_be_visible()
    page.get_by_text("The values as a table").click()
    for kind in ("CSV", "Excel", "Parquet"):
        page.get_by_role("button", name=f"Make {kind}").first.click()
        ending = {"CSV": "csv", "Excel": "xlsx", "Parquet": "parquet"}[kind]
        with page.expect_download() as waited:
            page.get_by_role("link", name=f"Save revenue_by_year.{ending}").click()
        saved = tmp_path / waited.value.suggested_filename
        waited.value.save_as(saved)
        read = {"csv": pd.read_csv, "xlsx": pd.read_excel, "parquet": pd.read_parquet}[ending]
        assert len(read(saved)) == 5
    shoot(page, "widgets-chart")


def test_long_work_is_followed(page: Page) -> None:
    """It ends in a sentence."""
    page.get_by_role("button", name="Everything").click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".gb-progress-part").get_by_text("Done.")).to_be_visible()
    shoot(page, "widgets-progress")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_every_tab_is_accessible(
    browser: Browser, workspace: Workspace, axe_script: Path, scheme: str, width: int
) -> None:
    """Checked with axe, wide and narrow, light and dark; nothing but tables and pictures scrolls sideways."""
    how = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    with opened(browser, workspace, **how, bypass_csp=True) as page:
        page.get_by_role("button", name="Choose 1,").click()
        page.get_by_role("button", name="Sort, filter, columns").first.click()
        page.get_by_label("Unitprice", exact=True).fill("dear")
        page.get_by_role("button", name="Keep these values").click()
        expect(page.get_by_text("Unitprice has to be a number.")).to_be_visible()
        page.add_script_tag(path=axe_script)
        for tab in ("Tracks", "A file", "Figures", "Requests", "Everything"):
            page.get_by_role("button", name=tab, exact=True).click()
            page.wait_for_timeout(300)
            shoot(page, f"widgets-{scheme}-{width}-{tab.lower().replace(' ', '-')}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
            found = page.evaluate("tags => axe.run(document, { runOnly: tags }).then(r => r.violations)", WCAG)
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], tab


IN_LAB = """from gatebook_widgets import RecordTable, RecordView, Related, SideBySide, Tool
albums = RecordTable("Albums", "chinook", table="album", rows=10, may_select=True)
album = RecordView("Album", albums, related=[Related(title="Tracks", source="chinook", table="track", on=["albumid"])])
Tool("Albums", "In a notebook.", SideBySide(albums, album))"""


def test_parts_are_usable_in_jupyterlab(browser: Browser, workspace: Workspace) -> None:
    """Where no script of ours is, the fields beneath the table do what the buttons in its rows do on a page."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    try:
        lab = Lab(workspace, context, "analyst")
        lab.log_in()
        lab.open_notebook()
        shown = lab.run(IN_LAB)
        expect(shown.get_by_role("heading", name="Albums").first).to_be_visible()
        expect(shown.get_by_role("columnheader", name="Choice")).to_have_count(0)
        shown.get_by_label("Choose from albums").select_option(index=3)
        expect(shown.get_by_role("heading", name="Tracks")).to_be_visible()
        expect(shown.get_by_role("cell", name="Fast As a Shark", exact=True)).to_be_visible()
        shown.get_by_label("Mark rows of albums").select_option(index=[0, 2])
        expect(shown.get_by_text("2 rows marked.")).to_be_visible()
        shown.get_by_role("button", name="Next").first.click()
        expect(shown.get_by_text("Page 2", exact=True)).to_be_visible()
        shoot(lab.page, "widgets-lab")
    finally:
        context.close()


def test_the_tutorials_tool_is_a_page(browser: Browser, workspace: Workspace, tmp_path: Path) -> None:
    """It does what the tutorial says."""
    with opened(browser, workspace, "/services/tools/album_desk") as page:
        page.get_by_label("Title").fill("rock")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("button", name="Choose 1, For Those About To Rock").click()
        expect(page.get_by_role("heading", name="Tracks")).to_be_visible()
        expect(page.get_by_role("cell", name="Put The Finger On You", exact=True)).to_be_visible()
        page.get_by_role("button", name="Make CSV").click()
        with page.expect_download() as waited:
            page.get_by_role("link", name="Save all_tracks.csv").click()
        waited.value.save_as(tmp_path / "all.csv")
        assert len(pd.read_csv(tmp_path / "all.csv")) == 3503
        shoot(page, "album-desk")


@pytest.mark.adversary
def test_forged_messages_write_nothing_and_ask_for_nothing(workspace: Workspace) -> None:
    """Every button pressed, also those that are not shown; places and files that are not there; SQL as values."""
    with contextlib.closing(workspace.person("ops")) as ops:
        before = (prices(workspace, *range(4000)), requests_in(workspace))
        kernel = kernel_on(ops.browser.get(ops.hub + ROOM, follow_redirects=True).text)
        with connect(ops, kernel) as channels:
            found = widgets(channels)
            for _ in range(2):
                for name, one in found.items():
                    for state in forged(str(one.get("_model_name"))):
                        forge(channels, name, {"method": "update", "state": state})
                    forge(channels, name, {"method": "custom", "content": {"event": "click"}})
            assert answers(channels, message("kernel_info_request", {}), "kernel_info_reply")
        assert (prices(workspace, *range(4000)), requests_in(workspace)) == before


def requests_in(workspace: Workspace) -> int:
    """How many change requests there are."""
    with contextlib.closing(sqlite3.connect(f"file:{own_database(workspace)}?mode=ro", uri=True)) as connection:
        return int(connection.execute("select count(*) from change").fetchone()[0])


def own_database(workspace: Workspace) -> Path:
    """The gateway's own, not the one that it governs."""
    (found,) = [one for one in workspace.settings.state.rglob("*.sqlite") if has_changes(one)]
    return found


def has_changes(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("select 1 from sqlite_master where name = 'change'").fetchone() is not None


def forged(model: str) -> list[dict[str, Any]]:
    """What a page never sends."""
    sql = "1; drop table track --"
    match model:
        case "DropdownModel" | "ToggleButtonsModel":
            return [{"index": index} for index in (999, -1, sql, None)] + [{"_options_labels": [sql]}]
        case "SelectMultipleModel":
            return [{"index": index} for index in ([999], [-1], [sql], sql)]
        case "FileUploadModel":
            return [{"value": value} for value in (sql, [{"name": sql}], [{"name": "a.csv", "content": sql}])]
        case "TextModel" | "TextareaModel" | "HTMLModel":
            return [{"value": sql}, {"value": {"a": sql}}, {"description": "<img src=x>"}]
        case "CheckboxModel" | "ToggleButtonModel":
            return [{"value": sql}, {"value": True}]
        case _:
            return [{"disabled": False}]
