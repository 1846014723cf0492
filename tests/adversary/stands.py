"""A gate over a database that a test makes for itself: a few tables, a few rules, one principal."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from tests.adversary.engines import ENGINES
from tests.adversary.rules import REVIEWER
from tests.conftest import connect_mariadb

from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Channel, Engine, Principal, PrincipalKind
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import open_gate, start
from gatebook_hub.services.queries import Answer, Question
from gatebook_hub.services.sandboxing import Done
from gatebook_hub.settings import Settings

__all__ = ["ENGINES", "REVIEWER", "Stand", "stand"]
_SOURCE = """
source: shop
title: Shop
engine: {engine}
url: "{url}"
{kind}
"""
_KINDS = {
    True: "sandbox: true",
    False: "default_quorum: [{groups: [reviewers], needed: 1}]",
}
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """The gate, and the database behind it."""

    engine: Engine
    cases: UseCases
    run: Callable[[str], Rows]
    call: Call

    def ask(self, sql: str, **parameters: Any) -> Rows | Done | ChangeRequest:
        """Send a statement; a read gives its rows."""
        answer = self.cases.queries.ask(self.call, Question(source="shop", sql=sql, parameters=parameters))
        if not isinstance(answer, Answer):
            assert isinstance(answer, Done | ChangeRequest)
            return answer
        return [tuple(row.values()) for batch in answer.batches() for row in batch.to_pylist()]

    def proposed(self, sql: str, **parameters: Any) -> ChangeRequest:
        """The request that a write becomes."""
        answer = self.ask(sql, **parameters)
        assert isinstance(answer, ChangeRequest)
        return answer

    def approved(self, request: ChangeRequest, reviewer: Principal = REVIEWER) -> ChangeRequest:
        """What becomes of a request with somebody's approval."""
        return self.cases.changes.review(
            Call(principal=reviewer), request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest
        )

    def executed(self, request: ChangeRequest) -> ChangeRequest:
        """A request that is carried out with an approval; fails if it is not."""
        done = self.approved(request)
        assert done.state is State.EXECUTED, done.failure
        return done

    def told(self, sql: str) -> str:
        """What an asker learns: the rows or their number, or the sentence of the error without its reference."""
        try:
            found = self.ask(sql)
        except GatebookError as error:
            return f"{error.code} {error}"
        return repr(found) if isinstance(found, list) else f"done {getattr(found, 'rows', '')}"

    def refused(self, sql: str, **parameters: Any) -> GatebookError:
        """The refusal of a statement; fails if it is answered."""
        try:
            answer = self.ask(sql, **parameters)
        except GatebookError as error:
            return error
        raise AssertionError(f"not refused: {sql}\n{answer}")


@contextmanager
def stand(
    request: pytest.FixtureRequest,
    engine: Engine,
    folder: Path,
    setup: Sequence[str],
    rules: str,
    *,
    sandbox: bool,
    actions: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> Iterator[Stand]:
    """Make the tables, write the rules, actions and more files of policy, open the gate for a member of `people`."""
    with ExitStack() as stack:
        url, run = _database(request, engine, folder, stack)
        for statement in setup:
            run(statement)
        policies = folder / "policies"
        (policies / "sources").mkdir(parents=True)
        text = _SOURCE.format(engine=engine, url=url, kind=_KINDS[sandbox])
        (policies / "sources" / "shop.yaml").write_text(text)
        (policies / "rules.yaml").write_text(rules)
        files = {f"actions/a{number}.yaml": action for number, action in enumerate(actions)}
        for name, content in {**files, **(more or {})}.items():
            (policies / name).parent.mkdir(exist_ok=True)
            (policies / name).write_text(content)
        gate = stack.enter_context(open_gate(Settings(state=folder / "state", policies=policies)))
        gate.in_force.sources.get("shop").prepare()
        person = Principal(
            kind=PrincipalKind.USER, name="pat", groups=frozenset({"people"}), channel=Channel.ISSUED_TOKEN
        )
        yield Stand(engine=engine, cases=start(gate), run=run, call=Call(principal=person))


def _database(
    request: pytest.FixtureRequest, engine: Engine, folder: Path, stack: ExitStack
) -> tuple[str, Callable[[str], Rows]]:
    match engine:
        case Engine.SQLITE:
            path = folder / "shop.sqlite"
            return f"sqlite:///{path}", partial(_run_sqlite, path)
        case Engine.DUCKDB:
            path = folder / "shop.duckdb"
            return f"duckdb:///{path}", partial(_run_duckdb, path)
        case Engine.POSTGRESQL:
            url = str(request.getfixturevalue("postgres_url"))
            connection = stack.enter_context(psycopg.connect(url, autocommit=True))
            return url, partial(_run_postgres, connection)
        case _:
            url = str(request.getfixturevalue("mariadb_url"))
            raw: Any = connect_mariadb(url)
            stack.callback(raw.close)
            raw.autocommit(True)
            raw.select_db(url.rpartition("/")[2])
            return url, partial(_run_mariadb, raw)


def _run_sqlite(path: Path, sql: str) -> Rows:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql).fetchall()


def _run_duckdb(path: Path, sql: str) -> Rows:
    deadline = time.monotonic() + 20
    while True:
        try:
            with duckdb.connect(path) as connection:
                return connection.execute(sql).fetchall()
        except duckdb.IOException:  # a worker of the gate rests soon
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _run_postgres(connection: Any, sql: str) -> Rows:
    cursor = connection.execute(sql.encode())
    return list(cursor.fetchall()) if cursor.description else []


def _run_mariadb(connection: Any, sql: str) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
