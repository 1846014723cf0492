"""Where are change requests kept? One row each; a move names the version it started from, so that only one wins.

What a request says is sealed: the rows of the governed databases are in it.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, Row, Select, insert, select, update

from gatebook_hub.changes import ChangeRequest, State, missing_after
from gatebook_hub.errors import NotFound, StateConflict
from gatebook_hub.stores.codec import read_change, write_change
from gatebook_hub.stores.images import ImageStore
from gatebook_hub.stores.opened import Opened
from gatebook_hub.stores.outlines import Outlines
from gatebook_hub.stores.seal import Seal
from gatebook_hub.stores.tables import change, reminder

_KEPT = (change.c.id, change.c.document, change.c.version)
_NAMED = (change.c.id, change.c.version)
_AT_ONCE = 500
# Characters of the requests that are kept opened.
_MOST_OPENED = 16_000_000


def _marks(request: ChangeRequest) -> dict[str, bool]:
    return {"forgotten": request.forgotten_at is not None, "unsettled": bool(missing_after(request))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """When an undecided request began, and when it ends."""

    id: str
    created_at: dt.datetime
    expires_at: dt.datetime


class ChangeStore:
    """Change requests, and a bell that rings when one moves."""

    def __init__(self, engine: Engine, seal: Seal) -> None:
        self._engine = engine
        self._seal = seal
        self._moved = threading.Condition()
        self._opened = Opened[ChangeRequest](_MOST_OPENED)
        self.outlines = Outlines(engine, seal)
        self.images = ImageStore(engine, seal)

    def add(self, request: ChangeRequest) -> None:
        """Keep a new request."""
        with self._engine.begin() as connection:
            connection.execute(
                insert(change).values(
                    id=request.id,
                    state=request.state,
                    requester=request.requester.id,
                    created_at=request.created_at.isoformat(),
                    expires_at=request.expires_at.isoformat(),
                    version=request.version,
                    **_marks(request),
                    document=self._write(request, request.version),
                )
            )
            self.outlines.put(connection, request, request.version)

    def move(self, request: ChangeRequest) -> ChangeRequest:
        """Keep the next value of a request; raises StateConflict if another move came first."""
        query = (
            update(change)
            .where(change.c.id == request.id, change.c.version == request.version)
            .values(
                state=request.state,
                version=request.version + 1,
                expires_at=request.expires_at.isoformat(),
                document=self._write(request, request.version + 1),
                **_marks(request),
            )
        )
        with self._engine.begin() as connection:
            count = connection.execute(query).rowcount
            if count == 1:
                self.outlines.put(connection, request, request.version + 1)
                if request.is_large and not request.can_have_image:
                    self.images.drop(connection, request.id)
        if count != 1:
            raise StateConflict("somebody else moved this request at the same moment; look again")
        with self._moved:
            self._moved.notify_all()
        return replace(request, version=request.version + 1)

    def get(self, change_id: str) -> ChangeRequest:
        """One request; raises NotFound."""
        found = self._found(select(*_NAMED).where(change.c.id == change_id))
        if not found:
            raise NotFound("there is no such change request")
        return found[0]

    def find(
        self,
        *,
        states: Collection[State] = (),
        requester: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> tuple[ChangeRequest, ...]:
        """Requests, newest first; `before` is a creation time, for paging."""
        query = select(*_NAMED).order_by(change.c.created_at.desc()).limit(limit)
        if states:
            query = query.where(change.c.state.in_([str(state) for state in states]))
        if requester is not None:
            query = query.where(change.c.requester == requester)
        if before is not None:
            query = query.where(change.c.created_at < before)
        return self._found(query)

    def several(self, names: Sequence[str]) -> tuple[ChangeRequest, ...]:
        """The requests of these ids, in their order; one that is not there is left out."""
        found = {request.id: request for request in self._found(select(*_NAMED).where(change.c.id.in_(names)))}
        return tuple(found[name] for name in names if name in found)

    def complete(self) -> int:
        """Give each request that an older version kept what lists need of it; how many those were."""
        return self.outlines.complete(self.get)

    def overdue(self, now: dt.datetime) -> tuple[ChangeRequest, ...]:
        """Requests that may go on, and whose time is over."""
        open_states = [str(State.AWAITING_REVIEW), str(State.APPROVED)]
        return self._found(
            select(*_NAMED).where(change.c.state.in_(open_states), change.c.expires_at <= now.isoformat())
        )

    def ended_before(self, when: dt.datetime) -> Iterator[ChangeRequest]:
        """Requests that were made before that moment and are over, and that still hold values of rows."""
        ended = [str(state) for state in State if state.is_final]
        query = select(*_KEPT).where(
            change.c.state.in_(ended),
            change.c.created_at < when.isoformat(),
            change.c.forgotten.is_(False),
            change.c.unsettled.is_(False),
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        yield from map(self._read, rows)

    def ending(self, before: dt.datetime) -> tuple[Ending, ...]:
        """Undecided requests that end before that time, and that nobody was reminded of."""
        query = select(change.c.id, change.c.created_at, change.c.expires_at).where(
            change.c.state.in_([str(State.AWAITING_REVIEW), str(State.APPROVED)]),
            change.c.expires_at <= before.isoformat(),
            change.c.id.not_in(select(reminder.c.change_id)),
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(change.c.expires_at)).all()
        return tuple(
            Ending(
                id=row.id,
                created_at=dt.datetime.fromisoformat(row.created_at),
                expires_at=dt.datetime.fromisoformat(row.expires_at),
            )
            for row in rows
        )

    def wait(self, change_id: str, state: State, timeout_s: float) -> ChangeRequest:
        """The request once its state differs, or as it is when the time is over."""
        with self._moved:
            self._moved.wait_for(lambda: self.get(change_id).state is not state, timeout=timeout_s)
        return self.get(change_id)

    def _write(self, request: ChangeRequest, version: int) -> str:
        return self._seal.close(write_change(request), f"{request.id} {version}")

    def _found(self, query: Select[Any]) -> tuple[ChangeRequest, ...]:
        """The requests that a query of `_NAMED` names; documents are read of those alone that are not at hand."""
        with self._engine.connect() as connection:
            named = connection.execute(query).all()
            known = {row.id: self._opened.get(row.id, row.version) for row in named}
            missing = [name for name, request in known.items() if request is None]
            for start in range(0, len(missing), _AT_ONCE):
                wanted = select(*_KEPT).where(change.c.id.in_(missing[start : start + _AT_ONCE]))
                known |= {row.id: self._kept_at_hand(row) for row in connection.execute(wanted)}
        return tuple(request for request in known.values() if request is not None)

    def _read(self, row: Row[Any, Any, Any]) -> ChangeRequest:
        return read_change(self._seal.open(row.document, f"{row.id} {row.version}"), row.version)

    def _kept_at_hand(self, row: Row[Any, Any, Any]) -> ChangeRequest:
        request = self._read(row)
        self._opened.put(request.id, request.version, request, len(row.document))
        return request
