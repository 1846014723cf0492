"""Jobs: the worker runs notebooks on their schedule or by hand, as the job and as nobody else.

A real gateway process without a Hub, a real worker process, real kernels.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest
from ruamel.yaml import YAML
from tests.stories.alone import Alone, problem_of
from tests.stories.gateway import APP
from tests.stories.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "gatebook_hub.worker"]
ENDED = {"succeeded", "failed", "skipped"}
PATIENCE_S = 120.0
NEVER = "0 0 29 2 *"

NOSY = """
import json, os, urllib.error, urllib.request

def call(path, method="GET"):
    headers = {"Authorization": "GateToken " + os.environ["GATEBOOK_TOKEN"]}
    request = urllib.request.Request(os.environ["GATEBOOK_URL"] + "/api/v1/" + path, method=method, headers=headers)
    try:
        return [200, json.load(urllib.request.urlopen(request))]
    except urllib.error.HTTPError as error:
        return [error.code, json.load(error)]

claim, start = call("runs/claim", "POST"), call("jobs/nosy/runs", "POST")
print(json.dumps({"environment": dict(os.environ), "me": call("me"), "claim": claim, "start": start, "text": text}))
"""

INTRUDER = """
import glob, json, os, pwd

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(1_000).decode("latin-1")
    except OSError as error:
        return type(error).__name__

def command(pid):
    return read(f"/proc/{pid}/cmdline")

workers = [pid for pid in os.listdir("/proc") if pid.isdigit() and "gatebook_hub.worker" in command(pid)]
print(json.dumps({
    "account": pwd.getpwuid(os.getuid()).pw_name,
    "state": [read(f"{state}/{name}") for name in ("gatebook.sqlite", "book/book.sqlite", "databases/chinook.sqlite")],
    "workers": [read(f"/proc/{pid}/{name}") for pid in workers for name in ("environ", "mem")],
    "environment": dict(os.environ),
}))
"""

JOBS: dict[str, dict[str, Any]] = {
    "broken": {
        "retries": 1,
        "cells": ["answer = 41", "import os\nassert answer == 42, 'the answer is wrong'", "print('never')"],
    },
    "curious": {"cells": ["import gatebook", "gatebook.query('chinook', 'select lastname from customer')"]},
    "mistyped": {"parameters": {"mouth": "2013-12"}, "cells": ["month: str = '2013-12'"]},
    "endless": {"timeout_s": 4, "cells": ["import time", "while True:\n    time.sleep(0.1)"]},
    "deaf": {"timeout_s": 3, "cells": ["import signal", "signal.pthread_sigmask(2, range(1, 32))\nwhile True: pass"]},
    "patient": {"cells": ["import pathlib, time", "time.sleep(3)"]},
    "dying": {"cells": ["import os", "os._exit(3)"]},
    "noisy": {"cells": ["for _ in range(400):\n    print('x' * 100_000)", "print('the end')"]},
    "nosy": {"parameters": {"text": "plain"}, "cells": ["text: str = ''", NOSY]},
    "intruder": {"parameters": {"state": ""}, "cells": ["state: str = ''", INTRUDER]},
    "minutely": {"cron": "* * * * *", "cells": ["print('on time')"]},
}


def write_notebook(path: Path, cells: list[str]) -> None:
    """A job's notebook; a first cell with an annotation holds its parameters."""
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
    )
    if ": str" in cells[0]:
        notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)


def copy_site(folder: Path, *, is_quiet: bool = False) -> tuple[Path, Path]:
    """The project's policies and notebooks with the jobs of these stories; quiet: none of them starts by itself."""
    policies, notebooks = folder / "policies", folder / "notebooks"
    shutil.copytree(APP / "policies", policies)
    shutil.copytree(APP / "notebooks", notebooks)
    for name, job in JOBS.items():
        write_notebook(notebooks / "jobs" / f"{name}.ipynb", job["cells"])
        document = {
            "job": name,
            "title": name,
            "notebook": f"jobs/{name}.ipynb",
            "cron": NEVER if is_quiet else job.get("cron", NEVER),
            "parameters": job.get("parameters", {}),
            "timeout_s": job.get("timeout_s", 60),
            "retries": job.get("retries", 0),
            "owner": "analysts",
            "run_by": "group:analysts",
        }
        # JSON is YAML.
        (policies / "jobs" / f"{name}.yaml").write_text(json.dumps(document))
    return policies, notebooks


