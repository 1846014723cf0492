"""How long may all statements of a write take together? As long as one may: its locks are held until the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from gatebook_hub.errors import StatementTimeout
from gatebook_hub.model import Limits
from gatebook_hub.services.by_key import Row, parts
from gatebook_hub.sources.source import ReadStream, WriteSession
from gatebook_hub.sql import Plan

_DEFAULT_TIME_S = 60.0
# What is left is told to the database anew after so much of it is gone.
_STEP_S = 0.25
_SETS_AT_ONCE = 500


class TimedSession:
    """A WriteSession whose calls end together with their time."""

    def __init__(self, session: WriteSession, limits: Limits) -> None:
        self._session = session
        self._ends_at = time.monotonic() + (limits.time_s or _DEFAULT_TIME_S)
        self._told_at = time.monotonic()

    @property
    def last_id(self) -> int | None:
        """The number that the last insert gave its row."""
        return self._session.last_id

    def read(
        self, plan: Plan, parameters: Mapping[str, Any], *, begun: Callable[[ReadStream], None] | None = None
    ) -> ReadStream:
        """As the session has it; raises StatementTimeout."""
        self._tell()
        return self._session.read(plan, parameters, begun=begun)

    def select(self, plan: Plan, parameters: Mapping[str, Any], limit_rows: int) -> list[Row]:
        """As the session has it; raises StatementTimeout."""
        self._tell()
        return self._session.select(plan, parameters, limit_rows)

    def select_many(self, plan: Plan, sets: Sequence[Mapping[str, Any]], limit_rows: int) -> list[list[Row]]:
        """As the session has it; raises StatementTimeout."""
        found: list[list[Row]] = []
        for some in parts(sets, _SETS_AT_ONCE):
            self._tell()
            found += self._session.select_many(plan, some, limit_rows)
        return found

    def run(self, sql: str, parameters: Mapping[str, Any], *, returns: bool = False) -> tuple[list[Row], int]:
        """As the session has it; raises StatementTimeout."""
        self._tell()
        return self._session.run(sql, parameters, returns=returns)

    def run_many(
        self, sql: str, sets: Sequence[Mapping[str, Any]], *, returns: bool = False
    ) -> list[tuple[list[Row], int]]:
        """As the session has it; raises StatementTimeout."""
        found: list[tuple[list[Row], int]] = []
        for some in parts(sets, _SETS_AT_ONCE):
            self._tell()
            found += self._session.run_many(sql, some, returns=returns)
        return found

    def others(self) -> AbstractContextManager[WriteSession]:
        """As the session has it."""
        self._tell()
        return self._session.others()

    def limit_time(self, seconds: float | None) -> None:
        """As the session has it."""
        self._session.limit_time(seconds)

    def commit(self) -> None:
        """As the session has it."""
        self._session.commit()

    def _tell(self) -> None:
        now = time.monotonic()
        left = self._ends_at - now
        if left <= 0:
            raise StatementTimeout("the write, all of its statements together, took longer than allowed")
        if now - self._told_at >= _STEP_S:
            self._told_at = now
            self._session.limit_time(max(left, _STEP_S))
