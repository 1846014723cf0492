"""What does every use case work with? The policy in force, the open sources, the stores and the book."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gatebook_hub import policy
from gatebook_hub.audit import Event, EventKind, Outcome, written_time
from gatebook_hub.errors import BookUnavailable, ChangeError, GatebookError, NotFound, NotParsed, TooManyRequests
from gatebook_hub.model import Limits, Principal, RuleRef, Schema
from gatebook_hub.policy import Circumstances, PolicySet, SourceRule, known_tables, touches
from gatebook_hub.services.in_force import InForce
from gatebook_hub.services.notices import Notices
from gatebook_hub.services.steps import tightest
from gatebook_hub.settings import Settings
from gatebook_hub.sources.calling import Caller
from gatebook_hub.sources.source import Source
from gatebook_hub.stores.access import ReceiptStore, SessionStore, TokenStore
from gatebook_hub.stores.book import Book
from gatebook_hub.stores.changes import ChangeStore
from gatebook_hub.stores.favourites import FavouriteStore
from gatebook_hub.stores.keys import Keys
from gatebook_hub.stores.leases import LeaseStore
from gatebook_hub.stores.runs import RunStore
from gatebook_hub.stores.saved_queries import SavedQueryStore
from gatebook_hub.stores.tools import ToolStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls, and what the caller claims about where the call comes from.

    One that is not `is_fresh` rests on what was known of the caller some seconds ago, and changes nothing. `saved` is
    the saved query that is run, as the gateway itself found it.
    """

    principal: Principal
    provenance: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    purpose: str | None = None
    is_fresh: bool = True
    saved: Mapping[str, str] = field(default_factory=dict)

    def check_fresh(self) -> None:
        """Raise Unconfirmed unless what is known of the caller is of now."""
        if not self.is_fresh:
            raise Unconfirmed


class Unconfirmed(Exception):
    """The call would change something: who calls has to be asked again. Nothing was done, nothing is in the book."""


class Places:
    """How many statements each principal runs in each source."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def enter(self, principal: str, source: str, limit: int) -> bool:
        """Take a place; False if all are taken."""
        with self._lock:
            count = self._counts.get((principal, source), 0)
            if count >= limit:
                return False
            self._counts[principal, source] = count + 1
            return True

    def take(self, principal: str, source: str, limits: Limits) -> None:
        """Take a place for a statement; raises TooManyRequests."""
        limit = limits.concurrent or 1
        if not self.enter(principal, source, limit):
            raise TooManyRequests(f"you already run {limit} statements in `{source}`; wait for one to end")

    @contextmanager
    def taken(self, principal: str, source: str, limits: Limits) -> Iterator[None]:
        """A place for as long as the block runs; raises TooManyRequests."""
        self.take(principal, source, limits)
        try:
            yield
        finally:
            self.leave(principal, source)

    def leave(self, principal: str, source: str) -> None:
        """Give the place back."""
        with self._lock:
            left = self._counts[principal, source] - 1
            if left:
                self._counts[principal, source] = left
            else:
                del self._counts[principal, source]


@dataclass(slots=True, kw_only=True)
class Gate:
    """The gateway's parts; `now` and `new_id` are the clock and the randomness."""

    settings: Settings
    in_force: InForce
    book: Book
    keys: Keys
    changes: ChangeStore
    tokens: TokenStore
    sessions: SessionStore
    receipts: ReceiptStore
    runs: RunStore
    saved: SavedQueryStore
    tools: ToolStore
    notices: Notices
    leases: LeaseStore
    favourites: FavouriteStore
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    new_id: Callable[[], str] = lambda: secrets.token_hex(8)
    places: Places = field(default_factory=Places)
    caller: Caller = field(init=False)

    def __post_init__(self) -> None:
        """The services that actions call are called with the secrets of this gateway."""
        self.caller = Caller(self.settings.state)

    @property
    def policy(self) -> PolicySet:
        """The policy set in force."""
        return self.in_force.policy

    def source(self, name: str, principal: Principal) -> tuple[Source, SourceRule, Schema]:
        """A source with its rule and schema; NotFound unless some grant of the principal touches it."""
        rule = self.policy.sources.get(name)
        if rule is None or not self.touches(name, principal):
            raise NotFound(f"there is no source `{name}` that you may use")
        source = self.in_force.sources.get(name)
        schema = self.policy.governed(source.schema())
        known = known_tables(self.policy, principal, schema, self.circumstances())
        return source, rule, replace(schema, known=known)

    def touches(self, source: str, principal: Principal) -> bool:
        """Whether any grant gives the principal something in this source."""
        return touches(self.policy, principal, source, self.circumstances())

    def leased(self, principal: Principal) -> Principal:
        """The principal with the access that they have for a time, as it is now."""
        found = self.leases.of(principal.id, self.now())
        names = frozenset(policy.lease_name(RuleRef(id=one.grant, digest=one.digest)) for one in found)
        return principal if names == principal.leases else replace(principal, leases=names)

    def circumstances(self, purpose: str | None = None, *, is_look: bool = False) -> Circumstances:
        """What grants with hours, a last day or purposes are held against; `is_look` for lists of what is possible."""
        return Circumstances(now=self.now(), purpose=purpose, is_look=is_look)

    def limits(self, rule: SourceRule, decided: Limits, limit_rows: int | None = None) -> Limits:
        """The tightest of the operator's, the source's, the grants' and the caller's own limits."""
        ours = self.settings
        operators = Limits(
            rows=ours.limit_rows, bytes=ours.limit_bytes, time_s=ours.limit_time_s, concurrent=ours.limit_concurrent
        )
        return tightest(operators, rule.limits, decided, Limits(rows=limit_rows))

    def event(self, kind: EventKind, call: Call, **facts: Any) -> Event:
        """An event with what is known of every call."""
        principal = call.principal
        tool = f"{principal.tool.name}@{principal.tool.version}" if principal.tool else None
        return Event(
            kind=kind,
            time=written_time(self.now()),
            principal=principal.id,
            groups=tuple(sorted(principal.groups)),
            channel=principal.channel,
            tool=tool,
            run=principal.run_id,
            revision=self.policy.revision,
            provenance=call.provenance,
            reason=call.reason,
            purpose=call.purpose,
            saved=call.saved,
            **facts,
        )

    def ended(self, kind: EventKind, call: Call, error: GatebookError, **facts: Any) -> Event:
        """The event of something that failed, or that its rules or its rows did not allow."""
        outcome = Outcome.REFUSED if isinstance(error, ChangeError) else Outcome.FAILED
        return self.event(kind, call, outcome=outcome, code=error.code, detail=str(error), **facts)

    def refuse(self, kind: EventKind, call: Call, error: GatebookError, **facts: Any) -> int | None:
        """Write a refusal to the book; its index is the reference that the caller gets. Never hides the refusal."""
        try:
            # What does not parse is quoted in its error, and may be anything: the book gets the title alone.
            detail = error.title if isinstance(error, NotParsed) else str(error)
            event = self.event(kind, call, outcome=Outcome.REFUSED, code=error.code, detail=detail, **facts)
            return self.book.append(event)
        except BookUnavailable:
            return None
