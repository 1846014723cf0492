"""Where do messages wait until they are sent? First as they were told, then once for each place they go to.

Whatever was told is one row, which is taken apart and removed in one transaction; a delivery is removed when it was
sent. So a stop at any moment loses nothing, and repeats at most the one message that was on its way.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Connection, Engine, delete, exists, func, insert, literal, select, update

from gatebook_hub.changes import Notice, State
from gatebook_hub.model import NoticeKind
from gatebook_hub.stores.tables import change, delivery, notice, reminder

_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message goes: a shared channel, or the personal channel of somebody (`ann`)."""

    channel: str
    person: str = ""

    def __str__(self) -> str:
        return f"{self.channel} of {self.person}" if self.person else self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A message for one place, from a time on; daily ones are sent together."""

    place: Place
    due_at: dt.datetime
    is_daily: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that is due; `attempts` have failed so far."""

    id: int
    place: Place
    is_daily: bool
    told_at: dt.datetime
    attempts: int
    notice: Notice


class Outbox:
    """What was told and is not sent yet."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, told: Notice, limit: int) -> bool:
        """Keep what was told, in one statement; False if so many wait already."""
        with self._engine.begin() as connection:
            return _add(connection, told, limit)

    def remind(self, told: Notice, limit: int) -> bool:
        """Keep what was told about a request that ends soon, once; False if so many wait already."""
        row = select(literal(told.change)).where(~exists().where(reminder.c.change_id == told.change))
        with self._engine.begin() as connection:
            is_first = connection.execute(insert(reminder).from_select(["change_id"], row)).rowcount == 1
            return not is_first or _add(connection, told, limit)

    def forget_reminders(self) -> None:
        """Forget whom there is nothing to remind of any more."""
        open_states = [str(state) for state in State if not state.is_final]
        undecided = select(change.c.id).where(change.c.state.in_(open_states))
        with self._engine.begin() as connection:
            connection.execute(delete(reminder).where(reminder.c.change_id.not_in(undecided)))

    def told(self) -> tuple[tuple[int, Notice], ...]:
        """What was told first, up to a hundred."""
        query = select(notice.c.id, notice.c.document).order_by(notice.c.id).limit(_BATCH)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return tuple((row.id, read_notice(row.document)) for row in rows)

    def plan(self, told_id: int, told: Notice, planned: Iterable[Planned], now: dt.datetime, most: int) -> int:
        """Replace what was told by its deliveries; returns how many were left out, for `most` wait at their place."""
        dropped = 0
        with self._engine.begin() as connection:
            if connection.execute(delete(notice).where(notice.c.id == told_id)).rowcount != 1:
                return 0
            for item in planned:
                waiting = select(func.count()).select_from(delivery).where(*_at(item.place)).scalar_subquery()
                row = select(
                    literal(item.place.channel),
                    literal(item.place.person),
                    literal(item.is_daily),
                    literal(now.isoformat()),
                    literal(item.due_at.isoformat()),
                    literal(0),
                    literal(write_notice(told)),
                )
                if told.kind is not NoticeKind.BREAK_GLASS:  # no number of other messages keeps that one away
                    row = row.where(waiting < most)
                names = ["channel", "person", "is_daily", "told_at", "due_at", "attempts", "document"]
                dropped += 1 - connection.execute(insert(delivery).from_select(names, row)).rowcount
        return dropped

    def places(self, now: dt.datetime) -> tuple[Place, ...]:
        """The places that something is due at, the one that waited longest first."""
        query = (
            select(delivery.c.channel, delivery.c.person)
            .where(delivery.c.due_at <= now.isoformat())
            .group_by(delivery.c.channel, delivery.c.person)
            .order_by(func.min(delivery.c.id))
        )
        with self._engine.connect() as connection:
            return tuple(Place(channel=row.channel, person=row.person) for row in connection.execute(query))

    def due(self, place: Place, now: dt.datetime) -> tuple[Delivery, ...]:
        """What is due at a place, in the order in which it was told."""
        query = select(delivery).where(*_at(place), delivery.c.due_at <= now.isoformat()).order_by(delivery.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Delivery(
                id=row.id,
                place=place,
                is_daily=row.is_daily,
                told_at=dt.datetime.fromisoformat(row.told_at),
                attempts=row.attempts,
                notice=read_notice(row.document),
            )
            for row in rows
        )

    def remove(self, ids: Collection[int]) -> None:
        """Forget deliveries that were sent, or that nobody can send."""
        with self._engine.begin() as connection:
            connection.execute(delete(delivery).where(delivery.c.id.in_(ids)))

    def postpone(self, ids: Collection[int], until: dt.datetime) -> None:
        """Try deliveries again from then on."""
        later = update(delivery).where(delivery.c.id.in_(ids))
        with self._engine.begin() as connection:
            connection.execute(later.values(due_at=until.isoformat(), attempts=delivery.c.attempts + 1))

    def waiting(self) -> int:
        """How many messages are not sent yet."""
        counts = select(func.count()).select_from(notice), select(func.count()).select_from(delivery)
        with self._engine.connect() as connection:
            return sum(connection.scalar(count) or 0 for count in counts)


def write_notice(told: Notice) -> str:
    """A notice as text."""
    found = asdict(told) | {"expires_at": told.expires_at.isoformat(), "parties": sorted(told.parties)}
    return json.dumps(found)


def read_notice(text: str) -> Notice:
    """A notice from its text."""
    found = json.loads(text)
    found |= {
        "kind": NoticeKind(found["kind"]),
        "state": State(found["state"]),
        "expires_at": dt.datetime.fromisoformat(found["expires_at"]),
        "parties": frozenset(found["parties"]),
    }
    return Notice(**found)


def _add(connection: Connection, told: Notice, limit: int) -> bool:
    waiting = select(func.count()).select_from(notice).scalar_subquery()
    row = select(literal(write_notice(told))).where(waiting < limit)
    return connection.execute(insert(notice).from_select(["document"], row)).rowcount == 1


def _at(place: Place) -> tuple[ColumnElement[bool], ...]:
    return delivery.c.channel == place.channel, delivery.c.person == place.person
