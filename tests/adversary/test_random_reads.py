"""Do random nested reads on the servers show more than the policy world does?"""

from __future__ import annotations

import os

import pytest
from tests.adversary.worlds import Fortress
from tests.properties.test_reads import compare

SEEDS = int(os.environ.get("GBTEST_SEEDS", "160"))  # `make soak` asks for many more
pytestmark = [pytest.mark.adversary, pytest.mark.slow]


def test_random_reads_agree_with_the_policy_world(walls: Fortress) -> None:
    answered, with_rows = compare(walls, range(1_000, 1_000 + SEEDS))
    assert answered > 50
    assert with_rows > 20
