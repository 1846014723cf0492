"""Does the gate give the policy world's answers to the reads of some seeds? Every disagreement is told with its seed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.adversary.grammar import Grammar
from tests.adversary.stocks import Answered, Ask, StockError
from tests.adversary.vocabulary import ALL_TABLES
from tests.adversary.worlds import Fortress, ask, normal

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import (
    GatebookError,
    LimitExceeded,
    MemoryExceeded,
    SourceUnavailable,
    StatementFailed,
    StatementTimeout,
)
from gatebook_hub.model import Engine
from gatebook_hub.services.gate import Call

_MOST_ROWS = 5_000
_MOST_TOLD = 12
# Where an engine had no time. And MariaDB reads a common table expression anew wherever it is named, with the names
# that hold there: it misses columns (1054) that the query where it was written has.
# So does what it finds in a query of the gate, where those names are random ones: it refuses.
# And whether it counts the columns of one that is used nowhere is its own affair (4002).
_CONFUSED = ("(error 1146)", "(error 1054)", "(error 4002)")
_EXCUSED = ("interrupted", "INTERRUPT", "statement timeout", "(1969,", "(1054,")


@dataclass(slots=True)
class Tally:
    """How many reads were answered, how many of those had rows, how many were refused; and what disagreed."""

    asked: int = 0
    answered: int = 0
    with_rows: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail with the disagreements."""
        told = "\n".join(self.disagreements[:_MOST_TOLD])
        assert not self.disagreements, f"{len(self.disagreements)} of {self.asked} disagree:\n{told}"


def compare(walls: Fortress, seeds: Iterable[int], *, call: Call | None = None, world: Ask | None = None) -> Tally:
    """Send one read a seed."""
    tally = Tally()
    for seed in seeds:
        sql = Grammar(seed, walls.engine).statement()
        if walls.engine is Engine.MARIADB and _ends_mariadb(sql):
            with suppress(GatebookError):
                ask(walls.cases, call or walls.call, sql, {})
            continue
        try:
            compare_one(walls, sql, tally, call or walls.call, world or walls.world)
        except AssertionError as error:
            tally.disagreements.append(f"seed {seed}: {sql}\n    {error}")
    return tally


def compare_one(walls: Fortress, sql: str, tally: Tally, call: Call, world: Ask) -> None:
    """Send one read; an AssertionError says what is wrong with the answer."""
    tally.asked += 1
    right: Answered | None = None
    try:
        right = world(sql)
    except StockError as error:
        reason = str(error)
    if right is not None and len(right.rows) > _MOST_ROWS:
        return
    try:
        found = ask(walls.cases, call, sql, {})
    except (LimitExceeded, MemoryExceeded, StatementTimeout):
        return
    except GatebookError as error:
        _check_there(error)
        if call is walls.call:
            walls.check_text(f"{error} {error.ask}", typed=sql)
        if right is not None:
            tally.reasons.setdefault(str(error), sql)
            tally.refused[error.code] = tally.refused.get(error.code, 0) + 1
        is_confused = walls.engine is Engine.MARIADB and any(word in str(error) for word in _CONFUSED)
        if right is not None and isinstance(error, StatementFailed) and not is_confused:
            raise AssertionError(f"{error}; the policy world answers") from error
        return
    assert isinstance(found, Answered)
    if call is walls.call:
        walls.check_text(repr(found), typed=sql)
    if right is None and any(word in reason for word in _EXCUSED):
        return
    assert right is not None, f"answered with {len(found.rows)} rows; the policy world refuses: {reason}"
    mine, theirs = normal(found.rows), normal(right.rows)
    assert mine == theirs, f"rows {_differ(mine, theirs)}"
    assert found.names == right.names, f"names {found.names} and not {right.names}"
    tally.answered += 1
    tally.with_rows += bool(found.rows)


def _ends_mariadb(sql: str) -> bool:
    """Whether the plain statement may end the server, which the next one would find out.

    A common table expression with the name of a table, beside another one that reads this table, is looked up in itself
    without an end. The gate gives them other names.
    """
    return sql.count("with ") > 1 and any(
        re.search(rf"(?:\bwith|\brecursive|\),) {table}(?:\([^()]*\))? as \(", sql) for table in ALL_TABLES
    )


def _check_there(error: GatebookError) -> None:
    """A database that is away refuses like the gate, in both worlds."""
    assert not isinstance(error, SourceUnavailable), f"the database is away after this: {error}"


def _differ(mine: list[tuple[str, ...]], theirs: list[tuple[str, ...]]) -> str:
    more = [row for row in mine if row not in theirs][:3]
    less = [row for row in theirs if row not in mine][:3]
    return f"{len(mine)} and not {len(theirs)}; too many: {more}; missing: {less}"


def alarms(walls: Fortress, start: int) -> list[bytes]:
    """The alarms of the book from an index on."""
    word = f'"{EventKind.ALARM}"'.encode()
    entries = walls.cases.gate.book.entries()
    return [entry for index, (entry, _) in enumerate(entries) if index >= start and word in entry]
