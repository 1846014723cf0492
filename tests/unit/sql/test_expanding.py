"""Is MariaDB sent a `with` that keeps it reading for ever?"""

from __future__ import annotations

import pytest

from gatebook_hub import sql
from gatebook_hub.errors import ConstructRefused
from gatebook_hub.model import Engine


def test_mariadb_is_sent_no_expressions_that_it_would_read_for_ever() -> None:
    nested = "select 1 as x"
    for level in range(30):
        nested = f"with c{level} as ({nested}) select x from c{level}"
    chain = "with c0 as (select 1 as x)" + "".join(
        f", c{level} as (select a.x from c{level - 1} a, c{level - 1} b)" for level in range(1, 20)
    )
    for text in (nested, f"{chain} select x from c19"):
        with pytest.raises(ConstructRefused, match="nest them less"):
            sql.parse(text, Engine.MARIADB)
    sql.parse(
        "with recursive t as (select 1 as x union all select x + 1 from t where x < 9) select x from t", Engine.MARIADB
    )
    sql.parse(
        "with a as (with b as (select 1 as x) select x from b) select p.x from a p join a q on p.x = q.x",
        Engine.MARIADB,
    )
