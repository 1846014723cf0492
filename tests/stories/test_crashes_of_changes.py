"""The gateway is killed while a change is asked for, approved or withdrawn: it is written and told once, or not at all.

The moment of each kill is drawn from a seed. `make soak` kills many more times (GBTEST_KILLS); a failure shows seed and
delay of every kill so far, and `GBTEST_FIRST_KILL=<seed> GBTEST_KILLS=1` kills there again.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fixtures.counters import write_counters
from tests.stories.alone import Alone
from tests.stories.gateway import APP, PortalPerson
from tests.stories.owns import numbers, own_driver
from tests.stories.sandboxes import PATIENT

KILLS = int(os.environ.get("GBTEST_KILLS", "10"))
FIRST = int(os.environ.get("GBTEST_FIRST_KILL", "0"))
# Approvals are what may write twice; to ask and to withdraw write nothing.
FEW = max(1, KILLS // 5)
ENGINES = ("sqlite", "postgresql")
DAY_S = 86_400
# How often each thing is done undisturbed before it is cut: the first time in a new process is slow.
MEASURED = 3
ROWS = (MEASURED + 1) * (KILLS + 2 * FEW) + 2
# Whoever writes that row waits in the commit: longer than a gateway takes to start, shorter than it waits besides.
SLOW_ROW = 0
SLOWLY = f"""create function slowly() returns trigger language plpgsql as 'begin
  if exists (select from public.counter where id = {SLOW_ROW} and xmin = pg_current_xact_id()::xid)
  then perform pg_sleep(5); end if; return null; end'"""
# Of the ledger's table, for what a write itself sets off is done before the commit.
SLOW = """create constraint trigger slow after insert on gatebook_ledger deferrable initially deferred
  for each row execute function slowly()"""
COMMITTING = "select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 + 25 * KILLS)]

Act = Callable[[], httpx.Response]


@dataclass(slots=True, kw_only=True)
class Bench:
    """Counters in one database behind the gateway: `ann` asks for one more, and `rita` approves at the portal."""

    engine: str
    place: str
    gateway: Alone
    ann: httpx.Client
    auditor: httpx.Client
    rita: PortalPerson
    xsrf: str
    row: int = 0

    def ask(self) -> httpx.Response:
        """Ask for one more in a row that nobody else has asked for."""
        self.row += 1
        return self.ask_for(self.row)

    def ask_for(self, row: int) -> httpx.Response:
        """Ask for one more in that row."""
        sql = f"update counter set n = n + 1 where id = {row}"
        return self.ann.post("/api/v1/query", json={"source": f"counters_{self.engine}", "sql": sql})

    def asked(self) -> dict[str, Any]:
        """A request that awaits review."""
        return answered(self.ask(), 202)

    def approve(self, change: dict[str, Any]) -> httpx.Response:
        """Press `Approve` on the page of a request."""
        given = {"verdict": "approve", "reason": "seen", "digest": change["digest"], "xsrf": self.xsrf}
        return self.rita.press(f"/changes/{change['id']}/review", **given)

    def step(self, change: dict[str, Any], step: str) -> httpx.Response:
        """Have the requester execute or withdraw it."""
        return self.ann.post(f"/api/v1/changes/{change['id']}/{step}")

    def newest(self) -> dict[str, Any]:
        """The request that was filed last."""
        found = answered(self.ann.get("/api/v1/changes", params={"mine": True, "limit": 1}), 200)["changes"]
        return dict(found[0])

    def cut(self, seed: int, usual_s: float, act: Act) -> httpx.Response | None:
        """Begin something, kill the gateway meanwhile or soon after, and start it again."""
        # Steps of the golden ratio: ten moments are as evenly spread as hundreds.
        share = (random.Random(self.engine).random() + seed * 0.618034) % 1
        delay_s = 1.5 * share * usual_s
        print(f"{self.engine}, seed {seed}: killed after {delay_s * 1e3:.1f} ms, usually {usual_s * 1e3:.1f} ms")
        with ThreadPoolExecutor(1) as pool:
            begun = pool.submit(act)
            time.sleep(delay_s)
            self.gateway.kill()
            answer = None
            with contextlib.suppress(httpx.TransportError):
                answer = begun.result(timeout=60)
        self.gateway.start()
        return answer

    def check(self, change_id: str, row: int) -> str:
        """Request, row, ledger and book tell the same; returns the request's state."""
        state = str(answered(self.ann.get(f"/api/v1/changes/{change_id}"), 200)["state"])
        print(f"    {change_id} of row {row}: {state}")
        assert state != "executing"
        is_executed = state == "executed"
        with own_driver(self.engine, self.place) as run:
            assert run(f"select n from counter where id = {row}") == [(int(is_executed),)]
            noted = f"select count(*) from gatebook_ledger where change_id = '{change_id}'"
            assert run(noted) == [(int(is_executed),)]
        events = self.auditor.get("/api/v1/audit/events", params={"change": change_id, "limit": 1_000})
        told = answered(events, 200)["events"]
        outcomes = [event["outcome"] for event in told if event["kind"] == "change.outcome"]
        assert outcomes == {"executed": ["ok"], "failed": ["refused"]}.get(state, [])
        assert [event["kind"] for event in told].count("change.proposed") == 1
        return state

    def check_all(self) -> None:
        """What the ledger has was written once each, and the book is whole, with what was kept of it elsewhere."""
        with own_driver(self.engine, self.place) as run:
            assert run("select sum(n) from counter") == run("select count(*) from gatebook_ledger")
        kept = str(self.gateway.folder / "checkpoint")
        print(self.gateway.command("audit", "verify", "--checkpoint", kept))


