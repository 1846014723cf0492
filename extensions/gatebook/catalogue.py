"""What is behind the gate for me: who am I, which sources, tables and actions are there, where do my requests stand?

The schema is asked for at most once a minute and source: each look at it is an entry in the book.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape

from gatebook.changes import Change
from gatebook.model import Action, Principal, Schema, Source
from gatebook.transport import gate

FRESH_S = 60.0
_PATIENCE_OF_COMPLETION_S = 2.0

_sources: dict[tuple[str, str], tuple[float, tuple[Source, ...]]] = {}
_schemas: dict[tuple[str, str, str], tuple[float, Schema]] = {}


def me() -> Principal:
    """Who I am to the gate."""
    return Principal.from_json(gate().get("me"))


def sources() -> tuple[Source, ...]:
    """The databases that are open to me."""
    through = gate()
    found = tuple(Source.from_json(one) for one in through.get("sources")["sources"])
    _sources[through.url, through.token] = time.monotonic(), found
    return found


def schema(source: str, *, is_patient: bool = True) -> Schema:
    """The tables and columns of a source that I may know of."""
    through = gate()
    if is_patient:
        document = through.get("sources", source, "schema")
    else:
        document = through.get("sources", source, "schema", read_timeout_s=_PATIENCE_OF_COMPLETION_S)
    found = Schema.from_json(document)
    _schemas[through.url, through.token, source] = time.monotonic(), found
    return found


def recent_schema(source: str) -> Schema:
    """The schema as it was at most a minute ago."""
    through = gate()
    known = _schemas.get((through.url, through.token, source))
    return known[1] if known and time.monotonic() - known[0] < FRESH_S else schema(source, is_patient=False)


def engine_of(source: str) -> str:
    """The engine of a source, which decides how its SQL is quoted; empty for a source that is not there."""
    through = gate()
    known = _sources.get((through.url, through.token))
    is_known = known is not None and any(one.name == source for one in known[1])
    found = known[1] if known is not None and is_known else sources()
    return next((one.engine for one in found if one.name == source), "")


def actions() -> tuple[Action, ...]:
    """The actions that are open to me."""
    return tuple(Action.from_json(one) for one in gate().get("actions")["actions"])


def action_of(name: str) -> Action:
    """One action for its form: parameters with choices have them as `oneOf`, as they are for me now."""
    return Action.from_json(gate().get("actions", name))


def change(change_id: str) -> Change:
    """One change request by its id."""
    through = gate()
    return Change.from_json(through.get("changes", change_id), through)


def changes(
    state: str | None = None, *, mine: bool | None = None, limit: int | None = None, before: str | None = None
) -> tuple[Change, ...]:
    """Change requests that I may see, newest first, without their rows."""
    through = gate()
    wanted = None if mine is None else str(mine).lower()
    document = through.get("changes", state=state, mine=wanted, limit=limit, before=before)
    return tuple(Change.from_json(one, through) for one in document["changes"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Who I am, what is open to me, and my last requests; shown by `%gatebook`."""

    me: Principal
    sources: tuple[Source, ...]
    requests: tuple[Change, ...]

    def __str__(self) -> str:
        lines = [f"{self.me.kind} {self.me.name}" + (f", in {', '.join(self.me.groups)}" if self.me.groups else "")]
        lines += [f"source {one.name} ({one.engine}) {one.title}".rstrip() for one in self.sources]
        lines += [f"action {name}" for name in self.me.actions]
        lines += [f"request {one.id}: {one.sentence} [{one.state.words}]" for one in self.requests]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        groups = f", in {escape(', '.join(self.me.groups))}" if self.me.groups else ""
        sections = [
            f"<p>You are the {escape(self.me.kind)} <strong>{escape(self.me.name)}</strong>{groups}.</p>",
            _list("Sources", [f"{one.name} ({one.engine}) {one.title}" for one in self.sources]),
            _list("Actions", list(self.me.actions)),
            _list("Your requests", [f"{one.id}: {one.sentence}, {one.state.words}" for one in self.requests]),
        ]
        return "".join(sections)


def overview() -> Overview:
    """What `%gatebook` shows."""
    return Overview(me=me(), sources=sources(), requests=changes(mine=True, limit=10))


def _list(title: str, entries: list[str]) -> str:
    if not entries:
        return ""
    return f"<p>{escape(title)}</p><ul>{''.join(f'<li>{escape(entry)}</li>' for entry in entries)}</ul>"
