"""Are pairs of texts of one meaning told from pairs of two?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gatebook_hub.sql.second_reading import trees_agree

FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "sql" / "second_reading"


def _pairs(name: str) -> list[Any]:
    return [
        pytest.param(pair["typed"], pair["regenerated"], id=pair["name"])
        for pair in YAML(typ="safe").load(FOLDER / f"{name}.yaml")
    ]


@pytest.mark.parametrize("typed, regenerated", _pairs("same"))
def test_two_spellings_of_one_meaning_agree(typed: str, regenerated: str) -> None:
    assert trees_agree(typed, regenerated) is None
    assert trees_agree(regenerated, typed) is None


@pytest.mark.parametrize("typed, regenerated", _pairs("different"))
def test_another_meaning_is_a_difference(typed: str, regenerated: str) -> None:
    assert trees_agree(typed, regenerated) is not None
