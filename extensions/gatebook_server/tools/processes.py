"""Which process answers a browser, where there are several? Always the same one, which has all that is this person's.

Each process is a whole service: its own logins, pages, kernels and their relay. This one has none of that. It reads the
head of a request, passes the connection on to the process that the browser's cookie names, and from then on bytes. The
cookie is no secret and proves nothing: whoever has another one is sent to a process that does not know their login.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.netutil import bind_unix_socket

from gatebook_server.process import die_with_parent
from gatebook_server.tools.options import Options

COOKIE = "gatebook-tools-process"
_NAMED = re.compile(rb"(?:^|[;\s])gatebook-tools-process=([0-9]{1,3})(?:$|[;\s])")
_LONGEST_HEAD = 65_536
_HEAD_S = 30.0
_STOP_S = 20.0
_CHUNK = 65_536
_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_OF_CONNECTION = frozenset({b"connection", b"keep-alive", b"upgrade", b"proxy-connection"})
_OF_BODY = frozenset({b"content-length", b"transfer-encoding"})
_log = logging.getLogger(__name__)

Serve = Callable[[Options, socket.socket | None], Coroutine[Any, Any, None]]


def start(options: Options, serve: Serve) -> None:
    """Serve in as many processes as the options say, until SIGTERM, or until one of them has ended."""
    if options.processes == 1:
        asyncio.run(serve(options, None))
        return
    folder = Path(tempfile.mkdtemp(prefix="gatebook-tools-sockets-"))
    try:
        places = [folder / str(number) for number in range(options.processes)]
        listeners = [bind_unix_socket(str(place), mode=0o600) for place in places]
        parent = os.getpid()
        children = [_fork(parent, options.of_process(number), listeners, serve) for number in range(options.processes)]
        for listener in listeners:
            listener.close()
        status = asyncio.run(_route(options.port, places, children))
    finally:
        # What is forked leaves by `os._exit`, so this is done once.
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def _fork(parent: int, options: Options, listeners: list[socket.socket], serve: Serve) -> int:
    # No thread runs yet and no loop; a child keeps being closed to inspection, which a program started anew is not.
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        die_with_parent(parent=parent)
        number = options.process or 0
        for place, listener in enumerate(listeners):
            if place != number:
                listener.close()
        asyncio.run(serve(options, listeners[number]))
        status = 0
    except Exception:  # noqa: BLE001 - whatever it was, the process must not go on as its parent would
        _log.exception("process %s of the tools service ended", options.process)
    finally:
        os._exit(status)


async def _route(port: int, places: list[Path], children: list[int]) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    stopped = asyncio.Event()
    alive = set(children)

    def reap() -> None:
        for child in tuple(alive):
            if os.waitpid(child, os.WNOHANG)[0]:
                alive.discard(child)
                ended.set()

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    loop.add_signal_handler(signal.SIGCHLD, reap)
    reap()
    router = Router(places)
    server = await asyncio.start_server(router.serve, "127.0.0.1", port, limit=_LONGEST_HEAD)
    waits = [asyncio.create_task(event.wait()) for event in (stopped, ended)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    if not stopped.is_set():
        # Half a service would serve some people and not others: the Hub starts a whole one.
        _log.error("a process of the tools service has ended")
    for child in alive:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            while alive:
                ended.clear()
                await ended.wait()
    for child in alive:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    for wait in waits:
        wait.cancel()
    return 0 if stopped.is_set() else 1


class Router:
    """Passes connections on; one connection is one request, or one websocket."""

    def __init__(self, places: list[Path]) -> None:
        self._places = places
        self._turns = itertools.cycle(range(len(places)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        try:
            async with asyncio.timeout(_HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            writer.close()
            return
        named = process_of(head)
        # Whoever is new takes turns.
        number = named if named is not None and named < len(self._places) else next(self._turns)
        try:
            await self._pass_on(self._places[number], once(head), reader, writer)
        finally:
            writer.close()

    @staticmethod
    async def _pass_on(place: Path, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer, forth = await asyncio.open_unix_connection(str(place))
        except OSError:
            with suppress(OSError):
                writer.write(_AWAY)
                await writer.drain()
            return
        try:
            forth.write(head)
            if is_websocket(head) and not await _is_open(answer, writer):
                return
            await _both(_copy(reader, forth), _copy(answer, writer))
        finally:
            forth.close()


async def _is_open(answer: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Pass on what a websocket is answered. After a refusal the connection ends, so that nobody else's request follows.

    The proxy keeps connections and uses them again, and a refused websocket's looks to it like any other.
    """
    try:
        async with asyncio.timeout(_HEAD_S):
            told = await answer.readuntil(b"\r\n\r\n")
            if told.startswith(b"HTTP/1.1 101 "):
                writer.write(told)
                return True
            lines = told.removesuffix(b"\r\n\r\n").split(b"\r\n")
            names = [line.partition(b":")[0].strip().lower() for line in lines]
            kept = [line for name, line in zip(names, lines, strict=True) if name not in _OF_CONNECTION | _OF_BODY]
            writer.write(b"\r\n".join([*kept, b"Content-Length: 0", b"Connection: close", b"", b""]))
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
        return False
    return False


async def _both(*ways: Coroutine[Any, Any, None]) -> None:
    """Until one of them has ended: then the other has nobody to speak to."""
    tasks = {asyncio.create_task(way) for way in ways}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()


def process_of(head: bytes) -> int | None:
    """The number of the process that a request's cookie names, or None."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        found = _NAMED.search(value) if name.strip().lower() == b"cookie" else None
        if found is not None:
            return int(found.group(1))
    return None


def is_websocket(head: bytes) -> bool:
    """Whether the request is for a websocket."""
    lines = head.lower().split(b"\r\n")
    named = {name.strip(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    return lines[0].startswith(b"get ") and named.get(b"upgrade") == b"websocket"


def once(head: bytes) -> bytes:
    """The head of a request after whose answer the connection ends; a websocket's stays as it is."""
    if is_websocket(head):
        return head
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in _OF_CONNECTION]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])
