"""How is a declared service called over HTTP? At its own address alone, and again only where it knows a key."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from gatebook_hub.errors import CallRefused, CallUnanswered, InvalidInput
from gatebook_hub.policy import Connection, HttpCall
from gatebook_hub.policy.action_documents import PLACE
from gatebook_hub.sources.placeholders import fill

_MOST_BYTES = 1_000_000
_MOST_TOLD = 500
_PAUSE_S = 0.2
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRAVERSING = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A call with the values of its parameters; `target` is what follows the connection's URL."""

    method: str
    target: str
    body: Any


def rendered(call: HttpCall, values: Mapping[str, Any]) -> Rendered:
    """The call with these values; raises InvalidInput for one that would be another path."""
    query = urlencode({name: _text(template, values) for name, template in call.query.items()})
    path = PLACE.sub(lambda found: _part(found[1], values[found[1]]), call.path)
    return Rendered(method=call.method, target=path + (f"?{query}" if query else ""), body=_json(call.body, values))


class Caller:
    """Calls services; no proxy of the environment is used, and no redirect is followed."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._pool = urllib3.PoolManager(num_pools=20, maxsize=4, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SafePool}

    def call(self, connection: Connection, call: HttpCall, values: Mapping[str, Any], key: str) -> dict[str, str]:
        """Make a call, and tell of its answer what the action names; `key` is the same for the same press.

        Raises CallRefused where the service did not do it, CallUnanswered where nobody knows.
        """
        made = rendered(call, values)
        what = f"the headers of connection `{connection.name}`"
        headers = {name: fill(what, value, self._state) for name, value in connection.headers.items()}
        if connection.idempotency_header is not None:
            headers[connection.idempotency_header] = key
        # One that was left open may end just when it is used again, and then nobody knows whether it was done.
        headers["Connection"] = "close"
        data = None if made.body is None else json.dumps(made.body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        tries = 1 + (connection.retries if connection.idempotency_header is not None else 0)
        for turn in range(tries):
            try:
                status, answer = self._once(connection, made, headers, data)
            except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
                status, answer = None, b""
            if status in call.expect:
                return _told(call.result, answer)
            if status is not None and status not in _AGAIN:
                raise CallRefused(f"`{connection.title}` answered {status}, so it was not done")
            if turn + 1 < tries:
                time.sleep(_PAUSE_S * 2**turn)
        told = "did not answer" if status is None else f"answered {status}"
        raise CallUnanswered(f"`{connection.title}` {told}; whether it was done is not known")

    def _once(
        self, connection: Connection, made: Rendered, headers: Mapping[str, str], data: bytes | None
    ) -> tuple[int, bytes]:
        with _cut_after(connection.timeout_s):
            response = self._pool.request(
                made.method,
                connection.url + made.target,
                body=data,
                headers=dict(headers),
                timeout=urllib3.Timeout(total=connection.timeout_s),
                redirect=False,
                preload_content=False,
            )
            try:
                # As it came: nobody asked for a packed answer, which a few bytes could make a large one.
                return response.status, response.read(_MOST_BYTES, decode_content=False)
            finally:
                response.close()
                response.release_conn()


_at_work = threading.local()


class _Watch:
    """Cuts the connections of one try when its time is over: a socket's own timeout is for each part of an answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[HTTPConnection] = []
        self._is_over = False

    def add(self, connection: HTTPConnection) -> None:
        """Watch a connection that is there; raises TimeoutError if it is too late."""
        with self._lock:
            if self._is_over:
                raise TimeoutError
            self._connections.append(connection)

    def cut(self) -> None:
        """The time is over."""
        with self._lock:
            self._is_over = True
            found = [one.sock for one in self._connections if one.sock is not None]
        for one in found:
            with suppress(OSError):  # closed meanwhile
                # Of the socket below: one with keys would forget them while another thread reads.
                socket.socket.shutdown(one, socket.SHUT_RDWR)


@contextmanager
def _cut_after(seconds: float) -> Iterator[None]:
    """The connections of this thread last for so long."""
    watch = _at_work.watch = _Watch()
    timer = threading.Timer(seconds, watch.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Watched:
    """A connection that is cut with the try that uses it, whether it is new or was used before."""

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _at_work.watch.add(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _at_work.watch.add(self)
        super().request(*args, **kwargs)  # type: ignore[misc]


class _Plain(_Watched, HTTPConnection):
    """Of this machine alone."""


class _Safe(_Watched, HTTPSConnection):
    """Of any other."""


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SafePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Safe


def _part(name: str, value: Any) -> str:
    """A value as one part of a path, and nothing else."""
    text = _plain(value)
    if text in _TRAVERSING:
        raise InvalidInput(f"`{name}` would be another path")
    return quote(text, safe="")


def _text(template: str, values: Mapping[str, Any]) -> str:
    return PLACE.sub(lambda found: _plain(values[found[1]]), template)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(body: Any, values: Mapping[str, Any]) -> Any:
    """A body with its values: a text that is one parameter as a whole takes the type of its value."""
    match body:
        case str():
            whole = PLACE.fullmatch(body)
            return _number(values[whole[1]]) if whole is not None else _text(body, values)
        case dict():
            return {name: _json(value, values) for name, value in body.items()}
        case list():
            return [_json(value, values) for value in body]
        case _:
            return body


def _number(value: Any) -> Any:
    """A value as JSON has it: a decimal as the number that says exactly the same, else as text."""
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    return value


def _told(wanted: Mapping[str, str], answer: bytes) -> dict[str, str]:
    """What an action tells of an answer: plain values alone, cut to what people read."""
    try:
        document = json.loads(answer) if wanted and answer else {}
    except (ValueError, RecursionError):
        document = {}
    found = {}
    for name, path in wanted.items():
        value: Any = document
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        text = "" if value is None or isinstance(value, (dict, list)) else _plain(value)[:_MOST_TOLD]
        # Half a character is no text that could be sent on, and what turns the direction of a line is none to be shown.
        found[name] = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return found
