"""Which services may every test ask for?  Databases of its own on real servers, a browser, folders that others reach.

`make test` finds or starts the servers and names them in `GBTEST_…`; without it the usual ports are tried.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pymysql
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ["tests.fixtures.chinook"]

ROOT = Path(__file__).resolve().parent.parent
USUAL_POSTGRES = ("postgresql://root@127.0.0.1:5432/postgres", "postgresql://postgres@127.0.0.1:5432/postgres")
USUAL_MARIADB = "mysql+pymysql://root@127.0.0.1:3306/"


# Tests in these folders share what takes long to start with others of their file, or of the folder itself.
TOGETHER = {"stories": True, "browser": True, "compliance": True, "gatebook_widgets": False}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories with a Hub share one worker (`--dist loadgroup`), and so do tests that share a gateway.

    What needs root is skipped without it.
    """
    for item in items:
        folder = item.path.parent.name
        if item.get_closest_marker("hub"):
            item.add_marker(pytest.mark.xdist_group("hub"))
        elif folder in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(item.path.stem if TOGETHER[folder] else folder))
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root: makes Linux accounts"))


def named(service: str) -> str | None:
    """What `make test` found for one service; skips the test where it found none."""
    if reason := os.environ.get(f"GBTEST_{service}_SKIP"):
        pytest.skip(reason)
    return os.environ.get(f"GBTEST_{service}")


# ── databases ──


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """URL of a PostgreSQL where databases may be made."""
    given = named("POSTGRES_URL")
    for url in (given,) if given else USUAL_POSTGRES:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=3):
            return url
    pytest.skip("no PostgreSQL on 127.0.0.1:5432; run `make test`, or set GBTEST_POSTGRES_URL")


@pytest.fixture(scope="session")
def make_postgres(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Make an empty PostgreSQL database at each call; all are dropped with the session."""
    names: list[str] = []

    def make() -> str:
        name = free_name()
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {} encoding 'UTF8'").format(sql.Identifier(name)))
        names.append(name)
        return postgres_server.rpartition("/")[0] + "/" + name

    yield make
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def postgres_url(make_postgres: Callable[[], str]) -> str:
    """URL of an empty PostgreSQL database of this test's own."""
    return make_postgres()


@pytest.fixture(scope="session")
def mariadb_server() -> str:
    """URL of a MariaDB where databases may be made, ending in a slash."""
    url = named("MARIADB_URL") or USUAL_MARIADB
    with contextlib.suppress(pymysql.OperationalError):
        connect_mariadb(url).close()
        return url
    pytest.skip("no MariaDB on 127.0.0.1:3306; run `make test`, or set GBTEST_MARIADB_URL")


@pytest.fixture(scope="session")
def make_mariadb(mariadb_server: str) -> Iterator[Callable[[], str]]:
    """Make an empty MariaDB database at each call; all are dropped with the session."""
    names: list[str] = []

    def run(statement: str) -> None:
        connection = connect_mariadb(mariadb_server)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)

    def make() -> str:
        name = free_name()
        run(f"create database `{name}` character set utf8mb4")
        names.append(name)
        return mariadb_server.rpartition("/")[0] + "/" + name

    yield make
    for name in names:
        run(f"drop database if exists `{name}`")


@pytest.fixture
def mariadb_url(make_mariadb: Callable[[], str]) -> str:
    """URL of an empty MariaDB database of this test's own."""
    return make_mariadb()


def connect_mariadb(url: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    """Connect by the parts of a SQLAlchemy URL."""
    authority = url.split("//", 1)[1].split("/", 1)[0]
    user, _, address = authority.rpartition("@")
    host, _, port = address.partition(":")
    name, _, password = user.partition(":")
    return pymysql.connect(host=host, port=int(port or 3306), user=name or "root", password=password, connect_timeout=3)


def free_name() -> str:
    """A database name that nobody else has."""
    return f"gbtest_{secrets.token_hex(6)}"


# ── browser ──


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's `executable_path`."""
    found = named("CHROMIUM") or shutil.which("chromium")
    if not found:
        pytest.skip("no Chromium; run `make test`, or set GBTEST_CHROMIUM")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A Chromium that is driven, for one module."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-quic"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def axe_script() -> Path:
    """The accessibility checker axe-core, one script to run in a page."""
    found = Path(os.environ.get("GBTEST_AXE", ROOT / ".venv/lib/node/node_modules/axe-core/axe.min.js"))
    if not found.is_file():
        pytest.skip("no axe-core; run `make test`")
    return found


# ── folders ──


@pytest.fixture(scope="session")
def app_folder() -> Path:
    """Folder of `policies`, `notebooks` and `jupyterhub_config.py` that other Linux users can read too."""
    return Path(os.environ.get("GBTEST_APP", ROOT))


@pytest.fixture
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that other Linux users can enter (`tmp_path` lies in a 0700 one)."""
    folder = Path(tempfile.mkdtemp(prefix="gbtest-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
