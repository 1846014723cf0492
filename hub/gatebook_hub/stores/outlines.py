"""How are lists of change requests found without opening what they say? By an outline beside each, and who may see it.

An outline is sealed as the request is, under its id and version, and is written in the transaction that moves the
request. What stands in clear are the groups that are asked: a query leaves out what a person may not see, so that a
limit counts what they may. One without an outline of its own version is in no list.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, exists, insert, or_, select, tuple_

from gatebook_hub.changes import ChangeRequest, Outline, Place, State, groups_of, outline_of
from gatebook_hub.errors import BrokenSeal
from gatebook_hub.stores.codec import read_outline, write_outline
from gatebook_hub.stores.opened import Opened
from gatebook_hub.stores.seal import Seal
from gatebook_hub.stores.tables import change, change_group, change_outline

_AT_ONCE = 100
# Characters of the outlines that are kept opened.
_MOST_OPENED = 8_000_000
_HAS_OUTLINE = and_(change_outline.c.change_id == change.c.id, change_outline.c.version == change.c.version)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks: their own requests, and those of which one of their groups is asked."""

    id: str
    groups: frozenset[str]


class Outlines:
    """The outlines of all requests."""

    def __init__(self, engine: Engine, seal: Seal) -> None:
        self._engine = engine
        self._seal = seal
        self._opened = Opened[Outline](_MOST_OPENED)

    def put(self, connection: Connection, request: ChangeRequest, version: int) -> None:
        """Write the outline of a request in that version, in the transaction that writes the request."""
        connection.execute(delete(change_outline).where(change_outline.c.change_id == request.id))
        connection.execute(delete(change_group).where(change_group.c.change_id == request.id))
        sealed = self._seal.close(write_outline(outline_of(request)), _name(request.id, version))
        connection.execute(insert(change_outline).values(change_id=request.id, version=version, document=sealed))
        groups = [{"change_id": request.id, "name": name} for name in sorted(groups_of(request))]
        if groups:
            connection.execute(insert(change_group), groups)

    def find(
        self,
        *,
        viewer: Viewer | None = None,
        states: Collection[State] = (),
        requester: str | None = None,
        before: Place | None = None,
        limit: int | None = None,
        is_unsettled: bool = False,
    ) -> tuple[Outline, ...]:
        """Outlines, newest first; all that there are for nobody in particular. `before` is for paging."""
        query = select(change.c.id, change.c.version).where(exists().where(_HAS_OUTLINE)).limit(limit)
        query = query.order_by(change.c.created_at.desc(), change.c.id.desc())
        if viewer is not None:
            query = query.where(_is_visible(viewer))
        if states:
            query = query.where(_is_one_of(states))
        if requester is not None:
            query = query.where(change.c.requester == requester)
        if before is not None:
            query = query.where(tuple_(change.c.created_at, change.c.id) < tuple_(before.created_at, before.id))
        if is_unsettled:
            query = query.where(change.c.unsettled.is_(True))
        with self._engine.connect() as connection:
            named = connection.execute(query).all()
            known = {row.id: self._opened.get(row.id, row.version) for row in named}
            missing = [name for name, outline in known.items() if outline is None]
            for some in _parts(missing):
                wanted = select(change_outline).where(change_outline.c.change_id.in_(some))
                known |= {row.change_id: self._read(row) for row in connection.execute(wanted)}
        return tuple(outline for outline in known.values() if outline is not None)

    def complete(self, read: Callable[[str], ChangeRequest]) -> int:
        """Write the outlines that an older version of Gatebook did not keep; how many those were."""
        query = select(change.c.id).where(~exists().where(_HAS_OUTLINE))
        with self._engine.connect() as connection:
            missing = list(connection.execute(query).scalars())
        return sum(self._complete(some, read) for some in _parts(missing))

    def _complete(self, names: Iterable[str], read: Callable[[str], ChangeRequest]) -> int:
        requests = []
        for name in names:
            try:
                requests.append(read(name))
            except BrokenSeal as error:  # whoever opens it is told; here, it is in no list
                _log.warning("the change request %s is left out of all lists: %s", name, error)
        with self._engine.begin() as connection:
            return sum(self._put_missing(connection, request) for request in requests)

    def _put_missing(self, connection: Connection, request: ChangeRequest) -> bool:
        """Unless another process has moved the request since: that wrote its outline."""
        older = and_(change_outline.c.change_id == request.id, change_outline.c.version < request.version)
        connection.execute(delete(change_outline).where(older))  # a write first: from here on nobody else moves it
        is_this = and_(change.c.id == request.id, change.c.version == request.version)
        if connection.execute(select(change.c.id).where(is_this)).first() is None:
            return False
        self.put(connection, request, request.version)
        return True

    def _read(self, row: Row[Any]) -> Outline:
        text = self._seal.open(row.document, _name(row.change_id, row.version))
        outline = read_outline(text, row.version)
        self._opened.put(outline.id, outline.version, outline, len(text))
        return outline


def _is_visible(viewer: Viewer) -> ColumnElement[bool]:
    is_asked = exists().where(change_group.c.change_id == change.c.id, change_group.c.name.in_(sorted(viewer.groups)))
    return or_(change.c.requester == viewer.id, is_asked)


def _is_one_of(states: Collection[State]) -> ColumnElement[bool]:
    """What is over is found by its time: most requests are, and by their state SQLite would sort them all."""
    if any(state.is_final for state in states):
        return change.c.state.not_in([str(state) for state in State if state not in states])
    return change.c.state.in_([str(state) for state in states])


def _name(change_id: str, version: int) -> str:
    return f"{change_id} {version} outline"


def _parts(names: list[str]) -> Iterable[list[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
