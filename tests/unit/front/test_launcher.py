"""The launcher gives each service kernels under its own slots' accounts, and nothing else to anybody."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from gatebook_hub.front.accounts import Account, Accounts, has_processes

pytestmark = [pytest.mark.root]

# What a service does: kernels through the provisioner, started by the launcher. Runs under the service's account.
SERVICE = """
import asyncio, json, os, sys
from pathlib import Path
from jupyter_client.manager import AsyncKernelManager
from gatebook_server.launching import SocketLauncher
from gatebook_server.provisioner import KernelGate, install
from gatebook_server.tokens import KernelTokens

tokens = KernelTokens()
install(KernelGate(url="http://127.0.0.1:9/gatebook", tokens=tokens, launcher=SocketLauncher(Path(sys.argv[1]))))
os.environ["SERVICE_SECRET"] = "s"

async def start():
    manager = AsyncKernelManager(transport_encryption="required")
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    return manager, client

async def run(client, code):
    texts = []
    def collect(message):
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])
        if message["msg_type"] == "error":
            texts.append("\\n".join(message["content"]["traceback"]))
    await client.execute_interactive(code, output_hook=collect, timeout=60)
    return "".join(texts).strip()

async def stop(manager, client, **more):
    client.stop_channels()
    await manager.shutdown_kernel(**more)