class Worker:
    """`python -m gatebook_hub.worker` beside a gateway."""

    def __init__(self, gateway: Alone, notebooks: Path) -> None:
        self.log = gateway.folder / "worker.log"
        self.folder = gateway.folder / f"worker-{time.monotonic_ns()}"
        self.folder.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEBOOK_", "JUPYTER"))}
        self.token = gateway.service_token("worker")
        environment = kept | {
            "GATEBOOK_WORKER_TOKEN": self.token,
            "GATEBOOK_GATEWAY_URL": gateway.url,
            "GATEBOOK_NOTEBOOKS": str(notebooks),
            "PRIVATE_THING": "not for kernels",
            "TMPDIR": str(self.folder),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gatebook_hub.worker"],
                env=environment,
                cwd=gateway.folder,
                stdout=log,
                stderr=log,
            )

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """End it; nothing that it started may outlive it."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signum)
        self.process.wait(20)
        _, alive = psutil.wait_procs(started, timeout=10)
        assert not alive, f"these outlived the worker: {alive}\n{self.log.read_text()}"
        assert signum == signal.SIGKILL or not list(self.folder.iterdir()), "runs leave no files"


@contextmanager
def working(gateway: Alone, notebooks: Path) -> Iterator[Worker]:
    """A worker for the length of a test."""
    worker = Worker(gateway, notebooks)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return copy_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def gateway(
    chinook_template: Path, site: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    with Alone(tmp_path_factory.mktemp("jobs"), chinook_template, policies=site[0]) as running:
        yield running


@pytest.fixture(scope="module")
def worker(gateway: Alone, site: tuple[Path, Path]) -> Iterator[Worker]:
    with working(gateway, site[1]) as running:
        yield running


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return copy_site(tmp_path_factory.mktemp("quiet"), is_quiet=True)


@pytest.fixture
def idle(chinook_template: Path, quiet: tuple[Path, Path], tmp_path: Path) -> Iterator[Alone]:
    """A gateway of one test's own, at which no worker claims yet and nothing starts by itself."""
    with Alone(tmp_path, chinook_template, policies=quiet[0]) as running:
        yield running


# ── what a person does ──


def start(gateway: Alone, job: str, **parameters: Any) -> dict[str, Any]:
    """Start a run by hand, as the analyst."""
    with gateway.client(gateway.token()) as client:
        answer = client.post(f"/api/v1/jobs/{job}/runs", json={"parameters": parameters})
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()
    return run


def look(gateway: Alone, run_id: str) -> dict[str, Any]:
    """One run, as the analyst sees it."""
    with gateway.client(gateway.token()) as client:
        found: dict[str, Any] = client.get(f"/api/v1/runs/{run_id}").json()
    return found


