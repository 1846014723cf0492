"""Do random nested reads show more than the policy world does?

`make soak` asks for many more of them, and goes on where it was stopped: GBTEST_PROGRESS names the folder that knows.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.adversary.comparing import alarms, compare
from tests.adversary.worlds import Fortress

SEEDS = int(os.environ.get("GBTEST_SEEDS", "520"))
FIRST = int(os.environ.get("GBTEST_FIRST_SEED", "1000"))
_STEP = 100
pytestmark = [pytest.mark.adversary, pytest.mark.slow]


def _progress(walls: Fortress) -> Path | None:
    folder = os.environ.get("GBTEST_PROGRESS")
    return Path(folder) / f"{walls.engine}.seed" if folder else None


def test_random_reads_agree_with_the_policy_world(walls: Fortress) -> None:
    file = _progress(walls)
    first = int(file.read_text()) if file and file.exists() else FIRST
    start = walls.cases.gate.book.size()
    asked = answered = with_rows = 0
    for seed in range(first, FIRST + SEEDS, _STEP):
        tally = compare(walls, range(seed, min(seed + _STEP, FIRST + SEEDS)))
        tally.check()
        asked, answered, with_rows = asked + tally.asked, answered + tally.answered, with_rows + tally.with_rows
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(seed + _STEP))
    assert not alarms(walls, start)
    assert answered >= asked * 0.6
    assert with_rows >= asked * 0.25
