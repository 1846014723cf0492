"""The code of the pages about widgets runs as it stands there, and what it does goes well."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stories.gateway import APP, Gateway

from gatebook_widgets import Part, Tool

pytestmark = pytest.mark.slow
REFERENCE = APP / "docs" / "reference" / "widgets.md"
TUTORIAL = APP / "docs" / "tutorials" / "your-first-tool.md"


def blocks(page: Path, language: str) -> list[str]:
    """The code of a page, without the indent that it has inside of a list."""
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^\1```$", page.read_text())
    return [re.sub(rf"(?m)^{indent}", "", text) for indent, text in found]


EXAMPLES = blocks(REFERENCE, "python")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("widget_docs"), chinook_template) as running:
        yield running


@pytest.fixture(autouse=True)
def analyst(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEBOOK_URL", gateway.url)
    monkeypatch.setenv("GATEBOOK_TOKEN", gateway.token("analyst", "analysts"))


def run(*texts: str) -> dict[str, Any]:
    """The names that the code leaves; no part of them may have complained."""
    names: dict[str, Any] = {}
    for text in texts:
        exec(compile(text, "<page>", "exec"), names)
    parts = [one for one in names.values() if isinstance(one, Part)]
    assert [part.status.text for part in parts if "gb-bad" in part.status.text] == []
    return names


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_and_is_short(example: str) -> None:
    assert len([line for line in example.splitlines() if line and "import" not in line]) <= 10
    assert any(isinstance(one, Part) for one in run(example).values())


def test_every_part_has_its_example() -> None:
    shown = "\n".join(EXAMPLES)
    for name in ("Search", "RecordTable", "RecordView", "Related", "ActionForm", "ChangeCard", "RowDiff", "Inbox"):
        assert f"{name}(" in shown
    for name in ("BulkUpload", "Download", "Chart", "Choice", "Progress", "Tool", "SideBySide"):
        assert f"{name}(" in shown


def test_the_tutorials_tool_has_ten_lines_and_does_what_it_says(gateway: Gateway) -> None:
    texts = blocks(TUTORIAL, "python")
    assert len([line for text in texts for line in text.splitlines() if line.strip()]) <= 10
    names = run(
        *texts, "from gatebook_widgets import Tool\ntool = Tool('again', 'as above', search, albums, album, prices)"
    )
    assert isinstance(names["tool"], Tool)
    names["search"].run("rock")
    names["albums"].choose(0)
    assert len(names["album"].related[0].frame) > 0, names["album"].related[0].status.text
    names["prices"].make("xlsx")
    assert names["prices"].content, names["prices"].status.text


def test_the_tutorials_grant_and_metadata_are_as_the_product_reads_them(gateway: Gateway, tmp_path: Path) -> None:
    (described,) = [json.loads(text) for text in blocks(TUTORIAL, "json")]
    assert {"title", "summary", "owner", "kind", "sources"} <= set(described["gatebook"])
    assert described["gatebook"]["kind"] == "tool"
    (grant,) = blocks(TUTORIAL, "yaml")
    policies = tmp_path / "policies"
    shutil.copytree(APP / "policies", policies)
    (policies / "album_desk.yaml").write_text(grant)
    told = gateway.command("policy", "check", "--policies", str(policies))
    assert "0 errors" in told
