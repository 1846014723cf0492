"""Who may change the schema of a sandbox, and how is it done?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatebook_hub import policy, sql
from gatebook_hub.errors import GatebookError, KindRefused, StateConflict, WriteRefused
from gatebook_hub.model import Access, Allowed, Engine, Limits, RuleRef, Schema, TableObligation, TableUse
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.sandbox_book import fail, intend, tell
from gatebook_hub.services.sandboxing import Done, Scope
from gatebook_hub.services.statements import allowed_of, check_reason, refuse
from gatebook_hub.services.transactions import Transaction, Transactions
from gatebook_hub.sources.source import Source
from gatebook_hub.sql import Definition


class Definitions:
    """Tables and indexes in sources that are marked as sandboxes."""

    def __init__(self, gate: Gate, transactions: Transactions) -> None:
        self._gate = gate
        self._transactions = transactions

    def define(self, call: Call, source_name: str, text: str, scope: Scope) -> Done:
        """Change the schema, which is committed by itself; raises KindRefused for sources that are no sandboxes."""
        gate = self._gate
        try:
            self._end_before(scope.transaction)
            source, rule, schema = gate.source(source_name, call.principal)
            if not rule.is_sandbox:
                raise KindRefused(sql.refusal_of(text))
            definition = sql.parse_definition(
                text, schema, lambda name: self._table_of_index(call, source, schema, name)
            )
            tables = sorted({definition.table, *definition.references})
            decision = policy.decide_definition(
                gate.policy, call.principal, schema, tables, gate.circumstances(call.purpose)
            )
            allowed = allowed_of(decision)
            check_reason(call, allowed)
            self._check_seen(call, schema, definition)
            obligations = self._query(call, source_name, schema, definition)
            sent = sql.write_definition(definition, schema, obligations, nonce=gate.new_id())
            limits = gate.limits(rule, allowed.limits)
            gate.places.take(call.principal.id, source.name, limits)
        except GatebookError as error:
            refuse(gate, call, source_name, text, error)
            raise
        try:
            return self._define(call, source, allowed.rules, limits, definition, sent)
        finally:
            gate.places.leave(call.principal.id, source.name)

    def _table_of_index(self, call: Call, source: Source, schema: Schema, name: str) -> str | None:
        """The table of an index by the database's own description; None for one that the caller does not see."""
        is_exact = schema.engine is Engine.POSTGRESQL
        for detail in source.details().tables:
            names = [str(index["name"]) for index in detail.indexes]
            if name not in (names if is_exact else map(str.lower, names)):
                continue
            table = detail.name if is_exact else detail.name.lower()
            use = TableUse(table=table, access=Access.SELECT)
            circumstances = self._gate.circumstances(call.purpose)
            if schema.knows(table) and isinstance(
                policy.decide(self._gate.policy, call.principal, schema, [use], at=circumstances), Allowed
            ):
                return table
        return None

    def _define(
        self, call: Call, source: Source, rules: Iterable[RuleRef], limits: Limits, definition: Definition, sent: str
    ) -> Done:
        gate = self._gate
        intent = intend(
            gate,
            call,
            {
                "source": source.name,
                "statement": definition.shape,
                "tables": ({"table": definition.table, "access": "ddl", "columns": []},),
                "rules": tuple(ref.id for ref in rules),
            },
        )
        try:
            with source.writing(limits) as session:
                _, count = session.run(sent, {})
                session.commit()
        except GatebookError as error:
            fail(gate, call, source.name, intent, error)
            raise
        finally:
            source.forget_schema()
        rows = max(count, 0) if definition.query is not None else 0
        tell(gate, call, source.name, intent, rows)
        return Done(rows=rows, index=intent)

    def _end_before(self, transaction: Transaction | None) -> None:
        """A definition finds no transaction open: one that wrote nothing ends, any other is left as it is."""
        if transaction is None:
            return
        if transaction.counts:
            raise StateConflict("a change of the schema is committed by itself; commit or roll back first")
        self._transactions.roll_back(transaction, "ended: a change of the schema follows")

    def _check_seen(self, call: Call, schema: Schema, definition: Definition) -> None:
        """A check, an index or a reference tells of the values that are there: of a table that one sees whole."""
        gate = self._gate
        known = sorted({definition.table, *definition.references} & schema.tables.keys())
        if any(schema.tables[name].is_view for name in known):
            raise WriteRefused("a view keeps what it is")
        uses = [TableUse(table=name, access=Access.SELECT) for name in known]
        if definition.is_drop and any(schema.tables[name].cascades for name in known):
            raise WriteRefused("rows of other tables refer to this one and would go along; drop those tables first")
        if definition.is_drop or not uses:
            return
        found = policy.decide(gate.policy, call.principal, schema, uses, at=gate.circumstances(call.purpose))
        for name, obligation in allowed_of(found).obligations.items():
            if not obligation.shows_all_of(schema.tables[obligation.table]):
                raise WriteRefused(f"you do not see all of `{name}`, so you do not change it either")

    def _query(
        self, call: Call, source_name: str, schema: Schema, definition: Definition
    ) -> Mapping[str, TableObligation]:
        """What the read behind `create table … as` may take: tables that nothing hides anything of, for anybody."""
        if definition.query is None:
            return {}
        gate = self._gate
        uses = definition.query.uses
        allowed = allowed_of(
            policy.decide(gate.policy, call.principal, schema, uses, at=gate.circumstances(call.purpose))
        )
        check_reason(call, allowed)
        for name, obligation in allowed.obligations.items():
            is_hiding = schema.tables[name].is_view and policy.has_protections(gate.policy, source_name)
            if (
                is_hiding
                or policy.is_protected(gate.policy, source_name, name)
                or not obligation.shows_all_of(schema.tables[obligation.table])
            ):
                raise WriteRefused(f"rules protect `{name}`, and they would not follow it into another table")
        return allowed.obligations
