"""How does a request reach the gate, and which failures may be tried again?

One pool of keep-alive connections per process. A request is repeated only where repeating cannot do anything twice:
reads of the API after any broken connection, everything else only while no byte of it was sent. Redirects are never
followed and plain HTTP is spoken on the loopback interface alone, so that a token goes where it was meant to.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.response import BaseHTTPResponse

from gatebook.errors import GatebookError, GatewayUnreachable, InvalidInput, NotConfigured, error_of

Json = Mapping[str, Any]

API = "/api/v1"
KERNEL_TOKEN_PREFIX = "gbk_"  # noqa: S105 - the mark of a kind of token, not a token
ARROW_STREAM = "application/vnd.apache.arrow.stream"
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
LONGEST_JSON_BYTES = 64 * 2**20
_POOL_SIZE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Where the gate is, and with which token it is asked."""

    url: str
    token: str = field(repr=False)

    def get(self, *path: str, read_timeout_s: float = READ_TIMEOUT_S, **query: object) -> Json:
        """The JSON answer of a read; repeated after a broken connection."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=read_timeout_s)
        retries = urllib3.Retry(total=2, backoff_factor=0.2, redirect=False, status=0)
        return read_json(self._send("GET", path, query=given, timeout=timeout, retries=retries))

    def post(self, *path: str, body: Json, is_idempotent: bool = False) -> Json:
        """The JSON answer of a call; sent once, unless the gate promises that twice is as good as once."""
        return read_json(self.open(*path, body=body, is_idempotent=is_idempotent))

    def open(self, *path: str, body: Json, is_idempotent: bool = False) -> BaseHTTPResponse:
        """An answer whose body is still to be read. There is no read timeout: the gate limits a statement's time."""
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=None)
        again = 2 if is_idempotent else 0
        # An empty set would mean every method to urllib3.
        methods = frozenset({"POST" if is_idempotent else "GET"})
        retries = urllib3.Retry(
            total=2,
            connect=2,
            read=again,
            other=0,
            status=0,
            redirect=False,
            backoff_factor=0.2,
            allowed_methods=methods,
        )
        return self._send("POST", path, body=body, timeout=timeout, retries=retries)

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        timeout: urllib3.Timeout,
        retries: urllib3.Retry,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> BaseHTTPResponse:
        url = self.url + API + "".join(f"/{quote(part, safe='')}" for part in path)
        if query:
            url += f"?{urlencode(query)}"
        scheme = "GateToken" if self.token.startswith(KERNEL_TOKEN_PREFIX) else "Bearer"
        headers = {"Authorization": f"{scheme} {self.token}", "Accept": f"{ARROW_STREAM}, application/json"}
        content = None
        if body is not None:
            try:
                content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
            except UnicodeEncodeError as error:
                message = "the request has half a character (a lone surrogate)"
                raise InvalidInput(message) from error
            headers["Content-Type"] = "application/json"
        try:
            response = _pool(os.getpid()).urlopen(
                method,
                url,
                body=content,
                headers=headers,
                timeout=timeout,
                retries=retries,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            raise self._unreachable(error, method) from error
        if response.status not in {200, 201, 202}:
            raise problem_of(response)
        return response

    def _unreachable(self, error: HTTPError, method: str) -> GatewayUnreachable:
        cause = error.reason if isinstance(error, MaxRetryError) else error
        place = urlsplit(self.url).netloc
        if isinstance(cause, (NewConnectionError, ConnectTimeoutError)) or method == "GET":
            return GatewayUnreachable(f"the gateway at {place} cannot be reached")
        unreachable = GatewayUnreachable(
            f"the gateway at {place} broke off before it answered, so it is not known whether the statement ran",
            ask="look at `gatebook.changes()` or the book before you send a write again",
        )
        unreachable.was_sent = True
        return unreachable


def gate(url: str | None = None, token: str | None = None) -> Gate:
    """The gate at `url`, or the one that the environment names (`GATEBOOK_URL`, `GATEBOOK_TOKEN`).

    Raises `NotConfigured` where there is none, or where its token would travel in the clear.
    """
    # A token from the environment belongs to the gate from the environment, never to one that a notebook names.
    chosen = url or os.environ.get("GATEBOOK_URL", "")
    is_ambient = url is None or url.rstrip("/") == os.environ.get("GATEBOOK_URL", "").rstrip("/")
    secret = token or (os.environ.get("GATEBOOK_TOKEN", "") if is_ambient else "")
    if not chosen:
        message = "no gateway is set: `GATEBOOK_URL` is empty"
        raise NotConfigured(message, ask="start the notebook in the workspace, or pass `url=` and `token=`")
    if not secret:
        message = f"no token is given for the gateway at {chosen}"
        raise NotConfigured(message, ask="pass `token=` (`gatebook token issue` makes one)")
    parts = urlsplit(chosen)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        message = "the gateway's address has to look like `https://host` or `https://host/path`"
        raise NotConfigured(message)
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        message = f"`{parts.hostname}` is not this machine, and plain http would show the token to the network"
        raise NotConfigured(message, ask="use an https address")
    if not (secret.isascii() and secret.isprintable() and " " not in secret):
        message = "the token has characters that no token has"
        raise NotConfigured(message)
    return Gate(url=chosen.rstrip("/"), token=secret)


def is_arrow(response: BaseHTTPResponse) -> bool:
    """Whether rows follow."""
    return _media_type(response) == ARROW_STREAM


def read_json(response: BaseHTTPResponse) -> Json:
    """The whole body as a JSON object; gives the connection back to the pool."""
    try:
        content = response.read(LONGEST_JSON_BYTES + 1)
    except (HTTPError, OSError) as error:
        response.close()
        raise _broken_off() from error
    except BaseException:
        response.close()
        raise
    if len(content) > LONGEST_JSON_BYTES:
        response.close()
        message = "the gateway's answer is too long"
        raise GatewayUnreachable(message)
    response.release_conn()
    try:
        document = json.loads(content)
    except ValueError as error:
        raise _broken_off() from error
    if not isinstance(document, dict):
        raise _broken_off()
    return document


def problem_of(response: BaseHTTPResponse) -> GatebookError:
    """The error that an answer with a bad status stands for, whoever on the way gave it."""
    status = response.status
    if _media_type(response) == "application/problem+json":
        try:
            return error_of(read_json(response), status)
        except GatewayUnreachable:
            pass
    response.close()
    return error_of({"detail": f"the gateway answered with status {status} and no explanation"}, status)


def _broken_off() -> GatewayUnreachable:
    return GatewayUnreachable("the gateway's answer broke off or is not what was agreed")


def _media_type(response: BaseHTTPResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@functools.lru_cache(maxsize=1)
def _pool(_process_id: int) -> urllib3.PoolManager:
    """One pool per process: a forked child must not speak on its parent's sockets."""
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    return urllib3.PoolManager(num_pools=4, maxsize=_POOL_SIZE, socket_options=options)
