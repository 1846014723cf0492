"""Which records are there by what somebody knows of them? In the entities that are open to me."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gatebook.provenance import claims
from gatebook.transport import gate
from gatebook.values import decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record that was found: `shown` is what its entity shows of it, `masked` are those columns that are masked."""

    entity: str
    title: str
    key: Mapping[str, object]
    shown: Mapping[str, object]
    masked: frozenset[str] = frozenset()
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found; `more` are entities that have more, `failed` those that were not asked wholly, and why."""

    records: tuple[Record, ...]
    more: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


def search(text: str, entities: Sequence[str] = (), *, purpose: str | None = None) -> Found:
    """Find records by a name, a key, or a whole value that their entity lets one look up; the book has each search."""
    body = {"text": text, "entities": list(entities), "purpose": purpose, "provenance": claims()}
    document = gate().post("search", body=body, is_idempotent=True)
    return Found(
        records=tuple(
            Record(
                entity=str(one["entity"]),
                title=str(one["title"]),
                key={name: decode(value) for name, value in one["key"].items()},
                shown={name: decode(value) for name, value in one["shown"].items()},
                masked=frozenset(one.get("masked") or ()),
                url=one.get("url"),
            )
            for one in document["records"]
        ),
        more=tuple(document.get("more") or ()),
        failed=document.get("failed") or {},
    )
