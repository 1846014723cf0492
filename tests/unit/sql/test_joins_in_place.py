"""Is every join of a statement looked at, wherever the parser puts it?"""

from __future__ import annotations

import pytest
from tests.unit.sql.conftest import OBLIGATIONS, schema_of

from gatebook_hub import sql
from gatebook_hub.errors import ConstructRefused
from gatebook_hub.model import Engine


def test_a_query_that_begins_with_from_has_its_joins() -> None:
    text = (
        "from (select 1 as a) s join (with c as (select id from customer) select id from c) t on s.a = t.id select t.id"
    )
    analysis = sql.analyse(sql.parse(text, Engine.DUCKDB), schema_of(Engine.DUCKDB))
    assert [use.table for use in analysis.uses] == ["customer"]
    written = sql.rewrite(analysis, OBLIGATIONS, schema_of(Engine.DUCKDB), nonce="n").sql
    assert "'DE'" in written, "the row filter is there"


@pytest.mark.parametrize("engine", list(Engine))
def test_a_join_inside_of_a_join_is_refused(engine: Engine) -> None:
    text = "select 1 from (select 1 as a) a join (select 1 as b) b join (select 1 as c) c on true on true"
    with pytest.raises(ConstructRefused):
        sql.analyse(sql.parse(text, engine), schema_of(engine))
