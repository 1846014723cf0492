"""What becomes of one statement: the same through the gate as without it, different, refused, failed?"""

from __future__ import annotations

import math
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engines import SOURCE, Answer, Refused, Stock, words_of
from steps import Step, is_ordered

from gatebook_hub import policy, sql
from gatebook_hub.errors import GatebookError, ParameterMismatch, UnknownColumn, UnknownRelation
from gatebook_hub.model import Allowed, Principal, PrincipalKind
from gatebook_hub.policy.loading import load
from gatebook_hub.sources.arrow import batch_of, schema_of

_PRINCIPAL = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"analysts"}))
_QUOTED = re.compile(r"`[^`]*`")
_NONCE = "5eed"


class Outcome(StrEnum):
    """What becomes of a statement that the engine alone answers, and always in the same way."""

    SAME = "same"
    NAMES = "other names"
    TYPES = "other types"
    ORDER = "other order"
    DIFFERENT = "silently different"
    REFUSED = "refused"
    FAILED = "failed"
    UNCARRIED = "not carried"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome, the class of its reason, and what one sees of it."""

    outcome: Outcome
    reason: str = ""
    detail: str = ""
    sent: str = ""


def open_policy(engine: str) -> policy.PolicySet:
    """Select on everything, no masks, no filters."""
    url = "sqlite:////nowhere" if engine == "sqlite" else f"{engine}://nowhere/x"
    source = f'source: {SOURCE}\ntitle: stock\nengine: {engine}\nurl: "{url}"\nproduction: false\nsandbox: true\n'
    rules = f"grants:\n  - id: all\n    to: group:analysts\n    on: [{SOURCE}.*]\n    allow: [select]\n"
    return load({f"sources/{SOURCE}.yaml": source, "rules.yaml": rules})


def attempt(stock: Stock, step: Step, alone: Answer, rules: policy.PolicySet) -> Result | None:
    """Try a statement through the gate against its answer alone; None if it is not one that counts."""
    with stock.undone():
        try:
            again = stock.again(step)
        except Refused:
            return None
        if again is None or not equal_rows(alone, again, is_ordered=is_ordered(step.sql)):
            return None
        plan, result = _planned(stock, step, rules)
        if plan is None:
            return result
        try:
            governed = stock.governed(plan, {})
        except Refused as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            return Result(outcome=Outcome.FAILED, reason=_shape(told), detail=told, sent=plan.sql)
    return compare(step.sql, alone, governed, plan.sql)


def _planned(stock: Stock, step: Step, rules: policy.PolicySet) -> tuple[sql.Plan | None, Result | None]:
    try:
        with _clock(8):
            statement = sql.parse(step.sql, stock.engine)
            if statement.parameters:
                return None, Result(outcome=Outcome.REFUSED, reason=f"{ParameterMismatch.code} parameters")
            schema = stock.schema(words_of(step.sql))
            analysis = sql.analyse(statement, schema)
            decided = policy.decide(rules, _PRINCIPAL, schema, analysis.uses)
            if not isinstance(decided, Allowed):
                return None, Result(outcome=Outcome.REFUSED, reason=f"policy: {decided.sentence}")
            return sql.rewrite(analysis, decided.obligations, schema, nonce=_NONCE), None
    except GatebookError as error:
        return None, Result(outcome=Outcome.REFUSED, reason=_reason(error, stock), detail=str(error))
    except Exception as error:  # noqa: BLE001 - the finding is that it was raised at all
        reason = f"{type(error).__name__}: {_shape(str(error))[:120]}"
        return None, Result(outcome=Outcome.CRASHED, reason=reason, detail=str(error)[:400])


def compare(text: str, alone: Answer, governed: Answer, sent: str) -> Result:
    """The rows first, then the types, then the names."""
    is_in_order = is_ordered(text)
    if not equal_rows(alone, governed, is_ordered=is_in_order):
        if is_in_order and equal_rows(alone, governed, is_ordered=False):
            return Result(outcome=Outcome.ORDER, detail=_shown(alone, governed), sent=sent)
        return Result(outcome=Outcome.DIFFERENT, detail=_shown(alone, governed), sent=sent)
    if alone.types != governed.types:
        pairs = [f"{one}→{other}" for one, other in zip(alone.types, governed.types, strict=True) if one != other]
        return Result(outcome=Outcome.TYPES, reason=", ".join(sorted(set(pairs))), sent=sent)
    if alone.names != governed.names:
        pairs = [f"{one!r}→{other!r}" for one, other in zip(alone.names, governed.names, strict=True) if one != other]
        return Result(outcome=Outcome.NAMES, detail=", ".join(pairs)[:300], sent=sent)
    try:
        declared: Sequence[Any] = [None] * len(alone.names)
        if not alone.types:
            batch_of(schema_of(alone.names, declared, governed.rows), governed.rows)
    except GatebookError as error:
        return Result(outcome=Outcome.UNCARRIED, reason=_shape(str(error)), detail=str(error), sent=sent)
    except Exception as error:  # noqa: BLE001 - as above
        return Result(outcome=Outcome.UNCARRIED, reason=f"{type(error).__name__}: {_shape(str(error))[:80]}", sent=sent)
    return Result(outcome=Outcome.SAME)


def equal_rows(one: Answer, other: Answer, *, is_ordered: bool) -> bool:
    """Equal values of equal types; NaN equals NaN; in order, or as multisets."""
    if len(one.rows) != len(other.rows) or len(one.names) != len(other.names):
        return False
    left, right = [_key(row) for row in one.rows], [_key(row) for row in other.rows]
    return left == right if is_ordered else Counter(left) == Counter(right)


def _key(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple((type(value).__name__, "nan" if _is_nan(value) else repr(value)) for value in row)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _shown(one: Answer, other: Answer) -> str:
    left, right = Counter(map(_key, one.rows)), Counter(map(_key, other.rows))
    lost = [tuple(part[1] for part in row) for row in (left - right)]
    won = [tuple(part[1] for part in row) for row in (right - left)]
    return f"{len(one.rows)} rows alone, {len(other.rows)} through the gate; alone {lost[:2]}; gate {won[:2]}"[:600]


def _reason(error: GatebookError, stock: Stock) -> str:
    text = str(error)
    found = _QUOTED.search(text)
    named = found.group().strip("`") if found else ""
    if isinstance(error, UnknownRelation):
        return f"{error.code} relation: {stock.kind_of(named.split(' ')[0])}"
    if isinstance(error, UnknownColumn):
        return f"{error.code} column: {_column_kind(named)}"
    if " near " in text:
        text = text.split(" at line", maxsplit=1)[0]
    return f"{error.code} {_shape(text)}"


def _column_kind(name: str) -> str:
    last = name.rsplit(".", maxsplit=1)[-1]
    if last.lower().strip('"`') in {"rowid", "oid", "_rowid_", "ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"}:
        return last.lower().strip('"`')
    return "a name in double quotes" if '"' in last else "a name that is not resolved"


def _shape(text: str) -> str:
    """A message without the values in it."""
    text = re.sub(r'"[^"]*"', '"…"', text)
    text = re.sub(r"'[^']*'", "'…'", text)
    text = re.sub(r"\b\d+\b", "N", text)
    return text.splitlines()[0][:160] if text else ""


@contextmanager
def _clock(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError("the gate took too long over a statement")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