def wait_for(gateway: Alone, run_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Look until the run is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look(gateway, run_id)
        if is_so(found):
            return found
        time.sleep(0.2)
    raise AssertionError(f"{look(gateway, run_id)}\n{(gateway.folder / 'worker.log').read_text()}")


def end_of(gateway: Alone, run_id: str) -> dict[str, Any]:
    """The run once it has ended."""
    return wait_for(gateway, run_id, lambda run: run["state"] in ENDED)


def runs_of(gateway: Alone, job: str) -> list[dict[str, Any]]:
    """The job's runs, newest first."""
    with gateway.client(gateway.token()) as client:
        return [run for run in client.get("/api/v1/runs").json()["runs"] if run["job"] == job]


def executed(gateway: Alone, run_id: str) -> nbformat.NotebookNode:
    """The notebook that the run kept."""
    with gateway.client(gateway.token()) as client:
        answer = client.get(f"/api/v1/runs/{run_id}/notebook")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith("attachment")
    notebook = nbformat.reads(answer.text, as_version=4)
    nbformat.validate(notebook)
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    """All that the notebook's cells wrote or returned."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [
        output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue", "") for output in outputs
    ]
    return "\n".join(texts)


def events_of(gateway: Alone, run_id: str) -> list[dict[str, Any]]:
    """What the book says of the run, oldest first."""
    return [event for event in gateway.events() if event.get("run") == run_id]


# ── runs that end well ──


def test_a_run_by_hand_works_under_the_jobs_own_grants(gateway: Alone, worker: Worker) -> None:
    """The nightly job, started by an analyst: parameters, cells and the executed notebook are there to be looked at."""
    run = start(gateway, "nightly_revenue", month="2012-06")
    assert run["state"] == "due"
    assert run["trigger"] == "user:analyst"
    ended = end_of(gateway, run["id"])
    assert ended["state"] == "succeeded", ended
    assert ended["parameters"] == {"month": "2012-06"}
    assert ended["cells_done"] == ended["cells_total"] > 10
    notebook = executed(gateway, run["id"])
    assert "Germany" in printed(notebook)
    assert any("2012-06" in cell.source for cell in notebook.cells)
    assert notebook.metadata.papermill.input_path == "jobs/nightly_revenue.ipynb"

    events = events_of(gateway, run["id"])
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "run.started"
    assert kinds[-1] == "run.finished"
    assert kinds.count("query.intent") == 2
    assert {event["principal"] for event in events} == {"job:nightly_revenue"}
    intent = next(event for event in events if event["kind"] == "query.intent")
    assert intent["provenance"]["notebook"] == "jobs/nightly_revenue.ipynb"
    assert events[0]["extra"]["trigger"] == "user:analyst"
    reads = [event for event in gateway.events(principal="user:analyst") if event.get("extra", {}).get("run")]
    assert reads[-1]["extra"]["run"] == run["id"], "who looked at the executed notebook is in the book"


def test_a_schedule_starts_runs_by_itself(gateway: Alone, worker: Worker) -> None:
    """`* * * * *`: the run of this minute or the next comes without anybody asking."""
    deadline = time.monotonic() + PATIENCE_S
    done: list[dict[str, Any]] = []
    while not done and time.monotonic() < deadline:
        done = [run for run in runs_of(gateway, "minutely") if run["state"] == "succeeded"]
        time.sleep(0.5)
    assert done, worker.log.read_text()
    assert done[0]["trigger"] == "schedule"
    due, started = (dt.datetime.fromisoformat(done[0][name]) for name in ("scheduled_for", "started_at"))
    assert due.second == 0
    assert dt.timedelta() <= started - due < dt.timedelta(minutes=1)
    times = [run["scheduled_for"] for run in runs_of(gateway, "minutely")]
    assert len(times) == len(set(times)), "one run for each time"


def test_a_run_with_much_output_keeps_what_fits(gateway: Alone, worker: Worker) -> None:
    """40 MB of prints neither fill the gateway nor lose the run."""
    ended = end_of(gateway, start(gateway, "noisy")["id"])
    assert ended["state"] == "succeeded", ended
    text = printed(executed(gateway, ended["id"]))
    assert 5_000_000 < len(text) < 20_000_000
    assert "left out" in text


# ── runs that end badly ──


def test_a_failing_run_names_cell_and_error_and_is_tried_again(gateway: Alone, worker: Worker) -> None:
    """The policy says one retry: two failed runs, each with the cell and its error, and no third."""
    run = start(gateway, "broken")
    ended = end_of(gateway, run["id"])
    assert ended["state"] == "failed"
    assert ended["error"]["cell"] == 2
    assert ended["error"]["name"] == "AssertionError"
    assert ended["error"]["message"] == "the answer is wrong"
    assert "answer == 42" in ended["error"]["source"]
    notebook = executed(gateway, run["id"])
    assert "answer == 42" in notebook.cells[1].source, "cells count as in the executed notebook"
    assert "the answer is wrong" in printed(notebook)
    assert "never" not in printed(notebook)
    again = next(other for other in runs_of(gateway, "broken") if other["trigger"].startswith("retry of user:"))
    assert end_of(gateway, again["id"])["attempt"] == 2
    time.sleep(3)
    assert len([other for other in runs_of(gateway, "broken") if other["state"] != "skipped"]) == 2
    finished = events_of(gateway, run["id"])[-1]
    assert (finished["outcome"], finished["detail"]) == ("failed", "AssertionError in cell 2")
    assert "the answer is wrong" not in json.dumps(gateway.events())


def test_a_job_reads_what_it_is_granted_and_nothing_else(gateway: Alone, worker: Worker) -> None:
    """The starter may read customers, the job may not: the refusal stands in its notebook."""
    ended = end_of(gateway, start(gateway, "curious")["id"])
    assert ended["state"] == "failed"
    assert ended["error"]["cell"] == 2
    refused = [event for event in events_of(gateway, ended["id"]) if event["kind"] == "query.refused"]
    assert refused[0]["principal"] == "job:curious"
    assert ended["error"]["message"].split("(")[0].strip()[:30] in printed(executed(gateway, ended["id"]))


def test_a_parameter_that_the_notebook_does_not_have_is_refused(gateway: Alone, worker: Worker) -> None:
    """A misspelt parameter would be a run with the wrong month; it does not start."""
    ended = end_of(gateway, start(gateway, "mistyped")["id"])
    assert ended["state"] == "failed"
    assert ended["error"]["name"] == "UnknownParameter"
    assert "`mouth`" in ended["error"]["message"]
    assert ended["cells_done"] == 0


@pytest.mark.parametrize("job", ["endless", "deaf"])
def test_a_run_over_its_time_is_ended(gateway: Alone, worker: Worker, job: str) -> None:
    """The time is for the whole run; a kernel that hears no signal ends too, and the notebook so far is kept."""
    ended = end_of(gateway, start(gateway, job)["id"])
    assert ended["state"] == "failed"
    assert ended["error"]["name"] == "Timeout", ended
    assert ended["error"]["cell"] == 2
    started, finished = (dt.datetime.fromisoformat(ended[name]) for name in ("started_at", "finished_at"))
    assert finished - started < dt.timedelta(seconds=JOBS[job]["timeout_s"] + 15)
    assert len(executed(gateway, ended["id"]).cells) == 2
    deadline = time.monotonic() + 15
    while kernels_of(worker):
        assert time.monotonic() < deadline, "a kernel outlived its run"
        time.sleep(0.2)


def kernels_of(worker: Worker) -> list[int]:
    """The processes of kernels that run below the worker."""
    found = []
    for child in psutil.Process(worker.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ipykernel_launcher" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


def test_a_kernel_that_dies_fails_its_run(gateway: Alone, worker: Worker) -> None:
    """A cell that ends its own kernel: the run says which."""
    ended = end_of(gateway, start(gateway, "dying")["id"])
    assert (ended["state"], ended["error"]["name"], ended["error"]["cell"]) == ("failed", "KernelDied", 2)


# ── what a run cannot do ──


def test_a_kernel_of_a_run_holds_a_gate_token_and_nothing_else(gateway: Alone, worker: Worker) -> None:
    """No token of the worker, none of the run; through the relay it is the job, and cannot claim or start runs."""
    text = '"""); import os; os._exit(1) #\n\'\\" {text} $(id) \u2028 ä'
    ended = end_of(gateway, start(gateway, "nosy", text=text)["id"])
    assert ended["state"] == "succeeded", ended
    found = json.loads(printed(executed(gateway, ended["id"])))
    environment = found["environment"]
    assert environment["GATEBOOK_TOKEN"].startswith("gbk_")
    assert worker.token not in json.dumps(found)
    assert "gbr_" not in json.dumps(found)
    assert not [name for name in environment if "WORKER" in name or name.startswith("JUPYTERHUB") or "PRIVATE" in name]
    assert found["text"] == text, "a parameter is a value, whatever it looks like"
    assert found["me"][1]["name"] == "nosy"
    assert found["me"][1]["kind"] == "job"
    assert found["claim"][0] == 403
    assert found["start"][0] == 403


