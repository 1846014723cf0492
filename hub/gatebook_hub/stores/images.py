"""Where are the rows of a change kept that are too many for its request? In parts, each sealed under the change's name.

They are written before the change is committed, and are gone as soon as nothing could be undone with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, delete, insert, select

from gatebook_hub.changes import RowChange
from gatebook_hub.errors import LimitExceeded
from gatebook_hub.stores.codec import read_rows, write_rows
from gatebook_hub.stores.seal import Seal
from gatebook_hub.stores.tables import change_image

# Rows, and characters of their values, that are written at once.
_MOST_ROWS = 10_000
_MOST_WAITING = 16_000_000
_PART = 1_000
# Characters of the values of one change.
_MOST_KEPT = 400_000_000


class ImageStore:
    """The rows of large changes, as they were before and after."""

    def __init__(self, engine: Engine, seal: Seal) -> None:
        self._engine = engine
        self._seal = seal

    def keeping(self, change_id: str) -> Keeping:
        """What the rows of a change are given to; an earlier attempt of it is forgotten."""
        with self._engine.begin() as connection:
            self.drop(connection, change_id)
        return Keeping(self._engine, self._seal, change_id)

    def rows(self, change_id: str) -> Iterator[tuple[RowChange, ...]]:
        """The rows of a change as they were given, some at a time."""
        number = 0
        while True:
            wanted = select(change_image.c.document).where(
                change_image.c.change_id == change_id, change_image.c.part == number
            )
            with self._engine.connect() as connection:
                document = connection.execute(wanted).scalar_one_or_none()
            if document is None:
                return
            yield read_rows(self._seal.open(document, _name(change_id, number)))
            number += 1

    @staticmethod
    def drop(connection: Connection, change_id: str) -> None:
        """Forget the rows of a change, in somebody's transaction."""
        connection.execute(delete(change_image).where(change_image.c.change_id == change_id))


class Keeping:
    """Keeps the rows of one change; `columns` are those whose values differ in any row so far."""

    def __init__(self, engine: Engine, seal: Seal, change_id: str) -> None:
        self._engine = engine
        self._seal = seal
        self._change_id = change_id
        self._waiting: list[str] = []
        self._parts = 0
        self._size = 0
        self._differ: set[int] = set()

    def add(self, rows: Sequence[RowChange]) -> None:
        """Keep rows of storable values; raises LimitExceeded."""
        for start in range(0, len(rows), _PART):
            text = write_rows(rows[start : start + _PART])
            self._size += len(text)
            if self._size > _MOST_KEPT:
                raise LimitExceeded(f"the rows of the change are larger than {_MOST_KEPT:,} characters; narrow it")
            self._waiting.append(text)
        for row in rows:
            pairs = zip(row.before or (), row.after or (), strict=False)
            self._differ |= {index for index, (was, now) in enumerate(pairs) if repr(was) != repr(now)}
        if len(self._waiting) * _PART >= _MOST_ROWS or sum(map(len, self._waiting)) > _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits, so that it lasts."""
        documents = [
            {
                "change_id": self._change_id,
                "part": number,
                "document": self._seal.close(text, _name(self._change_id, number)),
            }
            for number, text in enumerate(self._waiting, self._parts)
        ]
        if documents:
            with self._engine.begin() as connection:
                connection.execute(insert(change_image), documents)
        self._parts += len(self._waiting)
        self._waiting.clear()

    def differing(self, columns: Sequence[str]) -> frozenset[str]:
        """Those of the columns, in the order of the rows' values, that differ in any row."""
        return frozenset(columns[index] for index in self._differ)


def _name(change_id: str, part: int) -> str:
    return f"{change_id} image {part}"
