"""How is a query saved, shared and run? Saved by a person at the portal; run by anybody who sees it, as themselves.

A saved query is a text. Whoever runs it asks the gate in their own name: it is decided, masked and written to the book
like any statement of theirs, and the book says from which query and version the text came.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gatebook_hub import policy, sql
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import (
    GatebookError,
    InvalidInput,
    KindRefused,
    NotFound,
    NotPermitted,
    PortalOnly,
    StateConflict,
)
from gatebook_hub.model import Channel, Principal, PrincipalKind, Schema
from gatebook_hub.saved import (
    Draft,
    Kind,
    Parameter,
    SavedQuery,
    Version,
    check_draft,
    check_name,
    check_named,
    fact_of,
    in_order,
    is_id,
    read_date,
    schema_of,
)
from gatebook_hub.services.actions import check_values
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.services.queries import Answer, Queries, Question, Waiting
from gatebook_hub.services.statements import text_facts
from gatebook_hub.sql import Statement, StatementKind

MOST_QUERIES = 500
MOST_VERSIONS = 500
MOST_LISTED = 1_000
_ONLY_READS = "only reads are saved; a write is asked for in a notebook, or is an action in the policy folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A saved query in one of its versions."""

    query: SavedQuery
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which saved query is meant: its id, or its name, which several authors may use; None for the newest version."""

    reference: str
    author: str | None = None
    version: int | None = None


class SavedQueries:
    """The saved queries of everybody."""

    def __init__(self, gate: Gate, queries: Queries) -> None:
        self._gate = gate
        self._queries = queries

    def listed(self, principal: Principal, words: str = "") -> tuple[Found, ...]:
        """The newest of those that the principal may run, each with its newest version; all words are found in it."""
        found = self._gate.saved.find(author=principal.id, names=principal.names, limit=MOST_LISTED)
        versions = self._gate.saved.newest(found)
        listed = (Found(query=query, version=one) for query, one in zip(found, versions, strict=True))
        wanted = words.casefold().split()
        return tuple(one for one in listed if _has(one, wanted))

    def get(self, principal: Principal, wanted: Wanted) -> Found:
        """One that the principal may run; raises NotFound, and InvalidInput where the name is several authors'."""
        store = self._gate.saved
        query = self._by_id(principal, wanted.reference)
        if query is None:
            named = store.find(author=principal.id, names=principal.names, called=wanted.reference)
            query = _one_of(named, principal, wanted)
        return self._in(query, wanted.version)

    def look(self, call: Call, query_id: str, number: int | None = None) -> Found:
        """One for its page: also for whoever may read the book, and deleted ones too; raises NotFound."""
        query = self._gate.saved.get(query_id)
        if query.is_visible_to(call.principal):
            return self._in(query, number)
        if not policy.may_read_book(self._gate.policy, call.principal, self._gate.circumstances()):
            raise NotFound("there is no such saved query")
        extra = {"saved": query.id}
        self._gate.book.append(self._gate.event(EventKind.AUDIT_READ, call, outcome=Outcome.OK, extra=extra))
        return self._in(query, number)

    def history(self, call: Call, query_id: str) -> tuple[SavedQuery, tuple[Version, ...]]:
        """A query and all of its versions, newest first; raises NotFound."""
        found = self.look(call, query_id)
        return found.query, self._gate.saved.versions(query_id)

    def parameters_in(self, call: Call, source: str, text: str) -> tuple[str, ...]:
        """The names of the parameters of a text, as they come in it; raises what the text is refused for."""
        _, _, schema = self._gate.source(source, call.principal)
        return in_order(_read_of(text, schema).parameters, text)

    @under_one_set
    def save(self, call: Call, name: str, draft: Draft) -> SavedQuery:
        """Keep a new query, shared with nobody; raises PortalOnly, InvalidInput, StateConflict and what its text is."""
        gate = self._gate
        now = self._now()
        query = SavedQuery(id=gate.new_id(), name=name.strip(), author=call.principal.id, created_at=now, version=1)
        version = Version(number=1, author=call.principal.id, at=now, draft=draft)

        def step() -> None:
            check_name(query.name)
            told = self._checked(call, draft)
            if gate.saved.count(call.principal.id) >= MOST_QUERIES:
                raise InvalidInput(f"you have {MOST_QUERIES} saved queries; delete one that nobody needs")
            gate.saved.add(query, version, self._telling(call, query, version, told))

        self._do(call, step, name=query.name)
        return query

    @under_one_set
    def edit(self, call: Call, query_id: str, draft: Draft, *, based_on: int) -> SavedQuery:
        """Keep a new version of what was looked at; raises also NotPermitted, and StateConflict if another came."""
        gate = self._gate
        query = self._seen(call, query_id)
        version = Version(number=based_on + 1, author=call.principal.id, at=self._now(), draft=draft)

        def step() -> None:
            if not query.is_editable_by(call.principal):
                raise NotPermitted("its author, and groups that the author named, may edit this query")
            if query.version >= MOST_VERSIONS:
                raise InvalidInput(f"a saved query has at most {MOST_VERSIONS} versions; save it under another name")
            if query.version != based_on:
                raise StateConflict("somebody saved another version meanwhile; look at it first")
            told = self._checked(call, draft)
            gate.saved.add_version(query.id, version, self._telling(call, query, version, told))

        self._do(call, step, query=query)
        return replace(query, version=version.number)

    def bring_back(self, call: Call, query_id: str, number: int, *, based_on: int) -> SavedQuery:
        """Save an old version once more, as the newest; raises what `edit` raises."""
        self._seen(call, query_id)
        old = self._gate.saved.version(query_id, number)
        return self.edit(call, query_id, replace(old.draft, note=f"version {number} brought back"), based_on=based_on)

    def share(self, call: Call, query_id: str, *, seen_by: frozenset[str], edited_by: frozenset[str]) -> None:
        """Say who may see and run it, and who may edit it too; its author alone does. Raises NotPermitted."""
        query = self._seen(call, query_id)
        extra = {"seen_by": ", ".join(sorted(seen_by)), "edited_by": ", ".join(sorted(edited_by))}

        def step() -> None:
            if not query.is_owned_by(call.principal):
                raise NotPermitted("its author alone shares a saved query")
            tell = partial(self._tell, EventKind.SAVED_SHARED, call, query, extra=extra)
            self._gate.saved.share(query.id, seen_by=seen_by, edited_by=edited_by, tell=tell)

        self._do(call, step, query=query)

    def delete(self, call: Call, query_id: str) -> None:
        """Take it out of use; its versions stay for those who read the book. Raises NotPermitted."""
        query = self._seen(call, query_id)

        def step() -> None:
            if not query.is_owned_by(call.principal):
                raise NotPermitted("its author alone deletes a saved query")
            tell = partial(self._tell, EventKind.SAVED_DELETED, call, query)
            self._gate.saved.delete(query.id, at=self._now(), by=call.principal.id, tell=tell)

        self._do(call, step, query=query)

    def has_deleted(self, principal: Principal, query_id: str) -> bool:
        """Whether the principal took this query out of use."""
        try:
            return self._gate.saved.get(query_id).deleted_by == principal.id
        except NotFound:
            return False

    def take(self, call: Call, wanted: Wanted) -> Found:
        """One that is about to be run; raises what `get` raises, and has it in the book."""
        try:
            return self.get(call.principal, wanted)
        except GatebookError as error:
            self._refuse(call, error, wanted.reference)
            raise

    @under_one_set
    def run(
        self,
        call: Call,
        wanted: Wanted,
        values: Mapping[str, Any],
        *,
        limit_rows: int | None = None,
        waiting: Waiting | None = None,
    ) -> Answer:
        """Ask the gate what the query asks, with the rights of whoever runs it; raises what any read raises."""
        found = self.take(call, wanted)
        call = replace(call, saved=fact_of(found.query, found.version.number))
        try:
            given = checked_values(found, values)
        except GatebookError as error:
            error.reference = self._gate.refuse(EventKind.SAVED_REFUSED, call, error)
            raise
        draft = found.version.draft
        question = Question(source=draft.source, sql=draft.sql, parameters=given, limit_rows=limit_rows, is_read=True)
        answer = self._queries.ask(call, question, waiting)
        assert isinstance(answer, Answer)
        return answer

    def _in(self, query: SavedQuery, number: int | None = None) -> Found:
        version = self._gate.saved.version(query.id, query.version if number is None else number)
        return Found(query=query, version=version)

    def _by_id(self, principal: Principal, query_id: str) -> SavedQuery | None:
        try:
            query = self._gate.saved.get(query_id)
        except NotFound:
            return None
        return query if query.is_visible_to(principal) else None

    def _seen(self, call: Call, query_id: str) -> SavedQuery:
        query = self._by_id(call.principal, query_id)
        if query is None:
            error = NotFound("there is no such saved query")
            self._refuse(call, error, query_id)
            raise error
        return query

    def _refuse(self, call: Call, error: GatebookError, asked: str) -> None:
        error.reference = self._gate.refuse(EventKind.SAVED_REFUSED, call, error, extra={"asked": asked[:64]})

    def _checked(self, call: Call, draft: Draft) -> dict[str, Any]:
        """What the book is told of a draft that may be saved; raises what is wrong with it."""
        check_draft(draft)
        _, _, schema = self._gate.source(draft.source, call.principal)
        statement = _read_of(draft.sql, schema)
        check_named(draft.parameters, statement.parameters)
        _check_own_values(draft)
        uses = sql.analyse(statement, schema).uses
        return text_facts(self._gate, schema, statement, uses)

    def _telling(self, call: Call, query: SavedQuery, version: Version, told: Mapping[str, Any]) -> Callable[[], int]:
        noted = replace(call, reason=version.draft.note or None)
        return partial(self._tell, EventKind.SAVED_WRITTEN, noted, replace(query, version=version.number), **told)

    def _tell(self, kind: EventKind, call: Call, query: SavedQuery, **facts: Any) -> int:
        event = self._gate.event(kind, replace(call, saved=fact_of(query, query.version)), outcome=Outcome.OK, **facts)
        return self._gate.book.append(event)

    def _do(self, call: Call, step: Callable[[], None], *, name: str = "", query: SavedQuery | None = None) -> None:
        """Take a step that a person takes at the portal; a refusal is in the book."""
        if query is not None:
            call, name = replace(call, saved=fact_of(query, query.version)), query.name
        try:
            if call.principal.channel is not Channel.PORTAL:
                raise PortalOnly("a query is saved, shared and deleted by a person at the portal")
            step()
        except GatebookError as error:
            self._refuse(call, error, name)
            raise

    def _now(self) -> str:
        return self._gate.now().isoformat(timespec="microseconds")


