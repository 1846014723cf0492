"""`python -m gatebook_hub.demo` makes the database, says so, and says in a sentence why not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gatebook_hub.demo.__main__ import main


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEBOOK_STATE", str(tmp_path / "state"))


def test_a_second_call_finds_the_database_there(
    chinook_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--sqlite", "chinook.sqlite", "--archive", str(chinook_archive)]
    assert main(words) == 0
    assert main(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"demo database sqlite:///{tmp_path}/chinook.sqlite: made"
    assert second.endswith("already there, left as it is")


def test_the_archive_is_taken_from_the_cache(chinook_archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fetch-only", "--cache", str(chinook_archive.parent)]) == 0
    assert capsys.readouterr().out == f"{chinook_archive}\n"


def test_the_day_may_be_another(chinook_archive: Path, tmp_path: Path) -> None:
    assert main(["--sqlite", "c.sqlite", "--archive", str(chinook_archive), "--today", "2026-12-31"]) == 0
    connection = sqlite3.connect(tmp_path / "c.sqlite")
    assert connection.execute("SELECT max(invoicedate) FROM invoice").fetchone() == ("2026-12-22 00:00:00",)
    connection.close()


def test_a_file_that_is_not_the_archive_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.tar.gz").write_bytes(b"")
    assert main(["--sqlite", "chinook.sqlite", "--archive", "other.tar.gz"]) == 1
    assert "not the expected archive" in capsys.readouterr().err
    assert not (tmp_path / "chinook.sqlite").exists()


def test_a_place_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--url", "not a url"])
    assert ended.value.code == 2
    assert "not a database URL" in capsys.readouterr().err
