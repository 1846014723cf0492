"""How does a benchmark start a gateway of its own?"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_START_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A gateway that runs: its address, an analyst's token, its process."""

    url: str
    token: str
    process: int


@contextlib.contextmanager
def serving(state: Path, policies: Path) -> Iterator[Served]:
    """Run a gateway over this state and these policies until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    limits = {"GATEBOOK_LIMIT_REQUESTS_PER_S": "100000", "GATEBOOK_LIMIT_REQUEST_BURST": "100000"}
    environment = os.environ | limits | {
        "GATEBOOK_STATE": str(state),
        "GATEBOOK_POLICIES": str(policies),
        "GATEBOOK_GATEWAY_PORT": str(port),
    }  # fmt: skip
    command = [sys.executable, "-m", "gatebook_hub.cli"]
    issue = [*command, "token", "issue", "--user", "analyst", "--groups", "analysts"]
    token = subprocess.run(issue, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    process = subprocess.Popen([*command, "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/healthz")
        yield Served(url=f"http://127.0.0.1:{port}", token=token, process=process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    message = f"{url} does not answer"
    raise TimeoutError(message)
