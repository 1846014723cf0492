"""How do the gateway and a worker talk? In frames of a kind, a length and plain data: JSON or Arrow, never code.

The worker has run a person's SQL, so what it sends is read as data of a stranger: every length is bounded, JSON values
come out of one vocabulary, and Arrow batches are validated before anybody looks at them.
"""

from __future__ import annotations

import json
import math
import os
import select
import socket
import struct
from collections.abc import Mapping
from typing import Any

from gatebook_hub.errors import InvalidInput, StatementFailed
from gatebook_hub.values import KINDS, decode, encode

JSON, SCHEMA, BATCH = b"j", b"s", b"b"
MOST_BYTES = 268_435_456
MOST_JSON_BYTES = 67_108_864  # its values take many times as much when they are read
_HEAD = struct.Struct("<cI")
_WAITING_BYTES = 262_144
_BUFFER_BYTES = 262_144


class FrameError(Exception):
    """The other side ended, or does not keep to the form."""


class Channel:
    """One end of a socket between gateway and worker. Small frames wait for a flush: one wake-up each way."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._reader: Any = connected.makefile("rb", buffering=_BUFFER_BYTES)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one JSON object at once."""
        self.put(JSON, json.dumps(message).encode())
        self.flush()

    def put(self, kind: bytes, payload: Any) -> None:
        """Queue a frame; large ones go at once, and block while the other side does not read."""
        size = len(payload)
        if size > MOST_BYTES:
            raise FrameError("the frame is too large")
        self._waiting.append(_HEAD.pack(kind, size))
        if size + self._waiting_bytes < _WAITING_BYTES:
            self._waiting.append(bytes(payload))
            self._waiting_bytes += size
            return
        self.flush()
        self._send(payload)

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
            self._send(data)

    def receive(self) -> tuple[bytes, Any]:
        """The next frame: a JSON value, or bytes; raises FrameError."""
        try:
            head = self._reader.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise FrameError("the other side ended")
            kind, size = _HEAD.unpack(head)
            if kind not in {JSON, SCHEMA, BATCH} or size > (MOST_JSON_BYTES if kind == JSON else MOST_BYTES):
                raise FrameError("the frame has no known form")
            payload = bytearray(size)
            if self._reader.readinto(payload) < size:
                raise FrameError("the other side ended within a frame")
            return kind, json.loads(payload) if kind == JSON else payload
        except (OSError, ValueError, RecursionError) as error:
            raise FrameError("the other side cannot be read") from error

    def receive_within(self, seconds: float | None) -> tuple[bytes, Any]:
        """As `receive`, but raises TimeoutError when nothing begins to come; None waits for ever."""
        if seconds is not None and not select.select([self._socket], [], [], seconds)[0]:
            raise TimeoutError
        return self.receive()

    @property
    def has_news(self) -> bool:
        """Whether something has come, or the other side ended."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """Close this end."""
        self._reader.close()
        self._socket.close()

    def _send(self, data: Any) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise FrameError("the other side ended") from error


def pack(value: Any) -> Any:
    """A value as JSON can carry it; numbers that are none too."""
    return encode(value)


def unpack(value: Any) -> Any:
    """What `pack` packed; raises InvalidInput for anything else."""
    match value:
        case float():
            return value
        case {"$type": "float", "value": str(text)} if len(value) == 2:
            number = float(text) if text in {"nan", "inf", "-inf"} else 0.0
            if math.isfinite(number):
                raise InvalidInput("the value is not a float")
            return number
        case list():
            return [unpack(item) for item in value]
        case _:
            return decode(value, "value")


def pack_rows(rows: Any) -> list[list[Any]]:
    """Rows as lists of packed values; raises StatementFailed for a value that `unpack` would not take."""
    return [[_packed(value) for value in row] for row in rows]


def _packed(value: Any) -> Any:
    """Lists go as lists: `encode` writes for people what it has no form for, and that cannot be read back."""
    if isinstance(value, list):
        return [_packed(item) for item in value]
    found = encode(value)
    if isinstance(found, dict) and found["$type"] not in KINDS:
        raise StatementFailed(
            f"a row holds a value of the kind `{found['$type']}`, which does not travel; cast it to text"
        )
    return found


def unpack_rows(rows: Any) -> list[tuple[Any, ...]]:
    """Rows of bindable values; raises FrameError for another form."""
    try:
        return [tuple(unpack(value) for value in row) for row in rows]
    except (InvalidInput, TypeError) as error:
        raise FrameError("the rows have no known form") from error


def interrupt_of(number: int) -> bytes:
    """What the control pipe carries to stop the statement of that number."""
    return struct.pack("<Q", number)


def read_interrupt(descriptor: int) -> int | None:
    """The number of a statement to stop; None when the gateway is gone."""
    data = b""
    while len(data) < 8:
        part = os.read(descriptor, 8 - len(data))
        if not part:
            return None
        data += part
    return int(struct.unpack("<Q", data)[0])
