"""A gateway without a Hub, with what stories about callers, commands and the book ask of it besides."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import httpx
import pyarrow as pa
from tests.stories.gateway import _GATEBOOK, Gateway

from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.opening import OPERATOR, open_gate
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Alone(Gateway):
    """`Gateway` whose tokens are made without starting a command, and whose callers are at hand."""

    def __init__(
        self, folder: Path, chinook: Path, *, policies: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        given = {} if policies is None else {"policies": policies}
        super().__init__(folder, chinook, environment=environment, **given)
        self.folder = folder
        self._issued: dict[tuple[str, ...], str] = {}

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A `gatebook` command with this gateway's settings, whatever comes of it."""
        return subprocess.run(
            [*_GATEBOOK, *map(str, arguments)],
            cwd=self.folder,
            env=self._settings(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def kill(self) -> None:
        """End the process as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> Self:
        """Stop, and start on the same state."""
        self.stop()
        return self.start()

    def issue(self, name: str, *groups: str, kind: str = "user", ttl_s: float = 3600) -> tuple[str, str]:
        """A new token and its label."""
        principal = Principal(
            kind=PrincipalKind(kind), name=name, groups=frozenset(groups), channel=Channel.ISSUED_TOKEN
        )
        with open_gate(Settings(_env_file=None, state=self.state, policies=self._policies)) as gate:
            return Sessions(gate).issue(OPERATOR, principal, dt.timedelta(seconds=ttl_s))

    def token(self, user: str = "analyst", *groups: str) -> str:
        """A token of a person, made once; the analyst is in `analysts`."""
        groups = groups or (("analysts",) if user == "analyst" else ())
        return self._made("user", user, *groups)

    def service_token(self, name: str) -> str:
        """A token of a service, made once."""
        return self._made("service", name)

    def client(self, token: str | None = None) -> httpx.Client:
        """A caller; without a token one whom nobody knows."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

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

    def event(self, index: str | int) -> dict[str, Any]:
        """The event that a problem refers to; outcomes ride with the next write, so it may take a moment."""
        with self.client(self.token("auditor", "auditors")) as client:
            found = client.get(f"/api/v1/audit/events/{index}")
        assert found.status_code == 200, found.text
        event: dict[str, Any] = found.json()["event"]
        return event

    def outcome_of(self, index: str | int) -> dict[str, Any]:
        """The outcome that closes an intent; it is written with the next group, after a moment at most."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for event in self.events(kind="query.outcome"):
                if event["refers_to"] == int(index):
                    return event
            time.sleep(0.1)
        raise AssertionError(f"event {index} has no outcome")

    def _made(self, kind: str, *who: str) -> str:
        if (kind, *who) not in self._issued:
            self._issued[kind, *who] = self.issue(*who, kind=kind)[0]
        return self._issued[kind, *who]


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows of a read that ended well."""
    rows, last = stream_of(answer)
    assert b"gatebook.outcome" in last, last
    return rows


def stream_of(answer: httpx.Response) -> tuple[list[dict[str, Any]], dict[bytes, bytes]]:
    """The rows of a stream, and the metadata of its last batch."""
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream", answer.text
    rows: list[dict[str, Any]] = []
    last = None
    with pa.ipc.open_stream(answer.content) as reader:
        while True:
            try:
                batch, last = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            rows += batch.to_pylist()
    assert last is not None, "the stream was cut"
    return rows, dict(last)


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, which must be one, complete and of this code."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert set(problem) == {"type", "title", "status", "detail", "code", "rule", "ask", "reference"}
    assert problem["detail"]
    return problem
