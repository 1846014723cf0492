"""Where are change requests kept? One row each; a move names the version it started from, so that only one wins."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Engine, insert, select, update

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.errors import NotFound, StateConflict
from gatebook_hub.stores.codec import read_change, write_change
from gatebook_hub.stores.tables import change


class ChangeStore:
    """Change requests, and a bell that rings when one moves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._moved = threading.Condition()

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
                    document=write_change(request),
                )
            )

    def move(self, request: ChangeRequest) -> ChangeRequest:
        """Keep the next value of a request; raises StateConflict if another move came first."""
        query = (
            update(change)
            .where(change.c.id == request.id, change.c.version == request.version)
            .values(state=request.state, version=request.version + 1, document=write_change(request))
        )
        with self._engine.begin() as connection:
            count = connection.execute(query).rowcount
        if count != 1:
            raise StateConflict("somebody else moved this request at the same moment; look again")
        with self._moved:
            self._moved.notify_all()
        return replace(request, version=request.version + 1)

    def get(self, change_id: str) -> ChangeRequest:
        """One request; raises NotFound."""
        query = select(change.c.document, change.c.version).where(change.c.id == change_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound("there is no such change request")
        return read_change(row.document, row.version)

    def find(
        self,
        *,
        states: Collection[State] = (),
        requester: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> tuple[ChangeRequest, ...]:
        """Requests, newest first; `before` is a creation time, for paging."""
        query = select(change.c.document, change.c.version).order_by(change.c.created_at.desc()).limit(limit)
        if states:
            query = query.where(change.c.state.in_([str(state) for state in states]))
        if requester is not None:
            query = query.where(change.c.requester == requester)
        if before is not None:
            query = query.where(change.c.created_at < before)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return tuple(read_change(row.document, row.version) for row in rows)

    def wait(self, change_id: str, state: State, timeout_s: float) -> ChangeRequest:
        """The request once its state differs, or as it is when the time is over."""
        with self._moved:
            self._moved.wait_for(lambda: self.get(change_id).state is not state, timeout=timeout_s)
        return self.get(change_id)
