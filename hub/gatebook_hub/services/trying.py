"""What would the gate decide about a statement? Everything is done but running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatebook_hub import policy, sql
from gatebook_hub.model import Allowed, Decision, Principal, Schema, TableUse
from gatebook_hub.policy import Action, Approving, Circumstances, PolicySet, WriteFacts
from gatebook_hub.sql import Plan, Statement, StatementKind, WritePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A statement, what it touches and what was decided; `plan` is the governed read, if it may run.

    `write` is the table that it writes, `approving` what a write of `rows` rows needs before it is done.
    """

    statement: Statement
    reads: tuple[TableUse, ...]
    decision: Decision
    write: WritePlan | None = None
    plan: Plan | None = None
    approving: Approving | None = None

    @property
    def uses(self) -> tuple[TableUse, ...]:
        """The tables that it reads and the one that it writes."""
        return (*self.reads, self.write.use) if self.write is not None else self.reads

    def masks(self) -> dict[str, str]:
        """The masks of the columns that it names or takes with `*`: `customer.email` → `email`."""
        if not isinstance(self.decision, Allowed):
            return {}
        found = {}
        for use in self.uses:
            for column, mask in self.decision.obligations[use.table].masks.items():
                if use.is_whole or column in use.reads:
                    found[f"{use.table}.{column}"] = str(mask)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks, when and for what; `rows` is how many rows a write is taken to change."""

    principal: Principal
    at: Circumstances
    rows: int = 1
    action: Action | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


def attempt(policy_set: PolicySet, schema: Schema, text: str, asking: Asking) -> Trial:
    """Parse, analyse, decide and rewrite; raises what `sql` raises for what it does not understand."""
    statement = sql.parse(text, schema.engine)
    if statement.kind is StatementKind.READ:
        return _read(policy_set, schema, statement, asking)
    write = sql.plan_write(statement, schema)
    reads, values, who, at = write.read.uses, write.value_reads, asking.principal, asking.at
    if asking.action is None:
        decision = policy.decide(policy_set, who, schema, reads, write.use, values, at)
    else:
        decision = policy.decide_action(policy_set, who, asking.action, schema, reads, write.use, values, at)
    if not isinstance(decision, Allowed):
        return Trial(statement=statement, reads=reads, decision=decision, write=write)
    facts = WriteFacts(
        source=schema.source,
        table=write.table.name,
        access=write.use.access,
        rows=asking.rows,
        columns=write.use.writes,
        action=asking.action.name if asking.action else None,
        tool=who.tool.name if who.tool else None,
        params=asking.params,
    )
    return Trial(
        statement=statement,
        reads=reads,
        decision=decision,
        write=write,
        plan=sql.rewrite(write.read, decision.obligations, schema, nonce="trial"),
        approving=policy.approving_of(policy_set, facts),
    )


def _read(policy_set: PolicySet, schema: Schema, statement: Statement, asking: Asking) -> Trial:
    analysis = sql.analyse(statement, schema)
    decision = policy.decide(policy_set, asking.principal, schema, analysis.uses, at=asking.at)
    plan = None
    if isinstance(decision, Allowed):
        plan = sql.rewrite(analysis, decision.obligations, schema, nonce="trial")
    return Trial(statement=statement, reads=analysis.uses, decision=decision, plan=plan)