def test_tokens_of_runs_end_with_them(gateway: Alone, worker: Worker) -> None:
    """Of all tokens that were issued to runs which have ended, none is alive."""
    end_of(gateway, start(gateway, "dying")["id"])
    alive = tokens_of_runs(gateway)
    running = [run for job in JOBS for run in runs_of(gateway, job) if run["state"] == "running"]
    assert len(alive) <= len(running)


def tokens_of_runs(gateway: Alone) -> list[str]:
    """The principals of run tokens that are neither revoked nor expired."""
    now = dt.datetime.now(dt.UTC).isoformat()
    with closing(sqlite3.connect(f"file:{gateway.state / 'gatebook.sqlite'}?mode=ro", uri=True)) as database:
        rows = database.execute("select principal from token where revoked_at is null and expires_at > ?", [now])
        return [row[0] for row in rows if '"job"' in row[0]]


def test_a_run_token_opens_the_gateway_until_the_report(idle: Alone) -> None:
    """Claimed by hand: the token is the job's, cannot be used for the worker's calls, and ends with the report."""
    run = start(idle, "patient")
    with idle.client(idle.service_token("worker")) as client:
        assert client.post("/api/v1/runs/claim?places=0").status_code == 204, "no place, no run"
        claimed = client.post("/api/v1/runs/claim").json()
        assert claimed["run"]["id"] == run["id"]
        assert client.post("/api/v1/runs/claim").status_code == 204, "a run has one worker"
        with idle.client(claimed["token"]) as job:
            me = job.get("/api/v1/me").json()
            assert (me["kind"], me["name"]) == ("job", "patient")
            problem_of(job.post("/api/v1/runs/claim"), 403, "GB-102")
            problem_of(job.post(f"/api/v1/runs/{run['id']}/progress", json={"done": 1, "total": 1}), 403, "GB-102")
            report = {"ok": True, "token": claimed["token"], "notebook": None}
            problem_of(job.post(f"/api/v1/runs/{run['id']}/finish", json=report), 403, "GB-102")
            assert client.post(f"/api/v1/runs/{run['id']}/finish", json=report).status_code == 204
            problem_of(job.get("/api/v1/me"), 401, "GB-101")
        problem_of(client.post(f"/api/v1/runs/{run['id']}/finish", json=report), 409, "GB-402")
    assert look(idle, run["id"])["state"] == "succeeded"


