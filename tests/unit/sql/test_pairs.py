"""Is each statement rewritten into exactly the plan that the fixtures name?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.unit.sql.conftest import OBLIGATIONS, schema_of

from gatebook_hub import sql
from gatebook_hub.model import Engine

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "sql"


def _pairs() -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        for pair in YAML(typ="safe").load(path):
            found += [
                pytest.param(pair["statement"], Engine(engine), plan, id=f"{path.stem}-{pair['name']}-{engine}")
                for engine, plan in pair["plan"].items()
            ]
    return found


@pytest.mark.parametrize("statement, engine, plan", _pairs())
def test_a_statement_becomes_its_plan(statement: str, engine: Engine, plan: str) -> None:
    schema = schema_of(engine)
    analysis = sql.analyse(sql.parse(statement, engine), schema)
    assert sql.rewrite(analysis, OBLIGATIONS, schema, nonce="n").sql == plan
