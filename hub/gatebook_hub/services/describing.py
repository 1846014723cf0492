"""How are `show tables`, `describe` and `explain` answered? From the governed schema and the decision; nothing runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, assert_never

import pyarrow as pa

from gatebook_hub import sql
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import GatebookError, UnknownRelation
from gatebook_hub.model import Allowed, Schema, TableUse
from gatebook_hub.services.access import AccessView, TableView
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.quorums import approving_for
from gatebook_hub.services.statements import (
    DecidedRead,
    DecidedWrite,
    PlanCache,
    decide_read,
    decide_write,
    facts,
    refuse,
)
from gatebook_hub.sql import Asked, Explain, ShowColumns, ShowTables, StatementKind

Rows = list[tuple[str | None, ...]]


class Told:
    """An answer that is known already: one batch of text, and the outcome."""

    patience_s = 60.0

    def __init__(self, names: Sequence[str], rows: Rows, index: int | None) -> None:
        self._started = time.monotonic()
        columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(names))]
        self._batch = pa.record_batch(columns, names=list(names))
        self.intent = index
        self.rows = len(rows)
        self.bytes = self._batch.nbytes
        self.schema: pa.Schema = self._batch.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batch."""
        yield self._batch

    def outcome(self) -> dict[str, Any]:
        """What the last batch says."""
        elapsed_ms = round((time.monotonic() - self._started) * 1000, 1)
        counts = {"rows": self.rows, "bytes": self.bytes, "elapsed_ms": elapsed_ms}
        return {**counts, "audit_index": self.intent, "masks": [], "row_filters": []}

    def leave(self, why: str) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """As above."""


class Describing:
    """Answer questions about a source; every one is in the book."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._access = AccessView(gate)

    def tell(self, call: Call, source: str, question: Asked) -> Told:
        """The answer; raises NotFound, UnknownRelation and what a statement that is explained raises."""
        match question:
            case ShowTables():
                tables = self._access.source(call, source).tables
                rows: Rows = [(view.name, ", ".join(view.may), _scope(view)) for view in tables]
                return Told(("table", "may", "rows"), rows, None)
            case ShowColumns(table=name):
                tables = self._access.source(call, source).tables
                view = next((view for view in tables if view.name.lower() == name), None)
                if view is None:
                    raise self._unknown(call, source, name)
                return Told(("column", "type", "nullable", "key", "shown", "rule"), _columns(view), None)
            case Explain(statement=text):
                return self._explain(call, source, text)
            case _:
                assert_never(question)

    def _unknown(self, call: Call, source: str, name: str) -> UnknownRelation:
        error = UnknownRelation(f"there is no table `{name}` in `{source}` that you may see")
        error.reference = self._gate.refuse(EventKind.SCHEMA_READ, call, error, source=source)
        return error

    def _explain(self, call: Call, source: str, text: str) -> Told:
        gate = self._gate
        try:
            _, rule, schema = gate.source(source, call.principal)
            statement = sql.parse(text, schema.engine, schema.functions)
            decided: DecidedRead | DecidedWrite
            if statement.kind is StatementKind.READ:
                decided = decide_read(gate, call, statement, schema, PlanCache())
                rows = _decided(decided.uses, decided.allowed, schema)
            else:
                decided = decide_write(gate, call, statement, schema)
                approving = approving_for(gate.policy, source, decided, 1, call.principal, None, {})
                reviews = [(", ".join(item.groups), f"{item.needed} must approve") for item in approving.requirements]
                rows = _decided(decided.uses, decided.allowed, schema)
                rows += [("review", who, what, _ids(approving.rules)) for who, what in reviews]
            told = facts(gate, source, schema, decided, {})
        except GatebookError as error:
            refuse(gate, call, source, text, error)
            raise
        limits = gate.limits(rule, decided.allowed.limits)
        rows += [
            ("limit", name, f"{value:,}", None)
            for name, value in (("rows", limits.rows), ("bytes", limits.bytes), ("seconds", limits.time_s))
            if value is not None
        ]
        index = gate.book.append(gate.event(EventKind.QUERY_EXPLAINED, call, outcome=Outcome.OK, **told))
        return Told(("step", "subject", "what", "rules"), rows, index)


def _columns(view: TableView) -> Rows:
    rows: Rows = []
    for column in view.columns:
        shown = column.refused or (f"masked: {column.mask}" if column.mask else "as it is")
        key = "yes" if column.name in view.key else None
        rows.append((column.name, column.type, "yes" if column.nullable else "no", key, shown, column.rule))
    return rows


def _scope(view: TableView) -> str | None:
    return " and ".join(f"({condition})" for condition, _ in view.conditions) or None


def _decided(uses: Sequence[TableUse], allowed: Allowed, schema: Schema) -> Rows:
    """What is read and written of each table, and what it must obey."""
    rows: Rows = []
    for use in uses:
        obligation = allowed.obligations[use.table]
        everything = frozenset(column.name for column in schema.tables[use.table].columns)
        read = sorted(use.reads | (frozenset(obligation.columns) & everything if use.is_whole else frozenset()))
        rows.append(("table", use.table, f"{use.access} {', '.join(sorted(use.writes) or read)}", None))
        for name in read:
            mask = obligation.masks.get(name)
            if mask is not None:
                rows.append(("mask", f"{use.table}.{name}", str(mask), mask.rule))
        rows += [("rows", use.table, item.condition, ", ".join(item.rules)) for item in obligation.row_filters]
    return [*rows, ("rules", None, None, _ids(allowed.rules))]


def _ids(rules: Sequence[Any]) -> str | None:
    return ", ".join(rule.id for rule in rules) or None
