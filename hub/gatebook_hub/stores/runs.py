"""Where are job runs kept?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatebook_hub.errors import NotFound, StateConflict
from gatebook_hub.stores.tables import run


class RunState(StrEnum):
    """Where a run stands."""

    DUE = "due"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a job; times are ISO 8601 in UTC, `error` is {cell, source, name, message}."""

    id: str
    job: str
    state: RunState
    trigger: str
    scheduled_for: str
    started_at: str | None
    finished_at: str | None
    attempt: int
    cells_done: int
    cells_total: int
    parameters: Mapping[str, Any]
    error: Mapping[str, Any] | None


class RunStore:
    """Runs of jobs; a scheduled time makes at most one run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, new: Run) -> bool:
        """Keep a run; False if it is known already."""
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(run).values(**_columns(new)))
        except IntegrityError:
            return False
        return True

    def start(self, run_id: str, *, started_at: str, is_alone: bool) -> bool:
        """Take a due run; False if another worker was faster, or if its job runs now and its runs are to be alone."""
        query = update(run).where(run.c.id == run_id, run.c.state == RunState.DUE)
        if is_alone:
            other = run.alias()
            running = select(other.c.id).where(other.c.job == run.c.job, other.c.state == RunState.RUNNING)
            query = query.where(~exists(running))
        with self._engine.begin() as connection:
            taken = connection.execute(query.values(state=RunState.RUNNING, started_at=started_at))
            return bool(taken.rowcount == 1)

    def change(self, run_id: str, *, expected: RunState, successor: Run | None = None, **values: Any) -> None:
        """Set columns of a run that is in the expected state, and add its successor with it; raises StateConflict."""
        query = update(run).where(run.c.id == run_id, run.c.state == expected).values(**values)
        with self._engine.begin() as connection:
            if connection.execute(query).rowcount != 1:
                raise StateConflict(f"the run `{run_id}` is not {expected}")
            if successor is not None:
                connection.execute(insert(run).values(**_columns(successor)))

    def get(self, run_id: str) -> Run:
        """One run; raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(select(run).where(run.c.id == run_id)).first()
        if row is None:
            raise NotFound("there is no such run")
        return _read(row)

    def notebook(self, run_id: str) -> str | None:
        """The executed notebook of a run as JSON text, or None."""
        with self._engine.connect() as connection:
            found = connection.execute(select(run.c.notebook).where(run.c.id == run_id)).scalar()
        return str(found) if found is not None else None

    def find(self, *, job: str | None = None, state: RunState | None = None, limit: int = 100) -> tuple[Run, ...]:
        """Runs, newest first."""
        query = select(run).order_by(run.c.scheduled_for.desc(), run.c.id).limit(limit)
        if job is not None:
            query = query.where(run.c.job == job)
        if state is not None:
            query = query.where(run.c.state == state)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return tuple(_read(row) for row in rows)

    def waiting(self) -> tuple[Run, ...]:
        """All due runs, the one that waits longest first."""
        query = select(run).where(run.c.state == RunState.DUE).order_by(run.c.scheduled_for, run.c.id)
        with self._engine.connect() as connection:
            return tuple(_read(row) for row in connection.execute(query))

    def is_active(self, job: str) -> bool:
        """Whether a run of the job waits or runs."""
        query = select(run.c.id).where(run.c.job == job, run.c.state.in_((RunState.DUE, RunState.RUNNING))).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def last_scheduled(self, job: str) -> str | None:
        """The newest time for which the job's schedule made a run."""
        query = select(func.max(run.c.scheduled_for)).where(run.c.job == job, run.c.trigger == "schedule")
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        return str(found) if found is not None else None


def starter_of(trigger: str) -> str | None:
    """The person at the begin of it: who started the run, or the one that it repeats, or the job that started it."""
    who = trigger.removeprefix("retry of ").rpartition(" for ")[2]
    return who if who.startswith("user:") else None


def _columns(new: Run) -> dict[str, Any]:
    return {
        "id": new.id,
        "job": new.job,
        "state": new.state,
        "trigger": new.trigger,
        "scheduled_for": new.scheduled_for,
        "attempt": new.attempt,
        "cells_done": 0,
        "cells_total": 0,
        "parameters": json.dumps(dict(new.parameters)),
        "error": json.dumps(dict(new.error)) if new.error else None,
    }


def _read(row: Any) -> Run:
    return Run(
        id=row.id,
        job=row.job,
        state=RunState(row.state),
        trigger=row.trigger,
        scheduled_for=row.scheduled_for,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempt=row.attempt,
        cells_done=row.cells_done,
        cells_total=row.cells_total,
        parameters=json.loads(row.parameters),
        error=json.loads(row.error) if row.error else None,
    )
