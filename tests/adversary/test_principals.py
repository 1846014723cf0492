"""Does a plan ever serve two principals? Three of them ask the same gate in turn, each against a world of their own."""

from __future__ import annotations

import os
import random

import pytest
from tests.adversary.comparing import Tally, compare_one
from tests.adversary.grammar import Grammar
from tests.adversary.rules import ANALYST, AUDITOR, DESK, LEA
from tests.adversary.sights import DORA, MALLORY
from tests.adversary.sights import LEA as LEA_SEES
from tests.adversary.stocks import World
from tests.adversary.vocabulary import ALL_TABLES
from tests.adversary.worlds import Fortress, ask, normal

from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Principal
from gatebook_hub.services.gate import Call

SEEDS = int(os.environ.get("GBTEST_TURNS", "50"))
pytestmark = [pytest.mark.adversary, pytest.mark.slow]

# What at least two of them may read, in columns that at least two of them see.
_SHARED = {name: ALL_TABLES[name] for name in ("customer", "employee", "support_ticket", "genre", "invoice")}
_SAME = [
    "select * from genre",
    "select * from customer",
    "select count(*) from customer",
    "select email, phone from employee order by email",
    "select customerid, phone from customer where phone like '%9%'",
    "select count(*) from support_ticket t where exists (select 1 from customer c where c.customerid = t.customerid)",
    "select total from invoice where total > 1",
]


@pytest.fixture(scope="session")
def three(walls: Fortress) -> list[tuple[Principal, World]]:
    """Each with the world that policy leaves to them."""
    assert MALLORY.name != DORA.name != LEA_SEES.name
    return [(ANALYST, walls.world), (DESK, walls.build(DORA)), (LEA, walls.build(LEA_SEES))]


def test_interleaved_each_sees_their_own_world(walls: Fortress, three: list[tuple[Principal, World]]) -> None:
    dice = random.Random(7)
    statements = [Grammar(seed, walls.engine, _SHARED).statement() for seed in range(SEEDS)] + _SAME * 3
    turns = [(sql, turn) for sql in statements for turn in three]
    dice.shuffle(turns)
    tally = Tally()
    for sql, (principal, world) in turns:
        try:
            compare_one(walls, sql, tally, Call(principal=principal), world)
        except AssertionError as error:
            tally.disagreements.append(f"{principal.name}: {sql}\n    {error}")
    tally.check()
    assert tally.answered > len(turns) * 0.4


def test_the_same_words_give_each_their_own_rows(walls: Fortress, three: list[tuple[Principal, World]]) -> None:
    """A plan that was made for one and kept would show here at once."""
    sql = "select customerid, phone from customer"
    for _ in range(2):
        answers = [normal(ask(walls.cases, Call(principal=who), sql, {}).rows) for who, _ in three]  # type: ignore[union-attr]
        assert answers == [normal(world(sql).rows) for _, world in three]
        assert len({str(rows) for rows in answers}) == 3


def test_a_star_of_tables_reaches_no_view(walls: Fortress) -> None:
    auditor = Call(principal=AUDITOR)
    assert ask(walls.cases, auditor, "select count(*) as n from genre", {})
    for view in ("customer_mails", "genre_sizes"):
        if walls.engine == "duckdb" and view == "genre_sizes":
            continue  # there it is a table
        for sql in (f"select * from {view}", f"select count(*) from genre where exists (select 1 from {view})"):
            with pytest.raises(GatebookError):
                ask(walls.cases, auditor, sql, {})
            if view == "customer_mails":
                walls.refused(sql)
    walls.equals_world("select * from genre_sizes where tracks > 20")
