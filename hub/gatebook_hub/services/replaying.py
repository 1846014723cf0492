"""What would the past have been under another policy set? Statements of the book, decided under two sets.

The book keeps a statement's shape with `?1` for its literals, and their values or keyed digests. Decisions rest on
tables, columns and functions; where one rests on a value that is not there, or on rows that were measured under other
rules, that is said and nothing is guessed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatebook_hub.errors import GatebookError, UnknownColumn, UnknownRelation
from gatebook_hub.model import Allowed, Channel, Denied, Principal, PrincipalKind, Schema, Tool
from gatebook_hub.policy import Action, Circumstances, PolicySet, open_conditions
from gatebook_hub.services.trying import Asking, Trial, attempt
from gatebook_hub.stores.book import StoredEvent

_SLOT = re.compile(r"\?([1-9][0-9]*)")
_CUT = re.compile(r"… sha256:[0-9a-f]{64}$")
_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_DIGEST = "hmac:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One statement whose decision differs: what kinds of difference, before and after, and how often it was made."""

    kinds: tuple[str, ...]
    principal: str
    groups: tuple[str, ...]
    tool: str | None
    source: str
    statement: str
    action: str | None
    before: str
    after: str
    count: int
    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class Replay:
    """What came of it: changed decisions, how many stay, and what cannot be replayed, by reason."""

    changes: list[Change] = field(default_factory=list)
    same: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    known: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """Changed decisions by kind, each time that the statement was made."""
        found: Counter[str] = Counter()
        for change in self.changes:
            found.update(dict.fromkeys(change.kinds, change.count))
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One statement of the book, as often as it was made alike. `rows` is what a write was measured to change."""

    principal: Principal
    purpose: str | None
    source: str
    shape: str
    values: tuple[str, ...]
    parameters: Mapping[str, str]
    action: str | None
    now: dt.datetime
    rows: int | None
    index: int


class NotReplayable(Exception):
    """Why a statement of the book cannot be decided again."""


def replay(events: Iterable[StoredEvent], old: PolicySet, new: PolicySet, schemas: Mapping[str, Schema]) -> Replay:
    """Decide the statements of these events (any order) under both sets; `schemas` are the live ones, by source."""
    found = Replay()
    events = sorted(events, key=lambda event: event.index)
    measured = {
        event.content["refers_to"]: event.content.get("rows")
        for event in events
        if event.content.get("kind") == "change.proposed" and "refers_to" in event.content
    }
    seen: dict[tuple[Any, ...], Change] = {}
    for event in events:
        kind = event.content.get("kind")
        if kind in {"query.refused", "action.refused"}:
            found.skipped["it was refused: the book keeps a digest of its text alone"] += 1
        if kind != "query.intent":
            continue
        try:
            past = _past(event, measured.get(event.index))
            difference = _compare(past, old, new, schemas, found)
        except NotReplayable as reason:
            found.skipped[str(reason)] += 1
            continue
        if difference is None:
            found.same += 1
            continue
        kinds, before, after = difference
        tool = past.principal.tool.name if past.principal.tool else None
        key = (
            past.principal.id,
            past.principal.groups,
            tool,
            past.purpose,
            past.source,
            past.shape,
            kinds,
            before,
            after,
        )
        known = seen.get(key)
        seen[key] = Change(
            kinds=kinds,
            principal=past.principal.id,
            groups=tuple(sorted(past.principal.groups)),
            tool=tool,
            source=past.source,
            statement=past.shape,
            action=past.action,
            before=before,
            after=after,
            count=known.count + 1 if known else 1,
            first=known.first if known else past.index,
            last=past.index,
        )
    found.changes = sorted(seen.values(), key=lambda change: (change.kinds, -change.count, change.first))
    return found


def put_back(shape: str, values: tuple[str, ...]) -> str:
    """The shape with values in place of `?1…`: numbers as numbers, everything else as text.

    A value that is not there (a digest, or cut off) becomes a text of its own: no decision rests on what it says.
    """

    def literal(match: re.Match[str]) -> str:
        place = int(match[1]) - 1
        value = values[place] if place < len(values) and not values[place].startswith(_DIGEST) else f"value {match[1]}"
        if _NUMBER.match(value):
            return value
        return "'" + value.replace("'", "''").replace("\\", "") + "'"

    return _SLOT.sub(literal, shape)


def _past(event: StoredEvent, rows: int | None) -> Past:
    content = event.content
    shape = content.get("statement")
    if not isinstance(shape, str) or not shape:
        raise NotReplayable("the book has no statement of it")
    if _CUT.search(shape):
        raise NotReplayable("it is too long: the book keeps its beginning and its hash")
    kind, _, name = content["principal"].partition(":")
    if kind not in set(PrincipalKind):
        raise NotReplayable("its principal is of no known kind")
    tool, _, version = content.get("tool", "").partition("@")
    return Past(
        principal=Principal(
            kind=PrincipalKind(kind),
            name=name,
            groups=frozenset(content.get("groups", ())),
            tool=Tool(name=tool, version=version) if tool else None,
            channel=Channel.OPERATOR,
        ),
        purpose=content.get("purpose"),
        source=content.get("source", ""),
        shape=shape,
        values=tuple(content.get("values", ())),
        parameters=content.get("parameters", {}),
        action=content.get("action"),
        now=dt.datetime.fromisoformat(content["time"]),
        rows=rows,
        index=event.index,
    )


def _compare(
    past: Past, old: PolicySet, new: PolicySet, schemas: Mapping[str, Schema], found: Replay
) -> tuple[tuple[str, ...], str, str] | None:
    before, after = (_known_outcome(past, policy_set, schemas, found) for policy_set in (old, new))
    kinds = [kind for kind in _KINDS if _differs(kind, before, after)]
    is_write = before.get("is_write") and after.get("is_write")
    if is_write and (_rests_on_rows(past, old) or _rests_on_rows(past, new)):
        reason = None
        if past.rows is None:
            reason = "the quorum alone: it depends on rows that were not measured"
        elif before["rows"] != after["rows"]:
            reason = "the quorum alone: it depends on rows that were measured under other row scopes"
        if reason is not None:
            found.skipped[reason] += 1
            kinds = [kind for kind in kinds if kind != "quorum"]
    return (tuple(kinds), str(before["told"]), str(after["told"])) if kinds else None


_KINDS = (
    "allow→deny", "deny→allow", "refusal", "mask added", "mask removed", "mask changed", "rows", "columns", "quorum",
    "limits", "reason", "expiry",
)  # fmt: skip


def _differs(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    was, becomes = before["allowed"], after["allowed"]
    if kind in {"allow→deny", "deny→allow"}:
        return (was, becomes) == ((True, False) if kind == "allow→deny" else (False, True))
    if kind == "refusal":
        return not was and not becomes and before["rule"] != after["rule"]
    if not (was and becomes):
        return False
    masks, newer = before["masks"], after["masks"]
    match kind:
        case "mask added":
            return bool(newer.keys() - masks.keys())
        case "mask removed":
            return bool(masks.keys() - newer.keys())
        case "mask changed":
            return any(masks[name] != newer[name] for name in masks.keys() & newer.keys())
        case _:
            return bool(before[kind] != after[kind])


def _known_outcome(past: Past, policy_set: PolicySet, schemas: Mapping[str, Schema], found: Replay) -> dict[str, Any]:
    """The outcome, decided once for statements of one shape: what their literals say decides nothing."""
    at = Circumstances(now=past.now, purpose=past.purpose)
    key = (
        id(policy_set), past.principal.names, open_conditions(policy_set, at), past.purpose, past.source, past.shape,
        past.action, past.rows, tuple(sorted(past.parameters.items())) if past.action else None, _day(policy_set, past),
    )  # fmt: skip
    if key not in found.known:
        found.known[key] = _outcome(past, policy_set, schemas)
    return found.known[key]


def _day(policy_set: PolicySet, past: Past) -> dt.date | None:
    """The day, where a refusal may name a grant whose last day has come."""
    has_end = any(grant.window is not None for grant in policy_set.grants)
    return past.now.date() if has_end else None


def _outcome(past: Past, policy_set: PolicySet, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    if past.source in policy_set.connections:
        raise NotReplayable("it calls another service")
    schema = schemas.get(past.source)
    if past.source not in policy_set.sources:
        return _refused("no source", f"there is no source `{past.source}`")
    if schema is None:
        raise NotReplayable(f"the source `{past.source}` cannot be read now")
    action = policy_set.actions.get(past.action) if past.action else None
    if past.action and action is None:
        return _refused("no action", f"there is no action `{past.action}`")
    text = action.sql if action else put_back(past.shape, past.values)
    asking = Asking(
        principal=past.principal,
        at=Circumstances(now=past.now, purpose=past.purpose),
        rows=past.rows if past.rows is not None else 1,
        action=action,
        params=_parameters(past, policy_set, action) if action else {},
    )
    try:
        trial = attempt(policy_set, schema, text, asking)
    except UnknownRelation as error:
        raise NotReplayable("one of its tables is gone") from error
    except UnknownColumn as error:
        raise NotReplayable("one of its columns is gone") from error
    except GatebookError as error:
        raise NotReplayable(f"it is not understood any more ({error.code} {error.title})") from error
    if isinstance(trial.decision, Denied):
        return _refused(trial.decision.rule or "unknown table", trial.decision.sentence)
    return _allowed(trial, trial.decision)


def _refused(rule: str, sentence: str) -> dict[str, Any]:
    return {"allowed": False, "rule": rule, "told": f"refused by {rule}: {sentence}"}


def _allowed(trial: Trial, allowed: Allowed) -> dict[str, Any]:
    masks = trial.masks()
    rows = {
        use.table: tuple(item.condition for item in allowed.obligations[use.table].row_filters) for use in trial.uses
    }
    columns = {use.table: allowed.obligations[use.table].columns for use in trial.uses if use.is_whole}
    quorum = trial.approving.requirements if trial.approving else ()
    parts = [f"{column} as {mask}" for column, mask in sorted(masks.items())]
    parts += [f"rows of {table} where {' and '.join(found)}" for table, found in sorted(rows.items()) if found]
    parts += [f"`*` of {table} is {', '.join(found)}" for table, found in sorted(columns.items())]
    parts += [f"needs {item.needed} of {' or '.join(item.groups)}" for item in quorum]
    return {
        "allowed": True,
        "rule": None,
        "masks": masks,
        "rows": rows,
        "columns": columns,
        "quorum": quorum,
        "is_write": trial.write is not None,
        "limits": allowed.limits,
        "reason": allowed.needs_reason or bool(trial.approving and trial.approving.needs_reason),
        "expiry": trial.approving.expires_h if trial.approving else None,
        "told": "allowed" + (f": {'; '.join(parts)}" if parts else ""),
    }


def _rests_on_rows(past: Past, policy_set: PolicySet) -> bool:
    return any(
        condition.name == "rows"
        for rule in policy_set.approvals
        if not rule.on or past.action in rule.actions or any(pattern.source == past.source for pattern in rule.on)
        for condition in rule.when
    )


def _parameters(past: Past, policy_set: PolicySet, action: Action) -> dict[str, Any]:
    """The values that approval rules compare; raises NotReplayable where the book has a digest of one of them."""
    wanted = {
        condition.name for rule in policy_set.approvals if action.name in rule.actions for condition in rule.when
    } - {"rows"}
    for name in sorted(wanted):
        value = past.parameters.get(name)
        if value is not None and value.startswith(_DIGEST):
            raise NotReplayable("its approval depends on a value of which the book has a digest")
    return {name: value.removeprefix("decimal:") for name, value in past.parameters.items()}
