"""Does a write leave rows outside of what its caller may see, when the scope looks at rows that it writes too?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.services.shop import Shop, ann

from gatebook_hub.errors import WriteRefused
from gatebook_hub.services.queries import Question

RULES = """
grants:
  - id: team
    to: group:team
    on: shop.member
    allow: [select, update]
    where: boss in (select id from member where country = 'DE')
"""


def test_a_scope_is_checked_after_the_last_step(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with closing(sqlite3.connect(shop.database)) as connection:
        connection.executescript(
            """
            create table member (id integer primary key, boss integer, country text);
            insert into member values (1, 2, 'DE'), (2, 3, 'DE'), (3, 3, 'DE');
            """
        )
    shop.write(RULES)
    text = (
        "merge into member t using (select id as k from member) s on s.k = t.id "
        "when matched and t.id = 1 then update set country = 'XX' "
        "when matched and t.id = 2 then update set country = 'FR'"
    )
    with shop.open() as cases, pytest.raises(WriteRefused, match="outside"):
        cases.queries.ask(ann("team"), Question(source="shop", sql=text, parameters={}))


MASKED_KEY = """
grants:
  - id: team
    to: group:team
    on: shop.member
    allow: [select, update, delete]
    where: country = 'DE'
protections:
  - {id: coarse, on: shop.member.id, mask: bucket(10)}
"""


@pytest.mark.parametrize("text", ["update member set boss = 9 where id = 10", "delete from member where boss = 2"])
def test_a_masked_key_finds_no_row_to_write(tmp_path: Path, text: str) -> None:
    """The row with the key that the mask shows is another one, which may be hidden."""
    shop = Shop(tmp_path)
    with closing(sqlite3.connect(shop.database)) as connection:
        connection.executescript(
            """
            create table member (id integer primary key, boss integer, country text);
            insert into member values (10, 1, 'FR'), (17, 2, 'DE');
            """
        )
    shop.write(MASKED_KEY)
    with shop.open() as cases, pytest.raises(WriteRefused, match="key"):
        cases.queries.ask(ann("team"), Question(source="shop", sql=text, parameters={}))
