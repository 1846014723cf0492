"""A shop with saved queries: who is there, and how they save, share and run one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.services.shop import RULES, Shop, person

from gatebook_hub.audit import EventKind
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.saved import Draft, Kind, Parameter, SavedQuery
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.saved_queries import Wanted
from gatebook_hub.stores.book import EventFilter, StoredEvent

MORE = RULES.replace(
    "  - id: book",
    """  - id: nightly
    to: job:nightly
    on: shop.customer
    columns: [id, country]
    allow: [select]

  - id: careful
    to: group:careful
    on: shop.customer
    allow: [select]
    reason: true

  - id: own
    to: group:own
    on: shop.customer
    allow: [select]
    where: name = :principal

  - id: book""",
)
COUNTRY = Parameter(name="country", kind=Kind.TEXT, title="Country", default="DE")
BY_COUNTRY = Draft(
    title="Customers of a country",
    source="shop",
    sql="select name, email from customer where country = :country order by id",
    parameters=(COUNTRY,),
)
ALL = Draft(title="All customers", source="shop", sql="select id, name, email, country from customer order by id")
ANN = person("ann", "writers", "privacy")
BEA = person("bea", "readers")
EVE = person("eve", "strangers", "readers")
EVERYBODY = frozenset({"group:readers"})
NOBODY: frozenset[str] = frozenset()


def open_shop(folder: Path) -> Shop:
    made = Shop(folder)
    made.write(MORE)
    return made


def save(cases: UseCases, draft: Draft = BY_COUNTRY, *, call: Call = ANN, name: str = "customers") -> SavedQuery:
    return cases.saved.save(call, name, draft)


def shared(
    cases: UseCases, draft: Draft = BY_COUNTRY, *, seen_by: frozenset[str] = EVERYBODY, **more: Any
) -> SavedQuery:
    query = save(cases, draft, **more)
    cases.saved.share(more.get("call", ANN), query.id, seen_by=seen_by, edited_by=NOBODY)
    return query


def run(
    cases: UseCases, call: Call, reference: str, /, version: int | None = None, **values: Any
) -> list[tuple[Any, ...]]:
    answer = cases.saved.run(call, Wanted(reference=reference, version=version), values)
    return [tuple(row.values()) for batch in answer.batches() for row in batch.to_pylist()]


def events(cases: UseCases, kind: EventKind) -> tuple[StoredEvent, ...]:
    return cases.gate.book.find(EventFilter(kind=kind))


def job(name: str = "nightly") -> Call:
    return Call(principal=Principal(kind=PrincipalKind.JOB, name=name, channel=Channel.RUN_TOKEN, run_id="r1"))
