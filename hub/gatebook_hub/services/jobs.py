"""When is a job due, under whose grants does it run, and what came of it?"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import InvalidInput, NotFound, NotPermitted
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.policy import Job, may_read_book
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.stores.access import secret_digest
from gatebook_hub.stores.runs import Run, RunState

_GRACE = dt.timedelta(minutes=2)
_MAX_NOTEBOOK = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A run that the worker may start now, with the token of its session."""

    run: Run
    job: Job
    token: str


class Jobs:
    """Schedule, claim, report and show runs."""

    def __init__(self, gate: Gate, sessions: Sessions) -> None:
        self._gate = gate
        self._sessions = sessions

    def start_by_hand(self, call: Call, name: str, parameters: Mapping[str, Any]) -> Run:
        """A run outside the schedule, for those whom the job names; still under the job's own grants."""
        job = self._job(name)
        if not job.runners & call.principal.names:
            raise NotPermitted(f"the job `{name}` is not yours to start", ask=f"`run_by` of the job `{name}`")
        unknown = sorted(parameters.keys() - job.parameters.keys())
        if unknown:
            raise InvalidInput(f"the job has no parameter `{unknown[0]}`")
        run = self._run(job, call.principal.id, self._gate.now(), {**job.parameters, **parameters})
        self._gate.runs.add(run)
        return run

    def claim(self, call: Call) -> Claimed | None:
        """The next due run, marked as running; for the worker alone."""
        self._worker_only(call)
        self._make_due()
        gate = self._gate
        for run in reversed(gate.runs.find(state=RunState.DUE)):
            job = gate.policy.jobs.get(run.job)
            if job is None:
                gate.runs.change(run.id, expected=RunState.DUE, state=RunState.SKIPPED)
                continue
            now = gate.now().isoformat()
            gate.runs.change(run.id, expected=RunState.DUE, state=RunState.RUNNING, started_at=now)
            principal = Principal(
                kind=PrincipalKind.JOB, name=job.name, channel=Channel.RUN_TOKEN, run_id=run.id
            )
            ttl = dt.timedelta(seconds=job.timeout_s + 60)
            token, _ = self._sessions.issue(call, principal, ttl)
            job_call = Call(principal=principal)
            extra = {"trigger": run.trigger, "job_digest": job.digest}
            gate.book.append(gate.event(EventKind.RUN_STARTED, job_call, outcome=Outcome.OK, extra=extra))
            return Claimed(run=gate.runs.get(run.id), job=job, token=token)
        return None

    def progress(self, call: Call, run_id: str, done: int, total: int) -> None:
        """How many cells are done; for the worker alone."""
        self._worker_only(call)
        self._gate.runs.change(run_id, expected=RunState.RUNNING, cells_done=done, cells_total=total)

    def finish(  # noqa: PLR0913 - the report of a run
        self,
        call: Call,
        run_id: str,
        *,
        is_ok: bool,
        error: Mapping[str, Any] | None,
        notebook: str | None,
        token: str,
    ) -> None:
        """A run ended: keep its notebook, end its session, plan a retry if the job has one; for the worker alone."""
        self._worker_only(call)
        gate = self._gate
        run = gate.runs.get(run_id)
        now = gate.now()
        started = dt.datetime.fromisoformat(run.started_at) if run.started_at else now
        gate.runs.change(
            run_id,
            expected=RunState.RUNNING,
            state=RunState.SUCCEEDED if is_ok else RunState.FAILED,
            finished_at=now.isoformat(),
            seconds=(now - started).total_seconds(),
            error=json.dumps(error) if error else None,
            notebook=notebook if notebook is not None and len(notebook) <= _MAX_NOTEBOOK else None,
        )
        self._end_session(call, token)
        principal = Principal(kind=PrincipalKind.JOB, name=run.job, channel=Channel.RUN_TOKEN, run_id=run_id)
        outcome = Outcome.OK if is_ok else Outcome.FAILED
        detail = f"{error.get('name')} in cell {error.get('cell')}" if error else None
        gate.book.append(gate.event(EventKind.RUN_FINISHED, Call(principal=principal), outcome=outcome, detail=detail))
        job = gate.policy.jobs.get(run.job)
        if not is_ok and job is not None and run.attempt <= job.retries:
            again = self._run(job, "retry", now, run.parameters, attempt=run.attempt + 1)
            gate.runs.add(again)

    def find(self, principal: Principal) -> tuple[Run, ...]:
        """Runs of the jobs that this principal may look at, newest first."""
        return tuple(run for run in self._gate.runs.find(limit=200) if self._may_see(principal, run.job))

    def get(self, principal: Principal, run_id: str) -> Run:
        """One run; raises NotFound."""
        run = self._gate.runs.get(run_id)
        if not self._may_see(principal, run.job):
            raise NotFound("there is no such run")
        return run

    def notebook(self, principal: Principal, run_id: str) -> str:
        """The executed notebook; raises NotFound."""
        self.get(principal, run_id)
        found = self._gate.runs.notebook(run_id)
        if found is None:
            raise NotFound("this run has kept no notebook")
        return found

    def recover(self, call: Call) -> None:
        """After a restart: what was running has ended without a report."""
        gate = self._gate
        for run in gate.runs.find(state=RunState.RUNNING, limit=1_000):
            error = json.dumps({"cell": None, "source": "", "name": "Interrupted", "message": "the gateway restarted"})
            gate.runs.change(
                run.id, expected=RunState.RUNNING, state=RunState.FAILED, finished_at=gate.now().isoformat(), error=error
            )
            detail = "the gateway restarted"
            gate.book.append(gate.event(EventKind.RUN_FINISHED, call, outcome=Outcome.UNKNOWN, detail=detail))

    def _make_due(self) -> None:
        """Make a run for each job whose time has come since its last one."""
        gate = self._gate
        now = gate.now()
        for job in gate.policy.jobs.values():
            last = croniter(job.cron, now.astimezone(ZoneInfo(job.zone))).get_prev(dt.datetime)
            scheduled = last.astimezone(dt.UTC)
            known = gate.runs.last_scheduled(job.name)
            is_known = known is not None and known >= scheduled.isoformat()
            is_late = now - scheduled > _GRACE
            if is_known or (known is None and is_late) or (is_late and job.missed == "skip"):
                continue
            run = self._run(job, "schedule", scheduled, job.parameters)
            if job.overlap == "skip" and self._is_active(job.name):
                run = self._run(job, "schedule", scheduled, job.parameters, state=RunState.SKIPPED)
            gate.runs.add(run)

    def _is_active(self, job: str) -> bool:
        return any(run.state in {RunState.DUE, RunState.RUNNING} for run in self._gate.runs.find(job=job, limit=20))

    def _run(  # noqa: PLR0913 - a run consists of these
        self,
        job: Job,
        trigger: str,
        scheduled: dt.datetime,
        parameters: Mapping[str, Any],
        *,
        attempt: int = 1,
        state: RunState = RunState.DUE,
    ) -> Run:
        return Run(
            id=f"{job.name}-{scheduled:%Y%m%dT%H%M}-{attempt}" if trigger == "schedule" else self._gate.new_id(),
            job=job.name,
            state=state,
            trigger=trigger,
            scheduled_for=scheduled.astimezone(dt.UTC).isoformat(),
            started_at=None,
            finished_at=None,
            attempt=attempt,
            cells_done=0,
            cells_total=0,
            parameters=parameters,
            error=None,
        )

    def _end_session(self, call: Call, token: str) -> None:
        try:
            self._sessions.revoke(call, _label(token))
        except NotFound:
            return  # it had expired before the run ended

    def _job(self, name: str) -> Job:
        job = self._gate.policy.jobs.get(name)
        if job is None:
            raise NotFound(f"there is no job `{name[:64]}`")
        return job

    def _may_see(self, principal: Principal, name: str) -> bool:
        job = self._gate.policy.jobs.get(name)
        is_owner = job is not None and (job.owner in principal.groups or bool(job.runners & principal.names))
        return is_owner or may_read_book(self._gate.policy, principal)

    @staticmethod
    def _worker_only(call: Call) -> None:
        principal = call.principal
        if principal.kind is not PrincipalKind.SERVICE or principal.name != "worker":
            raise NotPermitted("runs are claimed and reported by the worker alone")


def _label(token: str) -> str:
    return secret_digest(token)[:12]
