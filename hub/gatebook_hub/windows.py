"""When is something open, and when is what was approved carried out? On the wall clock of a zone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """On the wall clock of a zone: minutes of the day [start, end), days (Monday is 0), last day.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """When an approved write is carried out: at once, or while all windows are open, or when its requester says so.

    `valid_h` are the hours for which the approval holds.
    """

    is_by_requester: bool = False
    windows: tuple[Window, ...] = ()
    valid_h: float | None = None

    @property
    def is_at_once(self) -> bool:
        """Whether the last approval is enough."""
        return not self.is_by_requester and not self.windows

    def is_open(self, now: dt.datetime) -> bool:
        """Whether all windows are open."""
        return all(window.is_open(now) for window in self.windows)

    def with_(self, other: Execution) -> Execution:
        """What both ask for."""
        hours = [one.valid_h for one in (self, other) if one.valid_h is not None]
        return Execution(
            is_by_requester=self.is_by_requester or other.is_by_requester,
            windows=tuple(dict.fromkeys((*self.windows, *other.windows))),
            valid_h=min(hours, default=None),
        )

    def __str__(self) -> str:
        who = "when the requester says so" if self.is_by_requester else "with the last approval"
        windows = " and ".join(map(str, self.windows))
        if not windows:
            return who
        return f"when the requester says so, at {windows}" if self.is_by_requester else f"at {windows}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
