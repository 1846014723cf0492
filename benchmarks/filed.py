"""What does a year of work leave in the store of change requests? Mostly small and done; some large, some waiting."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import event

from gatebook_hub.changes import ChangeRequest, Draft, Review, RowChange, RowDiff, State, Verdict, file
from gatebook_hub.changes.request import RowKind
from gatebook_hub.model import Principal, PrincipalKind, Requirement, RuleRef
from gatebook_hub.stores.changes import ChangeStore
from gatebook_hub.stores.database import open_database
from gatebook_hub.stores.keys import load_keys
from gatebook_hub.stores.seal import Seal
from gatebook_hub.values import encode

PEOPLE = 20
_COLUMNS = ("id", "quantity", "price", "weight", "is_paid", "paid_at", "day", "email", "city", "note")
_YEAR = dt.timedelta(days=365)
_QUORUMS = (
    (Requirement(groups=("reviewers",), needed=1),),
    (Requirement(groups=("reviewers",), needed=1),),
    (Requirement(groups=("reviewers",), needed=2),),
    (Requirement(groups=("finance",), needed=1), Requirement(groups=("reviewers",), needed=1)),
    (Requirement(groups=("support",), needed=1),),
)
_ENDS = (*[State.EXECUTED] * 16, State.REJECTED, State.EXPIRED, State.WITHDRAWN, State.DRIFTED)


def fill(database: Path, count: int, waiting: int) -> None:
    """Put so many requests into a state database, so many of them waiting, none of those expired."""
    engine = open_database(database, "state")
    # As it is only filled here, it need not last at every step.
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    engine.dispose()  # the connections that know nothing of it
    store = ChangeStore(engine, Seal(load_keys(database.parent / "keys").rows))
    for request in made(count, waiting, dt.datetime.now(dt.UTC)):
        store.add(request)
    engine.dispose()


def made(count: int, waiting: int, now: dt.datetime) -> Iterator[ChangeRequest]:
    """The requests, oldest first."""
    chance = random.Random(3)  # noqa: S311 - figures, not secrets
    for number in range(count):
        is_waiting = number >= count - waiting
        age = dt.timedelta(hours=60) * chance.random() if is_waiting else _YEAR * (1.02 - number / count)
        request = file(_draft(chance, number, now - age), f"{number:016x}")
        yield request if is_waiting else _ended(chance, request)


def _draft(chance: random.Random, number: int, at: dt.datetime) -> Draft:
    rows = chance.choices((chance.randint(1, 5), chance.randint(20, 200), 1_000), (90, 9, 1))[0]
    first = chance.randrange(1, 100_000)
    person = f"person{number % PEOPLE}"
    return Draft(
        source="shop",
        table="sale",
        operation="update",
        statement=f"UPDATE sale SET price = price + :p1 WHERE id BETWEEN {first} AND {first + rows - 1}",  # noqa: S608 - text
        parameters={"p1": 1},
        action=None,
        requester=Principal(kind=PrincipalKind.USER, name=person, groups=frozenset({"analysts"})),
        reason=f"ticket {number}: the price list of this week",
        created_at=at,
        expires_at=at + dt.timedelta(hours=72),
        diffs=(
            RowDiff(
                table="sale",
                key=("id",),
                columns=_COLUMNS,
                rows=tuple(_row(chance, key) for key in range(first, first + rows)),
            ),
        ),
        warnings=(),
        requirements=chance.choice(_QUORUMS),
        rules=(RuleRef(id="analysts", digest="5eed" * 16), RuleRef(id="sales", digest="feed" * 16)),
        schema_version="5eed" * 16,
    )


def _row(chance: random.Random, key: int) -> RowChange:
    price = Decimal(key % 100_000 * 37) / 100
    paid = dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=key)
    rest = (
        key / 3,
        key % 2 == 0,
        paid,
        paid.date(),
        f"person{key}@example.org",
        "Wien",
        f"{chance.getrandbits(128):x}",
    )

    def values(price: Decimal) -> tuple[Any, ...]:
        return tuple(map(encode, (key, key % 1000, price, *rest)))

    return RowChange(kind=RowKind.CHANGED, key=(key,), before=values(price), after=values(price + 1))


def _ended(chance: random.Random, request: ChangeRequest) -> ChangeRequest:
    state = chance.choice(_ENDS)
    at = request.created_at + dt.timedelta(hours=5)
    verdict = Verdict.REJECT if state is State.REJECTED else Verdict.APPROVE
    reviews = tuple(
        Review(reviewer=f"user:lead{place}", groups=frozenset(need.groups), verdict=verdict, reason="seen", at=at)
        for place, need in enumerate(request.requirements)
    )
    is_done = state is State.EXECUTED
    return replace(
        request,
        state=state,
        reviews=reviews if state not in {State.EXPIRED, State.WITHDRAWN} else (),
        outcome_rows=request.rows if is_done else None,
        outcome_index=7 if is_done else None,
        finished_at=at,
        failure="the rows changed since they were approved" if state is State.DRIFTED else None,
    )
