"""Which writes does a seed stand for? Updates, deletes, inserts and upserts of tickets, with values from expressions."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gatebook_hub.model import Engine

_NUMBERS = ("ticketid", "customerid")
_TEXTS = ("subject", "body", "status")
# Values that reach a write: none that policy hides, which would be refused.
_OTHERS = {"genre": ("genreid", "name"), "artist": ("artistid", "name"), "refund": ("refundid", None)}


@dataclass(frozen=True, slots=True)
class Written:
    """A write, and the select that says in the policy world which rows it would leave: key, subject, body."""

    sql: str
    kind: str


class WritesGrammar:
    """A seeded maker of writes of `support_ticket`."""

    def __init__(self, seed: int, engine: Engine) -> None:
        self.random = random.Random(f"{engine}:write:{seed}")
        self.engine = engine

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def statement(self) -> Written:
        kind = self.pick("update", "update", "update", "delete", "insert", "upsert", "join")
        match kind:
            case "update":
                return Written(f"update support_ticket set {self.assignments()} where {self.condition()}", kind)
            case "delete":
                return Written(f"delete from support_ticket where {self.condition()}", kind)
            case "insert":
                return Written(f"{self.head()} {self.rows(90_001)}", kind)
            case "upsert":
                return Written(self.upsert(), kind)
            case _:
                return Written(self.joined(), kind)

    def head(self) -> str:
        return "insert into support_ticket (ticketid, customerid, subject, body, status, priority, openedat)"

    def rows(self, first: int) -> str:
        rest = "'open', 'low', '2024-02-03 04:05:06'"
        if self.random.random() < 0.5:
            customer = self.pick("2", "36", "37", "38")
            rows = [f"({first + i}, {customer}, {self.literal()}, {self.literal()}, {rest})" for i in range(2)]
            return f"values {', '.join(rows)}"
        moment = {Engine.POSTGRESQL: "timestamp ", Engine.DUCKDB: "timestamp "}.get(self.engine, "")
        rest = f"'open', 'low', {moment}'2024-02-03 04:05:06'"
        low = self.random.randint(1, 60)
        return (
            f"select {first} + c.customerid, c.customerid, {self.expression('c', ('lastname', 'city', 'country'))}, "
            f"{self.literal()}, {rest} from customer c where c.customerid > {low}"
        )

    def upsert(self) -> str:
        keys = sorted(self.random.sample(range(1, 60), 2))
        rows = ", ".join(
            f"({key}, {self.pick('2', '36')}, {self.literal()}, {self.literal()}, 'open', 'low', '2024-02-03 04:05:06')"
            for key in keys
        )
        if self.engine is Engine.MARIADB:
            return f"{self.head()} values {rows} on duplicate key update subject = values(subject)"
        return f"{self.head()} values {rows} on conflict (ticketid) do update set subject = excluded.subject"

    def joined(self) -> str:
        value = self.expression("c", ("lastname", "city", "country"))
        low = self.random.randint(1, 50)
        if self.engine is Engine.MARIADB:
            return (
                "update support_ticket t join customer c on c.customerid = t.customerid "
                f"set t.subject = {value} where c.customerid > {low}"
            )
        return (
            f"update support_ticket set subject = {value} from customer c "
            f"where c.customerid = support_ticket.customerid and c.customerid > {low}"
        )

    def assignments(self) -> str:
        columns = self.random.sample(["subject", "body"], self.random.randint(1, 2))
        return ", ".join(f"{column} = {self.value()}" for column in columns)

    def value(self) -> str:
        roll = self.random.random()
        if roll < 0.25:
            return self.literal()
        if roll < 0.45:
            return (
                "coalesce((select max(c.lastname) from customer c where c.customerid = support_ticket.customerid"
                f"{self.pick('', ' and c.supportrepid > 3')}), {self.literal()})"
            )
        if roll < 0.6:
            return f"coalesce((select min(g.name) from genre g where g.genreid = support_ticket.ticketid), {self.literal()})"
        return self.expression("support_ticket", _TEXTS)

    def expression(self, alias: str, columns: tuple[str, ...]) -> str:
        one, two = f"{alias}.{self.pick(*columns)}", f"{alias}.{self.pick(*columns)}"
        joined = f"concat({one}, ' ', {two})" if self.engine is Engine.MARIADB else f"{one} || ' ' || {two}"
        return self.pick(
            one, f"upper({one})", f"substr({one}, 1, 5)", joined, f"replace({one}, 'a', 'b')",
            f"case when {one} > 'm' then {two} else {self.literal()} end",
        )  # fmt: skip

    def literal(self) -> str:
        return self.pick("'x'", "'it''s'", "'%'", "'ü€'", "''", "'gb_x :y'")

    def condition(self) -> str:
        roll = self.random.random()
        number = self.random.randint(1, 60)
        if roll < 0.2:
            return f"ticketid {self.pick('<', '>', '=', '<=')} {number}"
        if roll < 0.35:
            return f"customerid in (select c.customerid from customer c where c.{self.pick('city', 'email', 'phone', 'country')} {self.pick('<', '>')} 'm')"
        if roll < 0.5:
            return (
                "exists (select 1 from invoice i where i.customerid = support_ticket.customerid "
                f"and i.total > {number % 20})"
            )
        if roll < 0.6:
            return f"not ({self.condition()})"
        if roll < 0.75:
            return f"({self.condition()} {self.pick('and', 'or')} {self.condition()})"
        if roll < 0.85:
            return f"customerid = (select max(c.customerid) from customer c where c.customerid < {number})"
        return (
            f"{self.pick(*_TEXTS)} {self.pick('<', '>', 'like', '=')} {self.pick(repr('m'), repr('%e%'), repr('open'))}"
        )
