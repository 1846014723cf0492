"""A small shop with a policy folder, for tests of what the gate does with both."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from gatebook_hub.model import Channel, Principal, PrincipalKind, Tool
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import open_gate, start
from gatebook_hub.services.queries import Answer, Question
from gatebook_hub.settings import Settings

SOURCE = """
source: shop
title: Shop
engine: sqlite
url: sqlite:///{path}
default_quorum: [{{groups: [reviewers]}}]
"""
ACTION = """
action: credit
title: Credit
source: shop
params:
  customer: {type: integer}
  amount: {type: number}
sql: insert into credit (customer, amount) values (:customer, :amount)
"""
RULES = """
classification:
  pii.email: [shop.customer.email]

grants:
  - id: readers
    to: group:readers
    on: shop.customer
    allow: [select]
    where: country = 'DE'

  - id: writers
    to: group:writers
    on: shop.customer
    allow: [select, update]

  - id: desk
    to: group:desk
    on: shop.customer
    allow: [select]
    via: desk

  - id: credits
    to: group:writers
    actions: credit

  - id: book
    to: group:auditors
    audit: true

protections:
  - id: mask-email
    tag: pii.email
    mask: email
    unless: group:privacy

approvals:
  - id: many
    on: shop.customer
    when: rows > 2
    require: [{groups: [reviewers], needed: 2}]

  - id: large-credits
    actions: credit
    when: amount > 10
    require: [{groups: [reviewers], needed: 2}]
"""


class Shop:
    """The folders of one shop, and its gate while it is open."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "shop.sqlite"
        with closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(
                """
                create table customer (id integer primary key, name text, email text, country text);
                create table credit (id integer primary key, customer integer, amount numeric);
                insert into customer values (1, 'Ann', 'ann@example.com', 'DE'), (2, 'Bea', 'bea@example.com', 'FR'),
                  (3, 'Cem', 'cem@example.com', 'DE');
                """
            )
        self.policies = folder / "policies"
        self.state = folder / "state"
        (self.policies / "sources").mkdir(parents=True)
        (self.policies / "actions").mkdir()
        (self.policies / "sources" / "shop.yaml").write_text(SOURCE.format(path=self.database))
        (self.policies / "actions" / "credit.yaml").write_text(ACTION)
        self.write(RULES)

    def write(self, rules: str) -> None:
        """Replace the rules."""
        (self.policies / "rules.yaml").write_text(rules)

    @contextmanager
    def open(self) -> Iterator[UseCases]:
        """The use cases of its gate."""
        settings = Settings(state=self.state, policies=self.policies)
        with open_gate(settings) as gate:
            gate.in_force.sources.get("shop").prepare()
            yield start(gate)


def ann(*groups: str, tool: str | None = None) -> Call:
    """A call of ann, in these groups."""
    attested = Tool(name=tool, version="1") if tool else None
    return Call(
        principal=Principal(
            kind=PrincipalKind.USER, name="ann", groups=frozenset(groups), tool=attested, channel=Channel.PORTAL
        )
    )


def person(name: str, *groups: str) -> Call:
    """A call of somebody else, in these groups."""
    return Call(principal=replace(ann(*groups).principal, name=name))


REVIEWER = person("rea", "reviewers")


def ask(cases: UseCases, call: Call, sql: str) -> list[tuple[object, ...]]:
    """The rows of a read."""
    answer = cases.queries.ask(call, Question(source="shop", sql=sql, parameters={}))
    assert isinstance(answer, Answer)
    return [tuple(row.values()) for batch in answer.batches() for row in batch.to_pylist()]
