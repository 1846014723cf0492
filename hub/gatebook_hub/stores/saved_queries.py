"""Where are saved queries kept? Each version is sealed once, under the query's id and its number, and never changed.

Text and parameters are one document, so no version's text is ever read with the parameters of another. In clear stand
the name, whose it is and with whom it is shared, so that a list is a query for what its reader may see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from gatebook_hub.errors import NotFound, StateConflict
from gatebook_hub.saved import Chart, ChartKind, Draft, Kind, Parameter, SavedQuery, Value, Version
from gatebook_hub.stores.opened import Opened
from gatebook_hub.stores.seal import Seal
from gatebook_hub.stores.tables import saved_query, saved_share, saved_version

# Characters of the versions that are kept opened.
_MOST_OPENED = 8_000_000
_AT_ONCE = 500
Tell = Callable[[], object]


class SavedQueryStore:
    """Saved queries with their versions. `tell` has a step in the book before it counts: what it raises undoes it."""

    def __init__(self, engine: Engine, seal: Seal) -> None:
        self._engine = engine
        self._seal = seal
        self._opened = Opened[Version](_MOST_OPENED)

    def add(self, query: SavedQuery, version: Version, tell: Tell) -> None:
        """Keep a new query with its first version; raises StateConflict if its author has one of that name."""
        row = {
            "id": query.id,
            "name": query.name,
            "author": query.author,
            "created_at": query.created_at,
            "version": version.number,
        }
        with self._engine.begin() as connection:
            try:
                connection.execute(insert(saved_query).values(**row))
            except IntegrityError as error:
                raise StateConflict(f"you have a saved query `{query.name}` already") from error
            self._put(connection, query.id, version)
            tell()

    def add_version(self, query_id: str, version: Version, tell: Tell) -> None:
        """Keep the next version; raises StateConflict if another one was saved meanwhile, or if it is deleted."""
        with self._engine.begin() as connection:
            is_next = (saved_query.c.id == query_id) & (saved_query.c.version == version.number - 1)
            step = update(saved_query).where(is_next, saved_query.c.deleted_at.is_(None))
            if connection.execute(step.values(version=version.number)).rowcount != 1:
                raise StateConflict("somebody saved another version meanwhile; look at it first")
            self._put(connection, query_id, version)
            tell()

    def share(self, query_id: str, *, seen_by: Iterable[str], edited_by: Iterable[str], tell: Tell) -> None:
        """Set who may see it, and who may edit it; raises StateConflict if it is deleted."""
        rows = [
            {"query_id": query_id, "name": name, "edits": edits}
            for edits, names in ((False, seen_by), (True, edited_by))
            for name in sorted(names)
        ]
        with self._engine.begin() as connection:
            connection.execute(delete(saved_share).where(saved_share.c.query_id == query_id))
            is_there = select(saved_query.c.id).where(saved_query.c.id == query_id, saved_query.c.deleted_at.is_(None))
            if connection.execute(is_there).first() is None:
                raise StateConflict("the saved query is deleted")
            if rows:
                connection.execute(insert(saved_share), rows)
            tell()

    def delete(self, query_id: str, *, at: str, by: str, tell: Tell) -> None:
        """Take it out of use; its versions stay. Raises StateConflict if it is deleted already."""
        step = update(saved_query).where(saved_query.c.id == query_id, saved_query.c.deleted_at.is_(None))
        with self._engine.begin() as connection:
            if connection.execute(step.values(deleted_at=at, deleted_by=by)).rowcount != 1:
                raise StateConflict("the saved query is deleted already")
            tell()

    def get(self, query_id: str) -> SavedQuery:
        """One query, also a deleted one; raises NotFound."""
        with self._engine.connect() as connection:
            found = self._read(connection, select(saved_query).where(saved_query.c.id == query_id))
        if not found:
            raise NotFound("there is no such saved query")
        return found[0]

    def find(
        self, *, author: str, names: Collection[str], called: str | None = None, limit: int | None = None
    ) -> tuple[SavedQuery, ...]:
        """Those in use that somebody may see, under all their names, newest first; or those that are called so."""
        is_shared = exists().where(saved_share.c.query_id == saved_query.c.id, saved_share.c.name.in_(sorted(names)))
        query = select(saved_query).where(
            saved_query.c.deleted_at.is_(None), or_(saved_query.c.author == author, is_shared)
        )
        if called is not None:
            query = query.where(saved_query.c.name == called)
        with self._engine.connect() as connection:
            return self._read(
                connection, query.order_by(saved_query.c.created_at.desc(), saved_query.c.id).limit(limit)
            )

    def count(self, author: str) -> int:
        """How many somebody has in use."""
        query = select(func.count()).where(saved_query.c.author == author, saved_query.c.deleted_at.is_(None))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def version(self, query_id: str, number: int) -> Version:
        """One version; raises NotFound, BrokenSeal."""
        known = self._opened.get(_place(query_id, number), number)
        if known is not None:
            return known
        query = select(saved_version.c.document).where(
            saved_version.c.query_id == query_id, saved_version.c.number == number
        )
        with self._engine.connect() as connection:
            document = connection.execute(query).scalar()
        if document is None:
            raise NotFound("there is no such version of the saved query")
        return self._open(query_id, number, str(document))

    def newest(self, queries: Sequence[SavedQuery]) -> tuple[Version, ...]:
        """The newest version of each; raises NotFound, BrokenSeal."""
        missing = [one.id for one in queries if self._opened.get(_place(one.id, one.version), one.version) is None]
        found: dict[str, Version] = {}
        is_newest = (saved_version.c.query_id == saved_query.c.id) & (saved_version.c.number == saved_query.c.version)
        with self._engine.connect() as connection:
            for start in range(0, len(missing), _AT_ONCE):
                part = missing[start : start + _AT_ONCE]
                query = select(saved_version).join(saved_query, is_newest).where(saved_query.c.id.in_(part))
                for row in connection.execute(query):
                    found[row.query_id] = self._open(row.query_id, row.number, row.document)
        return tuple(
            found[one.id]
            if one.id in found and found[one.id].number == one.version
            else self.version(one.id, one.version)
            for one in queries
        )

    def versions(self, query_id: str) -> tuple[Version, ...]:
        """All versions, newest first; raises BrokenSeal."""
        query = select(saved_version.c.number).where(saved_version.c.query_id == query_id)
        with self._engine.connect() as connection:
            numbers = connection.execute(query.order_by(saved_version.c.number.desc())).scalars().all()
        return tuple(self.version(query_id, number) for number in numbers)

    def _open(self, query_id: str, number: int, document: str) -> Version:
        place = _place(query_id, number)
        text = self._seal.open(document, place, takes_clear=False)
        version = _version_of(number, json.loads(text))
        self._opened.put(place, number, version, len(text))
        return version

    def _put(self, connection: Connection, query_id: str, version: Version) -> None:
        sealed = self._seal.close(_text_of(version), _place(query_id, version.number))
        connection.execute(insert(saved_version).values(query_id=query_id, number=version.number, document=sealed))

    def _read(self, connection: Connection, query: Select[Any]) -> tuple[SavedQuery, ...]:
        rows = connection.execute(query).all()
        shares: dict[str, tuple[set[str], set[str]]] = {row.id: (set(), set()) for row in rows}
        ids = query.with_only_columns(saved_query.c.id)
        wanted = select(saved_share).where(saved_share.c.query_id.in_(ids))
        for share in connection.execute(wanted):
            shares[share.query_id][bool(share.edits)].add(share.name)
        return tuple(_query_of(row, *shares[row.id]) for row in rows)


def _query_of(row: Row[Any], seen_by: set[str], edited_by: set[str]) -> SavedQuery:
    return SavedQuery(
        id=row.id,
        name=row.name,
        author=row.author,
        created_at=row.created_at,
        version=row.version,
        seen_by=frozenset(seen_by),
        edited_by=frozenset(edited_by),
        deleted_at=row.deleted_at,
        deleted_by=row.deleted_by,
    )


def _place(query_id: str, number: int) -> str:
    return f"saved query {query_id} {number}"


def _text_of(version: Version) -> str:
    document = {"author": version.author, "at": version.at, "draft": asdict(version.draft)}
    return json.dumps(document, default=_number)


def _number(value: object) -> dict[str, str]:
    assert isinstance(value, Decimal)
    return {"decimal": str(value)}


def _version_of(number: int, document: dict[str, Any]) -> Version:
    draft = document["draft"]
    chart = draft["chart"]
    return Version(
        number=number,
        author=document["author"],
        at=document["at"],
        draft=Draft(
            title=draft["title"],
            source=draft["source"],
            sql=draft["sql"],
            description=draft["description"],
            parameters=tuple(_parameter_of(one) for one in draft["parameters"]),
            chart=Chart(kind=ChartKind(chart["kind"]), x=chart["x"], y=chart["y"]) if chart else None,
            note=draft["note"],
        ),
    )


def _parameter_of(document: dict[str, Any]) -> Parameter:
    return Parameter(
        name=document["name"],
        kind=Kind(document["kind"]),
        title=document["title"],
        default=_value_of(document["default"]),
        choices=tuple(_value_of(one) for one in document["choices"]),
        minimum=_value_of(document["minimum"]),
        maximum=_value_of(document["maximum"]),
    )


def _value_of(value: Any) -> Any:
    found: Value | None = Decimal(value["decimal"]) if isinstance(value, dict) else value
    return found
