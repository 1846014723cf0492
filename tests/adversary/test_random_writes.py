"""Do random writes propose exactly what the same statement does to the policy world?"""

from __future__ import annotations

import os
from typing import Any

import pytest
from tests.adversary.stocks import StockError
from tests.adversary.worlds import Fortress
from tests.adversary.writes_grammar import WritesGrammar

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import GatebookError, StatementFailed

SEEDS = int(os.environ.get("GBTEST_WRITES", "60"))
_READ = "select ticketid, subject, body, customerid from support_ticket"
_COLUMNS = ("subject", "body", "customerid")
_MOST_TOLD = 8
pytestmark = [pytest.mark.adversary, pytest.mark.slow]

Changes = dict[Any, tuple[Any, ...] | None]


def in_world(walls: Fortress, sql: str) -> Changes:
    """The rows that differ afterwards, by key; None for one that is gone."""
    before, after = walls.world.rehearse(sql, _READ)
    old, new = ({row[0]: row[1:] for row in rows} for rows in (before, after))
    return {key: new.get(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def in_gate(request: ChangeRequest) -> Changes:
    """The rows that the request would change; those that stay the same are left out."""
    places = [request.diffs[0].columns.index(name) for name in _COLUMNS]
    found: Changes = {}
    for row in request.diffs[0].rows:
        old, new = (tuple(side[place] for place in places) if side else None for side in (row.before, row.after))
        if old != new:
            found[row.key[0]] = new
    return found


def test_random_writes_agree_with_the_policy_world(walls: Fortress) -> None:
    read = "select * from support_ticket order by ticketid"
    before = walls.raw(read).rows
    hidden = {row[0] for row in walls.raw(read).rows} - {row[0] for row in walls.world(read).rows}
    proposed, wrong = 0, []
    for seed in range(SEEDS):
        written = WritesGrammar(seed, walls.engine).statement()
        told = f"seed {seed}: {written.sql}"
        expected: Changes | None = None
        try:
            expected = in_world(walls, written.sql)
        except StockError as error:
            reason = str(error)
        try:
            request = walls.ask(written.sql)
        except GatebookError as error:
            walls.check_text(f"{error} {error.ask}", typed=written.sql)
            # A key that a hidden row has is taken; nothing else may fail that the policy world takes.
            if expected and isinstance(error, StatementFailed) and not hidden & expected.keys():
                wrong.append(f"{told}\n    {error}")
            continue
        assert isinstance(request, ChangeRequest)
        found = in_gate(request)
        proposed += bool(found)
        if expected is None:
            wrong.append(f"{told}\n    proposed {found}; the policy world refuses: {reason}")
        elif found != expected:
            wrong.append(f"{told}\n    {found}\n    {expected}")
    assert not wrong, "\n".join([f"{len(wrong)} disagree:", *wrong[:_MOST_TOLD]])
    assert proposed > SEEDS * 0.4
    assert walls.raw(read).rows == before
