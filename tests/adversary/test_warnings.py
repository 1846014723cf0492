"""Is a reviewer told what a write does beyond the rows that are shown?"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adversary.stands import ENGINES, stand

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.model import Engine
from gatebook_hub.web.views import change_view

pytestmark = pytest.mark.adversary

TABLES = [
    "create table parent (id integer primary key, v integer)",
    "create table child (id integer primary key, p integer, foreign key (p) references parent (id) on delete cascade)",
    "create table journal (id integer primary key, v integer)",
    "insert into parent values (1, 1), (2, 2)",
    "insert into child values (1, 1)",
]
TRIGGERS = {
    Engine.SQLITE: [
        "create trigger keeps after update on parent begin insert into journal (v) values (new.v); end",
    ],
    Engine.MARIADB: [
        "create trigger keeps after update on parent for each row insert into journal (id, v) values (new.v, new.v)",
    ],
    Engine.POSTGRESQL: [
        "create function keep() returns trigger language plpgsql as "
        "'begin insert into public.journal values (new.v, new.v); return new; end'",
        "create trigger keeps after update on parent for each row execute function keep()",
        "create rule also as on delete to child do also insert into journal values (77, 77)",
    ],
}
COUNTED = {Engine.SQLITE: "writes 1 row", Engine.POSTGRESQL: "adds 1 row of `journal`", Engine.MARIADB: "adds 1 row"}
RULES = """
grants:
  - {id: a, to: "group:people", on: [shop.parent, shop.child, shop.journal], allow: [select, update, delete]}
"""


@pytest.mark.parametrize("engine", TRIGGERS)
def test_triggers_and_rows_that_go_along_are_told(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    with stand(request, engine, tmp_path, TABLES + TRIGGERS[engine], RULES, sandbox=False) as shop:

        def warnings(sql: str) -> str:
            asked = shop.ask(sql)
            assert isinstance(asked, ChangeRequest)
            return "; ".join(change_view(shop.cases, shop.call.principal, asked)["warnings"])

        told = warnings("update parent set v = v + 10 where id = 1")
        assert "`keeps`" in told
        counted = COUNTED[engine]
        assert (f"the database itself {counted} beside those of the change" in told) is bool(counted), told
        assert "1 row that nobody asked for goes or changes with these" in warnings("delete from parent where id = 1")
        plain = warnings("update child set p = 2 where id = 1")
        assert ("`also`" in plain) is (engine is Engine.POSTGRESQL)
        assert "`keeps`" not in plain


MANY = [
    "create table stock (id integer primary key, n integer)",
    "insert into stock values " + ", ".join(f"({n}, {n})" for n in range(1, 61)),
]
STRICT = """
grants:
  - {{id: a, to: "group:people", on: shop.stock, allow: [select, update, delete]{scope}}}
approvals:
  - {{id: risky, on: shop.stock, when: ["risk >= 3"], require: [{{groups: [owners], needed: 2}}]}}
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_condition_that_holds_for_all_rows_is_none(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    """What counts is how much of the table is written; who does not see all of it does not learn how much there is."""
    with stand(request, engine, tmp_path, MANY, STRICT.format(scope=""), sandbox=False) as shop:
        for sql in ("update stock set n = 0 where id is not null", "delete from stock where id > 25"):
            asked = shop.ask(sql)
            assert isinstance(asked, ChangeRequest)
            assert "it changes or removes more than half of the rows of a table" in [
                one.sentence for one in asked.risks
            ]
            assert [item.groups for item in asked.requirements] == [("owners",)]
        half = shop.ask("update stock set n = 0 where id <= 30")
        assert isinstance(half, ChangeRequest)
        assert [item.groups for item in half.requirements] == [("reviewers",)]


@pytest.mark.parametrize("engine", ENGINES[:1])
def test_who_does_not_see_all_rows_is_not_told(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> None:
    with stand(request, engine, tmp_path, MANY, STRICT.format(scope=", where: id <> 60"), sandbox=False) as shop:
        asked = shop.ask("update stock set n = 0 where id is not null")
        assert isinstance(asked, ChangeRequest)
        assert not [one for one in asked.risks if "half" in one.sentence]
