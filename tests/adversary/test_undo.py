"""Does an undo restore exactly, on every engine, and does it open no way around the rules?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.adversary.worlds import REVIEWER, Fortress

from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import AccessRefused
from gatebook_hub.services.gate import Call

pytestmark = pytest.mark.adversary

ADDED = "insert into support_ticket (ticketid, customerid, subject, body) values (90001, {customer}, 'new', 'text')"


def tickets(walls: Fortress) -> list[tuple[Any, ...]]:
    return walls.raw("select * from support_ticket order by ticketid").rows


def approved(walls: Fortress, request: ChangeRequest | object) -> ChangeRequest:
    assert isinstance(request, ChangeRequest)
    given = {"verdict": Verdict.APPROVE, "reason": "", "digest": request.digest}
    done = walls.cases.changes.review(Call(principal=REVIEWER), request.id, **given)  # type: ignore[arg-type]
    assert done.state is State.EXECUTED, done.failure
    return done


def undone(walls: Fortress, change: ChangeRequest) -> ChangeRequest:
    return approved(walls, walls.cases.changes.undo(walls.call, change.id))


def test_every_kind_of_write_is_restored_exactly(walls: Fortress) -> None:
    before = tickets(walls)
    seen = [row[0] for row in walls.world("select ticketid from support_ticket order by ticketid").rows]
    customer = walls.world("select customerid from support_ticket").rows[0][0]
    texts = (
        f"update support_ticket set subject = upper(subject), body = '' where ticketid <= {seen[2]}",
        ADDED.format(customer=customer),
        f"delete from support_ticket where ticketid in ({seen[0]}, {seen[-1]})",
    )
    for text in texts:
        change = approved(walls, walls.ask(text))
        after = tickets(walls)
        assert after != before
        undo = undone(walls, change)
        assert tickets(walls) == before, text
        undone(walls, undo)
        assert tickets(walls) == after, text
        again = walls.cases.changes.find(walls.call.principal, is_mine=True, limit=1)[0]
        undone(walls, again)
        assert tickets(walls) == before, text


def test_who_has_lost_the_right_takes_nothing_back(walls: Fortress) -> None:
    before = tickets(walls)
    key = walls.world("select min(ticketid) from support_ticket").rows[0][0]
    change = approved(walls, walls.ask(f"update support_ticket set subject = 'x' where ticketid = {key}"))
    poorer = Call(principal=replace(walls.call.principal, groups=frozenset({"desk"})))
    with pytest.raises(AccessRefused):
        walls.cases.changes.undo(poorer, change.id)
    undone(walls, change)
    assert tickets(walls) == before
