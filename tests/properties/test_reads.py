"""Does any nested read, however it is put together, show more than the policy world does?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adversary.comparing import compare
from tests.adversary.grammar import Grammar
from tests.adversary.worlds import Fortress, fortress

from gatebook_hub.model import Engine


@pytest.fixture(scope="module")
def walls(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    folder = tmp_path_factory.mktemp("reads")
    url = str(shutil.copy2(chinook_template, folder / "chinook.sqlite"))
    with fortress(Engine.SQLITE, url, folder) as opened:
        yield opened


def test_a_hundred_reads_on_sqlite(walls: Fortress) -> None:
    tally = compare(walls, range(100))
    tally.check()
    assert tally.answered > 60
    assert tally.with_rows > 25


@pytest.mark.parametrize("engine", list(Engine))
def test_a_seed_stands_for_one_statement(engine: Engine) -> None:
    """What failed once can be asked again."""
    first, again = ([Grammar(seed, engine).statement() for seed in range(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) == 50
