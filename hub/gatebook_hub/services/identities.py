"""Is each source the database that was met first, and may its account do no more than it needs?"""

from __future__ import annotations

from collections.abc import Iterator

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import SourceError
from gatebook_hub.policy import Finding
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.stores.identities import IdentityStore


class Identities:
    """The memory of the sources: it remembers in the state, and tells the book of a change."""

    def __init__(self, gate: Gate, store: IdentityStore, operator: Call) -> None:
        self._gate = gate
        self._store = store
        self._operator = operator

    def recall(self, source: str) -> str | None:
        """The identity of a source that was met before."""
        return self._store.recall(source)

    def remember(self, source: str, identity: str) -> None:
        """Keep the identity of a source that is met for the first time."""
        self._store.remember(source, identity)

    def alarm(self, source: str, sentence: str) -> None:
        """Another database answers: tell the book."""
        gate = self._gate
        gate.book.append(gate.event(EventKind.ALARM, self._operator, source=source, detail=sentence))


def accept(gate: Gate, source: str) -> str:
    """Take what answers now as the source; the book says so before it is so. Raises NotFound, SourceUnavailable."""
    sources = gate.in_force.sources
    identity = sources.get(source).identity()
    if sources.memory is not None:
        sources.memory.alarm(source, f"the operator accepts `{identity}` as the database of `{source}`")
        sources.memory.remember(source, identity)
    return identity


def rights(gate: Gate) -> Iterator[Finding]:
    """What the accounts of production sources could do beyond their need; a source that is down is silent."""
    for name, rule in sorted(gate.policy.sources.items()):
        if not rule.is_production:
            continue
        try:
            found = gate.in_force.sources.get(name).findings()
        except SourceError:
            continue
        for id_, sentence in found:
            yield Finding(id=id_, place=name, sentence=sentence, is_error=False)