def test_only_those_named_start_a_job_and_look_at_its_runs(gateway: Alone, worker: Worker) -> None:
    """Others get no run, no run's page and no notebook; the refusal is in the book."""
    ended = end_of(gateway, start(gateway, "dying")["id"])
    with gateway.client(gateway.token("ops", "operations")) as client:
        problem_of(client.post("/api/v1/jobs/dying/runs", json={}), 403, "GB-102")
        assert client.get("/api/v1/runs").json() == {"runs": []}
        problem_of(client.get(f"/api/v1/runs/{ended['id']}"), 404, "GB-105")
        problem_of(client.get(f"/api/v1/runs/{ended['id']}/notebook"), 404, "GB-105")
    refused = gateway.events(principal="user:ops", kind="action.refused")
    assert refused[-1]["extra"]["job"] == "dying"


@pytest.mark.parametrize(
    "parameters",
    [
        {"year": "2013"},
        {"month": 2013},
        {"month": True},
        {"month": ["2013"]},
        {"month": "x" * 20_000},
        {"__class__": "x"},
    ],
)
def test_a_run_by_hand_takes_the_jobs_parameters_only(gateway: Alone, parameters: dict[str, Any]) -> None:
    """Unknown names, other types and texts without end are refused before anything is kept."""
    with gateway.client(gateway.token()) as client:
        answer = client.post("/api/v1/jobs/nightly_revenue/runs", json={"parameters": parameters})
    problem_of(answer, 422, "GB-104")


# ── when things overlap or break ──


def test_a_job_does_not_run_beside_itself(gateway: Alone, worker: Worker) -> None:
    """`overlap: skip`: a second start while one waits or runs is refused."""
    first = start(gateway, "patient")
    with gateway.client(gateway.token()) as client:
        problem_of(client.post("/api/v1/jobs/patient/runs", json={}), 409, "GB-402")
    assert end_of(gateway, first["id"])["state"] == "succeeded"


def test_a_stopped_worker_says_so_and_takes_its_kernels_along(idle: Alone, quiet: tuple[Path, Path]) -> None:
    """SIGTERM: the run fails as stopped at once, and no process stays."""
    with working(idle, quiet[1]) as worker:
        run = start(idle, "endless")
        wait_for(idle, run["id"], lambda found: found["cells_done"] == 1)
        worker.stop()
    ended = look(idle, run["id"])
    assert (ended["state"], ended["error"]["name"]) == ("failed", "Stopped")
    assert tokens_of_runs(idle) == []


