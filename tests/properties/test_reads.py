"""Does any nested read, however it is put together, show more than the policy world does?"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adversary.worlds import Answered, Fortress, StockError, fortress, normal

from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Engine

TABLES = {
    "customer": [
        "customerid",
        "firstname",
        "lastname",
        "company",
        "city",
        "country",
        "phone",
        "fax",
        "email",
        "supportrepid",
    ],
    "employee": ["employeeid", "lastname", "title", "reportsto", "city", "phone", "email"],
    "invoice": ["invoiceid", "customerid", "billingcity", "billingcountry", "total"],
    "support_ticket": ["ticketid", "customerid", "subject", "status"],
    "genre": ["genreid", "name"],
}
NUMBERS = {"customerid", "supportrepid", "employeeid", "reportsto", "invoiceid", "total", "ticketid", "genreid"}
PROBES = [
    "leonekohler@surfeu.de",
    "luisg@embraer.com.br",
    "Brazil",
    "Germany",
    "Gonçalves",
    "Köhler",
    "a",
    "Nowhere",
    "%e%",
]


class Grammar:
    """A seeded maker of nested reads."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names = 0

    def name(self) -> str:
        self.names += 1
        # Names of tables on purpose: shadowing is part of the attack.
        return self.random.choice([f"t{self.names}", f"t{self.names}", f"x{self.names}"])

    def statement(self) -> str:
        text, columns, _ = self.query(self.random.randint(1, 3), {}, [])
        if self.random.random() < 0.3:
            other, theirs, _ = self.query(1, {}, [])
            width = min(len(columns), len(theirs))
            left = ", ".join(f"l.{column}" for column in columns[:width])
            right = ", ".join(f"r.{column}" for column in theirs[:width])
            kind = self.random.choice(["union", "union all", "except", "intersect"])
            return f"select {left} from ({text}) l {kind} select {right} from ({other}) r"
        return text

    def query(
        self, depth: int, ctes: dict[str, list[str]], outer: list[tuple[str, list[str]]]
    ) -> tuple[str, list[str], dict[str, list[str]]]:
        head = ""
        known = dict(ctes)
        if depth > 1 and self.random.random() < 0.4:
            name = self.random.choice([self.name(), self.random.choice(list(TABLES))])
            inner, columns, _ = self.query(depth - 1, ctes, [])
            # SQLite takes a common table expression of its own name for a circle, so it is not used inside.
            if f"from {name} " not in inner + " " and f" {name}" not in inner:
                head = f"with {name} as ({inner}) "
                known[name] = columns
        relations = [self.relation(depth, known) for _ in range(self.random.choice([1, 1, 2, 2, 3]))]
        scope = [(alias, columns) for _, alias, columns in relations]
        text = f"{relations[0][0]}"
        for (relation, alias, columns), (before, others) in zip(relations[1:], scope, strict=False):
            pairs = [(mine, theirs) for mine in columns for theirs in others if self.kind(mine) == self.kind(theirs)]
            same = [pair for pair in pairs if pair[0] == pair[1]] or pairs
            mine, theirs = self.random.choice(same) if same else (columns[0], others[0])
            side = self.random.choice(["join", "left join", "join"])
            text += f" {side} {relation} on {alias}.{mine} = {before}.{theirs}"
        alias, columns = self.random.choice(scope)
        width = self.random.randint(1, 3)
        items, names = [], []
        for index in range(width):
            alias, columns = self.random.choice(scope)
            column = self.random.choice(columns)
            name = f"{'n' if self.kind(column) else 's'}{index}_{self.names}"
            items.append(f"{self.expression(alias, column, depth)} as {name}")
            names.append(name)
        where = f" where {self.condition(scope + outer, depth, known)}" if self.random.random() < 0.7 else ""
        distinct = "distinct " if self.random.random() < 0.2 else ""
        return f"{head}select {distinct}{', '.join(items)} from {text}{where}", names, known

    def kind(self, column: str) -> bool:
        return column in NUMBERS or column.startswith("n")

    def relation(self, depth: int, ctes: dict[str, list[str]]) -> tuple[str, str, list[str]]:
        alias = self.name()
        if depth > 1 and self.random.random() < 0.4:
            inner, columns, _ = self.query(depth - 1, ctes, [])
            return f"({inner}) {alias}", alias, columns
        names = {**TABLES, **ctes}
        table = self.random.choice(list(names))
        return f"{table} {alias}", alias, names[table]

    def expression(self, alias: str, column: str, depth: int) -> str:
        place = f"{alias}.{column}"
        if self.kind(column):
            return self.random.choice([place, place, f"coalesce({place}, 0)", f"{place} + 1", f"-{place}"])
        choices = [
            place,
            place,
            f"upper({place})",
            f"coalesce({place}, 'none')",
            f"substr({place}, 2, 9)",
            f"{place} || '!'",
        ]
        if depth > 1 and self.random.random() < 0.2:
            inner, names, _ = self.query(1, {}, [(alias, [column])])
            texts = [name for name in names if not self.kind(name)]
            if texts:
                return f"(select max(q.{texts[0]}) from ({inner.replace(' where ', ' where 1 = 1 and ')}) q)"
        return self.random.choice(choices)

    def condition(self, scope: list[tuple[str, list[str]]], depth: int, ctes: dict[str, list[str]]) -> str:
        alias, columns = self.random.choice(scope)
        column = self.random.choice(columns)
        place = f"{alias}.{column}"
        roll = self.random.random()
        if roll < 0.2 and depth > 0:
            return f"({self.condition(scope, depth - 1, ctes)} {self.random.choice(['or', 'and'])} {place} is not null)"
        if roll < 0.3:
            return f"not ({place} is null)"
        if roll < 0.5 and depth > 1:
            inner, names, _ = self.query(depth - 1, {}, [])
            fitting = [name for name in names if self.kind(name) == self.kind(column)]
            if fitting:
                return f"{place} in (select w.{fitting[0]} from ({inner}) w)"
            return f"exists ({inner})"
        if self.kind(column):
            return f"{place} {self.random.choice(['<', '>', '=', '<>'])} {self.random.randint(0, 60)}"
        probe = self.random.choice(PROBES)
        return f"{place} {self.random.choice(['=', '<>', 'like', '<', '>'])} '{probe}'"


@pytest.fixture(scope="module")
def walls(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    folder = tmp_path_factory.mktemp("reads")
    url = str(shutil.copy2(chinook_template, folder / "chinook.sqlite"))
    with fortress(Engine.SQLITE, url, folder) as opened:
        yield opened


def compare(walls: Fortress, seeds: range) -> tuple[int, int]:
    """Send one statement a seed; returns how many were answered and how many had rows."""
    answered = with_rows = 0
    for seed in seeds:
        sql = Grammar(seed).statement()
        try:
            right = walls.world(sql)
        except StockError:
            walls.assault(sql)
            continue
        if len(right.rows) > 5_000:
            continue
        found = walls.assault(sql)
        if isinstance(found, GatebookError):
            continue
        assert isinstance(found, Answered)
        assert normal(found.rows) == normal(right.rows), (seed, sql)
        answered += 1
        with_rows += bool(found.rows)
    return answered, with_rows


def test_two_hundred_reads_on_sqlite(walls: Fortress) -> None:
    answered, with_rows = compare(walls, range(200))
    assert answered > 120
    assert with_rows > 60
