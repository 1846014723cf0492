"""Do the circumstances of a statement meet a grant's conditions: its hours, its last day, its purposes?

What is not known is not met: without a time no window is open, without a purpose no purpose is named.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When a statement is made, and for what. `is_look` takes every purpose as named: for lists of what is possible."""

    now: dt.datetime | None = None
    purpose: str | None = None
    is_look: bool = False


UNKNOWN = Circumstances()
