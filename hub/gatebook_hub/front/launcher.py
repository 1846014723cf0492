"""Who starts the kernels of tools and jobs as other Linux users? This program; beside the Hub it alone is root.

It listens on a Unix socket in a folder that root owns and asks the system who is calling. The tools service gets
kernels as `<prefix>tool-N`, the worker as `<prefix>run-N`, nobody gets anything else. One connection is one kernel: one
JSON line starts it, others signal it, and when either side closes, every process of that account ends and its folder is
emptied.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatebook_hub.front.accounts import HOME_ROOT, Account, Accounts, end_processes, wipe
from gatebook_server.environment import is_kernel_variable
from gatebook_server.process import die_with_parent, forbid_inspection, orphan_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST_LINE = 262_144
_START_TIMEOUT_S = 10.0
_SLOT_WAIT_S = 5.0
_POLL_S = 0.1
_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGKILL})
_OURS = frozenset({"GATEBOOK_URL", "GATEBOOK_TOKEN"})
_FROM_SLOT = frozenset({"HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "IPYTHONDIR", "LD_LIBRARY_PATH", "PATH"})
_LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NPROC, 512),
    (resource.RLIMIT_NOFILE, 4096),
    (resource.RLIMIT_FSIZE, 4 << 30),
)
_CONNECTION_KEYS = frozenset(
    {
        "shell_port", "iopub_port", "stdin_port", "control_port", "hb_port", "ip", "key", "transport",
        "signature_scheme", "kernel_name", "curve_publickey", "curve_secretkey",
    }
)  # fmt: skip


class Refused(Exception):
    """The request is not one that this peer may make; the text goes back to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The kernel accounts that one service may use."""

    owner: Account
    slots: tuple[Account, ...]


class Launcher:
    """Gives each service kernels from its own pool, one per slot at a time."""

    def __init__(self, pools: tuple[Pool, ...]) -> None:
        self._pools = {pool.owner.uid: pool for pool in pools}
        self._busy: set[int] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is one kernel."""
        slot: Account | None = None
        try:
            pool = self._pool_of(writer.get_extra_info("socket"))
            request = await asyncio.wait_for(_receive(reader), _START_TIMEOUT_S)
            slot = await self._take(pool)
            await self._run(slot, request, reader, writer)
        except Refused as exc:
            _send(writer, {"error": str(exc)})
        except (OSError, ValueError, TimeoutError) as exc:
            _send(writer, {"error": f"the kernel did not start: {type(exc).__name__}"})
            print(f"launcher: {exc!r}", file=sys.stderr)  # noqa: T201 - the Hub's log
        finally:
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()
            if slot is not None:
                await self._give_back(slot)

    async def _run(
        self, slot: Account, request: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.to_thread(_clear, slot)
        process = start_kernel(slot, request)
        _send(writer, {"pid": process.pid, "account": slot.name})
        ended = asyncio.ensure_future(_wait(process))
        orders = asyncio.ensure_future(_obey(process, reader))
        try:
            await asyncio.wait({ended, orders}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                _send(writer, {"exit": ended.result()})
        finally:
            orders.cancel()
            with suppress(asyncio.CancelledError, Refused, OSError, ValueError):
                await orders
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await ended

    def _pool_of(self, connection: socket.socket) -> Pool:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _pid, uid, _gid = struct.unpack("3i", credentials)
        pool = self._pools.get(uid)
        if pool is None:
            message = "no kernels for this account"
            raise Refused(message)
        return pool

    async def _take(self, pool: Pool) -> Account:
        # A kernel that is restarted comes back before the slot that it left is clean.
        deadline = time.monotonic() + _SLOT_WAIT_S
        while time.monotonic() < deadline:
            for slot in pool.slots:
                if slot.uid not in self._busy:
                    self._busy.add(slot.uid)
                    return slot
            await asyncio.sleep(_POLL_S)
        message = f"all {len(pool.slots)} kernel slots are taken; try again when one is free"
        raise Refused(message)

    async def _give_back(self, slot: Account) -> None:
        # A slot that cannot be cleared stays taken: nobody may find what the one before left.
        await asyncio.to_thread(_clear, slot)
        self._busy.discard(slot.uid)


def _clear(slot: Account) -> None:
    end_processes(slot)
    wipe(slot)


async def _receive(reader: asyncio.StreamReader) -> dict[str, Any]:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        message = "no request"
        raise Refused(message)
    request = json.loads(line)
    if not isinstance(request, dict):
        message = "a request is an object"
        raise Refused(message)
    return request


async def _wait(process: subprocess.Popen[bytes]) -> int:
    # Polled: a thread per kernel would use up the pool that clearing a slot needs.
    while (status := process.poll()) is None:  # noqa: ASYNC110 - a process sets no event
        await asyncio.sleep(_POLL_S)
    return status


async def _obey(process: subprocess.Popen[bytes], reader: asyncio.StreamReader) -> None:
    while line := await reader.readline():
        order = json.loads(line)
        signum = order.get("signum") if isinstance(order, dict) and order.get("op") == "signal" else None
        if signum not in _SIGNALS:
            message = "not an order"
            raise Refused(message)
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signum)


def _send(writer: asyncio.StreamWriter, message: Mapping[str, object]) -> None:
    with suppress(OSError):
        writer.write(json.dumps(message).encode() + b"\n")


def start_kernel(slot: Account, request: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start ipykernel as the slot's account; the request chooses the connection and a few variables, nothing else."""
    environment, connection = request.get("environment"), request.get("connection")
    if request.get("op") != "start" or not isinstance(environment, dict) or not isinstance(connection, dict):
        message = "a start has an environment and a connection"
        raise Refused(message)
    file = _write_connection(slot, connection)
    return subprocess.Popen(  # noqa: S603 - built here, from nothing that the peer sent
        [sys.executable, "-m", "ipykernel_launcher", "-f", str(file), f"--IPKernelApp.parent_handle={os.getpid()}"],
        env=_environment(slot, environment), cwd=slot.home, user=slot.uid, group=slot.gid, extra_groups=[],
        stdin=subprocess.DEVNULL, umask=0o077, start_new_session=True,
        preexec_fn=_limited(orphan_guard()),  # noqa: PLW1509 - system calls only, after the change of user
    )  # fmt: skip


def _limited(guard: Callable[[], None]) -> Callable[[], None]:
    def prepare() -> None:
        for kind, most in _LIMITS:
            _soft, hard = resource.getrlimit(kind)
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (bound, bound))
        guard()

    return prepare


def _environment(slot: Account, asked: Mapping[str, Any]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in asked.items()
        if isinstance(value, str) and (name in _OURS or (is_kernel_variable(name) and name not in _FROM_SLOT))
    }
    return kept | {
        "HOME": str(slot.home),
        "USER": slot.name,
        "LOGNAME": slot.name,
        "SHELL": "/bin/sh",
        "TMPDIR": str(slot.home / "tmp"),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
    }


def _write_connection(slot: Account, connection: Mapping[str, Any]) -> Path:
    # The slot has no process now and its home is empty, so nothing can stand in the way of these paths.
    for folder in (slot.home / "tmp", slot.home / "runtime"):
        folder.mkdir(mode=0o700)
        os.chown(folder, slot.uid, slot.gid)
    known = {name: value for name, value in connection.items() if name in _CONNECTION_KEYS}
    if known.get("ip") != "127.0.0.1" or known.get("transport") != "tcp" or not known.get("curve_secretkey"):
        message = "a kernel listens on 127.0.0.1, encrypted"
        raise Refused(message)
    path = slot.home / "runtime" / "kernel.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(known, file)
    os.chown(path, slot.uid, slot.gid)
    return path


def bind(path: Path) -> socket.socket:
    """Listen on the socket; its folder belongs to root, so nobody can put another in its place."""
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(mode=0o755, parents=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    # Everybody may connect; who gets a kernel is decided by the peer's account.
    path.chmod(0o666)
    return listener


async def run(path: Path, pools: tuple[Pool, ...]) -> None:
    """Serve until SIGTERM, then end every kernel."""
    launcher = Launcher(pools)
    for pool in pools:
        for slot in pool.slots:
            await asyncio.to_thread(_clear, slot)
    server = await asyncio.start_unix_server(launcher.serve, sock=bind(path), limit=_LONGEST_LINE)
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    await stopped.wait()
    server.close()
    for pool in pools:
        for slot in pool.slots:
            await asyncio.to_thread(_clear, slot)


def main() -> None:
    """Run `python -m gatebook_hub.front.launcher --prefix P --socket PATH --tools N --runs N`."""
    parser = argparse.ArgumentParser(description="Starts kernels of tools and jobs as other Linux users.")
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--home-root", type=Path, default=HOME_ROOT)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--tools", type=int, default=0)
    parser.add_argument("--runs", type=int, default=0)
    options = parser.parse_args()
    die_with_parent()
    forbid_inspection()
    os.umask(0o022)
    accounts = Accounts(options.prefix, options.home_root)
    pools = tuple(
        Pool(
            owner=accounts.ensure(accounts.service_name(service)),
            slots=tuple(accounts.ensure(accounts.service_name(f"{slot}-{number}")) for number in range(count)),
        )
        for service, slot, count in (("tools", "tool", options.tools), ("worker", "run", options.runs))
        if count
    )
    asyncio.run(run(options.socket, pools))


if __name__ == "__main__":
    main()
