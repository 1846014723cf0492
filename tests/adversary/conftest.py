"""Which fortress does an attack run against? One per engine and worker; attacks do not change it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from tests.adversary.engines import ENGINES
from tests.adversary.large import RULES, TABLES
from tests.adversary.sights import DORA, LEA, MALLORY
from tests.adversary.stands import Stand, stand
from tests.adversary.stocks import connect_mariadb
from tests.adversary.worlds import Fortress, fortress
from tests.fixtures.chinook import _clone

from gatebook_hub.demo import Rows, build
from gatebook_hub.model import Engine


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `walls` runs on every engine, one that asks for `duck` on DuckDB."""
    if "walls" in metafunc.fixturenames:
        engines = [ENGINES[-1]] if "duck" in metafunc.fixturenames else ENGINES
        metafunc.parametrize("walls", engines, indirect=True, scope="session")


@pytest.fixture
def duck(walls: Fortress) -> Fortress:
    """The fortress on DuckDB."""
    assert walls.engine is Engine.DUCKDB
    return walls


@pytest.fixture(scope="session")
def walls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    """The fortress of one engine."""
    folder = tmp_path_factory.mktemp("walls")
    with ExitStack() as stack:
        match request.param:
            case Engine.SQLITE:
                template: Path = request.getfixturevalue("chinook_template")
                url = str(shutil.copy2(template, folder / "chinook.sqlite"))
            case Engine.DUCKDB:
                template = request.getfixturevalue("chinook_duckdb_template")
                url = str(shutil.copy2(template, folder / "chinook.duckdb"))
            case Engine.POSTGRESQL:
                url = stack.enter_context(_clone(request.getfixturevalue("chinook_postgres_template")))
            case _:
                make: Callable[[], str] = request.getfixturevalue("make_mariadb")
                rows: Rows = request.getfixturevalue("chinook_rows")
                url = make()
                build(url, rows)
                stack.callback(_drop_world, url)
        yield stack.enter_context(fortress(request.param, url, folder))


def _drop_world(url: str) -> None:
    connection = connect_mariadb(url, None)
    with connection.cursor() as cursor:
        for sight in (MALLORY, DORA, LEA):
            cursor.execute(f"drop database if exists {make_url(url).database}_{sight.name}")
    connection.close()


@pytest.fixture(scope="session")
def postgres_admin(postgres_server: str) -> Iterator[psycopg.Connection]:
    """A connection that sees every session of the server."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield connection


@pytest.fixture
def few_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request shows 20 rows, and takes 200."""
    monkeypatch.setenv("GATEBOOK_PREVIEW_ROWS", "20")
    monkeypatch.setenv("GATEBOOK_LARGE_ROWS", "200")


@pytest.fixture
def large_shop(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine, few_shown: None) -> Iterator[Stand]:
    """A stand with the rows of `large.py`."""
    with stand(request, engine, tmp_path, TABLES, RULES, sandbox=False) as made:
        yield made
