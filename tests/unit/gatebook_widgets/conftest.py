"""A real gateway with the demo database: here operations may do without the tool what they may do through it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
_START_S = 60.0


@pytest.fixture(scope="session")
def gateway(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL of the gateway and a token of somebody in operations."""
    folder = tmp_path_factory.mktemp("widgets")
    policies, state = folder / "policies", folder / "state"
    shutil.copytree(ROOT / "policies", policies)
    grants = policies / "grants.yaml"
    # The one difference: a kernel of a test is no tool, so nothing asks for one.
    grants.write_text(grants.read_text().replace("    via: customer_desk\n", ""))
    shutil.rmtree(policies / "tests", ignore_errors=True)
    (state / "databases").mkdir(parents=True)
    shutil.copy2(chinook_template, state / "databases" / "chinook.sqlite")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEBOOK_")}
    common = ["--state", str(state), "--policies", str(policies)]
    cli = [sys.executable, "-m", "gatebook_hub.cli"]
    subprocess.run(
        [*cli, "source", "prepare", "chinook", *common], env=kept, cwd=folder, capture_output=True, check=True
    )
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [*cli, "serve", *common, "--port", str(port)], env=kept, stdout=log, stderr=log, cwd=folder
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, folder / "gateway.log")
        issued = subprocess.run(
            [*cli, "token", "issue", *common, "--user", "ops", "--groups", "operations", "--ttl", "1h"],
            env=kept, cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        yield url, issued.stdout.strip().splitlines()[-1]
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def ops(gateway: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """This process calls the gateway as a kernel of `ops` would."""
    url, token = gateway
    monkeypatch.setenv("GATEBOOK_URL", url)
    monkeypatch.setenv("GATEBOOK_TOKEN", token)
