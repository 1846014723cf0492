"""Does a browser come back to the process that knows it, and do several processes live and end as one service?"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from tests.unit.gatebook_server_tools.conftest import HUB

from gatebook_server.tools.options import Options
from gatebook_server.tools.processes import COOKIE, once, process_of

# A service of three processes that answers with its number, what it was asked and its process.
PROGRAM = """
import asyncio, os, sys
from gatebook_server.tools.options import Options
from gatebook_server.tools.processes import start

async def serve(options, listener):
    async def answer(reader, writer):
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\\r\\n")[0] or 0)
        asked = len(await reader.readexactly(length))
        body = f"{options.process} {os.getpid()} {asked} {b'Connection: close' in head}".encode()
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
        await writer.drain()
        writer.close()
    server = await asyncio.start_unix_server(answer, sock=listener)
    await server.serve_forever()

start(Options.read(["--processes", "3", "--port", sys.argv[1]], os.environ), serve)
"""


@dataclass(frozen=True, kw_only=True)
class Running:
    """The program, and what it answers."""

    program: subprocess.Popen[bytes]
    url: str

    def ask(self, cookie: str = "", *, body: bytes = b"") -> list[str]:
        """Number, process and length of what was sent, and whether the request was to be the last."""
        headers = {"Cookie": cookie} if cookie else {}
        return httpx.post(self.url, headers=headers, content=body, timeout=10).text.split()


@pytest.fixture
def running() -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(port)], env={**os.environ, **HUB})
    made = Running(program=program, url=f"http://127.0.0.1:{port}/")
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                made.ask()
                break
            time.sleep(0.1)
        yield made
    finally:
        program.terminate()
        program.wait(30)


def is_there(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def head(*lines: str) -> bytes:
    return "\r\n".join(["GET /services/tools/ HTTP/1.1", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "line, number",
    [
        (f"Cookie: {COOKIE}=2", 2),
        (f"cookie: a=1; {COOKIE}=0; b=2", 0),
        (f"COOKIE:{COOKIE}=11;b=2", 11),
        (f"Cookie: x{COOKIE}=1", None),
        (f"Cookie: {COOKIE}=x", None),
        (f"Cookie: {COOKIE}=12345", None),
        (f"X-Cookie: {COOKIE}=1", None),
        ("Cookie: a=1", None),
    ],
)
def test_the_cookie_names_a_process(line: str, number: int | None) -> None:
    assert process_of(head("Host: localhost", line)) == number


def test_a_connection_carries_one_request_or_a_websocket() -> None:
    """Two requests of different people on one connection would go to the same process."""
    assert once(head("Host: a", "Connection: keep-alive", "X: y")) == head("Host: a", "X: y", "Connection: close")
    assert once(head()) == head("Connection: close")
    assert once(head("Upgrade: h2c", "Connection: Upgrade")) == head("Connection: close")
    websocket = head("Host: a", "Connection: Upgrade", "Upgrade: websocket")
    assert once(websocket) == websocket


def test_seats_are_divided(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {**HUB, "GATEBOOK_LAUNCHER": "/run/x.sock", "GATEBOOK_TOOL_SLOTS": "8"}
    options = Options.read(["--processes", "3"], dict(environment))
    assert [options.of_process(number).seats for number in range(3)] == [3, 3, 2]
    assert options.of_process(1).process == 1
    assert Options.read(["--processes", "3"], dict(HUB)).of_process(0).seats is None
    with pytest.raises(SystemExit):
        Options.read(["--processes", "9"], dict(environment))
    assert "more processes than kernels" in capsys.readouterr().err


def test_a_browser_comes_back_to_its_process(running: Running) -> None:
    """And one that is new, or names a process that is not there, goes to any."""
    for number in range(3):
        assert {running.ask(f"a=b; {COOKIE}={number}")[0] for _ in range(3)} == {str(number)}
    assert {running.ask()[0] for _ in range(6)} == {"0", "1", "2"}
    assert running.ask(f"{COOKIE}=77")[0] in {"0", "1", "2"}
    assert running.ask(body=b"x" * 300_000)[2:] == ["300000", "True"]


def test_a_refused_websocket_ends_its_connection(running: Running) -> None:
    """A proxy that keeps it would send the next request, somebody else's, to the same process."""
    address = ("127.0.0.1", int(running.url.rpartition(":")[2].rstrip("/")))
    with socket.create_connection(address, timeout=20) as connection:
        asked = head(f"Cookie: {COOKIE}=0", "Upgrade: websocket", "Connection: Upgrade")
        connection.sendall(asked + head(f"Cookie: {COOKIE}=1"))
        told = b""
        while chunk := connection.recv(4096):
            told += chunk
    assert told.count(b"HTTP/1.1") == 1
    assert told.endswith(b"Content-Length: 0\r\nConnection: close\r\n\r\n")


def test_they_end_together(running: Running) -> None:
    pids = {running.ask(f"{COOKIE}={number}")[1] for number in range(3)}
    assert len(pids) == 3
    running.program.terminate()
    assert running.program.wait(30) == 0
    assert not [pid for pid in pids if is_there(pid)]


def test_one_that_ends_ends_all(running: Running) -> None:
    """The Hub then starts a whole service again."""
    pids = [running.ask(f"{COOKIE}={number}")[1] for number in range(3)]
    os.kill(int(pids[1]), signal.SIGKILL)
    assert running.program.wait(30) == 1
    assert not [pid for pid in pids if is_there(pid)]


def test_none_outlives_the_one_that_started_it(running: Running) -> None:
    pids = [running.ask(f"{COOKIE}={number}")[1] for number in range(3)]
    running.program.kill()
    running.program.wait(30)
    deadline = time.monotonic() + 20
    while any(map(is_there, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if is_there(pid)]
