"""What would the gate decide about a statement? Everything is done but running it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from gatebook_hub import policy, sql
from gatebook_hub.model import Allowed, Decision, Denied, Engine, Principal, Schema, TableUse
from gatebook_hub.policy import Action, Approving, Circumstances, PolicySet, WriteFacts
from gatebook_hub.services.quorums import call_facts, strictest, write_facts
from gatebook_hub.services.steps import decide_steps, together
from gatebook_hub.sql import Plan, Statement, StatementKind, WritePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A statement, what it touches and what was decided; `plans` are the governed reads, if it may run.

    `writes` are what it writes (an action may have several statements, of which `statement` is the first), `approving`
    is what a write of `rows` rows needs before it is done.
    """

    statement: Statement | None
    reads: tuple[TableUse, ...]
    decision: Decision
    writes: tuple[WritePlan, ...] = ()
    plans: tuple[Plan, ...] = ()
    approving: Approving | None = None

    @property
    def write(self) -> WritePlan | None:
        """What it writes first."""
        return self.writes[0] if self.writes else None

    @property
    def uses(self) -> tuple[TableUse, ...]:
        """The tables that it reads and those that it writes."""
        return (*self.reads, *(step.use for write in self.writes for step in write.steps))

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
    schema = policy_set.governed(schema)
    parse = sql.parse_script if asking.action is not None else _parse_one
    statements = parse(text, schema.engine, schema.functions)
    if statements[0].kind is StatementKind.READ:
        return _read(policy_set, schema, statements[0], asking)
    writes = tuple(sql.plan_write(statement, schema) for statement in statements)
    reads = tuple({use.table: use for write in writes for step in write.steps for use in step.read.uses}.values())
    tool = asking.principal.tool.name if asking.principal.tool else None
    allowed: list[Allowed] = []
    facts: list[WriteFacts] = []
    for write in writes:
        decisions = decide_steps(policy_set, asking.principal, schema, write, asking.action, asking.at)
        if isinstance(decisions, Denied):
            return Trial(statement=statements[0], reads=reads, decision=decisions, writes=writes)
        allowed += decisions
        facts += write_facts(
            policy_set, write, schema.source, asking.rows, tool, asking.action, asking.params, asking.at.now
        )
    steps = zip((step for write in writes for step in write.steps), allowed, strict=True)
    return Trial(
        statement=statements[0],
        reads=reads,
        decision=together(allowed),
        writes=writes,
        plans=tuple(sql.rewrite(step.read, one.obligations, schema, nonce="trial") for step, one in steps),
        approving=strictest(policy.approving_of(policy_set, item) for item in facts),
    )


def attempt_call(policy_set: PolicySet, asking: Asking) -> Trial:
    """The same for an action that calls another service."""
    action = asking.action
    assert action is not None
    decision = policy.decide_call(policy_set, asking.principal, action, asking.at)
    facts = call_facts(action, asking.principal, asking.params)
    return Trial(
        statement=None,
        reads=(),
        decision=decision,
        approving=policy.approving_of(policy_set, facts) if isinstance(decision, Allowed) else None,
    )


def _parse_one(text: str, engine: Engine, functions: AbstractSet[str]) -> tuple[Statement, ...]:
    return (sql.parse(text, engine, functions),)


def _read(policy_set: PolicySet, schema: Schema, statement: Statement, asking: Asking) -> Trial:
    analysis = sql.analyse(statement, schema)
    decision = policy.decide(policy_set, asking.principal, schema, analysis.uses, at=asking.at)
    plans: tuple[Plan, ...] = ()
    if isinstance(decision, Allowed):
        plans = (sql.rewrite(analysis, decision.obligations, schema, nonce="trial"),)
    return Trial(statement=statement, reads=analysis.uses, decision=decision, plans=plans)
