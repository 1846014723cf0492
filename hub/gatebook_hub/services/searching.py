"""How does a person find a record by what they know of it? In each entity that is open to them; each search is noted.

Nobody needs a grant of the table: the entity is reviewed, as an action is. Protections stay with the data. A look-up
compares a whole value with a column that may be masked, and tells which record has it; what it shows is read masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from gatebook_hub import policy, sql
from gatebook_hub.audit import EventKind, recorded_parameters
from gatebook_hub.errors import GatebookError, InvalidInput, SourceError, TooManyRequests
from gatebook_hub.model import Schema, Table
from gatebook_hub.policy import Entity
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.services.own_reads import Row, Turns, done_lately, read_noted
from gatebook_hub.services.statements import check_reason, decide_entity_read, facts
from gatebook_hub.values import encode

MOST_FOUND = 10
MOST_TYPED = 200
_LEAST_TYPED = 2
_LEAST_LOOKED_UP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record that was found: its key, what is shown of it (masked where it is), and where it opens."""

    entity: str
    title: str
    key: Mapping[str, Any]
    shown: Mapping[str, Any]
    masked: frozenset[str]
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found; `more` are entities that have more than is told, `failed` those that were not asked, and why."""

    records: tuple[Record, ...]
    more: tuple[str, ...]
    failed: Mapping[str, str]


class Searching:
    """Search the entities that are open to a person."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._turns = Turns()

    @under_one_set
    def entities(self, call: Call) -> tuple[Entity, ...]:
        """The entities that this caller may search."""
        gate = self._gate
        return tuple(
            entity
            for _, entity in sorted(gate.policy.entities.items())
            if policy.may_search(gate.policy, call.principal, entity.name, gate.circumstances(call.purpose))
        )

    @under_one_set
    def search(self, call: Call, text: str, names: Sequence[str] = ()) -> Found:
        """Find records by what was typed, in all entities or in those of these names; raises InvalidInput."""
        wanted = " ".join(text.split())
        if not _LEAST_TYPED <= len(wanted) <= MOST_TYPED:
            raise InvalidInput(f"type {_LEAST_TYPED} to {MOST_TYPED} characters")
        records: list[Record] = []
        more: list[str] = []
        failed: dict[str, str] = {}
        for entity in self.entities(call):
            if names and entity.name not in names:
                continue
            try:
                search = _Search(self._gate, self._turns, call, entity)
                found = search.find(wanted)
            except GatebookError as error:
                failed[entity.name] = "its source did not answer" if isinstance(error, SourceError) else str(error)
                continue
            failed |= {entity.name: search.note} if search.note else {}
            records += found[:MOST_FOUND]
            more += [entity.name] if len(found) > MOST_FOUND else []
        return Found(records=tuple(records), more=tuple(more), failed=failed)


