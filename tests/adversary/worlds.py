"""What may the restricted principal see, what must never show, and what would the right answer be?

Each engine has the demo database behind a gate, and beside it a *policy world*: plain tables with the masks applied and
the hidden rows and columns gone, made by SQL of its own. The right answer of any read is the unchanged statement there.
Canaries are the raw values that the principal may not see; they may appear nowhere.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.adversary.rules import ANALYST, REVIEWER, SOURCE, rules_for
from tests.adversary.sights import MALLORY, Sight
from tests.adversary.stocks import Answered, Ask, Rows, StockError, World, open_stock

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Engine
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import open_gate, start
from gatebook_hub.services.queries import Question
from gatebook_hub.settings import Settings

__all__ = ["ANALYST", "REVIEWER", "Answered", "Fortress", "StockError", "every", "fortress", "normal"]
_EMBEDDED = {Engine.SQLITE: "sqlite", Engine.DUCKDB: "duckdb"}


@dataclass(slots=True, kw_only=True)
class Fortress:
    """One engine: the gate's use cases, the raw database and the policy world."""

    engine: Engine
    cases: UseCases
    raw: Ask
    world: World
    build: Callable[[Sight], World]
    canaries: frozenset[str]
    call: Call

    def ask(self, sql: str, **parameters: Any) -> Answered | ChangeRequest:
        """Send a statement as the restricted principal."""
        return ask(self.cases, self.call, sql, parameters)

    def read(self, sql: str, **parameters: Any) -> Answered:
        """Send a read."""
        answered = self.ask(sql, **parameters)
        assert isinstance(answered, Answered)
        return answered

    def refused(self, sql: str, **parameters: Any) -> GatebookError:
        """The refusal of a statement; fails if it is answered."""
        try:
            answered = self.ask(sql, **parameters)
        except GatebookError as error:
            self.check_text(f"{error} {error.ask}", typed=sql)
            return error
        raise AssertionError(f"not refused: {sql}\n{answered}")

    def assault(self, sql: str, **parameters: Any) -> Answered | GatebookError:
        """Send a statement that may be answered or refused: no canary either way, and no more than the policy world."""
        try:
            answered = self.read(sql, **parameters)
        except GatebookError as error:
            self.check_text(str(error), typed=sql)
            return error
        self.check_text(repr(answered), typed=sql)
        if not parameters:
            self.compare(sql, answered)
        return answered

    def compare(self, sql: str, answered: Answered) -> None:
        """The policy world gives the same rows to the unchanged statement, if it takes it."""
        if "public." in sql:
            return  # in the database of the policy world that name means the raw tables
        try:
            right = self.world(sql)
        except StockError:
            return
        assert normal(answered.rows) == normal(right.rows), sql

    def equals_world(self, sql: str) -> Answered:
        """Send a read that must be answered, and answered as the policy world does."""
        answered = self.read(sql)
        self.check_text(repr(answered), typed=sql)
        assert normal(answered.rows) == normal(self.world(sql).rows), sql
        return answered

    def check_text(self, text: str, typed: str = "") -> None:
        """No canary is in the text, but for those that were typed in."""
        found = [canary for canary in self.canaries if canary in text and canary not in typed]
        assert not found, f"canaries {found[:3]} in: {text[:300]}"


def every(statements: Iterable[str], check: Callable[[str], object]) -> None:
    """Check each statement and fail with the list of those that failed: one test, hundreds of attacks."""
    wrong = []
    for sql in statements:
        try:
            check(sql)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told at the end
            wrong.append(f"{sql}\n    {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, "\n".join([f"{len(wrong)} got through:", *wrong])


def ask(cases: UseCases, call: Call, sql: str, parameters: Mapping[str, Any]) -> Answered | ChangeRequest:
    """Send one statement through the gate and read the whole answer."""
    answer = cases.queries.ask(call, Question(source="chinook", sql=sql, parameters=parameters))
    if isinstance(answer, ChangeRequest):
        return answer
    try:
        rows: Rows = []
        for batch in answer.batches():
            columns = [_values(column) for column in batch.columns]
            rows.extend(zip(*columns, strict=True))
        return Answered(names=tuple(answer.schema.names), rows=rows)
    finally:
        answer.close()


def _values(column: Any) -> list[Any]:
    """What Python makes of a column; of a structure whose fields have one name, the fields beside each other."""
    try:
        found: list[Any] = column.to_pylist()
    except ValueError:
        return list(zip(*(_values(part) for part in column.flatten()), strict=True))
    return found


def normal(rows: Rows) -> list[tuple[str, ...]]:
    """Rows in an order of their own, with one spelling of equal values."""
    return sorted(tuple(_plain(value) for value in row) for row in rows)


def _plain(value: Any) -> str:
    match value:
        case None:
            return "\x00"
        case bool():
            return str(int(value))
        case int() | float() | Decimal():
            return f"{float(value):.6g}"
        case dt.datetime() | dt.date() | dt.time() | dt.timedelta():
            return str(value).removesuffix("+00:00")
        case bytes():
            return value.decode("utf-8", "replace")
        case dict():
            # A structure without names of fields comes as a tuple from one driver and as a dictionary from another.
            return str(tuple(value.values()))
        case _:
            return str(value)


@contextmanager
def fortress(engine: Engine, url: str, folder: Path) -> Iterator[Fortress]:
    """Open a gate in front of the database, and build the policy world beside it."""
    stock = open_stock(engine, url, folder)
    policies = folder / "policies"
    (policies / "sources").mkdir(parents=True)
    given = f"{_EMBEDDED[engine]}:///{url}" if engine in _EMBEDDED else url
    (policies / "sources" / "chinook.yaml").write_text(SOURCE.format(engine=engine, url=given))
    (policies / "rules.yaml").write_text(rules_for(engine))
    settings = Settings(state=folder / "state", policies=policies, hub_host="localhost", gateway_host="127.0.0.1")
    with open_gate(settings) as gate:
        gate.in_force.sources.get("chinook").prepare()
        key = hmac.digest(gate.keys.digest, b"mask:chinook", "sha256")
        world = stock.build(MALLORY, key)
        yield Fortress(
            engine=engine,
            cases=start(gate),
            raw=stock.raw,
            world=world,
            build=lambda sight: stock.build(sight, key),
            canaries=_canaries(stock.raw, world),
            call=Call(principal=ANALYST),
        )


def _canaries(raw: Ask, world: Ask) -> frozenset[str]:
    """Raw values that the policy world does not hold as a value of its own."""
    queries = [
        "select email, phone, fax from customer",
        "select email, phone, fax, birthdate from employee",
        "select firstname, lastname, company, address, postalcode from customer",
        "select address, postalcode from employee",
        "select billingaddress from invoice",
        "select subject, body from support_ticket",
        "select reason from refund",
        "select name from track where composer like '%Hetfield%'",
        "select name from mediatype",
    ]
    hidden = {_plain(value) for query in queries for row in raw(query).rows for value in row if value is not None}
    shown = " \n ".join(
        _plain(value) for table in MALLORY.tables for row in world(f"select * from {table}").rows for value in row
    )
    # A number of few digits may be a part of any other.
    return frozenset(text for text in hidden if len(text) > 4 and not text.isdigit() and text not in shown)
