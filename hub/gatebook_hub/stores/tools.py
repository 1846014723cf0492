"""Where are versions of tools kept? Their notebooks as they were given, never changed, and which was in force when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatebook_hub.errors import NotFound, StateConflict
from gatebook_hub.stores.known import Known
from gatebook_hub.stores.tables import tool_force, tool_version


class VersionState(StrEnum):
    """Where a version stands; one that was `withdrawn` was in force and taken back."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolVersion:
    """A version of a tool. `version` is the SHA-256 of `content` in hexadecimal, `review_event` the book's index."""

    name: str
    version: str
    content: str = field(repr=False)
    author: str
    note: str
    created_at: str
    report: Mapping[str, Any]
    state: VersionState = VersionState.PROPOSED
    reviewer: str | None = None
    reason: str | None = None
    reviewed_at: str | None = None
    review_event: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """Which version is in force since when, and who had it so; a version of None: none is."""

    name: str
    version: str | None
    since: str
    by: str


class ToolStore:
    """Versions of tools; their content is never written twice."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = Known[bool](engine)
        self.close = self._known.close

    def is_open(self, name: str, version: str) -> bool:
        """Whether a call may come through it: nothing of this name was ever published, or this version is approved.

        Every call of every tool asks that; as long as nothing is written, the answer is at hand.
        """
        which = f"{name}@{version}"
        known = self._known.get(which)
        if known is not None:
            return known
        stamp = self._known.stamp()
        of_name = select(tool_force.c.id).where(tool_force.c.name == name).limit(1)
        approved = select(tool_version.c.id).where(
            tool_version.c.name == name,
            tool_version.c.version == version,
            tool_version.c.state == VersionState.APPROVED,
        )
        with self._engine.connect() as connection:
            found = connection.execute(of_name).first() is None or connection.execute(approved).first() is not None
        self._known.put(which, found, stamp)
        return found

    def add(self, new: ToolVersion) -> None:
        """Keep a version; raises StateConflict if the tool has one of this very content."""
        values = {
            "name": new.name,
            "version": new.version,
            "content": new.content,
            "author": new.author,
            "note": new.note,
            "created_at": new.created_at,
            "check_report": json.dumps(dict(new.report)),
            "state": new.state,
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(tool_version).values(**values))
        except IntegrityError as error:
            raise StateConflict(f"the tool `{new.name}` has this very version already") from error

    def get(self, name: str, version: str) -> ToolVersion:
        """One version; raises NotFound."""
        query = select(tool_version).where(tool_version.c.name == name, tool_version.c.version == version)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound("there is no such version of a tool")
        return _read(row)

    def find(self, *, name: str | None = None, state: VersionState | None = None) -> tuple[ToolVersion, ...]:
        """Versions, newest first."""
        query = select(tool_version).order_by(tool_version.c.id.desc())
        if name is not None:
            query = query.where(tool_version.c.name == name)
        if state is not None:
            query = query.where(tool_version.c.state == state)
        with self._engine.connect() as connection:
            return tuple(_read(row) for row in connection.execute(query))

    def names(self) -> frozenset[str]:
        """Tools of which a version is, or was, in force."""
        with self._engine.connect() as connection:
            return frozenset(connection.execute(select(tool_force.c.name).distinct()).scalars())

    def in_force(self) -> Mapping[str, Force]:
        """The newest word on each tool of which a version is, or was, in force."""
        newest = select(func.max(tool_force.c.id)).group_by(tool_force.c.name)
        query = select(tool_force).where(tool_force.c.id.in_(newest)).order_by(tool_force.c.name)
        with self._engine.connect() as connection:
            return {row.name: _force(row) for row in connection.execute(query)}

    def history(self, name: str) -> tuple[Force, ...]:
        """What was in force, newest first."""
        query = select(tool_force).where(tool_force.c.name == name).order_by(tool_force.c.id.desc())
        with self._engine.connect() as connection:
            return tuple(_force(row) for row in connection.execute(query))

    def review(
        self,
        name: str,
        version: str,
        *,
        state: VersionState,
        reviewer: str,
        reason: str,
        at: str,
        event: int,
        before: str | None,
    ) -> None:
        """Write a verdict; an approved version is in force with it, in place of `before`.

        Raises StateConflict if there was a verdict already, or if another version than `before` is in force.
        """
        with self._engine.begin() as connection:
            _move(
                connection,
                (name, version),
                VersionState.PROPOSED,
                state=state,
                reviewer=reviewer,
                reason=reason,
                reviewed_at=at,
                review_event=event,
            )
            if state is VersionState.APPROVED:
                _check_in_force(connection, name, before)
                connection.execute(insert(tool_force).values(name=name, version=version, since=at, by=reviewer))

    def roll_back(self, name: str, *, before: str, version: str | None, by: str, at: str) -> None:
        """Take back the version `before` and put `version` in force; raises StateConflict if it is not in force."""
        with self._engine.begin() as connection:
            _move(connection, (name, before), VersionState.APPROVED, state=VersionState.WITHDRAWN)
            _check_in_force(connection, name, before)
            if version is not None:
                query = update(tool_version).where(tool_version.c.name == name, tool_version.c.version == version)
                connection.execute(query.values(state=VersionState.APPROVED))
            connection.execute(insert(tool_force).values(name=name, version=version, since=at, by=by))


def _check_in_force(connection: Connection, name: str, version: str | None) -> None:
    newest = select(func.max(tool_force.c.id)).where(tool_force.c.name == name).scalar_subquery()
    known = connection.execute(select(tool_force.c.version).where(tool_force.c.id == newest)).scalar()
    if known != version:
        raise StateConflict(f"another version of `{name}` came into force just now; look again")


def _move(connection: Connection, which: tuple[str, str], expected: VersionState, **values: Any) -> None:
    name, version = which
    query = update(tool_version).where(
        tool_version.c.name == name, tool_version.c.version == version, tool_version.c.state == expected
    )
    if connection.execute(query.values(**values)).rowcount != 1:
        raise StateConflict(f"this version of `{name}` is not {expected} any more")


def _read(row: Any) -> ToolVersion:
    return ToolVersion(
        name=row.name,
        version=row.version,
        content=row.content,
        author=row.author,
        note=row.note,
        created_at=row.created_at,
        report=json.loads(row.check_report),
        state=VersionState(row.state),
        reviewer=row.reviewer,
        reason=row.reason,
        reviewed_at=row.reviewed_at,
        review_event=row.review_event,
    )


def _force(row: Any) -> Force:
    return Force(name=row.name, version=row.version, since=row.since, by=row.by)
