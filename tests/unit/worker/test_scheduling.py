"""Are runs due when they should be, once, and never lost?  A real gate on a clock that the test moves."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from gatebook_hub.errors import BookUnavailable, NotPermitted, StateConflict
from gatebook_hub.model import Principal, PrincipalKind
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.jobs import Claimed, Jobs, last_due
from gatebook_hub.services.opening import OPERATOR, open_gate
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.settings import Settings
from gatebook_hub.stores.runs import Run, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORKER = Call(principal=Principal(kind=PrincipalKind.SERVICE, name="worker"))
OWNER = Call(principal=Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"analysts"})))
NOON = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


@dataclass
class Clock:
    """The gate's clock."""

    now: dt.datetime = NOON

    def wait(self, **span: float) -> None:
        """Move it forward."""
        self.now += dt.timedelta(**span)


@dataclass(frozen=True)
class Site:
    """A gate with one job, `daily`, due at 13:00 UTC unless the test says otherwise."""

    gate: Gate
    jobs: Jobs
    clock: Clock

    def runs(self, state: RunState | None = None) -> tuple[Run, ...]:
        """All runs, newest first."""
        return self.gate.runs.find(state=state)

    def claim(self) -> Claimed | None:
        """The worker asks."""
        return self.jobs.claim(WORKER)

    def finish(self, claimed: Claimed | None, *, is_ok: bool = True) -> None:
        """The worker reports."""
        assert claimed is not None
        error = None if is_ok else {"cell": 2, "source": "", "name": "ValueError", "message": "secret value"}
        self.jobs.finish(WORKER, claimed.run.id, is_ok=is_ok, error=error, notebook="{}", token=claimed.token)

    def kinds(self) -> list[tuple[str, str | None]]:
        """Kind and outcome of the runs' events, oldest first."""
        book = self.gate.book
        events = [json.loads(book.entry(index)) for index in range(book.size())]
        return [(event["kind"], event.get("outcome")) for event in events if event["kind"].startswith("run.")]


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Open a gate whose job has the given settings; closed with the test."""
    opened: list[Any] = []

    def make(**job: Any) -> Site:
        policies = tmp_path / "policies"
        (policies / "jobs").mkdir(parents=True)
        document = {
            "job": "daily",
            "title": "Daily",
            "notebook": "jobs/daily.ipynb",
            "cron": "0 13 * * *",
            "timeout_s": 100,
            "owner": "analysts",
            "run_by": "group:analysts",
            "parameters": {"month": "2013-12", "limit": 1.5},
        } | job
        (policies / "jobs" / "daily.yaml").write_text(json.dumps(document))
        settings = Settings(_env_file=None, state=tmp_path / "state", policies=policies)
        context = open_gate(settings)
        gate = context.__enter__()
        opened.append(context)
        clock = Clock()
        gate.now = lambda: clock.now
        return Site(gate=gate, jobs=Jobs(gate, Sessions(gate)), clock=clock)

    yield make
    for context in opened:
        context.__exit__(None, None, None)


# ── the calendar ──


def berlin(text: str) -> dt.datetime:
    """A moment, given in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def due_times(cron: str, zone: str, since: str, hours: int) -> list[str]:
    """Every time at which a schedule was due, as somebody sees it who looks every ten minutes."""
    start = berlin(since)
    seen = [last_due(cron, zone, start + dt.timedelta(minutes=10 * step, seconds=5)) for step in range(hours * 6)]
    return [f"{time:%d %H:%M}" for time in sorted(set(seen)) if time >= start]


def test_a_time_that_the_clock_leaves_out_is_due_right_after_the_gap() -> None:
    """On 29 March 2026 Berlin's clocks go from 02:00 to 03:00, which is 01:00 UTC."""
    assert due_times("15 2 * * *", "Europe/Berlin", "2026-03-28T00:00", 72) == ["28 01:15", "29 01:00", "30 00:15"]


def test_a_time_that_the_clock_shows_twice_is_due_once() -> None:
    """On 25 October 2026 Berlin's clocks show 02:15 at 00:15 and at 01:15 UTC."""
    assert due_times("15 2 * * *", "Europe/Berlin", "2026-10-24T00:00", 72) == ["24 00:15", "25 00:15", "26 01:15"]


def test_an_hourly_schedule_does_not_pause_when_clocks_go_back() -> None:
    found = due_times("15 * * * *", "Europe/Berlin", "2026-10-24T23:00", 4)
    assert found == ["24 23:15", "25 00:15", "25 01:15", "25 02:15"]


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "0 0 31 12 *", "0 6 * * 1", "*/5 9-17 * * 1-5"])
def test_a_rare_schedule_has_a_last_time(cron: str) -> None:
    assert last_due(cron, "Europe/Berlin", NOON) < NOON


