"""Does a column that MariaDB leaves out of `*` stay out of it when the gate writes the list of columns?"""

from __future__ import annotations

import pytest

from gatebook_hub import sql
from gatebook_hub.errors import ConstructRefused
from gatebook_hub.model import Column, Engine, Schema, Table, TableObligation

_COLUMNS = (
    Column(name="id", type="integer"),
    Column(name="secret", type="integer", is_invisible=True),
    Column(name="name", type="varchar(9)"),
)
_SCHEMA = Schema(
    source="s",
    engine=Engine.MARIADB,
    version="1",
    namespace="shop",
    tables={name: Table(name=name, columns=_COLUMNS) for name in ("item", "other")},
)


def rewritten(text: str) -> str:
    columns = tuple(column.name for column in _COLUMNS)
    obligations = {name: TableObligation(table=name, columns=columns) for name in _SCHEMA.tables}
    analysis = sql.analyse(sql.parse(text, Engine.MARIADB), _SCHEMA)
    return sql.rewrite(analysis, obligations, _SCHEMA, nonce="x").sql


def test_a_star_leaves_it_out_and_its_name_finds_it() -> None:
    for text in ("select * from item", "select i.* from item i", "select count(*) from (select * from item) x"):
        assert "secret" not in rewritten(text)
    assert "secret" in rewritten("select secret, id from item")


@pytest.mark.parametrize(
    "text",
    [
        "select * from item where secret = 1",
        "select i.*, i.secret from item i",
        "select item.id from item natural join other",
        "select x.secret from (select * from item) x",
    ],
)
def test_it_is_not_made_visible(text: str) -> None:
    with pytest.raises(Exception, match=r"invisible|no column"):
        rewritten(text)


def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(ConstructRefused, match="name the columns"):
        rewritten("select *, secret from item")
