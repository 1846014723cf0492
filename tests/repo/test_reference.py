"""Are the reference pages what the code says, and do all links between pages lead somewhere?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = (".ci", "reference")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def pages(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def anchors(text: str) -> set[str]:
    """The anchors of the headings, made as GitHub makes them."""
    titles = re.findall(r"(?m)^#{1,6} (.+)$", prose(text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_reference_pages_are_what_the_code_says(root: Path) -> None:
    """`make docs` writes them."""
    command = [sys.executable, root.joinpath(*PROGRAM), "--check"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_sees_a_changed_page(root: Path, tmp_path: Path) -> None:
    """Guards the test above: on a copy with one word changed, the same program fails and names the page."""
    program = tmp_path.joinpath(*PROGRAM)
    program.mkdir(parents=True)
    for path in root.joinpath(*PROGRAM).glob("*.py"):
        (program / path.name).write_text(path.read_text())
    pages_of_copy = tmp_path / "docs" / "reference"
    pages_of_copy.mkdir(parents=True)
    for path in (root / "docs" / "reference").glob("*.md"):
        text = path.read_text()
        (pages_of_copy / path.name).write_text(text.replace("GB-101", "GB-999") if path.name == "errors.md" else text)
    done = subprocess.run([sys.executable, program, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["docs/reference/errors.md is not what the code says; run `make docs`"]


def test_every_link_between_pages_leads_somewhere(root: Path) -> None:
    lost = []
    for page in pages(root):
        for target in LINK.findall(prose(page.read_text())):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            path = (page.parent / name).resolve() if name else page
            is_there = path.exists() and (not anchor or anchor in anchors(path.read_text()))
            lost += [] if is_there else [f"{page.relative_to(root)}: {target}"]
    assert lost == []


@pytest.mark.parametrize("folder", ["tutorials", "how-to", "reference", "explanation"])
def test_every_page_is_on_the_index(root: Path, folder: str) -> None:
    index = (root / "docs" / "index.md").read_text()
    found = [path.name for path in sorted((root / "docs" / folder).glob("*.md"))]
    assert found
    assert [name for name in found if f"({folder}/{name})" not in index] == []
