"""What may this principal do, and see? The answers behind `/me`, the catalogue and the access page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatebook_hub import policy
from gatebook_hub.audit import EventKind
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Access, Allowed, Decision, Denied, Mask, Principal, Schema, TableUse
from gatebook_hub.policy import SourceRule
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """A column as one principal sees it; `refused` is the sentence of the protection that refuses it."""

    name: str
    type: str
    nullable: bool
    tags: tuple[str, ...]
    mask: Mask | None
    refused: str | None
    ask: str | None
    rule: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table as one principal sees it; `conditions` are the row scopes with their rules."""

    name: str
    key: tuple[str, ...]
    columns: tuple[ColumnView, ...]
    may: tuple[Access, ...]
    conditions: tuple[tuple[str, tuple[str, ...]], ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """A source as one principal sees it."""

    rule: SourceRule
    schema: Schema
    tables: tuple[TableView, ...]

    def about(self, name: str) -> str:
        """What the policy, or else the source itself, says about a `table` or a `table.column`; empty for nothing."""
        known = self.schema.tables.get(name)
        return self.rule.descriptions.get(name) or (known.comment if known is not None else None) or ""


class AccessView:
    """Look at the policy through one principal's eyes."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def sources(self, principal: Principal) -> tuple[SourceRule, ...]:
        """Sources in which the principal may do anything."""
        known = self._gate.policy.sources
        return tuple(rule for name, rule in sorted(known.items()) if self._gate.touches(name, principal))

    @under_one_set
    def source(self, call: Call, name: str) -> SourceView:
        """The governed schema of a source; raises NotFound, SourceUnavailable. Looking is in the book."""
        gate = self._gate
        try:
            _, rule, schema = gate.source(name, call.principal)
        except GatebookError as error:
            error.reference = gate.refuse(EventKind.SCHEMA_READ, call, error, source=name[:64])
            raise
        gate.book.append(gate.event(EventKind.SCHEMA_READ, call, source=name))
        return SourceView(rule=rule, schema=schema, tables=tuple(self._tables(call.principal, schema)))

    def _tables(self, principal: Principal, schema: Schema) -> Iterator[TableView]:
        for name in sorted(schema.tables):
            view = self._table(principal, schema, name)
            if view is not None:
                yield view

    def _table(self, principal: Principal, schema: Schema, name: str) -> TableView | None:
        policy_set = self._gate.policy
        table = schema.tables[name]
        decision = self._decide(principal, schema, [TableUse(table=name, access=Access.SELECT)])
        if not isinstance(decision, Allowed):
            return None
        obligation = decision.obligations[name]
        columns = []
        for column in table.columns:
            refusal = None if column.name in obligation.columns else self._why(principal, schema, name, column.name)
            mask = obligation.masks.get(column.name)
            columns.append(
                ColumnView(
                    name=column.name,
                    type=column.type,
                    nullable=column.nullable,
                    tags=tuple(sorted(policy_set.tags_of(schema.source, name, column.name))),
                    mask=mask,
                    refused=refusal.sentence if refusal else None,
                    ask=refusal.ask if refusal else None,
                    rule=refusal.rule if refusal else (mask.rule if mask else None),
                )
            )
        return TableView(
            name=name,
            key=table.key,
            columns=tuple(columns),
            may=self._may(principal, schema, name),
            conditions=tuple((item.condition, item.rules) for item in obligation.row_filters),
            rules=tuple(rule.id for rule in decision.rules),
        )

    def _why(self, principal: Principal, schema: Schema, table: str, column: str) -> Denied | None:
        use = TableUse(table=table, access=Access.SELECT, reads=frozenset({column}))
        decision = self._decide(principal, schema, [use])
        return decision if isinstance(decision, Denied) else None

    def _decide(
        self, principal: Principal, schema: Schema, reads: list[TableUse], write: TableUse | None = None
    ) -> Decision:
        gate = self._gate
        return policy.decide(gate.policy, principal, schema, reads, write, at=gate.circumstances(is_look=True))

    def _may(self, principal: Principal, schema: Schema, table: str) -> tuple[Access, ...]:
        found = [Access.SELECT]
        for access in (Access.INSERT, Access.UPDATE, Access.DELETE):
            use = TableUse(table=table, access=access)
            if isinstance(self._decide(principal, schema, [], use), Allowed):
                found.append(access)
        return tuple(found)
