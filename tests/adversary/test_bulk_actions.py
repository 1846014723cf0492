"""One call of an action for several values of a parameter: one change, all or nothing, no way around a rule or a rate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.engines import ENGINES
from tests.adversary.stands import Stand, stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import EffectMissed, GatebookError, InvalidInput, TooManyRequests
from gatebook_hub.model import Engine
from gatebook_hub.services.actions import Press

pytestmark = [pytest.mark.adversary, pytest.mark.parametrize("engine", ENGINES)]
TABLES = [
    "create table ticket (id integer primary key, owner varchar(20), status varchar(20), cost integer)",
    "insert into ticket values (1, 'ada', 'open', 5), (2, 'ada', 'open', 5), (3, 'bob', 'open', 90), (4, 'ada', 'done', 5)",
]
CLOSE = """
action: close
title: Close
source: shop
params:
  ticket: {type: integer, minimum: 1}
  owner: {type: string}
checks:
  - {sql: "select 1 from ticket where id = :ticket and owner = :owner", otherwise: this is not their ticket}
sql: update ticket set status = 'done' where id = :ticket and status = 'open'
expect_rows: 1
otherwise: one of them is not open
bulk: {parameter: ticket, most: 3}
"""
PICK = """
action: pick
title: Pick
source: shop
params:
  ticket: {type: integer, choices: "select id from ticket where cost < 50 order by id"}
sql: update ticket set status = 'picked' where id = :ticket
bulk: {parameter: ticket}
rates: [{times: 3, per: hour}]
"""
RAISE = """
action: raise_cost
title: Raise
source: shop
params: {cost: {type: integer}}
sql: update ticket set cost = :cost where id = 1 and :cost > 0 or id = 2 and :cost < 0
bulk: {parameter: cost}
"""
RULES = """
grants:
  - {id: a, to: "group:people", actions: [close, pick, raise_cost]}
  - {id: r, to: "group:reviewers", on: [shop.ticket], allow: [select]}
approvals:
  - {id: closing, actions: [close, pick], require: []}
  - {id: cheap, actions: raise_cost, when: [cost <= 10], require: []}
  - {id: dear, actions: raise_cost, when: [cost > 10], require: [{groups: [reviewers], needed: 1}]}
"""
STATES = "select status from ticket order by id"


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> Iterator[Stand]:
    with stand(request, engine, tmp_path, TABLES, RULES, sandbox=False, actions=[CLOSE, PICK, RAISE]) as made:
        yield made


def press(desk: Stand, action: str, **params: Any) -> ChangeRequest:
    return desk.cases.actions.call(desk.call, Press(action=action, params=params))


def test_several_rows_are_one_change_which_can_be_undone(desk: Stand) -> None:
    done = press(desk, "close", ticket=[1, 2], owner="ada")
    assert (done.state, done.rows, len(done.sets)) == (State.EXECUTED, 2, 2)
    assert desk.run(STATES) == [("done",), ("done",), ("open",), ("done",)]
    desk.executed(desk.cases.changes.undo(desk.call, done.id))
    assert desk.run(STATES) == [("open",), ("open",), ("open",), ("done",)]


def test_one_of_them_that_does_not_apply_stops_all(desk: Stand) -> None:
    """Whether its statement misses it, or a check that is asked for each of them."""
    with pytest.raises(EffectMissed, match="one of them is not open"):
        press(desk, "close", ticket=[1, 4], owner="ada")
    for several in ([1, 3], [3, 1]):
        with pytest.raises(EffectMissed, match="not their ticket"):
            press(desk, "close", ticket=several, owner="ada")
    assert desk.run(STATES) == [("open",), ("open",), ("open",), ("done",)]


def test_what_is_no_list_of_different_values_is_refused(desk: Stand) -> None:
    for wrong in ([], [1, 1], [1, 2, 3, 4], [0], [1, "2"], [1, True], [[1]], {"1": 2}, [None], None):
        with pytest.raises(InvalidInput):
            press(desk, "close", ticket=wrong, owner="ada")
    with pytest.raises(InvalidInput):
        press(desk, "close", ticket=1, owner=["ada", "bob"])
    assert desk.run(STATES) == [("open",), ("open",), ("open",), ("done",)]


def test_each_is_held_against_its_choices(desk: Stand) -> None:
    with pytest.raises(InvalidInput, match="none of its choices"):
        press(desk, "pick", ticket=[1, 3])
    assert press(desk, "pick", ticket=[1, 2]).state is State.EXECUTED


def test_a_rate_counts_each_of_them(desk: Stand) -> None:
    press(desk, "pick", ticket=[1, 2])
    with pytest.raises(TooManyRequests):
        press(desk, "pick", ticket=[2, 4])
    press(desk, "pick", ticket=4)
    with pytest.raises(TooManyRequests):
        press(desk, "pick", ticket=1)


def test_a_rule_looks_at_each_of_them(desk: Stand) -> None:
    """A value that needs a reviewer needs one among values that do not, wherever it stands in the list."""
    assert press(desk, "raise_cost", cost=[10, -1]).state is State.EXECUTED
    for several in ([-2, 11], [11, -2]):
        asked = press(desk, "raise_cost", cost=several)
        assert asked.state is State.AWAITING_REVIEW
        assert [one.groups for one in asked.requirements] == [("reviewers",)]
    assert desk.approved(asked).state is State.EXECUTED
    assert desk.run("select cost from ticket order by id") == [(11,), (-2,), (90,), (5,)]


def test_checks_hold_for_each_when_it_is_executed_too(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    rules = RULES.replace("[close, pick], require: []", "[close, pick], require: [{groups: [reviewers], needed: 1}]")
    with stand(request, engine, tmp_path, TABLES, rules, sandbox=False, actions=[CLOSE, PICK, RAISE]) as desk:
        asked = press(desk, "close", ticket=[1, 2], owner="ada")
        assert asked.state is State.AWAITING_REVIEW
        desk.run("update ticket set owner = 'eve' where id = 2")
        failed = desk.approved(asked)
        assert failed.state in {State.FAILED, State.DRIFTED}
        assert desk.run(STATES) == [("open",), ("open",), ("open",), ("done",)]


@pytest.mark.parametrize(
    "wrong",
    ["bulk: {parameter: nothing}", "bulk: {parameter: ticket, most: 1}", "bulk: {parameter: ticket, most: 100000}",
     "bulk: ticket"],
)  # fmt: skip
def test_a_declaration_that_is_none_is_refused(
    wrong: str, request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    action = CLOSE.replace("bulk: {parameter: ticket, most: 3}", wrong)
    with (
        pytest.raises(GatebookError, match=r"bulk|most"),
        stand(request, engine, tmp_path, TABLES, RULES, sandbox=False, actions=[action, PICK, RAISE]),
    ):
        pass
