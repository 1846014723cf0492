"""When is a job due, under whose grants does it run, and what came of it?

The runs in our own database are the queue: a claim is one conditional update there, so a run has one worker at most,
and nothing has to be kept in step with a second queue. A worker that dies, or whose claim was lost on the way, is
noticed by its lease: the time that the job may take, and a little for the report.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import GatebookError, InvalidInput, NotFound, NotPermitted, StateConflict
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.policy import Job, may_read_book
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.stores.access import secret_digest
from gatebook_hub.stores.runs import Run, RunState, starter_of

_LATE = dt.timedelta(minutes=2)
_TOKEN_SLACK = dt.timedelta(seconds=60)
_REPORT_SLACK = dt.timedelta(seconds=60)
_LONGEST = dt.timedelta(days=1)
_LONGEST_TEXT = 10_000
_MAX_NOTEBOOK = 20_000_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}\Z")
_CRON_FIELDS = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A run that the worker may start now, with the token of its session."""

    run: Run
    job: Job
    timeout_s: float
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
            error = NotPermitted(f"the job `{name}` is not yours to start", ask=f"`run_by` of the job `{name}`")
            error.reference = self._gate.refuse(EventKind.ACTION_REFUSED, call, error, extra={"job": job.name})
            raise error
        for given, value in parameters.items():
            _check_parameter(job, given, value)
        if job.overlap == "skip" and self._gate.runs.is_active(job.name):
            raise StateConflict(f"a run of the job `{name}` waits or goes on already")
        starter = (
            None if call.principal.run_id is None else starter_of(self._gate.runs.get(call.principal.run_id).trigger)
        )
        trigger = call.principal.id if starter is None else f"{call.principal.id} for {starter}"
        run = self._run(job, trigger, self._gate.now(), {**job.parameters, **parameters})
        self._gate.runs.add(run)
        return run

    def claim(self, call: Call, *, places: int = 1) -> Claimed | None:
        """The run that waits longest, marked as running; for the worker alone.

        Without a free place the worker asks all the same: its asking is what keeps the schedule.
        """
        self._worker_only(call)
        self._fail_lost()
        self._make_due()
        if places < 1:
            return None
        gate = self._gate
        for run in gate.runs.waiting():
            job = gate.policy.jobs.get(run.job)
            if job is None:
                error = json.dumps(_error("Skipped", "the policy set no longer has this job"))
                gate.runs.change(run.id, expected=RunState.DUE, state=RunState.SKIPPED, error=error)
            elif gate.runs.start(run.id, started_at=gate.now().isoformat(), is_alone=job.overlap == "skip"):
                return self._hand_out(call, gate.runs.get(run.id), job)
        return None

    def progress(self, call: Call, run_id: str, done: int, total: int) -> None:
        """How many cells are done; for the worker alone. Raises StateConflict if the run has been ended meanwhile."""
        self._worker_only(call)
        self._gate.runs.change(run_id, expected=RunState.RUNNING, cells_done=done, cells_total=total)

    def finish(
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
        run = self._gate.runs.get(run_id)
        self._end_session(call, token)
        kept = notebook if notebook is not None and len(notebook) <= _MAX_NOTEBOOK else None
        told = None if is_ok else _error("Unknown", "the worker gave no reason") | dict(error or {})
        self._end(run, Outcome.OK if is_ok else Outcome.FAILED, error=told, notebook=kept)

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
        """The executed notebook, which holds what the job read: looking at it is in the book; raises NotFound."""
        run = self.get(principal, run_id)
        found = self._gate.runs.notebook(run_id)
        if found is None:
            raise NotFound("this run has kept no notebook")
        gate = self._gate
        extra = {"what": "executed notebook", "job": run.job, "run": run.id}
        gate.book.append(gate.event(EventKind.AUDIT_READ, Call(principal=principal), outcome=Outcome.OK, extra=extra))
        return found

    def recover(self, _call: Call) -> None:
        """After a restart of the gateway: runs go on in their workers, but those whose lease is over have ended."""
        self._fail_lost()

    def _hand_out(self, call: Call, run: Run, job: Job) -> Claimed:
        gate = self._gate
        principal = _principal(run)
        extra = {"trigger": run.trigger, "attempt": str(run.attempt), "job_digest": job.digest}
        try:
            token, _ = self._sessions.issue(call, principal, _duration(job) + _TOKEN_SLACK)
            event = gate.event(EventKind.RUN_STARTED, Call(principal=principal), outcome=Outcome.OK, extra=extra)
            gate.book.append(event)
        except GatebookError:
            # What is not in the book does not run; it waits.
            gate.runs.change(run.id, expected=RunState.RUNNING, state=RunState.DUE, started_at=None)
            raise
        return Claimed(run=run, job=job, timeout_s=_duration(job).total_seconds(), token=token)

    def _fail_lost(self) -> None:
        """End the runs of which nothing was heard until their lease was over: their worker or its report is lost."""
        gate = self._gate
        for run in gate.runs.find(state=RunState.RUNNING, limit=1_000):
            job = gate.policy.jobs.get(run.job)
            lease = (_duration(job) if job is not None else _LONGEST) + _TOKEN_SLACK + _REPORT_SLACK
            if run.started_at is None or gate.now() - dt.datetime.fromisoformat(run.started_at) > lease:
                # Its report, or another worker's claim, may be ending it at this moment.
                with suppress(StateConflict):
                    self._end(run, Outcome.UNKNOWN, error=_error("Lost", "the worker has not reported in time"))

    def _end(self, run: Run, outcome: Outcome, *, error: Mapping[str, Any] | None, notebook: str | None = None) -> None:
        if run.state is not RunState.RUNNING:
            raise StateConflict(f"the run `{run.id}` is not {RunState.RUNNING}")
        gate = self._gate
        now = gate.now()
        started = dt.datetime.fromisoformat(run.started_at) if run.started_at else now
        # First the book: a report whose event could not be written is refused, and the worker sends it again.
        detail = _summary(error) if error else None
        call = Call(principal=_principal(run))
        gate.book.append(gate.event(EventKind.RUN_FINISHED, call, outcome=outcome, detail=detail))
        gate.runs.change(
            run.id,
            expected=RunState.RUNNING,
            successor=self._retry(run) if error else None,
            state=RunState.FAILED if error else RunState.SUCCEEDED,
            finished_at=now.isoformat(),
            seconds=(now - started).total_seconds(),
            error=json.dumps(dict(error)) if error else None,
            notebook=notebook,
        )

    def _retry(self, run: Run) -> Run | None:
        job = self._gate.policy.jobs.get(run.job)
        if job is None or run.attempt > job.retries:
            return None
        # Who started the first of them stays known: nobody approves what they had a job ask for.
        who = starter_of(run.trigger)
        trigger = "retry" if who is None else f"retry of {who}"
        return self._run(job, trigger, self._gate.now(), run.parameters, attempt=run.attempt + 1)

    def _make_due(self) -> None:
        """Make a run for each job whose time has come since its last one."""
        for job in self._gate.policy.jobs.values():
            try:
                self._make_due_of(job)
            except (ValueError, KeyError) as error:
                # One schedule that is not understood stops neither the others nor those who start runs by hand.
                _log.error("the schedule of the job `%s` is not understood: %s", job.name, error)

    def _make_due_of(self, job: Job) -> None:
        runs = self._gate.runs
        now = self._gate.now()
        due = last_due(job.cron, job.zone, now)
        known = runs.last_scheduled(job.name)
        if known is not None and known >= due.isoformat():
            return
        run = self._run(job, "schedule", due, job.parameters)
        is_late = now - due > _LATE
        if known is None and is_late:
            # From here on a missed time is known as one.
            run = _skipped(run, "this time was before the first start of the job's schedule")
        elif is_late and job.missed == "skip":
            run = _skipped(run, "nothing was there to run it at its time")
        elif job.overlap == "skip" and runs.is_active(job.name):
            run = _skipped(run, "the run before it was still waiting or going on")
        runs.add(run)

    def _run(
        self, job: Job, trigger: str, scheduled: dt.datetime, parameters: Mapping[str, Any], *, attempt: int = 1
    ) -> Run:
        # The id of a scheduled run follows from job and time, so that two claims at once make one run.
        return Run(
            id=_scheduled_id(job.name, scheduled) if trigger == "schedule" else self._gate.new_id(),
            job=job.name,
            state=RunState.DUE,
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
            self._sessions.revoke(call, secret_digest(token)[:12])
        except NotFound:
            return  # it had expired before the run ended, or this report came before

    def _job(self, name: str) -> Job:
        job = self._gate.policy.jobs.get(name)
        if job is None:
            raise NotFound(f"there is no job `{name[:64]}`")
        return job

    def _may_see(self, principal: Principal, name: str) -> bool:
        job = self._gate.policy.jobs.get(name)
        is_owner = job is not None and (job.owner in principal.groups or bool(job.runners & principal.names))
        return is_owner or may_read_book(self._gate.policy, principal, self._gate.circumstances())

    @staticmethod
    def _worker_only(call: Call) -> None:
        principal = call.principal
        if principal.kind is not PrincipalKind.SERVICE or principal.name != "worker":
            raise NotPermitted("runs are claimed and reported by the worker alone")


def last_due(cron: str, zone: str, now: dt.datetime) -> dt.datetime:
    """The newest time before `now`, in UTC, at which the schedule was due; raises ValueError, KeyError.

    In the night when clocks go forward, a time that does not exist is due right after the gap. In the night when they
    go back, a time that comes twice is due once, the first time, unless minute or hour is a star (as cron does it).
    """
    fields = cron.split()
    if len(fields) != _CRON_FIELDS:
        raise ValueError(f"`{cron}` has not five fields")
    times = croniter(cron, now.astimezone(ZoneInfo(zone)))
    due: dt.datetime = times.get_prev(dt.datetime)
    is_steady = any(field.startswith("*") for field in fields[:2])
    while _is_second(due) and not is_steady:
        due = times.get_prev(dt.datetime)
    return due.astimezone(dt.UTC)


def _is_second(time: dt.datetime) -> bool:
    """Whether the clock shows this time twice, and this is the second."""
    # `fold` alone says nothing: it may be set on times that come once.
    return time.utcoffset() != time.replace(fold=0).utcoffset()


def _duration(job: Job) -> dt.timedelta:
    return dt.timedelta(seconds=min(job.timeout_s, _LONGEST.total_seconds()))


def _scheduled_id(job: str, scheduled: dt.datetime) -> str:
    short = job if len(job) <= 24 else f"{job[:16]}_{sha256(job.encode()).hexdigest()[:7]}"
    return f"{short}-{scheduled:%Y%m%dT%H%M}"


def _principal(run: Run) -> Principal:
    return Principal(kind=PrincipalKind.JOB, name=run.job, channel=Channel.RUN_TOKEN, run_id=run.id)


def _skipped(run: Run, why: str) -> Run:
    return replace(run, state=RunState.SKIPPED, error=_error("Skipped", why))


def _error(name: str, message: str) -> dict[str, Any]:
    return {"cell": None, "source": "", "name": name, "message": message}


def _summary(error: Mapping[str, Any]) -> str:
    """What the book says of a failure: never the message, which may hold values of what was read."""
    name = str(error.get("name"))
    known = name if _NAME.match(name) else "an error"
    return f"{known} in cell {error['cell']}" if error.get("cell") is not None else known


def _check_parameter(job: Job, name: str, value: Any) -> None:
    if name not in job.parameters:
        raise InvalidInput(f"the job has no parameter `{name[:64]}`")
    expected = type(job.parameters[name])
    is_number = expected is float and type(value) is int
    if type(value) is not expected and not is_number:
        raise InvalidInput(f"the parameter `{name}` is of type {expected.__name__}")
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise InvalidInput(f"the parameter `{name}` has more than {_LONGEST_TEXT:,} characters")
