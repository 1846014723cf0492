"""A process of ours ends with its parent, and a user's server is closed to inspection from its first instant."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gatebook_hub.front.accounts import Account, Accounts

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl and /proc are Linux's")


@pytest.fixture
def account() -> Iterator[Account]:
    root = Path(tempfile.mkdtemp(prefix="gbtest-"))
    root.chmod(0o711)
    accounts = Accounts(f"t{secrets.token_hex(3)}-", root)
    yield accounts.ensure(accounts.user_name("ann"))
    accounts.remove()
    shutil.rmtree(root)


@contextlib.contextmanager
def started(command: list[str], **more: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that is killed at the end, also if the test fails before it got so far."""
    with subprocess.Popen(command, **more) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(pid: int, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


@linux
def test_a_process_ends_with_a_parent_that_is_killed() -> None:
    child = (
        "from gatebook_server.process import settle; settle(); print('ready', flush=True); import time; time.sleep(600)"
    )
    with started([sys.executable, "-c", PARENT, child], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert ended(pid)


@linux
def test_a_process_whose_parent_is_gone_already_ends() -> None:
    code = "from gatebook_server.process import die_with_parent; die_with_parent(parent=1 << 22); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout == b""


@linux
@pytest.mark.root
def test_a_program_under_another_account_ends_with_its_parent(account: Account) -> None:
    command = [sys.executable, "-I", "-m", "gatebook_server.process", account.name, "sleep", "600"]
    starter = f"import subprocess, time; print(subprocess.Popen({command!r}).pid, flush=True); time.sleep(600)"
    with started([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        while psutil.Process(pid).name() != "sleep":
            time.sleep(0.02)
        assert psutil.Process(pid).uids().real == account.uid
        parent.send_signal(signal.SIGKILL)
    assert ended(pid)


@pytest.mark.root
@pytest.mark.parametrize("name", ["root", "no-such-account-here"])
def test_nothing_becomes_root(name: str) -> None:
    command = [sys.executable, "-I", "-m", "gatebook_server.process", name, "echo", "ran"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stdout == b""


@pytest.mark.root
def test_a_users_server_refuses_to_be_root() -> None:
    command = [sys.executable, "-I", "-m", "gatebook_server.singleuser"]
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert b"as root" in done.stderr


def test_a_server_without_a_token_does_not_start(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root starts servers under accounts only")
    command = [sys.executable, "-I", "-m", "gatebook_server.singleuser"]
    done = subprocess.run(
        command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert b"no token" in done.stderr


# Opens whatever it can of every new process of its own account, as fast as it can.
POLLER = """
import os, sys, time
seen, opened = set(), []
me = os.getpid()
print("ready", flush=True)
end = time.monotonic() + 4
while time.monotonic() < end:
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == me:
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid == os.getuid():
                seen.add(name)
            if int(name) < me:
                continue
            seen.add("newer")
            for file in ("environ", "mem", "maps"):
                with open(f"/proc/{name}/{file}", "rb") as stream:
                    opened.append((name, file))
        except OSError:
            pass
print(sorted(seen)[:5], opened, flush=True)
"""


@linux
@pytest.mark.root
def test_no_poller_of_the_same_account_gets_hold_of_a_starting_server(account: Account) -> None:
    """The wrapper waits for its token while another process of its account tries to open it from the start on."""
    alike = {"user": account.uid, "group": account.gid, "extra_groups": [], "cwd": account.home}
    with started([sys.executable, "-c", POLLER], stdout=subprocess.PIPE, text=True, **alike) as poller:
        assert poller.stdout.readline() == "ready\n"
        command = [sys.executable, "-I", "-m", "gatebook_server.singleuser", "--account", account.name]
        with started(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"HOME": str(account.home), "PATH": os.environ["PATH"]},
        ) as server:  # fmt: skip
            time.sleep(2)
            assert server.poll() is None
            assert psutil.Process(server.pid).uids().real == account.uid
            opened = poller.stdout.read()
            server.kill()
    assert "newer" in opened
    assert opened.strip().endswith("[]"), opened


@linux
@pytest.mark.root
def test_the_poller_does_get_hold_of_a_program_started_as_the_account(account: Account) -> None:
    """The same poller succeeds against the usual way of changing the user, so the test above proves something."""
    alike = {"user": account.uid, "group": account.gid, "extra_groups": [], "cwd": account.home}
    with started([sys.executable, "-c", POLLER], stdout=subprocess.PIPE, text=True, **alike) as poller:
        assert poller.stdout.readline() == "ready\n"
        code = "from gatebook_server.process import forbid_inspection; forbid_inspection(); import time; time.sleep(3)"
        subprocess.run([sys.executable, "-c", code], check=True, **alike)
        assert "'mem'" in poller.stdout.read()


SPREADING = """
import os, subprocess, sys, threading
from gatebook_server.process import processors, spread, stay_on_one_processor
stay_on_one_processor()
allowed = []
thread = threading.Thread(target=lambda: allowed.append(os.sched_getaffinity(0)))
thread.start()
thread.join()
program = "import os, gatebook_server.process as p; p.spread(); print(sorted(os.sched_getaffinity(0)))"
child = subprocess.run([sys.executable, "-c", program], env=processors(), capture_output=True, text=True, check=True)
print(len(os.sched_getaffinity(0)), len(allowed[0]), child.stdout, end="")
"""


@linux
def test_threads_stay_on_one_processor_and_children_spread_as_far_as_their_parent_might() -> None:
    mine = os.sched_getaffinity(0)
    for given in {frozenset(mine), frozenset({min(mine)})}:
        done = subprocess.run(
            [sys.executable, "-c", SPREADING],
            preexec_fn=lambda given=given: os.sched_setaffinity(0, given),  # type: ignore[misc]
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split(maxsplit=2) == ["1", "1", f"{sorted(given)}\n"]
