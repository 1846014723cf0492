"""A bank whose rules may be others at any time: the folders, the open gate and the rows of a model's real half."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gatebook_hub.audit import Event
from gatebook_hub.errors import BookUnavailable
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.opening import OPERATOR, open_gate, start
from gatebook_hub.services.reloading import Reloading, Result
from gatebook_hub.settings import Settings

TABLES = ("account", "invoice")
GROUPS = ("blue", "green", "red")
REQUESTERS = ("user:ann", "user:eve", "job:ann")
SCOPE = "amount < 1000"
SOURCE = """
source: bank
title: Bank
engine: sqlite
url: sqlite:///{path}
default_quorum: [{{groups: [red]}}]
"""
READERS = """
grants:
  - {id: readers, to: ['group:staff', 'job:ann'], on: 'bank.*', allow: [select]}
"""
WRITERS = "  - {{id: write-{table}, to: {to}, on: bank.{table}, allow: [insert, update, delete], where: '{scope}'}}\n"
APPROVAL = "  - {{id: need-{table}, on: bank.{table}, require: {require}}}\n"

# How many people of which groups; several of them are all needed.
Quorum = tuple[tuple[tuple[str, ...], int], ...]
Rows = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for one table: who must agree, and the rows that may be written (None: by nobody)."""

    quorum: Quorum
    scope: str | None


class Bank:
    """Its gate stays open; each example begins with `reset`."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "bank.sqlite"
        with closing(sqlite3.connect(self.database)) as connection:
            for table in TABLES:
                connection.execute(f"create table {table} (id integer primary key, amount integer not null)")
        self.policies, self.state = folder / "policies", folder / "state"
        (self.policies / "sources").mkdir(parents=True)
        (self.policies / "sources" / "bank.yaml").write_text(SOURCE.format(path=self.database))
        self._write(dict.fromkeys(TABLES, Rules(quorum=((("red",), 1),), scope=SCOPE)))
        self.now = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
        # The kind of event that the book does not take.
        self.lost: str | None = None
        self.cases: UseCases

    @contextmanager
    def open(self) -> Iterator[None]:
        """Its gate, with a clock of our own and a book that can fail."""
        with open_gate(Settings(state=self.state, policies=self.policies)) as gate:
            gate.in_force.sources.get("bank").prepare()
            self.cases = start(gate)
            gate.now = lambda: self.now
            append = gate.book.append

            def append_or_lose(entry: Event) -> int:
                if entry.kind == self.lost:
                    raise BookUnavailable(entry.kind)
                return append(entry)

            gate.book.append = append_or_lose  # type: ignore[method-assign]
            yield

    def rule(self, rules: Mapping[str, Rules]) -> None:
        """Bring rules into force."""
        self._write(rules)
        assert Reloading(self.cases.gate).reload(OPERATOR).result in {Result.LOADED, Result.SAME}

    def reset(self, rows: Rows) -> None:
        """Rows, and a ledger that knows of nothing."""
        self.run("delete from gatebook_ledger", *(f"delete from {table}" for table in TABLES))
        for table, amounts in rows.items():
            self.run(*(f"insert into {table} values ({key}, {amount})" for key, amount in amounts.items()))

    def run(self, *statements: str) -> None:
        """What somebody does in the database, around the gate."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self) -> Rows:
        """What the tables hold."""
        with closing(sqlite3.connect(self.database)) as connection:
            return {table: dict(connection.execute(f"select id, amount from {table}")) for table in TABLES}

    def ledger(self) -> dict[str, str]:
        """The digests of the changes that the ledger knows as executed."""
        with closing(sqlite3.connect(self.database)) as connection:
            return dict(connection.execute("select change_id, digest from gatebook_ledger"))

    def _write(self, rules: Mapping[str, Rules]) -> None:
        text = READERS + "".join(
            WRITERS.format(table=table, to=list(REQUESTERS), scope=its.scope)
            for table, its in rules.items()
            if its.scope is not None
        )
        text += "approvals:\n"
        for table, its in rules.items():
            require = [{"groups": list(groups), "needed": needed} for groups, needed in its.quorum]
            text += APPROVAL.format(table=table, require=require)
        (self.policies / "rules.yaml").write_text(text)