@pytest.fixture(scope="module")
def places(make_postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the counters are."""
    found = {"sqlite": str(tmp_path_factory.mktemp("counters") / "counters.sqlite"), "postgresql": make_postgres()}
    for engine, place in found.items():
        with own_driver(engine, place) as run:
            run("create table counter (id integer primary key, n integer not null)")
            run(f"insert into counter select number, 0 from ({numbers(engine, ROWS)}) numbered")
    return found


@pytest.fixture(scope="module")
def gateway(
    places: dict[str, str], chinook_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    folder = tmp_path_factory.mktemp("gateway")
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    for engine, place in places.items():
        write_counters(policies, engine, place if "://" in place else f"sqlite:///{place}")
    environment = {**PATIENT, "GATEBOOK_CHECKPOINT_COPY": str(folder / "checkpoint")}
    made = Alone(folder, chinook_template, policies=policies, environment=environment)
    for engine in places:
        made.command("source", "prepare", f"counters_{engine}")
    with own_driver("postgresql", places["postgresql"]) as run:
        run(SLOWLY)
        run(SLOW)
    with made as running:
        yield running


@pytest.fixture(scope="module")
def benches(gateway: Alone, places: dict[str, str]) -> Iterator[dict[str, Bench]]:
    def caller(name: str, group: str) -> httpx.Client:
        return gateway.client(gateway.issue(name, group, ttl_s=DAY_S)[0])

    with (
        caller("ann", "counters") as ann,
        caller("auditor", "auditors") as auditor,
        gateway.person("rita", "counters", "reviewers") as rita,
    ):
        people: dict[str, Any] = {"ann": ann, "auditor": auditor, "rita": rita, "xsrf": rita.xsrf}
        yield {engine: Bench(engine=engine, place=place, gateway=gateway, **people) for engine, place in places.items()}


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> Bench:
    return benches[request.param]


def answered(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def usual_s(acts: list[Act], status: int) -> float:
    """How long one of them takes now."""
    times = []
    for act in acts:
        started = time.monotonic()
        answer = act()
        times.append(time.monotonic() - started)
        assert answer.status_code == status, answer.text
    return statistics.median(times)


def test_a_change_that_is_approved_while_the_gateway_dies_is_written_once_or_not_at_all(bench: Bench) -> None:
    """What is not decided by then goes on: it is approved again, or executed."""
    for seed in range(FIRST, FIRST + KILLS):
        usual = usual_s([partial(bench.approve, bench.asked()) for _ in range(MEASURED)], 303)
        change = bench.asked()
        bench.cut(seed, usual, partial(bench.approve, change))
        state = bench.check(change["id"], bench.row)
        assert state in {"awaiting_review", "approved", "executed", "failed"}
        if state == "awaiting_review":
            assert bench.approve(change).status_code == 303
        if state == "approved":
            answered(bench.step(change, "execute"), 200)
        assert bench.check(change["id"], bench.row) == ("failed" if state == "failed" else "executed")
    bench.check_all()


def test_a_change_that_is_asked_for_while_the_gateway_dies_waits_or_was_never_asked_for(bench: Bench) -> None:
    """Once filed it is in the book, and can be approved."""
    for seed in range(FIRST, FIRST + FEW):
        usual = usual_s([bench.ask] * MEASURED, 202)
        before = bench.newest()
        answer = bench.cut(seed, usual, bench.ask)
        found = bench.newest()
        if found["id"] == before["id"]:
            assert answer is None
            continue
        assert bench.check(found["id"], bench.row) == "awaiting_review"
        assert bench.approve(found).status_code == 303
        assert bench.check(found["id"], bench.row) == "executed"
    bench.check_all()


def test_a_change_that_is_withdrawn_while_the_gateway_dies_is_not_written(bench: Bench) -> None:
    """It is withdrawn, or can be again."""
    for seed in range(FIRST, FIRST + FEW):
        usual = usual_s([partial(bench.step, bench.asked(), "withdraw") for _ in range(MEASURED)], 200)
        change = bench.asked()
        bench.cut(seed, usual, partial(bench.step, change, "withdraw"))
        if bench.check(change["id"], bench.row) != "withdrawn":
            answered(bench.step(change, "withdraw"), 200)
        assert bench.check(change["id"], bench.row) == "withdrawn"
    bench.check_all()


@pytest.mark.parametrize("bench", ["postgresql"], indirect=True)
def test_a_commit_that_the_server_ends_after_the_gateway_has_died_is_told_as_written(bench: Bench) -> None:
    """The next gateway starts sooner, and waits for the server."""
    with own_driver(bench.engine, bench.place) as run, ThreadPoolExecutor(1) as pool:
        change = answered(bench.ask_for(SLOW_ROW), 202)
        begun = pool.submit(bench.approve, change)
        until(lambda: run(COMMITTING))
        bench.gateway.kill()
        with pytest.raises(httpx.TransportError):
            begun.result(timeout=60)
        bench.gateway.start()
        until(lambda: not run(COMMITTING))
    assert bench.check(change["id"], SLOW_ROW) == "executed"
    bench.check_all()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
