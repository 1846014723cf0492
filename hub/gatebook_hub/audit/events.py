"""Which fields does an event have, and what are its exact bytes?

An event is a JSON object of strings, integers, lists and objects of those, written after RFC 8785. Floats are
written as text, since their canonical form is where implementations differ.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

MAX_BYTES = 60_000
# An event that is too long is written shorter, step by step: characters of a text, items of a list.
_STEPS = ((12_000, 200), (200, 100), (60, 20), (20, 5))
_MOST_FIELDS = 32


class EventKind(StrEnum):
    """What happened; an intent is written before, an outcome after."""

    QUERY_INTENT = "query.intent"
    QUERY_OUTCOME = "query.outcome"
    QUERY_REFUSED = "query.refused"
    QUERY_EXPLAINED = "query.explained"
    SCHEMA_READ = "schema.read"
    TRANSACTION_INTENT = "transaction.intent"
    TRANSACTION_OUTCOME = "transaction.outcome"
    CHANGE_PROPOSED = "change.proposed"
    CHANGE_READ = "change.read"
    CHANGE_REVIEWED = "change.reviewed"
    CHANGE_WITHDRAWN = "change.withdrawn"
    CHANGE_EXPIRED = "change.expired"
    CHANGE_BROKEN = "change.broken"
    CHANGE_COMMENTED = "change.commented"
    CHANGE_FORGOTTEN = "change.forgotten"
    CHANGE_INTENT = "change.intent"
    CHANGE_OUTCOME = "change.outcome"
    CHANGE_REFUSED = "change.refused"
    ACTION_REFUSED = "action.refused"
    ACCESS_ENDED = "access.ended"
    SAVED_WRITTEN = "saved.written"
    SAVED_SHARED = "saved.shared"
    SAVED_DELETED = "saved.deleted"
    SAVED_REFUSED = "saved.refused"
    POLICY_LOADED = "policy.loaded"
    POLICY_REFUSED = "policy.refused"
    TOKEN_ISSUED = "token.issued"  # noqa: S105 - the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event
    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    AUDIT_READ = "audit.read"
    RUN_STARTED = "run.started"
    RUN_FINISHED = "run.finished"
    TOOL_CHECKED = "tool.checked"
    TOOL_PROPOSED = "tool.proposed"
    TOOL_REVIEWED = "tool.reviewed"
    TOOL_INSTALLED = "tool.installed"
    TOOL_ROLLED_BACK = "tool.rolled_back"
    TOOL_REFUSED = "tool.refused"
    GATEWAY_STARTED = "gateway.started"
    ALARM = "alarm"


class Outcome(StrEnum):
    """How it ended."""

    OK = "ok"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; unset fields are left out of its bytes.

    `time` is UTC in ISO 8601 with microseconds; `refers_to` the index of the intent that an outcome closes;
    `provenance` is what the caller claims, `tool`, `run`, `saved` and `principal` are facts.
    """

    kind: EventKind
    time: str
    principal: str
    groups: tuple[str, ...] = ()
    channel: str | None = None
    tool: str | None = None
    run: str | None = None
    source: str | None = None
    revision: str | None = None
    statement: str | None = None
    values: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[Mapping[str, Any], ...] = ()
    rules: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    purpose: str | None = None
    change: str | None = None
    action: str | None = None
    saved: Mapping[str, str] = field(default_factory=dict)
    refers_to: int | None = None
    outcome: Outcome | None = None
    rows: int | None = None
    bytes: int | None = None
    elapsed_us: int | None = None
    code: str | None = None
    detail: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        """The event as JSON holds it, without unset fields."""
        found: dict[str, Any] = {"v": 1}
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None or value in ((), {}):
                continue
            found[item.name] = list(value) if isinstance(value, tuple) else value
        return found


def canonical(event: Event) -> bytes:
    """The event's bytes, 60,000 at most; over-long texts and lists become their beginning and their SHA-256."""
    found = event.as_object()
    encoded = _write(found)
    for length, count in _STEPS:
        if len(encoded) <= MAX_BYTES:
            break
        encoded = _write(_shorten(found, length, count))
    return encoded


def parse_event(data: bytes) -> dict[str, Any]:
    """The object of an event's bytes."""
    found = json.loads(data)
    if not isinstance(found, dict):
        msg = "an event is a JSON object"
        raise TypeError(msg)
    return found


def _write(value: dict[str, Any]) -> bytes:
    _refuse_floats(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Half a character (a lone surrogate) has no bytes; an event about it must still be written.
    return text.encode(errors="replace")


def _refuse_floats(value: Any) -> None:
    match value:
        case float():
            msg = "an event holds text and integers only"
            raise TypeError(msg)
        case dict():
            for key, item in value.items():
                if not key.isascii():
                    msg = "keys of an event are ASCII, so that every sort order agrees"
                    raise TypeError(msg)
                _refuse_floats(item)
        case list() | tuple():
            for item in value:
                _refuse_floats(item)


def written_time(moment: dt.datetime) -> str:
    """A moment (aware) as events have it: UTC in ISO 8601 with microseconds."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shorten(value: Any, length: int, count: int) -> Any:
    match value:
        case str() if len(value) > length:
            return f"{value[:length]}… {_digest(value)}"
        case dict() if len(value) > _MOST_FIELDS + count:
            kept = dict(sorted(value.items())[:count])
            return _shorten({**kept, "more": f"{len(value) - count}, all: {_digest(json.dumps(value))}"}, length, count)
        case dict():
            return {key: _shorten(item, length, count) for key, item in value.items()}
        case list():
            items = [_shorten(item, length, count) for item in value[:count]]
            rest = len(value) - count
            return items + ([f"… {rest} more, all: {_digest(json.dumps(value))}"] if rest > 0 else [])
        case _:
            return value


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"
