"""How are the rows of MariaDB taken off the connection many at a time? As whole packets, from what has arrived.

The driver reads packet by packet and value by value, which costs more than all else of a large read. Rows that lie
whole in the connection's buffer are taken from there at once. Whatever is something else is left to the driver: a row
that is there in part, or comes in several packets, the end, an error, a lost connection. So its state is as if it had
read each row, and its check of the packets' numbers finds any that was miscounted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pymysql.cursors import SSCursor

from gatebook_hub.sources.arrow import BATCH_BYTES, BATCH_ROWS, GOOD_BYTES

HEADER_BYTES = 4  # three of the length, one of the number
_HEADER = struct.Struct("<I")
_LENGTH = 0xFFFFFF
_NUMBERS = 256
_NO_ROW = 0xFE  # an end or an error begins with this or more, and so does a row that is larger than any buffer
_BUFFER_BYTES = 262_144
_FIRST_ROWS = 2_048  # somebody waits for these
_VALUE_BYTES = 16  # what a value of a byte may take in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """Rows as they came, each behind as many bytes as a header has, and where each begins."""

    data: bytes
    starts: Sequence[int]

    @property
    def ends(self) -> list[int]:
        """Where each row ends."""
        return [*(start - HEADER_BYTES for start in self.starts[1:]), len(self.data)]

    def rows(self) -> Iterator[bytes]:
        """Each row by itself."""
        for start, following in pairwise([*self.starts, len(self.data) + HEADER_BYTES]):
            yield self.data[start : following - HEADER_BYTES]


class PacketReader:
    """The rows of a cursor that has executed and fetched nothing."""

    def __init__(self, cursor: SSCursor) -> None:
        self._cursor = cursor  # held, for a cursor that nobody holds reads to the end
        self._connection: Any = cursor.connection
        self._result: Any = cursor._result  # type: ignore[attr-defined]  # noqa: SLF001 - the driver has no public way
        self._usual_rows = max(1, min(BATCH_ROWS, BATCH_BYTES // _VALUE_BYTES // len(cursor.description)))
        self._most_rows = min(_FIRST_ROWS, self._usual_rows)

    def next(self) -> Packets | None:
        """As many rows as a batch has, fewer where they are large or wide, none at the end; raises as the driver."""
        pieces: list[bytes] = []
        starts: list[int] = []
        size = 0
        while len(starts) < self._most_rows and size < GOOD_BYTES:
            piece = self._taken(starts, size) or self._by_driver(starts, size)
            if piece is None:
                break
            pieces.append(piece)
            size += len(piece)
        self._most_rows = self._usual_rows
        return Packets(data=b"".join(pieces), starts=starts) if starts else None

    def _taken(self, starts: list[int], before: int) -> bytes | None:
        """What lies whole in the buffer, and is a row."""
        if not self._result.unbuffered_active:
            return None
        buffered = b""
        with suppress(OSError):  # the driver meets it again, and knows what to do
            buffered = self._connection._rfile.peek()  # noqa: SLF001 - as above
        count = len(starts)
        length = _whole(buffered, starts, before, self._most_rows - count)
        if not length:
            return None
        self._connection._rfile.read(length)  # noqa: SLF001 - as above
        number = self._connection._next_seq_id + len(starts) - count  # noqa: SLF001 - as above
        self._connection._next_seq_id = number % _NUMBERS  # noqa: SLF001 - as above
        return buffered[:length]

    def _by_driver(self, starts: list[int], before: int) -> bytes | None:
        """The next row, however it comes, or none at the end."""
        result = self._result
        if not result.unbuffered_active:
            return None
        packet = self._connection._read_packet()  # noqa: SLF001 - as above
        if result._check_packet_is_eof(packet):  # noqa: SLF001 - as above
            result.unbuffered_active = False
            result.connection = None
            return None
        starts.append(before + HEADER_BYTES)
        row: bytes = packet.get_all_data()
        return bytes(HEADER_BYTES) + row


def read_in_large_pieces(connection: Any) -> None:
    """Give a connection that waits for nothing a larger buffer than the driver's."""
    connection._rfile = connection._sock.makefile("rb", _BUFFER_BYTES)  # noqa: SLF001 - the driver has no public way


def _whole(buffered: bytes, starts: list[int], before: int, most: int) -> int:
    """The length of the rows at the beginning that are whole; where each starts is noted, after what was before."""
    at, last = 0, len(buffered) - HEADER_BYTES
    unpack = _HEADER.unpack_from
    shift = before + HEADER_BYTES
    for _ in range(most):
        if at >= last:
            break
        end = at + HEADER_BYTES + (unpack(buffered, at)[0] & _LENGTH)
        if end > last + HEADER_BYTES or buffered[at + HEADER_BYTES] >= _NO_ROW:
            break
        starts.append(at + shift)
        at = end
    return at
