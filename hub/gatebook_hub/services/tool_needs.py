"""What does a tool need, and to whom would that be refused? From the book, not from its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gatebook_hub import policy
from gatebook_hub.audit import EventKind
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Access, Denied, Principal, PrincipalKind, TableUse, Tool
from gatebook_hub.services.gate import Gate
from gatebook_hub.stores.book import Book, EventFilter

_PAGE = 200
_MOST_EVENTS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One statement that the book has of a run: its source, its tables with what is done to them, and its text."""

    source: str
    statement: str
    uses: tuple[TableUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """All that a run asked for; `refused` are the sentences of what its own principal did not get."""

    asked: tuple[Asked, ...] = ()
    actions: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source, sorted."""
        return tuple(sorted({one.source for one in self.asked}))

    @property
    def tables(self) -> tuple[str, ...]:
        """`chinook.customer: select country, lastname`, sorted."""
        found: dict[tuple[str, str, Access], set[str]] = {}
        for one in self.asked:
            for use in one.uses:
                columns = use.reads if use.access is Access.SELECT else use.writes
                found.setdefault((one.source, use.table, use.access), set()).update(columns)
        return tuple(
            f"{source}.{table}: {access} {', '.join(sorted(columns))}".rstrip()
            for (source, table, access), columns in sorted(found.items())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Somebody to whom the tool is offered, and what the gate would say to them."""

    to: str
    sentence: str


def needs_of(book: Book, principal: Principal, since: str) -> Needs:
    """What the book has of the run of a principal."""
    asked: dict[tuple[str, str], Asked] = {}
    actions: set[str] = set()
    refused: dict[str, None] = {}
    for content in _events(book, principal, since):
        match content["kind"]:
            case EventKind.QUERY_INTENT:
                one = Asked(
                    source=content["source"],
                    statement=content.get("statement", ""),
                    uses=tuple(_use(table) for table in content.get("tables", ()) if "table" in table),
                )
                asked[one.source, one.statement] = one
            case EventKind.ACTION_REFUSED if "action" in content:
                actions.add(content["action"])
            case EventKind.QUERY_REFUSED | EventKind.QUERY_OUTCOME if content.get("outcome") in {"refused", "failed"}:
                refused[f"{content.get('source', 'a source')}: {content.get('detail') or content.get('code')}"] = None
            case _:
                pass
    return Needs(asked=tuple(asked.values()), actions=tuple(sorted(actions)), refused=tuple(refused))


def refusals(gate: Gate, tool: Tool, needs: Needs) -> tuple[Refusal, ...]:
    """What would be refused to whom the rules offer the tool; one sentence for each kind of principal and statement."""
    found: dict[tuple[str, str], None] = {}
    for to in policy.tool_groups(gate.policy, tool.name):
        principal = _somebody(to, tool)
        if principal is None:
            continue
        for one in needs.asked:
            sentence = _refused(gate, principal, one)
            if sentence is not None:
                found[to, f"{one.source}: {sentence}"] = None
        for name in needs.actions:
            if not policy.may_use_action(gate.policy, principal, name, gate.circumstances(is_look=True)):
                found[to, f"the action `{name}` is not granted to `{to}`"] = None
    return tuple(Refusal(to=to, sentence=sentence) for to, sentence in found)


def _events(book: Book, principal: Principal, since: str) -> Iterator[Mapping[str, Any]]:
    """The events of one run, oldest first."""
    found: list[Mapping[str, Any]] = []
    before: int | None = None
    for _ in range(_MOST_EVENTS // _PAGE):
        page = book.find(EventFilter(principal=principal.id, since=since, before=before, limit=_PAGE))
        found += [event.content for event in page if event.content.get("run") == principal.run_id]
        if len(page) < _PAGE:
            break
        before = page[-1].index
    yield from reversed(found)


def _use(table: Mapping[str, Any]) -> TableUse:
    return TableUse(
        table=str(table["table"]),
        access=Access(table["access"]),
        reads=frozenset(map(str, table.get("columns", ()))),
        writes=frozenset(map(str, table.get("writes", ()))),
    )


def _somebody(to: str, tool: Tool) -> Principal | None:
    """Somebody of whom no more is known than this name of a grant, with the tool open."""
    kind, _, name = to.partition(":")
    if kind == "group":
        return Principal(kind=PrincipalKind.USER, name=f"somebody of {name}", groups=frozenset({name}), tool=tool)
    return Principal(kind=PrincipalKind.USER, name=name, tool=tool) if kind == "user" else None


def _refused(gate: Gate, principal: Principal, one: Asked) -> str | None:
    try:
        schema = gate.policy.governed(gate.in_force.sources.get(one.source).schema())
    except GatebookError as error:
        return f"it cannot be said now: {error}"
    if not all(use.table in schema.tables for use in one.uses):
        return "it has not these tables any more"
    reads = [use for use in one.uses if use.access is Access.SELECT]
    writes: list[TableUse | None] = [use for use in one.uses if use.access is not Access.SELECT]
    for write in writes or [None]:
        at = gate.circumstances(is_look=True)
        decision = policy.decide(gate.policy, principal, schema, reads, write, at=at)
        if isinstance(decision, Denied):
            return decision.sentence
    return None
