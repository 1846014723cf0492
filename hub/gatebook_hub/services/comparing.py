"""What does a proposed policy set change? Decisions of the past, and who gains or loses what on which column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Schema
from gatebook_hub.policy import PolicySet
from gatebook_hub.policy.entitling import Entitlement, entitlements
from gatebook_hub.services.entitlements import written_by
from gatebook_hub.services.replaying import Replay, replay
from gatebook_hub.sources.registry import open_sources
from gatebook_hub.stores.book import Book, EventFilter, StoredEvent

_PAGE = 1_000
_KINDS = ("query.intent", "change.proposed", "query.refused", "action.refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What one principal gains, loses or meets differently on one column; `before` is None for a gain."""

    source: str
    table: str
    column: str
    principal: str
    tool: str | None
    access: str
    before: str | None
    after: str | None

    @property
    def word(self) -> str:
        """gains, loses or changes."""
        return "gains" if self.before is None else "loses" if self.after is None else "changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two policy sets side by side; `unseen` says which sources could not be looked at, and why."""

    old: str
    new: str
    shifts: tuple[Shift, ...]
    replay: Replay | None
    unseen: Mapping[str, str]

    @property
    def is_same(self) -> bool:
        """Whether nothing that could be compared differs."""
        return not self.shifts and not (self.replay and self.replay.changes)

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {
            "old": self.old,
            "new": self.new,
            "shifts": [{"word": item.word, **asdict(item)} for item in self.shifts],
            "unseen": dict(self.unseen),
            "replay": None,
        }
        if self.replay is not None:
            found["replay"] = {
                "counts": self.replay.counts,
                "same": self.replay.same,
                "changes": [asdict(change) for change in self.replay.changes],
                "not_replayed": dict(sorted(self.replay.skipped.items())),
            }
        return found


def live_schemas(old: PolicySet, new: PolicySet, state: Path) -> tuple[dict[str, Schema], dict[str, str]]:
    """The schemas of all declared sources, the newer declaration first, and why some are missing."""
    schemas: dict[str, Schema] = {}
    unseen: dict[str, str] = {}
    for name, rule in sorted({**old.sources, **new.sources}.items()):
        try:
            opened = open_sources({name: (rule.engine, rule.url)}, state)
            try:
                schemas[name] = opened.get(name).schema()
            finally:
                opened.close()
        except GatebookError as error:
            unseen[name] = str(error)
    return schemas, unseen


def statements_of(book: Book, *, since: str | None, limit: int) -> tuple[StoredEvent, ...]:
    """The newest events that a replay looks at, at most so many of each kind."""
    found: list[StoredEvent] = []
    for kind in _KINDS:
        before, left = None, limit
        while left > 0:
            wanted = EventFilter(kind=kind, since=since, before=before, limit=min(_PAGE, left))
            page = book.find(wanted)
            found.extend(page)
            left -= len(page)
            if len(page) < wanted.limit:
                break
            before = page[-1].index
    return tuple(found)


def compare(
    old: PolicySet,
    new: PolicySet,
    schemas: Mapping[str, Schema],
    *,
    events: tuple[StoredEvent, ...] | None,
    unseen: Mapping[str, str],
    now: dt.datetime,
) -> Comparison:
    """Both comparisons; without events the past is left out."""
    return Comparison(
        old=old.revision,
        new=new.revision,
        shifts=tuple(shift for name in sorted(schemas) for shift in _shifts(old, new, schemas[name], now)),
        replay=replay(events, old, new, schemas) if events is not None else None,
        unseen=unseen,
    )


def _shifts(old: PolicySet, new: PolicySet, schema: Schema, now: dt.datetime) -> Iterator[Shift]:
    before, after = (_entitled(policy_set, schema, now) for policy_set in (old, new))
    for key in sorted(before.keys() | after.keys()):
        was, becomes = before.get(key), after.get(key)
        one = was or becomes
        sentences = (was.sentence() if was else None, becomes.sentence() if becomes else None)
        if one is None or sentences[0] == sentences[1]:
            continue
        yield Shift(
            source=one.source,
            table=one.table,
            column=one.column,
            principal=one.principal,
            tool=one.tool,
            access=one.access,
            before=sentences[0],
            after=sentences[1],
        )


def _entitled(policy_set: PolicySet, schema: Schema, now: dt.datetime) -> dict[tuple[str, ...], Entitlement]:
    if schema.source not in policy_set.sources:
        return {}
    actions = written_by(policy_set, schema)
    return {item.key: item for item in entitlements(policy_set, schema, tables=schema.tables, actions=actions, now=now)}


def told(found: Comparison) -> Iterator[str]:
    """The comparison as lines."""
    yield f"policy {found.old} → {found.new}"
    for source, sentence in sorted(found.unseen.items()):
        yield f"  not compared: {source}: {sentence}"
    yield "who gains or loses what"
    yield from _told_shifts(found.shifts)
    if found.replay is None:
        yield "statements of the past: there is no book to replay"
        return
    replayed = found.replay
    changed = sum(change.count for change in replayed.changes)
    yield f"statements of the past: {changed} decided differently, {replayed.same} as before"
    for kind, count in replayed.counts.items():
        yield f"  {kind}: {count}"
    for change in replayed.changes:
        who = change.principal + (f" through {change.tool}" if change.tool else "")
        groups = f" in {', '.join(change.groups)}" if change.groups else ""
        events = f"events {change.first} to {change.last}"
        yield f"  {', '.join(change.kinds)}: {change.count} times {who}{groups} ({events})"
        yield f"      {change.source}: {f'action {change.action}: ' if change.action else ''}{change.statement}"
        yield f"      was  {change.before}"
        yield f"      now  {change.after}"
    if replayed.skipped:
        yield f"not replayed: {sum(replayed.skipped.values())}"
        for reason, count in sorted(replayed.skipped.items()):
            yield f"  {count} times {reason}"


def _told_shifts(shifts: tuple[Shift, ...]) -> Iterator[str]:
    """Columns of one table that shift alike share a line."""
    if not shifts:
        yield "  nothing"
    grouped: dict[tuple[Any, ...], list[str]] = {}
    for shift in shifts:
        key = (shift.source, shift.table, shift.principal, shift.tool, shift.access, shift.before, shift.after)
        grouped.setdefault(key, []).append(shift.column)
    for (source, table, principal, tool, access, before, after), columns in grouped.items():
        word = "gains" if before is None else "loses" if after is None else "changes"
        through = f" through {tool}" if tool else ""
        named = f".{{{', '.join(columns)}}}" if len(columns) > 1 else f".{columns[0]}" if columns[0] else ""
        what = after if before is None else before if after is None else f"{before} → {after}"
        yield f"  {principal}{through} {word} {access} on {source}.{table}{named}: {what}"
