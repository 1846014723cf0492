"""Is everything committed small, ours to publish, and free of one person's machine?"""

from __future__ import annotations

import re
from pathlib import Path

MAX_BYTES = 1_000_000
BINARY = {".png", ".svg", ".gz", ".ico", ".woff2"}
# Written apart, so that this file does not find itself.
FORBIDDEN = {
    "a registry's host name": re.compile("pypi" + r"\.org/simple|pythonhosted" + r"\.org|registry\.npm" + "js"),
    "a home folder": re.compile(r"(?<![\w.])/(?:home|Users)/" + r"[a-z]\w+/|/root" + r"/\.(?:pyenv|cache|local)"),
    "a private key": re.compile("-----BEGIN [A-Z ]*PRIVATE" + " KEY-----"),
    "a merge left undone": re.compile(r"(?m)^(?:<{7}|>{7}) "),
}


def test_no_file_is_above_one_megabyte(files: tuple[Path, ...], root: Path) -> None:
    assert [str(path.relative_to(root)) for path in files if path.stat().st_size > MAX_BYTES] == []


def test_no_file_holds_what_belongs_to_one_machine(files: tuple[Path, ...], root: Path) -> None:
    found = []
    for path in files:
        if path.suffix in BINARY:
            continue
        text = path.read_text(errors="replace")
        found += [f"{path.relative_to(root)}: {what}" for what, pattern in FORBIDDEN.items() if pattern.search(text)]
    assert found == []


def test_scripts_are_strict(root: Path) -> None:
    """A script that goes on after a failed command reports success that never was."""
    for path in sorted((root / ".ci").iterdir()):
        if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash"):
            assert "\nset -euo pipefail\n" in path.read_text(), path.name
            assert path.stat().st_mode & 0o111, f"{path.name} cannot be executed"


def test_no_lock_file_names_an_index(files: tuple[Path, ...]) -> None:
    for path in files:
        if path.suffix == ".lock":
            assert "://" not in path.read_text(), path.name


def test_every_locked_package_has_a_hash(root: Path) -> None:
    for path in (root / "requirements.lock", root / "requirements-test.lock"):
        entries = re.split(r"\n(?=[a-z0-9])", path.read_text().partition("make lock\n")[2])
        assert len(entries) > 100
        assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
