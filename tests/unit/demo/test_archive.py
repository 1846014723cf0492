"""The archive comes from the configured index, is known by its content, and never runs."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gatebook_hub.demo import Pin, fetch
from gatebook_hub.demo.errors import ArchiveNotFetched, ArchiveNotGenuine


class QuietHandler(SimpleHTTPRequestHandler):
    """A folder as a package index."""

    def log_message(self, *args: object) -> None:
        """Tests do not print requests."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder behind a package index on loopback, the only one that pip knows of."""
    folder = tmp_path / "index"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A file that exists once the archive's `setup.py` has run."""
    return tmp_path / "setup-ran"


@pytest.fixture
def published(index: Path, trap: Path) -> Pin:
    """An old-style source archive on the index."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        setup = f"open({str(trap)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='tune', version='1.0')\n"
        for name, body in (("setup.py", setup), ("PKG-INFO", "Metadata-Version: 1.1\nName: tune\nVersion: 1.0\n")):
            member = tarfile.TarInfo(f"tune-1.0/{name}")
            member.size = len(body.encode())
            archive.addfile(member, io.BytesIO(body.encode()))
    (index / "tune").mkdir()
    (index / "tune" / "tune-1.0.tar.gz").write_bytes(content.getvalue())
    (index / "tune" / "index.html").write_text(
        '<!DOCTYPE html><html><body><a href="tune-1.0.tar.gz">tune-1.0.tar.gz</a>'
    )
    return Pin(name="tune", version="1.0", sha256=hashlib.sha256(content.getvalue()).hexdigest())


def test_the_archive_is_fetched_once_and_its_setup_never_runs(
    published: Pin, index: Path, trap: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    fetched = fetch(cache, published)
    assert hashlib.sha256(fetched.read_bytes()).hexdigest() == published.sha256
    (index / "tune" / "index.html").unlink()
    assert fetch(cache, published) == fetched
    assert list(cache.iterdir()) == [fetched]
    assert not trap.exists()


def test_an_index_named_to_uv_alone_is_asked(published: Pin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", os.environ["PIP_INDEX_URL"])
    monkeypatch.delenv("PIP_INDEX_URL")
    assert fetch(tmp_path / "cache", published).exists()


def test_another_content_under_the_same_name_is_refused_unrun(published: Pin, trap: Path, tmp_path: Path) -> None:
    expected = Pin(name=published.name, version=published.version, sha256="0" * 64)
    with pytest.raises(ArchiveNotFetched, match=r"tune==1\.0"):
        fetch(tmp_path / "cache", expected)
    assert list((tmp_path / "cache").iterdir()) == []
    assert not trap.exists()


def test_an_archive_changed_in_the_cache_is_refused(published: Pin, tmp_path: Path) -> None:
    fetched = fetch(tmp_path, published)
    fetched.write_bytes(fetched.read_bytes() + b"\0")
    with pytest.raises(ArchiveNotGenuine, match=published.sha256):
        fetch(tmp_path, published)


def test_what_the_index_lacks_is_told_in_a_sentence(index: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveNotFetched, match=r"could not be fetched: .*--archive"):
        fetch(tmp_path / "cache", Pin(name="no-such-tune", version="1.0", sha256="0" * 64))
