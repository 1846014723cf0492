"""A gateway without a Hub: a real process over a state folder of its own, its commands, and callers with tokens."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pyarrow as pa

from gatebook_hub.sources.sqlite import SqliteSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

POLICIES = Path(__file__).resolve().parents[2] / "policies"
_START_S = 60.0
_STOP_S = 20.0


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class NotStarted(AssertionError):
    """The gateway ended before it answered; the text is its log."""


class Gateway:
    """`gatebook serve` in a folder of its own; `chinook` is a database file that is copied there."""

    def __init__(
        self,
        folder: Path,
        *,
        chinook: Path | None = None,
        policies: Path = POLICIES,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.policies = policies
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "gateway.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEBOOK_", "JUPYTER"))}
        self.environment = {**kept, "GATEBOOK_GATEWAY_PORT": str(self.port), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[tuple[str, str], str] = {}
        if chinook is not None:
            database = self.state / "databases" / "chinook.sqlite"
            database.parent.mkdir(parents=True, mode=0o700)
            shutil.copy2(chinook, database)
            SqliteSource("chinook", database).prepare()

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start the process and wait until it answers; raises NotStarted."""
        with self.log.open("ab") as log:
            command = self._line("serve", "--state", self.state, "--policies", self.policies)
            self._process = subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/healthz").is_success:
                    return self
            except httpx.TransportError:
                time.sleep(0.1)
        self.stop()
        raise NotStarted(self.log.read_text())

    def stop(self) -> None:
        """End the process, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def kill(self) -> None:
        """End the process as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _line(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "gatebook_hub.cli", *map(str, arguments)]

    def run(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A `gatebook` command on this gateway's folders."""
        folders = {"GATEBOOK_STATE": str(self.state), "GATEBOOK_POLICIES": str(self.policies)}
        done = subprocess.run(
            self._line(*arguments),
            env=self.environment | folders,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def issue(self, *, groups: str = "", ttl: str = "1h", **who: str) -> tuple[str, str]:
        """A new token and its label: `issue(user="analyst", groups="analysts")`."""
        ((kind, name),) = who.items()
        done = self.run("token", "issue", f"--{kind}", name, "--groups", groups, "--ttl", ttl)
        return done.stdout.strip(), done.stderr.split()[1].rstrip(",")

    def token(self, user: str = "analyst", groups: str = "analysts") -> str:
        """A token of a person, made once."""
        if (user, groups) not in self._tokens:
            self._tokens[user, groups] = self.issue(user=user, groups=groups)[0]
        return self._tokens[user, groups]

    def service_token(self, name: str) -> str:
        """A token of a service, made once."""
        key = ("service", name)
        if key not in self._tokens:
            self._tokens[key] = self.issue(service=name)[0]
        return self._tokens[key]

    def client(self, token: str | None = None) -> httpx.Client:
        """A caller; without a token one whom nobody knows."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def ask(self, sql: str, *, source: str = "chinook", token: str | None = None, **document: Any) -> httpx.Response:
        """The answer to one statement, by default asked by the analyst."""
        with self.client(token or self.token()) as client:
            return client.post("/api/v1/query", json={"source": source, "sql": sql, **document})

    def events(self, **wanted: str | int) -> list[dict[str, Any]]:
        """Events of the book as the auditor finds them, oldest first."""
        with self.client(self.token("auditor", "auditors")) as client:
            found = client.get("/api/v1/audit/events", params={"limit": 1000, **wanted})
        assert found.status_code == 200, found.text
        return list(reversed(found.json()["events"]))

    def verify(self) -> str:
        """What `gatebook audit verify` says of a book that is whole."""
        return self.run("audit", "verify").stdout.strip()


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows of a read that ended well."""
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream", answer.text
    with pa.ipc.open_stream(answer.content) as reader:
        batches, last = [], None
        while True:
            try:
                batch, last = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            batches.append(batch)
    assert last is not None, "the stream was cut"
    assert b"gatebook.outcome" in last, last
    return [row for batch in batches for row in batch.to_pylist()]


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, which must be one, complete and of this code."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert set(problem) == {"type", "title", "status", "detail", "code", "rule", "ask", "reference"}
    assert problem["detail"]
    return problem
