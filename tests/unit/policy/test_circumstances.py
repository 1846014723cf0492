"""Is a grant's window open exactly when its wall clock says so, also where clocks are set on and back?"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfoNotFoundError

import pytest

from gatebook_hub.policy.circumstances import Circumstances
from gatebook_hub.windows import Window

BERLIN = "Europe/Berlin"


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def window(start: str, end: str, *days: int, until: str | None = None) -> Window:
    def minutes(clock: str) -> int:
        return int(clock[:2]) * 60 + int(clock[3:])

    return Window(
        zone=BERLIN,
        start_min=minutes(start),
        end_min=minutes(end),
        days=frozenset(days or range(7)),
        until=dt.date.fromisoformat(until) if until else None,
    )


@pytest.mark.parametrize(
    "moment, is_open",
    [
        ("2026-01-14T06:59:59", False),  # 07:59:59 in Berlin
        ("2026-01-14T07:00:00", True),
        ("2026-01-14T16:59:59", True),
        ("2026-01-14T17:00:00", False),
        ("2026-07-15T06:00:00", True),  # summer: an hour earlier
        ("2026-07-15T16:00:00", False),
    ],
)
def test_hours_are_those_of_the_zone(moment: str, is_open: bool) -> None:
    assert window("08:00", "18:00").is_open(at(moment)) is is_open


def test_the_hour_that_is_left_out_in_spring_never_opens_a_window() -> None:
    """29 March 2026, Berlin: 01:59:59 is followed by 03:00:00."""
    left_out = window("02:15", "02:45")
    start = at("2026-03-29T00:00:00")
    assert not any(left_out.is_open(start + dt.timedelta(minutes=minute)) for minute in range(180))
    before, after = window("01:00", "02:00"), window("03:00", "04:00")
    assert before.is_open(at("2026-03-29T00:59:59"))
    assert not before.is_open(at("2026-03-29T01:00:00"))
    assert after.is_open(at("2026-03-29T01:00:00"))


def test_the_hour_that_comes_twice_in_autumn_opens_it_twice() -> None:
    """25 October 2026, Berlin: 02:00 to 02:59 is summer time first, then standard time."""
    twice = window("02:15", "02:45")
    assert twice.is_open(at("2026-10-25T00:30:00"))
    assert not twice.is_open(at("2026-10-25T01:00:00"))
    assert twice.is_open(at("2026-10-25T01:30:00"))
    assert not twice.is_open(at("2026-10-25T02:30:00"))


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    night = window("22:00", "06:00", 4)  # Friday
    assert night.is_open(at("2026-01-16T21:30:00"))
    assert night.is_open(at("2026-01-17T04:59:00"))
    assert not night.is_open(at("2026-01-17T21:30:00"))
    assert not night.is_open(at("2026-01-16T04:59:00"))


def test_the_last_day_is_over_at_its_midnight() -> None:
    last = window("00:00", "24:00", until="2026-12-31")
    assert last.is_open(at("2026-12-31T22:59:59"))
    assert not last.is_open(at("2026-12-31T23:00:00"))
    assert last.is_over(at("2026-12-31T23:00:00"))


def test_the_last_evening_does_not_go_over_midnight() -> None:
    assert not window("22:00", "06:00", until="2026-12-31").is_open(at("2027-01-01T01:00:00"))


def test_without_a_time_no_window_is_open() -> None:
    assert not Window().is_open(Circumstances().now)


def test_a_zone_that_is_none_is_an_error_and_not_an_open_window() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        Window(zone="Nowhere/At_all").is_open(at("2026-01-01T00:00:00"))


def test_a_window_says_when_it_is() -> None:
    assert str(window("08:00", "18:00", 0, 1, until="2026-12-31")) == (
        "08:00-18:00; mon, tue; until 2026-12-31 (Europe/Berlin)"
    )