class _Search:
    """One search in one entity."""

    def __init__(self, gate: Gate, turns: Turns, call: Call, entity: Entity) -> None:
        self._gate = gate
        self._turns = turns
        self._call = call
        self._entity = entity
        self._schema: Schema = gate.policy.governed(gate.in_force.sources.get(entity.source).schema())
        self._table: Table = self._schema.tables[entity.table]
        self.note = ""

    def find(self, wanted: str) -> list[Record]:
        """The records, each once: those by text, then by their key, then by whole values."""
        found: dict[str, Record] = {}
        for record in (*self._by_text(wanted), *self._by_key(wanted), *self._by_lookup(wanted)):
            found.setdefault(repr(sorted(record.key.items())), record)
        return list(found.values())

    def _by_text(self, wanted: str) -> Iterator[Record]:
        entity = self._entity
        if entity.search:
            text = sql.search_text(self._table, entity.shows, entity.search, MOST_FOUND + 1, self._schema.engine)
            yield from self._records(text, {"wanted": sql.like(wanted, entity.match)}, "search")

    def _by_key(self, wanted: str) -> Iterator[Record]:
        if len(self._table.key) == 1 and wanted.isascii() and wanted.isdecimal() and len(wanted) <= 18:
            column = self._table.column(self._table.key[0])
            if column is not None and "int" in column.type.lower():
                yield from self._record((int(wanted),), "key")

    def _by_lookup(self, wanted: str) -> Iterator[Record]:
        if len(wanted) < _LEAST_LOOKED_UP or not self._entity.lookups:
            return
        with self._turns.taken(self._call.principal.id, self._entity.name):
            yield from self._looked_up(wanted)

    def _looked_up(self, wanted: str) -> Iterator[Record]:
        if self._has_looked_up_enough():
            rate = self._entity.rate
            self.note = f"you may look up {rate.times} values a {rate.word}, so it was searched as text alone"
            return
        for column in self._entity.lookups:
            text = sql.lookup_text(self._table, column, MOST_FOUND + 1, self._schema.engine)
            rows, _ = self._read(text, {"wanted": wanted.lower()}, f"lookup {column}", frozenset({column}))
            for row in rows:
                yield from self._record(row, f"lookup {column}: record")

    def _record(self, key: Row, step: str) -> Iterator[Record]:
        text = sql.record_text(self._table, self._entity.shows, 1, self._schema.engine)
        yield from self._records(text, {f"k{index}": part for index, part in enumerate(key)}, step)

    def _records(self, text: str, values: Mapping[str, Any], step: str) -> Iterator[Record]:
        entity, width = self._entity, len(self._table.key)
        rows, masked = self._read(text, values, step)
        names = list(dict.fromkeys([*self._table.key, *entity.shows]))
        for row in rows:
            if masked & set(self._table.key):
                continue  # a key that a mask made opens nothing
            shown = {name: encode(value) for name, value in zip(names, row, strict=True) if name in entity.shows}
            key = dict(zip(self._table.key, map(encode, row[:width]), strict=True))
            yield Record(
                entity=entity.name,
                title=entity.title,
                key=key,
                shown=shown,
                masked=masked & set(entity.shows),
                url=self._url(row[:width]),
            )

    def _url(self, key: Row) -> str | None:
        """Where the record opens, for whoever may open that tool."""
        gate, entity = self._gate, self._entity
        if entity.tool is None or entity.parameter is None or len(key) != 1 or not gate.settings.hub_url:
            return None
        if not policy.may_use_tool(gate.policy, self._call.principal, entity.tool, gate.circumstances()):
            return None
        return f"{gate.settings.hub_url}/services/tools/{entity.tool}?{urlencode({entity.parameter: key[0]})}"

    def _read(
        self, text: str, values: Mapping[str, Any], step: str, opened: frozenset[str] = frozenset()
    ) -> tuple[list[Row], frozenset[str]]:
        """Rows of one governed read, which is in the book before it runs, and the columns that are masked in them."""
        gate, call, entity, schema = self._gate, self._call, self._entity, self._schema
        statement = sql.parse(text, schema.engine, schema.functions)
        decided = decide_entity_read(gate, call, entity, statement, schema, opened)
        check_reason(call, decided.allowed)
        told = facts(gate, entity.source, schema, decided, values)
        if "wanted" in values:  # whatever was typed may be the value of a protected column
            told["parameters"] = recorded_parameters(dict(values), {"wanted"}, gate.keys.digest)
        told["extra"] = {"entity": entity.name, "step": step}
        rows = read_noted(gate, call, schema, decided, told, values)
        return rows, frozenset(decided.allowed.obligations[entity.table].masks)

    def _has_looked_up_enough(self) -> bool:
        """Whether it is as often as one may: nobody reads a column by guessing."""
        entity, kind = self._entity, EventKind.QUERY_INTENT
        sought = {"entity": entity.name, "step": f"lookup {entity.lookups[0]}"}
        done = done_lately(self._gate, self._call, kind, entity.source, entity.rate.per_s)
        counted = (event for event in done if event.content.get("extra") == sought)
        try:
            return len(tuple(islice(counted, entity.rate.times))) == entity.rate.times
        except TooManyRequests:
            return True
