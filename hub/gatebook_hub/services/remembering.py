"""What does somebody come back to? What they marked, and what the book says that they used last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gatebook_hub.errors import InvalidInput
from gatebook_hub.model import Principal
from gatebook_hub.services.gate import Gate
from gatebook_hub.stores.book import EventFilter

MOST_FAVOURITES = 100
_MOST_RECENT = 8
_EVENTS = 300
_LONGEST = 160


class Kind(StrEnum):
    """What can be marked."""

    TOOL = "tool"
    QUERY = "query"
    ACTION = "action"
    TABLE = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Something with a name: of a table with its source (`chinook.track`), of a saved query its id."""

    kind: Kind
    name: str


class Remembering:
    """What each person marked and used; whether they may still open it is asked where it is shown."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def favourites(self, principal: Principal) -> frozenset[Named]:
        """What the principal marked."""
        found = self._gate.favourites.of(principal.id)
        return frozenset(Named(kind=Kind(kind), name=name) for kind, name in found)

    def mark(self, principal: Principal, what: Named, *, is_favourite: bool) -> None:
        """Mark something, or no more; raises InvalidInput for what has no such name, and where there are too many."""
        if not (0 < len(what.name) <= _LONGEST and what.name.isprintable()):
            raise InvalidInput("this is no name of something that can be marked")
        store = self._gate.favourites
        if not is_favourite:
            store.drop(principal.id, what.kind, what.name)
        elif not store.keep(principal.id, what.kind, what.name, most=MOST_FAVOURITES):
            raise InvalidInput(f"you have {MOST_FAVOURITES} favourites; take one away first")

    def recent(self, principal: Principal) -> tuple[Named, ...]:
        """What the principal used last, the newest first: a few of what the book's last events of theirs name."""
        events = self._gate.book.find(EventFilter(principal=principal.id, limit=_EVENTS))
        used = dict.fromkeys(what for event in events for what in _used(event.content))
        return tuple(used)[:_MOST_RECENT]


def _used(content: Mapping[str, Any]) -> Iterator[Named]:
    """What an event says was used: a tool rather than the tables that it asked, and nothing that was refused."""
    if content.get("outcome") == "refused":
        return
    if tool := content.get("tool"):
        yield Named(kind=Kind.TOOL, name=tool.partition("@")[0])
    elif saved := content.get("saved"):
        yield Named(kind=Kind.QUERY, name=saved["id"])
    elif action := content.get("action"):
        yield Named(kind=Kind.ACTION, name=action)
    else:
        for table in content.get("tables", ()):
            yield Named(kind=Kind.TABLE, name=f"{content['source']}.{table['table']}")
