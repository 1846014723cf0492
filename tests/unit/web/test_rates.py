"""Does each principal have an allowance of their own, and does it come back?"""

from __future__ import annotations

import time

import pytest

from gatebook_hub.errors import TooManyRequests
from gatebook_hub.web import rates
from gatebook_hub.web.rates import Rates


def taken(allowance: Rates, principal: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            allowance.take(principal)
        except TooManyRequests:
            continue
        count += 1
    return count


def test_a_burst_is_taken_and_no_more() -> None:
    assert taken(Rates(0.001, 5), "user:a", 20) == 5


def test_one_principal_does_not_use_up_another() -> None:
    allowance = Rates(0.001, 2)
    assert [taken(allowance, name, 5) for name in ("user:a", "user:b", "job:a")] == [2, 2, 2]


def test_the_allowance_comes_back_up_to_the_burst() -> None:
    allowance = Rates(20, 2)
    assert taken(allowance, "user:a", 2) == 2
    with pytest.raises(TooManyRequests):
        allowance.take("user:a")
    time.sleep(0.3)
    assert taken(allowance, "user:a", 2) == 2


def test_who_is_refused_does_not_wait_longer_for_asking() -> None:
    allowance = Rates(10, 1)
    allowance.take("user:a")
    end = time.monotonic() + 2
    while time.monotonic() < end:
        if taken(allowance, "user:a", 1):
            return
    raise AssertionError("asking often kept the allowance from coming back")


def test_many_principals_do_not_fill_the_memory() -> None:
    allowance = Rates(1, 1)
    for number in range(rates._MOST_PRINCIPALS * 2):
        allowance.take(f"user:{number}")
    assert len(allowance._buckets) <= rates._MOST_PRINCIPALS + 1
