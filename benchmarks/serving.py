"""How does a benchmark start a gateway of its own, and a relay before it?"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_START_S = 60
_COMMAND = (sys.executable, "-m", "gatebook_hub.cli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What runs, a gateway or a relay: its address, an analyst's token for it, its process."""

    url: str
    token: str
    process: int
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> str:
        """What `gatebook …` prints, with this gateway's settings."""
        return _gatebook(self.environment, *arguments)

    @property
    def peak_mb(self) -> float:
        """The most memory that its process has had since `forget_peak`, without its children's."""
        return _memory_mb(self.process, "VmHWM")

    def forget_peak(self) -> float:
        """Begin anew; what it has now, in MB."""
        Path(f"/proc/{self.process}/clear_refs").write_text("5")
        return _memory_mb(self.process, "VmRSS")


@contextlib.contextmanager
def serving(state: Path, policies: Path) -> Iterator[Served]:
    """Run a gateway over this state and these policies until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    limits = {
        "GATEBOOK_LIMIT_REQUESTS_PER_S": "100000",
        "GATEBOOK_LIMIT_REQUEST_BURST": "100000",
        "GATEBOOK_LIMIT_CONCURRENT": "64",
    }
    environment = os.environ | limits | {
        "GATEBOOK_STATE": str(state),
        "GATEBOOK_POLICIES": str(policies),
        "GATEBOOK_GATEWAY_PORT": str(port),
    }  # fmt: skip
    token = _gatebook(environment, "token", "issue", "--user", "analyst", "--groups", "analysts")
    process = subprocess.Popen([*_COMMAND, "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/healthz")
        yield Served(url=f"http://127.0.0.1:{port}", token=token, process=process.pid, environment=environment)
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def relaying(served: Served) -> Iterator[Served]:
    """Run a relay, the second hop, before that gateway until the block ends."""
    command = [sys.executable, str(Path(__file__).with_name("relay.py")), served.url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{served.token}\n")
        process.stdin.flush()
        told = json.loads(process.stdout.readline())
        yield Served(url=told["url"], token=told["token"], process=process.pid)
    finally:
        process.stdin.close()
        process.wait(20)


def _gatebook(environment: Mapping[str, str], *arguments: str) -> str:
    command = [*_COMMAND, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def _memory_mb(process: int, what: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def _wait(url: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    message = f"{url} does not answer"
    raise TimeoutError(message)
