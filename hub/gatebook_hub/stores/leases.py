"""Which access was given for a time, to whom, until when? One row each; what is over counts for nothing."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatebook_hub.stores.tables import lease

# Another gateway on the same database may give or end one meanwhile.
_FRESH_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A grant that a principal has until a moment; `digest` is that of the rule as it was approved."""

    change_id: str
    principal: str
    grant: str
    digest: str
    until: dt.datetime


class LeaseStore:
    """The leases that are not over, kept at hand."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known: Mapping[str, tuple[Lease, ...]] = {}
        self._read_at = -_FRESH_S

    def give(self, given: Lease) -> None:
        """Keep a lease; given twice by the same change it is one."""
        values = {
            "change_id": given.change_id,
            "principal": given.principal,
            "grant_id": given.grant,
            "digest": given.digest,
            "until": given.until.isoformat(),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(lease).values(**values))
        except IntegrityError:
            return
        finally:
            self._forget()

    def end(self, change_id: str, now: dt.datetime) -> bool:
        """End a lease now; whether there was one to end."""
        wanted = (lease.c.change_id == change_id, lease.c.until > now.isoformat())
        with self._engine.begin() as connection:
            count = connection.execute(update(lease).where(*wanted).values(until=now.isoformat())).rowcount
        self._forget()
        return count == 1

    def of(self, principal: str, now: dt.datetime) -> tuple[Lease, ...]:
        """The leases that a principal has at this moment."""
        return tuple(one for one in self._all(now).get(principal, ()) if one.until > now)

    def get(self, change_id: str) -> Lease | None:
        """The lease that a change gave, also if it is over."""
        with self._engine.connect() as connection:
            row = connection.execute(select(lease).where(lease.c.change_id == change_id)).first()
        return None if row is None else _lease(row)

    def _all(self, now: dt.datetime) -> Mapping[str, tuple[Lease, ...]]:
        with self._lock:
            if time.monotonic() - self._read_at < _FRESH_S:
                return self._known
            found: dict[str, tuple[Lease, ...]] = {}
            with self._engine.connect() as connection:
                for row in connection.execute(select(lease).where(lease.c.until > now.isoformat())):
                    found[row.principal] = (*found.get(row.principal, ()), _lease(row))
            self._known, self._read_at = found, time.monotonic()
            return found

    def _forget(self) -> None:
        with self._lock:
            self._read_at = -_FRESH_S


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        change_id=row.change_id,
        principal=row.principal,
        grant=row.grant_id,
        digest=row.digest,
        until=dt.datetime.fromisoformat(row.until),
    )
