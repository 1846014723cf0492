"""Is the installed base the kernel client alone?"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = """
import importlib.util, sys
import gatebook
absent = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print("absent:", *absent)
print("connect" if callable(gatebook.connect) else "no connect")
"""
NOT_IN_THE_BASE = (
    "aiohttp", "alembic", "argon2", "cryptography", "fastapi", "huey", "ipykernel", "IPython", "ipywidgets",
    "jupyterhub", "jupyter_server", "papermill", "psycopg", "pydantic", "pydantic_settings", "pymysql",
    "ruamel", "sqlalchemy", "sqlglot", "tornado", "traitlets", "uvicorn", "voila",
)  # fmt: skip


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", folder, cwd=root)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def base_python(wheel: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which somebody ran `pip install gatebook`, with the locked versions."""
    uv = next((name for name in uv_candidates() if works(name)), None)
    if uv is None:
        pytest.skip("no uv, which makes the base-only environment")
    folder = tmp_path_factory.mktemp("base") / "venv"
    run(uv, "venv", "--quiet", "--python", Path(sys.executable).resolve(), folder)
    run(uv, "pip", "install", "--quiet", "--python", folder, wheel, "--constraints", plain(root, folder.parent))
    return folder / "bin" / "python"


@pytest.mark.slow
def test_the_base_imports_without_the_trusted_side(base_python: Path) -> None:
    told = run(base_python, "-c", CLIENT, *NOT_IN_THE_BASE, cwd=base_python.parent)
    assert told.splitlines() == ["absent: " + " ".join(NOT_IN_THE_BASE), "connect"]


@pytest.mark.slow
def test_the_base_says_what_the_trusted_side_needs(base_python: Path) -> None:
    """The console script is there, since one wheel holds everything, but it cannot start a gateway."""
    done = subprocess.run([base_python.with_name("gatebook"), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "ModuleNotFoundError" in done.stderr or "gatebook[hub]" in done.stderr


def test_the_wheel_holds_four_packages_and_their_files(wheel: Path) -> None:
    listed = run(sys.executable, "-m", "zipfile", "-l", wheel).split()
    for package in ("gatebook", "gatebook_hub", "gatebook_server", "gatebook_widgets"):
        assert f"{package}/__init__.py" in listed
    assert any(name.endswith("etc/jupyter/jupyter_server_config.d/gatebook_server.json") for name in listed)
    assert not [name for name in listed if name.endswith((".sqlite", ".pyc", ".key"))]


def uv_candidates() -> list[str]:
    """`uv` where `.ci/env` finds it too."""
    home = Path.home() / ".cache"
    return [name for name in (shutil.which("uv"), str(home / "gatebook/uv/bin/uv")) if name]


def works(program: str) -> bool:
    with_version = [program, "--version"]
    return Path(program).exists() and subprocess.run(with_version, capture_output=True, check=False).returncode == 0


def plain(root: Path, folder: Path) -> Path:
    """The lock file without hashes: a wheel built just now has none, and uv asks for all or none."""
    names = [line.removesuffix(" \\") for line in (root / "requirements.lock").read_text().splitlines()]
    target = folder / "constraints.txt"
    target.write_text("\n".join(name for name in names if name and not name.startswith((" ", "#"))) + "\n")
    return target


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
