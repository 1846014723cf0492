"""Which policy set is in force, and which sources are open under it? Both change together, and no call sees two.

A call that has begun under a set ends under it: it holds the set while it lasts. A source that a new set does not keep
is closed when the last call that holds the old set has ended.
"""

from __future__ import annotations

import datetime as dt
import functools
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from gatebook_hub.policy import PolicySet
from gatebook_hub.sources.registry import Sources

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A set that does not come into force: why, since when, and which set stays."""

    sentence: str
    since: dt.datetime
    revision: str


class _Terms:
    """One set with its sources; `users` counts the calls that hold it, `leaving` are its sources that end with it."""

    def __init__(self, policy: PolicySet, sources: Sources) -> None:
        self.policy = policy
        self.sources = sources
        self.users = 0
        self.leaving: tuple[str, ...] | None = None


_HELD: ContextVar[tuple[InForce, _Terms] | None] = ContextVar("gatebook_terms", default=None)


class InForce:
    """The policy set in force and the open sources that it declares; `trouble` is what keeps a newer one out."""

    def __init__(self, *, policy: PolicySet, sources: Sources) -> None:
        self._lock = threading.Lock()
        self._now = _Terms(policy, sources)
        self.trouble: Trouble | None = None

    @property
    def policy(self) -> PolicySet:
        """The set of this call, or the newest."""
        return self._terms().policy

    @property
    def sources(self) -> Sources:
        """The sources of this call's set, or of the newest."""
        return self._terms().sources

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep one set for all that happens inside, also in threads that are started from here with this context."""
        known = _HELD.get()
        if known is not None and known[0] is self:
            yield
            return
        with self._lock:
            terms = self._now
            terms.users += 1
        token = _HELD.set((self, terms))
        try:
            yield
        finally:
            _HELD.reset(token)
            with self._lock:
                terms.users -= 1
                leaving = terms.leaving if terms.users == 0 else None
            _close(terms.sources, leaving or ())

    def replace(self, policy: PolicySet, sources: Sources, *, kept: Collection[str]) -> None:
        """Bring another set into force at once; `kept` names the sources that it shares with the one before."""
        with self._lock:
            before = self._now
            before.leaving = tuple(name for name in before.sources if name not in kept)
            self._now = _Terms(policy, sources)
            leaving = before.leaving if before.users == 0 else ()
        _close(before.sources, leaving)

    def close(self) -> None:
        """Close all sources of the newest set."""
        self._now.sources.close()

    def _terms(self) -> _Terms:
        known = _HELD.get()
        return known[1] if known is not None and known[0] is self else self._now


class _UseCase(Protocol):
    _gate: Any


S = TypeVar("S", bound=_UseCase)


def under_one_set(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method of a use case that reads the policy more than once: all of it under one set."""

    @functools.wraps(method)
    def held(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._gate.in_force.held():
            return method(self, *args, **kwargs)

    return held


def _close(sources: Sources, names: Collection[str]) -> None:
    for name in names:
        sources.get(name).close()