async def main():
""".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A launcher that runs, and how to act as one of its services."""

    accounts: Accounts
    socket: Path
    process: subprocess.Popen[bytes]

    def account(self, name: str) -> Account:
        """The account of a service or slot."""
        return self.accounts.lookup(self.accounts.service_name(name))

    def command(self, body: str) -> list[str]:
        """The command of a service whose `main` is this body."""
        lines = "\n".join("    " + line for line in body.strip().splitlines())
        return [sys.executable, "-c", f"{SERVICE}\n{lines}\nasyncio.run(main())", str(self.socket)]

    def options(self, account: Account) -> dict[str, Any]:
        """What runs a program as the account."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(account.home)}
        return {"user": account.uid, "group": account.gid, "extra_groups": [], "cwd": account.home, "env": environment}

    def act(self, service: str, body: str) -> Any:
        """Run a body under a service's account and return what it prints, read as JSON."""
        done = subprocess.run(
            self.command(body),
            **self.options(self.account(service)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def launcher() -> Iterator[Running]:
    root = Path(tempfile.mkdtemp(prefix="gbtest-"))
    root.chmod(0o711)
    accounts = Accounts(f"t{secrets.token_hex(3)}-", root)
    socket = root / "run" / "launcher.sock"
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", "gatebook_hub.front.launcher", "--prefix", accounts.prefix,
         "--home-root", str(root),
         "--socket", str(socket), "--tools", "2", "--runs", "1"], stdin=subprocess.DEVNULL
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not socket.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        accounts.ensure(accounts.service_name("stranger"))
        yield Running(accounts=accounts, socket=socket, process=process)
    finally:
        process.terminate()
        process.wait(30)
        accounts.remove()
        shutil.rmtree(root)


def idle(running: Running, slot: str) -> bool:
    account = running.account(slot)
    return not has_processes(account) and not list(account.home.iterdir())


def wait_idle(running: Running, slot: str) -> None:
    deadline = time.monotonic() + 20
    while not idle(running, slot):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_tools_kernel_runs_under_its_slot_and_leaves_nothing(launcher: Running) -> None:
    seen = launcher.act(
        "tools",
        """
manager, client = await start()
code = '''
import json, os, pathlib, subprocess, tempfile
pathlib.Path("left-behind").write_text("x")
shared = pathlib.Path("/tmp") / f"left-by-{os.getuid()}"
shared.write_text("x")
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
def read(path):
    try:
        return open(path, "rb").read(1) and "read"
    except OSError as error:
        return type(error).__name__
print(json.dumps({
    "uid": os.getuid(), "groups": os.getgroups(), "umask": oct(os.umask(0o077)), "cwd": os.getcwd(),
    "names": sorted(os.environ), "shared": str(shared), "tmp": tempfile.gettempdir(),
    "launcher": read(f"/proc/{os.getppid()}/environ"), "service": read("/proc/SERVICE/environ"),
}))
'''.replace("SERVICE", str(os.getpid()))
seen = json.loads(await run(client, code))
seen["is_known"] = tokens.kernel_of(await run(client, "print(os.environ['GATEBOOK_TOKEN'])")) == manager.kernel_id
seen["was_alive"] = await manager.is_alive()
await stop(manager, client)
seen["is_alive"] = await manager.is_alive()
print(json.dumps(seen))
""",
    )
    slot = launcher.account("tool-0")
    assert (seen["uid"], seen["groups"], seen["cwd"]) == (slot.uid, [], str(slot.home))
    assert seen["umask"] == "0o77"
    assert seen["tmp"] == str(slot.home / "tmp")
    assert {"GATEBOOK_URL", "GATEBOOK_TOKEN"} <= set(seen["names"])
    assert not {"SERVICE_SECRET", "JPY_PARENT_PID"} & set(seen["names"])
    assert (seen["launcher"], seen["service"]) == ("PermissionError", "PermissionError")
    assert (seen["is_known"], seen["was_alive"], seen["is_alive"]) == (True, True, False)
    wait_idle(launcher, "tool-0")
    assert not Path(seen["shared"]).exists()


def test_two_kernels_have_two_accounts_and_a_third_is_refused(launcher: Running) -> None:
    wait_idle(launcher, "tool-0")
    seen = launcher.act(
        "tools",
        """
first, second = await start(), await start()
names = [await run(client, "import getpass; print(getpass.getuser())") for _manager, client in (first, second)]
try:
    await start()
    refused = ""
except Exception as error:
    refused = str(error)
other = await run(second[1], "import os; print(os.getpid(), os.environ['HOME'])")
pid, home = other.split()
peek = await run(first[1], f"import os\\nos.listdir({home!r})")
peek += await run(first[1], f"open('/proc/{pid}/mem', 'rb')")
for pair in (first, second):
    await stop(*pair)
print(json.dumps([names, refused, peek]))
""",
    )
    names, refused, peek = seen
    assert names == [launcher.account("tool-0").name, launcher.account("tool-1").name]
    assert "all 2 kernel slots are taken" in refused
    assert peek.count("PermissionError") >= 2


def test_the_worker_gets_its_own_slots(launcher: Running) -> None:
    seen = launcher.act(
        "worker",
        """
manager, client = await start()
name = await run(client, "import getpass; print(getpass.getuser())")
await manager.interrupt_kernel()
await manager.restart_kernel(now=True)
await client.wait_for_ready(timeout=60)
again = await run(client, "import getpass; print(getpass.getuser())")
await stop(manager, client, now=True)
print(json.dumps([name, again]))
""",
    )
    assert seen == [launcher.account("run-0").name] * 2


def test_an_interrupt_reaches_the_kernel(launcher: Running) -> None:
    wait_idle(launcher, "run-0")
    seen = launcher.act(
        "worker",
        """
manager, client = await start()
running = asyncio.ensure_future(run(client, "import time\\ntime.sleep(50)"))
await asyncio.sleep(1.5)
await manager.interrupt_kernel()
text = await asyncio.wait_for(running, 20)
await stop(manager, client)
print(json.dumps(text))
""",
    )
    assert "KeyboardInterrupt" in seen


def test_a_stranger_gets_no_kernel(launcher: Running) -> None:
    refused = launcher.act(
        "stranger",
        """
try:
    await start()
    print(json.dumps("started"))
except Exception as error:
    print(json.dumps(str(error)))
""",
    )
    assert "no kernels for this account" in refused


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json\n",
        b"[]\n",
        b'{"op": "start"}\n',
        b'{"op": "start", "environment": {}, "connection": {"ip": "0.0.0.0", "transport": "tcp"}}\n',
        b'{"op": "start", "environment": {}, "connection": {"ip": "127.0.0.1", "transport": "tcp"}}\n',
        b'{"op": "signal", "signum": 9}\n',
        b"x" * 400_000 + b"\n",
    ],
)
def test_a_request_that_is_not_one_starts_nothing(launcher: Running, line: bytes) -> None:
    """Among them a kernel that would listen for everybody, or without encryption."""
    wait_idle(launcher, "tool-0")
    reply = launcher.act(
        "tools",
        f"""
import socket
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
try:
    connection.sendall({line[:200]!r} if {len(line)} < 1000 else b"x" * {len(line)} + b"\\n")
    connection.shutdown(socket.SHUT_WR)
    data = connection.recv(65536)
except OSError:
    data = b"{{}}"
print(data.decode().strip() or "{{}}")
""",
    )
    assert "pid" not in reply
    wait_idle(launcher, "tool-0")


def test_a_kernel_ends_with_its_service(launcher: Running) -> None:
    wait_idle(launcher, "tool-0")
    service = subprocess.Popen(
        launcher.command("await start()\nprint('ready', flush=True)\nawait asyncio.sleep(600)"),
        **launcher.options(launcher.account("tools")), stdout=subprocess.PIPE,
    )  # fmt: skip
    with service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        assert has_processes(launcher.account("tool-0"))
        service.send_signal(signal.SIGKILL)
    wait_idle(launcher, "tool-0")


def test_only_the_launcher_may_be_asked_at_its_address(launcher: Running) -> None:
    """The folder is root's: no service can put a socket of its own there."""
    folder = launcher.socket.parent.stat()
    assert (folder.st_uid, folder.st_mode & 0o777) == (0, 0o755)
    assert psutil.Process(launcher.process.pid).uids().real == 0
