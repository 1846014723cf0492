"""What does an action ask before it writes? Its checks, the choices of its parameters, and how often it was called.

Checks and choices are reviewed selects: they run by the right to call the action, and protections hold in them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gatebook_hub import sql
from gatebook_hub.audit import EventKind
from gatebook_hub.errors import EffectMissed, InvalidInput, LimitExceeded, TooManyRequests
from gatebook_hub.model import Schema
from gatebook_hub.policy import Action
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.own_reads import Row, done_lately, read_noted
from gatebook_hub.services.statements import decide_action_read, facts, used
from gatebook_hub.sources.source import WriteSession
from gatebook_hub.sql import Plan

MOST_CHOICES = 500
# So many times as often as an action may be called it may be rehearsed.
DRY_RUNS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedCheck:
    """A select that has to find a row before anything is written."""

    plan: Plan
    otherwise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A value that a parameter may have, and what people read."""

    value: int | str
    label: str


def decide_checks(gate: Gate, call: Call, action: Action | None, schema: Schema) -> tuple[DecidedCheck, ...]:
    """The checks of an action, decided for who calls it; raises AccessRefused."""
    found = []
    for check in action.checks if action is not None else ():
        assert action is not None
        statement = sql.parse(check.sql, schema.engine, schema.functions)
        decided = decide_action_read(gate, call, action, statement, schema)
        found.append(DecidedCheck(plan=decided.plan, otherwise=check.otherwise))
    return tuple(found)


def hold(session: WriteSession, checks: tuple[DecidedCheck, ...], sets: Sequence[Mapping[str, Any]]) -> None:
    """Ask each check in the write's own transaction, for each set of values that differs to it.

    Raises EffectMissed with the sentence of the first that fails.
    """
    for check in checks:
        for values in {repr(named): named for named in (used(one, check.plan) for one in sets)}.values():
            _ask(session, check, values)


def _ask(session: WriteSession, check: DecidedCheck, values: Mapping[str, Any]) -> None:
    try:
        is_held = bool(session.select(check.plan, values, 1))
    except LimitExceeded:  # more rows than one
        is_held = True
    if not is_held:
        raise EffectMissed(check.otherwise)


def choices_of(gate: Gate, call: Call, action: Action, name: str) -> tuple[Choice, ...]:
    """What a parameter may be, for who calls the action: a read, which is in the book; raises LimitExceeded."""
    schema = gate.policy.governed(gate.in_force.sources.get(action.source).schema())
    statement = sql.parse(action.choices[name], schema.engine, schema.functions)
    decided = decide_action_read(gate, call, action, statement, schema)
    told = facts(gate, action.source, schema, decided, {})
    told |= {"action": action.name, "extra": {"step": f"choices of {name}"}}

    def check(rows: list[Row]) -> None:
        if len(rows) > MOST_CHOICES:
            raise LimitExceeded(f"`{name}` has more than {MOST_CHOICES} choices; its data owner narrows them")

    rows = read_noted(gate, call, schema, decided, told, {}, check)
    is_whole = action.params["properties"][name]["type"] == "integer"
    kept = [row for row in rows if row and row[0] is not None]
    return tuple(
        Choice(value=int(row[0]) if is_whole else str(row[0]), label=str(row[1] if len(row) > 1 else row[0]))
        for row in kept
    )


def check_choices(gate: Gate, call: Call, action: Action, sets: Sequence[Mapping[str, Any]]) -> None:
    """Raise InvalidInput for a value that is not among its choices, as they are now."""
    for name in action.choices:
        if not {one[name] for one in sets} <= {choice.value for choice in choices_of(gate, call, action, name)}:
            raise InvalidInput(f"`{name}` is none of its choices")


def check_rates(gate: Gate, call: Call, action: Action, times: int, *, is_dry_run: bool = False) -> None:
    """Raise TooManyRequests for somebody who has called the action as often as they may, as the book knows.

    A call with a list counts as many `times` as that is long. Dry runs are counted alone, and there may be more: but
    they say whether anything would change, and with that whether a protected value is the one that was guessed.
    """
    if not action.rates:
        return
    now, more = gate.now(), DRY_RUNS if is_dry_run else 1
    kind, count = (EventKind.QUERY_INTENT, "sets") if is_dry_run else (EventKind.CHANGE_PROPOSED, "calls")
    longest = max(rate.per_s for rate in action.rates)
    called = (
        (dt.datetime.fromisoformat(event.content["time"]), int((event.content.get("extra") or {}).get(count, 1)))
        for event in done_lately(gate, call, kind, action.place, longest)
        if event.content.get("action") == action.name
        and (not is_dry_run or (event.content.get("extra") or {}).get("step") == "dry_run")
    )
    newest = tuple(islice(called, more * max(rate.times for rate in action.rates)))
    for rate in action.rates:
        begin = now - dt.timedelta(seconds=rate.per_s)
        if sum(number for at, number in newest if at > begin) + times > more * rate.times:
            does = "rehearse" if is_dry_run else "call"
            raise TooManyRequests(
                f"you may {does} `{action.name}` {more * rate.times} times a {rate.word}; wait, then send it again"
            )