@pytest.mark.parametrize("cron", ["", "@daily", "0 13 * *", "0 13 * * * 0", "61 * * * *", "0 0 30 2 *"])
def test_a_schedule_that_is_none_is_an_error(cron: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        last_due(cron, "UTC", NOON)


# ── becoming due ──


def test_a_fresh_job_does_not_make_up_for_times_before_it_existed(make_site: Callable[..., Site]) -> None:
    site = make_site(missed="run_once")
    assert site.claim() is None
    assert [run.state for run in site.runs()] == [RunState.SKIPPED]


def test_a_run_is_due_once_at_its_time(make_site: Callable[..., Site]) -> None:
    site = make_site()
    assert site.claim() is None
    site.clock.wait(minutes=60, seconds=1)
    claimed = site.claim()
    assert claimed is not None
    assert claimed.run.scheduled_for == "2026-06-01T13:00:00+00:00"
    assert claimed.run.trigger == "schedule"
    assert site.claim() is None
    site.finish(claimed)
    site.clock.wait(minutes=1)
    assert site.claim() is None


def test_without_a_place_the_schedule_is_kept_all_the_same(make_site: Callable[..., Site]) -> None:
    """A busy worker is not a worker that was away: the run waits, however late it begins."""
    site = make_site(missed="skip")
    site.claim()
    site.clock.wait(minutes=60, seconds=1)
    assert site.jobs.claim(WORKER, places=0) is None
    site.clock.wait(hours=2)
    claimed = site.claim()
    assert claimed is not None
    assert claimed.run.scheduled_for == "2026-06-01T13:00:00+00:00"


@pytest.mark.parametrize("missed, expected", [("run_once", RunState.RUNNING), ("skip", RunState.SKIPPED)])
def test_times_missed_while_nobody_worked(make_site: Callable[..., Site], missed: str, expected: RunState) -> None:
    """Three days away: one run, for the last time missed, or none and a line that says so."""
    site = make_site(missed=missed)
    site.claim()
    site.clock.wait(days=3, hours=2)
    site.claim()
    (newest, *older) = site.runs()
    assert newest.scheduled_for == "2026-06-04T13:00:00+00:00"
    assert newest.state is expected
    assert len(older) == 1


def test_a_run_that_still_goes_on_has_its_next_time_skipped(make_site: Callable[..., Site]) -> None:
    site = make_site(cron="0 * * * *", timeout_s=20_000, overlap="skip")
    site.clock.wait(seconds=1)
    first = site.claim()
    site.clock.wait(hours=1)
    assert site.claim() is None
    newest = site.runs()[0]
    assert newest.state is RunState.SKIPPED
    assert newest.error is not None
    assert "still" in newest.error["message"]
    site.finish(first)
    site.clock.wait(hours=1)
    assert site.claim() is not None


def test_a_job_that_may_overlap_runs_beside_itself(make_site: Callable[..., Site]) -> None:
    site = make_site(cron="0 * * * *", timeout_s=20_000, overlap="allow")
    site.clock.wait(seconds=1)
    assert site.claim() is not None
    site.clock.wait(hours=1)
    assert site.claim() is not None


def test_a_schedule_that_is_not_understood_stops_no_other_run(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site(cron="0 13 * * *", zone="UTC")
    job = site.gate.policy.jobs["daily"]
    object.__setattr__(job, "cron", "whenever it suits")
    site.jobs.start_by_hand(OWNER, "daily", {})
    assert site.claim() is not None
    assert "not understood" in caplog.text


# ── ending ──


def test_a_failed_run_is_tried_again_as_often_as_the_job_says(make_site: Callable[..., Site]) -> None:
    site = make_site(retries=2)
    site.jobs.start_by_hand(OWNER, "daily", {"month": "2012-01"})
    attempts = []
    while (claimed := site.claim()) is not None:
        attempts.append((claimed.run.attempt, claimed.run.trigger, claimed.run.parameters["month"]))
        site.finish(claimed, is_ok=False)
        site.clock.wait(seconds=1)
    assert attempts == [
        (1, "user:ann", "2012-01"),
        (2, "retry of user:ann", "2012-01"),
        (3, "retry of user:ann", "2012-01"),
    ]
    assert site.kinds() == [("run.started", "ok"), ("run.finished", "failed")] * 3


def test_the_book_names_the_error_and_not_its_message(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.jobs.start_by_hand(OWNER, "daily", {})
    site.finish(site.claim(), is_ok=False)
    book = site.gate.book
    text = b"".join(book.entry(index) for index in range(book.size())).decode()
    assert "ValueError in cell 2" in text
    assert "secret value" not in text


def test_a_report_counts_once(make_site: Callable[..., Site]) -> None:
    site = make_site(retries=3)
    site.jobs.start_by_hand(OWNER, "daily", {})
    claimed = site.claim()
    site.finish(claimed, is_ok=False)
    with pytest.raises(StateConflict):
        site.finish(claimed, is_ok=True)
    assert len(site.runs(RunState.DUE)) == 1


def test_a_run_whose_worker_is_lost_fails_after_its_lease(make_site: Callable[..., Site]) -> None:
    """Not before: its worker may be alive and its report on the way."""
    site = make_site(retries=1)
    site.jobs.start_by_hand(OWNER, "daily", {})
    claimed = site.claim()
    assert claimed is not None
    site.clock.wait(seconds=100 + 60 + 59)
    assert site.claim() is None
    site.jobs.recover(OPERATOR)
    assert site.gate.runs.get(claimed.run.id).state is RunState.RUNNING
    site.clock.wait(seconds=2)
    again = site.claim()
    assert again is not None
    assert (again.run.trigger, again.run.attempt) == ("retry of user:ann", 2)
    lost = site.gate.runs.get(claimed.run.id)
    assert lost.state is RunState.FAILED
    assert lost.error is not None
    assert lost.error["name"] == "Lost"
    assert site.kinds()[1] == ("run.finished", "unknown")
    with pytest.raises(StateConflict):
        site.finish(claimed)


def test_a_runs_token_lives_as_long_as_the_run_may(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.jobs.start_by_hand(OWNER, "daily", {})
    claimed = site.claim()
    assert claimed is not None
    sessions = Sessions(site.gate)
    site.clock.wait(seconds=159)
    assert sessions.resolve(claimed.token).id == "job:daily"
    site.clock.wait(seconds=2)
    with pytest.raises(Exception, match="expired"):
        sessions.resolve(claimed.token)


def test_without_the_book_no_run_begins(make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """The run waits until its start can be written."""
    site = make_site()
    run = site.jobs.start_by_hand(OWNER, "daily", {})
    append = site.gate.book.append

    def full(_event: object) -> int:
        raise BookUnavailable("the disk is full")

    monkeypatch.setattr(site.gate.book, "append", full)
    with pytest.raises(BookUnavailable):
        site.claim()
    assert site.gate.runs.get(run.id).state is RunState.DUE
    monkeypatch.setattr(site.gate.book, "append", append)
    claimed = site.claim()
    monkeypatch.setattr(site.gate.book, "append", full)
    with pytest.raises(BookUnavailable):
        site.finish(claimed)
    assert site.gate.runs.get(run.id).state is RunState.RUNNING
    monkeypatch.setattr(site.gate.book, "append", append)
    site.finish(claimed)
    assert site.gate.runs.get(run.id).state is RunState.SUCCEEDED


def test_two_claims_take_one_run(make_site: Callable[..., Site]) -> None:
    """The store's conditional update, as two workers at once would meet it."""
    site = make_site(overlap="skip")
    run = site.jobs.start_by_hand(OWNER, "daily", {})
    store = site.gate.runs
    assert store.start(run.id, started_at="2026-06-01T12:00:00+00:00", is_alone=True)
    assert not store.start(run.id, started_at="2026-06-01T12:00:00+00:00", is_alone=True)
    other = Run(**{name: getattr(run, name) for name in Run.__slots__} | {"id": "other"})
    assert store.add(other)
    assert not store.start("other", started_at="2026-06-01T12:00:00+00:00", is_alone=True), "its job runs"
    assert store.start("other", started_at="2026-06-01T12:00:00+00:00", is_alone=False)


def test_ids_of_scheduled_runs_fit_their_column(make_site: Callable[..., Site]) -> None:
    site = make_site(job="a" * 60, cron="* * * * *")
    site.clock.wait(seconds=1)
    claimed = site.claim()
    assert claimed is not None
    assert len(claimed.run.id) <= 40


@pytest.mark.parametrize(
    "principal",
    [
        Principal(kind=PrincipalKind.USER, name="worker"),
        Principal(kind=PrincipalKind.JOB, name="worker"),
        Principal(kind=PrincipalKind.SERVICE, name="tools"),
    ],
    ids=["user", "job", "tools"],
)
def test_the_worker_alone_claims_and_reports(make_site: Callable[..., Site], principal: Principal) -> None:
    """Not a person of that name either."""
    site = make_site()
    run = site.jobs.start_by_hand(OWNER, "daily", {})
    call = Call(principal=principal)
    with pytest.raises(NotPermitted):
        site.jobs.claim(call)
    with pytest.raises(NotPermitted):
        site.jobs.progress(call, run.id, 1, 2)
    with pytest.raises(NotPermitted):
        site.jobs.finish(call, run.id, is_ok=True, error=None, notebook=None, token="gbr_x")