def test_a_killed_worker_leaves_no_process(idle: Alone, quiet: tuple[Path, Path]) -> None:
    """SIGKILL: whatever the worker had started ends with it; the gateway waits for the lease."""
    with working(idle, quiet[1]) as worker:
        run = start(idle, "patient")
        wait_for(idle, run["id"], lambda found: found["cells_done"] == 1)
        worker.stop(signal.SIGKILL)
    assert look(idle, run["id"])["state"] == "running"


def test_a_run_survives_a_restart_of_the_gateway(idle: Alone, quiet: tuple[Path, Path]) -> None:
    """The gateway goes while the notebook works and comes back: the report arrives, nothing runs twice."""
    with working(idle, quiet[1]):
        run = start(idle, "patient")
        wait_for(idle, run["id"], lambda found: found["cells_done"] == 1)
        idle.kill()
        time.sleep(4)
        idle.start()
        assert end_of(idle, run["id"])["state"] == "succeeded"
    kinds = [event["kind"] for event in events_of(idle, run["id"])]
    assert kinds == ["run.started", "run.finished"]
    assert tokens_of_runs(idle) == []


def test_a_worker_without_a_good_token_gets_nothing(idle: Alone) -> None:
    """A person's token is not the worker's: the run waits."""
    with idle.client(idle.token()) as client:
        problem_of(client.post("/api/v1/runs/claim"), 403, "GB-102")
    done = subprocess.run(
        [sys.executable, "-m", "gatebook_hub.worker"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"GATEBOOK_WORKER_TOKEN" in done.stderr


# ── under a Hub ──


@pytest.mark.hub
@pytest.mark.root
def test_under_a_hub_runs_have_accounts_of_their_own(reachable_folder: Path) -> None:
    """As root starts it: scheduled runs work, as Linux users that can read neither worker nor state."""
    policies, notebooks = copy_site(reachable_folder, is_quiet=True)
    environment = {"GATEBOOK_POLICIES": str(policies), "GATEBOOK_NOTEBOOKS": str(notebooks)}
    workspace = Workspace(services=("gateway", "worker"), environment=environment)
    every_minute(policies, "intruder", state=str(workspace.settings.state))
    every_minute(policies, "nightly_revenue", month="2012-06")
    with workspace:
        found = json.loads(printed(kept_notebook(workspace, "intruder")))
        prefix = workspace.settings.account_prefix
        assert found["account"] in {f"{prefix}run-0", f"{prefix}run-1"}
        assert set(found["state"]) == {"PermissionError"}
        assert found["workers"], "the attack looked at nothing"
        assert set(found["workers"]) == {"PermissionError"}
        assert not [name for name in found["environment"] if "JUPYTERHUB" in name or "JPY" in name]
        assert "Germany" in printed(kept_notebook(workspace, "nightly_revenue"))


def every_minute(policies: Path, job: str, **parameters: str) -> None:
    """Change a job's schedule and parameters."""
    path = policies / "jobs" / f"{job}.yaml"
    document = YAML(typ="safe").load(path) | {"cron": "* * * * *", "parameters": parameters}
    path.write_text(json.dumps(document))


def kept_notebook(workspace: Workspace, job: str) -> nbformat.NotebookNode:
    """The executed notebook of the job's first successful run, read past the gate."""
    query = "select state, error, notebook from run where job = ? and state in ('succeeded', 'failed')"
    deadline = time.monotonic() + PATIENCE_S + 60
    while time.monotonic() < deadline:
        with closing(
            sqlite3.connect(f"file:{workspace.settings.state / 'gatebook.sqlite'}?mode=ro", uri=True)
        ) as database:
            row = database.execute(query, [job]).fetchone()
        if row is not None:
            assert row[0] == "succeeded", f"{row[1]}\n{workspace.tail()}"
            return nbformat.reads(row[2], as_version=4)
        time.sleep(0.5)
    raise AssertionError(workspace.tail())
