"""Do the circumstances of a statement meet a grant's conditions: its hours, its last day, its purposes?

What is not known is not met: without a time no window is open, without a purpose no purpose is named.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When a statement is made, and for what. `is_look` takes every purpose as named: for lists of what is possible."""

    now: dt.datetime | None = None
    purpose: str | None = None
    is_look: bool = False


UNKNOWN = Circumstances()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a grant holds, on the wall clock of a zone: minutes of the day [start, end), days (Monday is 0), last day.

    A window that ends before it starts goes over midnight and belongs to the day on which it starts. When clocks are
    set back an hour comes twice, and the window is open both times; an hour that is left out never is.
    """

    zone: str = "UTC"
    start_min: int = 0
    end_min: int = _DAY_MIN
    days: frozenset[int] = frozenset(range(7))
    until: dt.date | None = None

    def is_open(self, now: dt.datetime | None) -> bool:
        """Whether the moment (aware) lies in the window; raises when the zone is none."""
        if now is None:
            return False
        local = now.astimezone(ZoneInfo(self.zone))
        minute, day = local.hour * 60 + local.minute, local.date()
        if self.until is not None and day > self.until:
            return False
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min and day.weekday() in self.days
        if minute >= self.start_min:
            return day.weekday() in self.days
        return minute < self.end_min and (day - dt.timedelta(days=1)).weekday() in self.days

    def is_over(self, now: dt.datetime | None) -> bool:
        """Whether the last day has passed."""
        return self.until is not None and now is not None and now.astimezone(ZoneInfo(self.zone)).date() > self.until

    def __str__(self) -> str:
        parts = []
        if (self.start_min, self.end_min) != (0, _DAY_MIN):
            parts.append(f"{_clock(self.start_min)}-{_clock(self.end_min)}")
        if len(self.days) < len(DAYS):
            parts.append(", ".join(DAYS[day] for day in sorted(self.days)))
        if self.until is not None:
            parts.append(f"until {self.until.isoformat()}")
        return f"{'; '.join(parts)} ({self.zone})"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
