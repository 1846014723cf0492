"""Which files make up the repository?"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hub/gatebook_hub", "extensions/gatebook", "extensions/gatebook_server", "widgets/gatebook_widgets")
LEFT_OUT = {".git", ".venv", "node_modules", "__pycache__", ".state", "state", "build", "dist", "test-results"}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed; in a tree without git, every file but what tools leave behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not is_left_out(path)]
    return tuple(sorted(path for path in found if path.is_file() and not path.is_symlink()))


@pytest.fixture(scope="session")
def modules(files: tuple[Path, ...]) -> tuple[Path, ...]:
    """Every Python module of the four packages."""
    folders = tuple(ROOT / name for name in PACKAGES)
    return tuple(path for path in files if path.suffix == ".py" and any(path.is_relative_to(f) for f in folders))


@pytest.fixture
def state(tmp_path: Path, chinook_template: Path) -> Path:
    """A state folder with the demo's database in it."""
    folder = tmp_path / "state"
    (folder / "databases").mkdir(parents=True)
    shutil.copyfile(chinook_template, folder / "databases" / "chinook.sqlite")
    return folder


def is_left_out(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part in LEFT_OUT or part.endswith("_cache") for part in parts)