def checked_values(found: Found, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the statement binds, those that are not given by their defaults; raises InvalidInput."""
    parameters = found.version.draft.parameters
    dates = {one.name for one in parameters if one.kind is Kind.DATE}
    given = {
        name: value.isoformat() if name in dates and type(value) is dt.date else value for name, value in values.items()
    }
    checked = check_values(_exact(parameters), given, f"the saved query `{found.query.name}`")
    return {name: read_date(name, value) if name in dates else value for name, value in checked.items()}


def _exact(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """The schema with the values as they were written: a choice of 0.1 is met by 0.1, which no float is."""
    schema = schema_of(parameters)
    for one in parameters:
        if one.choices:
            schema["properties"][one.name]["enum"] = list(one.choices)
        if one.default is not None:
            schema["properties"][one.name]["default"] = one.default
    return schema


def _check_own_values(draft: Draft) -> None:
    """Raise InvalidInput for a choice or a default that its own parameter would not take."""
    for one in draft.parameters:
        for choice in one.choices:
            check_values(_exact([replace(one, choices=(), default=None)]), {one.name: choice}, "it")
            if one.kind is Kind.DATE:
                read_date(one.name, str(choice))
        if one.default is not None:
            check_values(_exact([replace(one, default=None)]), {one.name: one.default}, "it")
            if one.kind is Kind.DATE:
                read_date(one.name, str(one.default))


def _read_of(text: str, schema: Schema) -> Statement:
    """The one read that a text is; raises KindRefused for anything else, and what `sql.parse` raises."""
    if sql.asked(text) is not None or sql.defines(text):
        raise KindRefused(_ONLY_READS)
    statement = sql.parse(text, schema.engine, schema.functions)
    if statement.kind is not StatementKind.READ:
        raise KindRefused(_ONLY_READS)
    return statement


def _has(found: Found, words: list[str]) -> bool:
    draft = found.version.draft
    text = f"{found.query.name} {found.query.author} {draft.title} {draft.description} {draft.source}".casefold()
    return all(word in text for word in words)


def _one_of(named: tuple[SavedQuery, ...], principal: Principal, wanted: Wanted) -> SavedQuery:
    """The one that is meant: one's own comes first; what is left open is refused, since texts of two would differ."""
    if wanted.author is None and principal.kind is PrincipalKind.JOB and not is_id(wanted.reference):
        # Nobody looks at what a job takes, and whoever shares a query of that name with it would be taken.
        raise InvalidInput(f"a job says whose query it runs: `author/{wanted.reference[:64]}`")
    if wanted.author is not None:
        author = wanted.author if ":" in wanted.author else f"user:{wanted.author}"
        named = tuple(query for query in named if query.author == author)
    own = tuple(query for query in named if query.author == principal.id)
    candidates = own or named
    if not candidates:
        raise NotFound(f"there is no saved query `{wanted.reference[:64]}` that you may run")
    if len(candidates) > 1:
        whose = ", ".join(sorted(query.author.removeprefix("user:") for query in candidates))
        raise InvalidInput(f"several people share a query `{wanted.reference}` with you ({whose}); say whose you mean")
    return candidates[0]
