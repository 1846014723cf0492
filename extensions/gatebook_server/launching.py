"""How does a kernel's process come to life? As our own child, or through the root-owned launcher as another user."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gatebook_server.process import orphan_guard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_REPLY_LIMIT_BYTES = 65_536
_START_TIMEOUT_S = 30.0
_RETRY_S = 0.2
_LOST = -signal.SIGKILL


class LauncherRefused(Exception):
    """The launcher did not start the kernel; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelStart:
    """All that starts one kernel."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    cwd: str | None
    connection_file: Path


class KernelProcess(Protocol):
    """What the provisioner needs of a running kernel; `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """The process, as its launcher knows it."""

    def poll(self) -> int | None:
        """Return the exit status, or None while the kernel runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status."""

    def send_signal(self, sig: int, /) -> None:
        """Signal the kernel."""

    def kill(self) -> None:
        """End the kernel at once."""

    def terminate(self) -> None:
        """Ask the kernel to end."""


class KernelLauncher(Protocol):
    """Starts kernels."""

    @property
    def is_local(self) -> bool:
        """Whether kernels are children of this process, in process groups that it may signal."""

    def start(self, kernel: KernelStart) -> KernelProcess:
        """Start the kernel, or raise. A launcher that is not local may wait, so call it in a thread."""


class LocalLauncher:
    """Starts kernels as children of this process, under its own user; they die with it."""

    is_local = True

    def start(self, kernel: KernelStart) -> subprocess.Popen[bytes]:
        """Start the kernel in a session of its own."""
        return subprocess.Popen(  # noqa: S603 - the command is the kernel spec's
            [*kernel.command, *_watch_parent(kernel.command)],
            env=dict(kernel.environment),
            cwd=kernel.cwd,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=orphan_guard(),  # noqa: PLW1509 - one prctl, its library loaded before the fork
        )


def _watch_parent(command: tuple[str, ...]) -> list[str]:
    # As an argument and not as JPY_PARENT_PID: ipykernel then ends itself with us also where there is no prctl.
    return [f"--IPKernelApp.parent_handle={os.getpid()}"] if "ipykernel_launcher" in command else []


class SocketLauncher:
    """Asks the root-owned launcher for a kernel under one of the accounts reserved for this service."""

    is_local = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, kernel: KernelStart) -> LaunchedKernel:
        """Start the kernel in a free slot; the launcher builds the command and chooses the folder itself."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_START_TIMEOUT_S)
            self._connect(connection)
            request = {
                "op": "start",
                "environment": dict(kernel.environment),
                "connection": json.loads(kernel.connection_file.read_text("utf-8")),
            }
            with suppress(BrokenPipeError):
                # A launcher that refuses at once has closed already; its reply says why.
                connection.sendall(json.dumps(request).encode() + b"\n")
            reply = _read_line(connection)
        except BaseException:
            connection.close()
            raise
        if "pid" not in reply:
            connection.close()
            raise LauncherRefused(str(reply.get("error", "the launcher closed the connection")))
        return LaunchedKernel(connection, pid=int(str(reply["pid"])), account=str(reply["account"]))

    def _connect(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                return connection.connect(str(self._path))
            except (FileNotFoundError, ConnectionRefusedError):
                # The launcher makes its accounts first, and the Hub starts it anew if it ends.
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)


def _read_line(connection: socket.socket) -> dict[str, object]:
    data = b""
    while not data.endswith(b"\n"):
        # Byte by byte: what follows the reply on the stream belongs to LaunchedKernel.
        chunk = connection.recv(1)
        if not chunk or len(data) > _REPLY_LIMIT_BYTES:
            return {}
        data += chunk
    reply = json.loads(data)
    return reply if isinstance(reply, dict) else {}


class LaunchedKernel:
    """A kernel that runs under another user; it lives as long as the connection to the launcher."""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, *, pid: int, account: str) -> None:
        self.pid = pid
        self.account = account
        self._connection = connection
        self._received = b""
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while the kernel runs."""
        return self._receive(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status."""
        status = self._receive(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(["kernel", str(self.pid)], timeout or 0.0)
        return status

    def send_signal(self, sig: int, /) -> None:
        """Have the launcher signal the kernel's process group; a kernel that has ended is left alone."""
        if self.poll() is None:
            try:
                self._connection.settimeout(_START_TIMEOUT_S)
                self._connection.sendall(json.dumps({"op": "signal", "signum": int(sig)}).encode() + b"\n")
            except OSError:
                self._end(_LOST)

    def kill(self) -> None:
        """End the kernel at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)

    def _receive(self, timeout: float | None) -> int | None:
        while self._status is None:
            try:
                self._connection.settimeout(timeout)
                chunk = self._connection.recv(4096)
            except (BlockingIOError, TimeoutError):
                return None
            except OSError:
                return self._end(_LOST)
            self._received += chunk
            if b"\n" in self._received:
                return self._end(int(json.loads(self._received.split(b"\n", 1)[0])["exit"]))
            if not chunk:
                return self._end(_LOST)
        return self._status

    def _end(self, status: int) -> int:
        self._status = status
        self._connection.close()
        return status
