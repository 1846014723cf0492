"""Is a policy set what lies in its folder, whole, and nothing else?"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gatebook_hub.errors import PolicyInvalid
from gatebook_hub.stores import policies as room
from gatebook_hub.stores.policies import MAX_FILE_BYTES, SetMoved, print_of, read_policies, read_revision


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    (made / "sources").mkdir(parents=True)
    (made / "sources" / "shop.yaml").write_text("source: shop\n")
    (made / "rules.yml").write_text("grants: []\n")
    return made


def test_every_yaml_file_is_read_by_its_name(folder: Path) -> None:
    assert read_policies(folder) == {"sources/shop.yaml": "source: shop\n", "rules.yml": "grants: []\n"}


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    """Who may write there, but not here, must not write rules."""
    (tmp_path / "evil.yaml").write_text("grants: []\n")
    (folder / "more.yaml").symlink_to(tmp_path / "evil.yaml")
    with pytest.raises(PolicyInvalid, match=r"more.yaml: leads out of the policy folder"):
        read_policies(folder)


def test_a_folder_that_is_linked_in_is_not_followed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "evil.yaml").write_text("grants: []\n")
    (folder / "linked").symlink_to(other)
    assert "linked/evil.yaml" not in read_policies(folder)


def test_a_link_that_leads_nowhere_is_an_error(folder: Path) -> None:
    (folder / "gone.yaml").symlink_to(folder / "nothing.yaml")
    with pytest.raises(PolicyInvalid, match=r"gone\.yaml"):
        read_policies(folder)
    assert print_of(folder) is None


def test_links_in_circles_are_an_error(folder: Path) -> None:
    (folder / "a.yaml").symlink_to(folder / "b.yaml")
    (folder / "b.yaml").symlink_to(folder / "a.yaml")
    with pytest.raises(PolicyInvalid):
        read_policies(folder)


def test_a_mounted_set_with_its_own_links_is_read_once(tmp_path: Path) -> None:
    """Containers mount a set as links through a hidden folder, which is replaced as a whole."""
    hidden = tmp_path / "set" / "..2026_01"
    hidden.mkdir(parents=True)
    (hidden / "rules.yaml").write_text("grants: []\n")
    (tmp_path / "set" / "..data").symlink_to("..2026_01")
    (tmp_path / "set" / "rules.yaml").symlink_to("..data/rules.yaml")
    assert read_policies(tmp_path / "set") == {"rules.yaml": "grants: []\n"}


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(folder)
    assert read_policies(tmp_path / "current") == read_policies(folder)


def test_a_pipe_is_refused_and_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    with pytest.raises(PolicyInvalid, match="not an ordinary file"):
        read_policies(folder)


def test_a_huge_file_is_refused(folder: Path) -> None:
    (folder / "huge.yaml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(PolicyInvalid, match=r"huge.yaml: has more than"):
        read_policies(folder)


def test_a_huge_folder_is_refused_before_it_is_read(folder: Path) -> None:
    for number in range(12):
        (folder / f"{number}.yaml").write_bytes(b"#" * 1_000_000)
    with pytest.raises(PolicyInvalid, match="more than 10,000,000 bytes"):
        read_policies(folder)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a: \xc3"])
def test_what_is_no_text_is_refused(data: bytes, folder: Path) -> None:
    (folder / "odd.yaml").write_bytes(data)
    with pytest.raises(PolicyInvalid, match=r"odd.yaml: cannot be read"):
        read_policies(folder)


def test_a_folder_without_rules_is_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(PolicyInvalid):
            read_policies(path)


def test_a_set_that_moves_while_it_is_read_is_no_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the old files and half of the new ones: nobody meant that."""
    read = room._text

    def slow(path: Path, name: str) -> Any:
        (folder / "protections.yaml").write_text(f"protections: []  # after {name}\n")
        return read(path, name)

    monkeypatch.setattr(room, "_text", slow)
    with pytest.raises(SetMoved):
        read_policies(folder)


def test_what_changes_shows_in_the_print(folder: Path) -> None:
    before = print_of(folder)
    assert before == print_of(folder)
    (folder / "rules.yml").write_text("grants: [ ]\n")
    assert print_of(folder) != before


def test_a_revision_of_git_is_a_set(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], check=True, capture_output=True)
    first = read_policies(folder)
    (folder / "rules.yml").write_text("protections: []\n")
    assert read_revision("HEAD:policies") == first
    assert read_revision("policies") == read_policies(folder) != first


@pytest.mark.parametrize("text", ["--output=x:policies", "HEAD:--all", "nothing:policies", "nothing", "HEAD:"])
def test_a_revision_that_is_none_is_an_error_and_no_option_of_git(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyInvalid):
        read_revision(text)
