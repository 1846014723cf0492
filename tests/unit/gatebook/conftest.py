"""A gate for the client's tests: a real HTTP server on the loopback interface that speaks the interface's formats."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pytest

ARROW = "application/vnd.apache.arrow.stream"
TOKEN = "gbk_test-token"


@dataclass(kw_only=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(kw_only=True)
class Reply:
    """What the server answers: a whole body, or chunks that may be cut by closing without the end."""

    status: int = 200
    media_type: str = "application/json"
    chunks: Sequence[bytes] | Iterator[bytes] = ()
    is_cut: bool = False


def said(document: object, status: int = 200, media_type: str = "application/json") -> Reply:
    return Reply(status=status, media_type=media_type, chunks=[json.dumps(document).encode()])


def problem(status: int, code: str, **parts: object) -> Reply:
    return said({"status": status, "code": code, **parts}, status, "application/problem+json")


def rows(table: pa.Table, outcome: dict[str, Any] | None = None, **parts: Any) -> Reply:
    """A whole answer, in as many batches as the table has."""
    return Reply(media_type=ARROW, chunks=[stream_of(table, outcome, **parts)])


def stream_of(
    table: pa.Table,
    outcome: dict[str, Any] | None = None,
    *,
    problem: dict[str, Any] | None = None,
    ends_properly: bool = True,
    after_end: pa.Table | None = None,
) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
        empty = pa.RecordBatch.from_pylist([], schema=table.schema)
        if problem is not None:
            writer.write_batch(empty, custom_metadata={"gatebook.problem": json.dumps(problem)})
        elif ends_properly:
            closing = {"rows": table.num_rows, "bytes": 1, "elapsed_ms": 12, "audit_index": 7, "masks": []} | (
                outcome or {}
            )
            writer.write_batch(empty, custom_metadata={"gatebook.outcome": json.dumps(closing)})
        if after_end is not None:
            writer.write_table(after_end)
    return sink.getvalue()


def change_document(**parts: Any) -> dict[str, Any]:
    """A change request as the interface describes it."""
    return {
        "kind": "change",
        "id": "chg_1",
        "url": "http://127.0.0.1:8001/changes/chg_1",
        "state": "awaiting_review",
        "source": "chinook",
        "table": "invoice",
        "operation": "update",
        "statement": "update invoice set total = 2.50 where invoiceid = 5",
        "params": {},
        "action": None,
        "requester": "analyst",
        "reason": "the price was wrong",
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-01-08T00:00:00Z",
        "digest": "d1",
        "summary": "1 row of invoice would change",
        "counts": {"changed": 1, "added": 0, "removed": 0},
        "warnings": [],
        "diffs": [
            {
                "table": "invoice",
                "total": 1,
                "key": ["invoiceid"],
                "columns": ["invoiceid", "billingcity", "total"],
                "rows": [{"key": [5], "kind": "changed", "before": [5, "Boston", 1.98], "after": [5, "Boston", 2.5]}],
                "is_complete": True,
            }
        ],
        "quorum": [{"groups": ["reviewers"], "needed": 1, "given": 0}],
        "reviews": [],
        "outcome": None,
        "failure": None,
        "may": {"review": False, "withdraw": True, "execute": False},
        "why_not": {"review": "nobody approves their own request"},
    } | parts


Route = Callable[[Asked], Reply | None]


@dataclass
class GateServer:
    """The running server; tests set `routes` and read `asked` and `hung_up`."""

    url: str = ""
    routes: dict[tuple[str, str], Route] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)
    hung_up: threading.Event = field(default_factory=threading.Event)

    # Tests reach the builders of answers through the fixture, for modules of tests do not import each other.
    said = staticmethod(said)
    problem = staticmethod(problem)
    rows = staticmethod(rows)
    stream = staticmethod(stream_of)
    change = staticmethod(change_document)
    reply = Reply

    def on(self, method: str, path: str, answer: Route | Reply) -> None:
        """Answer `method` on `/api/v1` + `path`."""
        self.routes[method, path] = answer if callable(answer) else lambda _: answer

    def bodies(self, path: str) -> list[Any]:
        """The bodies of all POSTs to `path`."""
        return [one.body for one in self.asked if one.method == "POST" and one.path == path]


@pytest.fixture
def change_document_of() -> Callable[..., dict[str, Any]]:
    """Builds a change request as the interface describes it."""
    return change_document


@pytest.fixture
def gate_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GateServer]:
    """A gate that the environment names, with nothing behind it yet."""
    state = GateServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.answer(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self.answer(json.loads(self.rfile.read(length) or b"null"))

        def answer(self, body: object) -> None:
            state.connections.add(self.client_address)
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/api/v1")
            asked = Asked(
                method=self.command,
                path=path,
                query=dict(parse_qsl(parts.query)),
                headers=dict(self.headers),
                body=body,
            )
            state.asked.append(asked)
            route = state.routes.get((self.command, path), lambda _: problem(404, "GB-105", detail="no such thing"))
            reply = route(asked)
            if reply is None:  # hang up without an answer
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.media_type)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for chunk in reply.chunks:
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                if reply.is_cut:
                    self.close_connection = True
                    return
                self.wfile.write(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
                state.hung_up.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up between two requests is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("GATEBOOK_URL", state.url)
    monkeypatch.setenv("GATEBOOK_TOKEN", TOKEN)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
