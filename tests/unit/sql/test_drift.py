"""Does a column that a table got after the gate looked at it stay unseen until the gate looks again?"""

from __future__ import annotations

import pytest

from gatebook_hub import sql
from gatebook_hub.errors import UnknownColumn
from gatebook_hub.model import Column, Engine, Schema, Table, TableObligation

_TABLE = Table(name="artist", columns=(Column(name="id", type="integer"), Column(name="name", type="varchar")))


def rewritten(text: str, engine: Engine) -> str:
    schema = Schema(source="s", engine=engine, version="1", tables={"artist": _TABLE}, namespace="main")
    obligations = {"artist": TableObligation(table="artist", columns=("id", "name"))}
    return sql.rewrite(sql.analyse(sql.parse(text, engine), schema), obligations, schema, nonce="x").sql


@pytest.mark.parametrize("engine", list(Engine))
def test_a_star_takes_the_columns_that_are_known(engine: Engine) -> None:
    for text in ("select * from artist", "select a.* from artist a", "select count(*) from (select * from artist) x"):
        assert "name" in rewritten(text, engine)


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize(
    "text",
    [
        "select ssn from artist, (select 1 + 1) v",
        "select ctid from artist, (select 1 + 1) v",
        "select (select ssn from (select 1 + 1) v) from artist",
        "select name from artist where ssn = (select 1 from (select 1 + 1) v)",
        "select name from artist where exists (select 1 from (select 1 + 1) v where ssn = 1)",
    ],
)
def test_a_name_is_not_left_to_the_engine_beside_a_table(engine: Engine, text: str) -> None:
    with pytest.raises(UnknownColumn):
        rewritten(text, engine)


@pytest.mark.parametrize("engine", [Engine.POSTGRESQL, Engine.DUCKDB])
def test_a_whole_row_has_the_columns_that_are_known(engine: Engine) -> None:
    assert "name" in rewritten("select artist from artist, (select 1 + 1) v", engine)
    with pytest.raises(UnknownColumn):
        rewritten("select artist.artist from artist", engine)
