"""How does a text become a decided, rewritten statement? Parse, analyse, decide, rewrite; plans are cached."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from gatebook_hub import policy, sql
from gatebook_hub.audit import EventKind, recorded_parameters, recorded_values
from gatebook_hub.errors import (
    AccessRefused,
    GatebookError,
    NotOneStatement,
    ParameterMismatch,
    UnknownRelation,
    WriteRefused,
)
from gatebook_hub.model import Access, Allowed, Denied, Principal, Schema, Table, TableObligation, TableUse
from gatebook_hub.policy import Action, Entity, PolicySet
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.steps import decide_returning, decide_steps, together
from gatebook_hub.sql import Analysis, LiftedStatement, Plan, Statement, StatementKind, WritePlan, WriteStep
from gatebook_hub.sql.masks import HASH_INNER, HASH_OUTER
from gatebook_hub.sql.reading import PRINCIPAL_PARAMETER
from gatebook_hub.values import encode

RESERVED = "gb_"
_MOST_PLANS = 2_000
# Characters: what is longer is parsed and planned anew.
_LONGEST_KEPT = 10_000
K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the book records of a decided statement whatever its parameters are."""

    lifted: LiftedStatement
    tables: tuple[dict[str, Any], ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRead:
    """A read that may run."""

    statement: Statement
    uses: tuple[TableUse, ...]
    allowed: Allowed
    plan: Plan
    recorded: Recorded


class RowScope:
    """Which rows of a written table its writer may see: reads that find them by their keys, so many at once.

    Two are equal where they say the same, so that their reads are composed once.
    """

    def __init__(self, table: Table, allowed: Allowed, schema: Schema, nonce: str) -> None:
        # Keys of several parts are a chain of conditions, as deep as there are keys.
        self.sizes = (1, 10, 100, 1_000) if len(table.key) == 1 else (1, 10, 100)
        self._table = table
        self._allowed = allowed
        self._schema = schema
        self._nonce = nonce
        place = (schema.source, schema.engine, schema.namespace, schema.version)
        self._says = (*place, table.name, schema.functions, repr(allowed.obligations))

    def plan(self, size: int) -> Plan:
        """The read that yields those of so many keys, `k0_0…`, whose rows may be seen."""
        return _scope_plan(self, size)

    def compose(self, size: int) -> Plan:
        """The same, made anew."""
        statement = sql.keyed_lookup(self._table, self._schema, size)
        analysis = sql.analyse(statement, self._schema)
        return sql.rewrite(analysis, self._allowed.obligations, self._schema, nonce=self._nonce)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowScope) and self._says == other._says

    def __hash__(self) -> int:
        return hash(self._says)


@lru_cache(maxsize=200)
def _scope_plan(scope: RowScope, size: int) -> Plan:
    return scope.compose(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedStep:
    """One step of a write: the read that yields its rows, and which rows may be seen; None without row filters."""

    step: WriteStep
    plan: Plan
    scope: RowScope | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedReturning:
    """What a written row returns: the names of the columns, and the read by its key that yields them."""

    columns: tuple[str, ...]
    plan: Plan
    sight: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedWrite:
    """A write whose preview may run; `allowed` is what the decisions of its steps say together."""

    statement: Statement
    write: WritePlan
    uses: tuple[TableUse, ...]
    allowed: Allowed
    steps: tuple[DecidedStep, ...]
    returning: DecidedReturning | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A decided write with the sets of values that it binds, the gate's own among them."""

    decided: DecidedWrite
    sets: tuple[Mapping[str, Any], ...]


def check_order(writes: Sequence[Prepared], schema: Schema) -> None:
    """Raise WriteRefused where one write decides which rows a later one may see: nobody has approved the first yet."""
    written: set[str] = set()
    for one in writes:
        decided = one.decided
        for obligation in decided.allowed.obligations.values():
            looked_at = sql.tables_in([item.condition for item in obligation.row_filters], schema)
            if written & looked_at:
                raise WriteRefused(
                    "an earlier statement writes what decides which rows a later one may see; send them one by one"
                )
        written |= {decided.write.table.name, *decided.write.reached}


class PlanCache:
    """Parsed texts, and decided reads by statement, schema, policy revision and entitlements.

    Bounded; least recently used goes first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: OrderedDict[tuple[Any, ...], DecidedRead] = OrderedDict()
        self._statements: OrderedDict[tuple[Any, ...], Statement] = OrderedDict()

    def statement(self, text: str, schema: Schema) -> Statement:
        """A parsed text, which means the same for everybody; raises what `sql.parse` raises."""
        key = (text, schema.engine, schema.functions)
        known = self._get(self._statements, key)
        if known is not None:
            return known
        statement = sql.parse(text, schema.engine, schema.functions)
        if len(text) <= _LONGEST_KEPT:
            self._put(self._statements, key, statement)
        return statement

    def get(self, key: tuple[Any, ...]) -> DecidedRead | None:
        """A plan, if it is known."""
        return self._get(self._plans, key)

    def put(self, key: tuple[Any, ...], plan: DecidedRead) -> None:
        """Keep a plan."""
        if len(plan.statement.text) <= _LONGEST_KEPT:
            self._put(self._plans, key, plan)

    def _get(self, kept: OrderedDict[tuple[Any, ...], K], key: tuple[Any, ...]) -> K | None:
        with self._lock:
            found = kept.get(key)
            if found is not None:
                kept.move_to_end(key)
            return found

    def _put(self, kept: OrderedDict[tuple[Any, ...], K], key: tuple[Any, ...], value: K) -> None:
        with self._lock:
            kept[key] = value
            while len(kept) > _MOST_PLANS:
                kept.popitem(last=False)


def decide_read(gate: Gate, call: Call, statement: Statement, schema: Schema, plans: PlanCache) -> DecidedRead:
    """Decide and rewrite a read; raises AccessRefused and what `sql` raises."""
    principal = call.principal
    policy_set, at = gate.policy, gate.circumstances(call.purpose)
    # A plan holds as long as the conditions hold under which it was made: hours pass, purposes differ.
    conditions = policy.open_conditions(policy_set, at)
    key = (schema.source, schema.version, policy_set.revision, principal.names, conditions, statement.text)
    known = plans.get(key)
    if known is not None:
        return known
    analysis = sql.analyse(statement, schema)
    allowed = allowed_of(policy.decide(policy_set, principal, schema, analysis.uses, at=at))
    plan = sql.rewrite(analysis, allowed.obligations, schema, nonce=gate.new_id())
    recorded = _recorded(policy_set, schema, statement, analysis.uses, allowed)
    decided = DecidedRead(statement=statement, uses=analysis.uses, allowed=allowed, plan=plan, recorded=recorded)
    plans.put(key, decided)
    return decided


def decide_action_read(gate: Gate, call: Call, action: Action, statement: Statement, schema: Schema) -> DecidedRead:
    """Decide and rewrite a read that belongs to an action; raises AccessRefused and what `sql` raises."""
    if statement.kind is not StatementKind.READ:
        raise NotOneStatement(f"what `{action.name}` asks before it writes is a select")
    analysis = sql.analyse(statement, schema)
    at = gate.circumstances(call.purpose)
    allowed = allowed_of(policy.decide_action(gate.policy, call.principal, action, schema, analysis.uses, None, {}, at))
    return _decided_read(gate, statement, schema, analysis, allowed)


def decide_entity_read(
    gate: Gate, call: Call, entity: Entity, statement: Statement, schema: Schema, opened: frozenset[str]
) -> DecidedRead:
    """Decide and rewrite a read of an entity's records; raises AccessRefused and what `sql` raises."""
    analysis = sql.analyse(statement, schema)
    at = gate.circumstances(call.purpose)
    decision = policy.decide_entity(gate.policy, call.principal, entity, schema, analysis.uses, opened, at)
    return _decided_read(gate, statement, schema, analysis, allowed_of(decision))


def _decided_read(
    gate: Gate, statement: Statement, schema: Schema, analysis: Analysis, allowed: Allowed
) -> DecidedRead:
    return DecidedRead(
        statement=statement,
        uses=analysis.uses,
        allowed=allowed,
        plan=sql.rewrite(analysis, allowed.obligations, schema, nonce=gate.new_id()),
        recorded=_recorded(gate.policy, schema, statement, analysis.uses, allowed),
    )


def decide_write(
    gate: Gate,
    call: Call,
    statement: Statement,
    schema: Schema,
    action: Action | None = None,
    *,
    needs_key: bool = True,
) -> DecidedWrite:
    """Decide each step of a write and rewrite the reads that yield keys and values."""
    write = sql.plan_write(statement, schema, needs_key=needs_key)
    decisions = decide_steps(gate.policy, call.principal, schema, write, action, gate.circumstances(call.purpose))
    if isinstance(decisions, Denied):
        raise _refusal(decisions)
    for allowed in decisions:
        _check_key(write, allowed)
    _check_followed(write, schema)
    nonce = gate.new_id()
    steps = []
    uses: dict[tuple[str, str], TableUse] = {}
    for step, allowed in zip(write.steps, decisions, strict=True):
        plan = sql.rewrite(step.read, allowed.obligations, schema, nonce=nonce)
        steps.append(DecidedStep(step=step, plan=plan, scope=_scope(write, allowed, schema, nonce)))
        uses |= {(use.table, use.access): use for use in step.read.uses if use.table != write.table.name}
        uses[step.use.table, step.use.access] = step.use
    reached = _reached(gate, call, write, schema) if action is None else ()
    decisions = (*decisions, *(allowed for _, allowed in reached))
    uses |= {(use.table, use.access): use for use, _ in reached}
    returning = None
    if write.returning is not None:
        told = decide_returning(gate.policy, call.principal, schema, write, action, gate.circumstances(call.purpose))
        if isinstance(told, Denied):
            raise _refusal(told)
        decisions = (*decisions, told)
        returning = _returning(write, told, schema, nonce)
        uses |= {(use.table, use.access): use for use in write.returning.read.uses}
    return DecidedWrite(
        statement=statement,
        write=write,
        uses=tuple(uses.values()),
        allowed=together(decisions),
        steps=tuple(steps),
        returning=returning,
    )


def _reached(gate: Gate, call: Call, write: WritePlan, schema: Schema) -> tuple[tuple[TableUse, Allowed], ...]:
    """The tables whose rows go or change with deleted ones; raises WriteRefused unless they may be deleted as well."""
    found = []
    for name in sorted(write.reached):
        use = TableUse(table=name, access=Access.DELETE)
        read = TableUse(table=name, access=Access.SELECT)
        at = gate.circumstances(call.purpose)
        decision = (
            policy.decide(gate.policy, call.principal, schema, [read], use, at=at) if schema.knows(name) else None
        )
        if not isinstance(decision, Allowed) or not decision.obligations[name].shows_all_of(schema.tables[name]):
            raise WriteRefused(
                f"with rows of `{write.table.name}` go rows of another table, of which you may not delete all"
            )
        found.append((use, decision))
    return tuple(found)


def _returning(write: WritePlan, allowed: Allowed, schema: Schema, nonce: str) -> DecidedReturning:
    assert write.returning is not None
    read = write.returning.read
    obligation = allowed.obligations[write.table.name]
    _check_clear(write, obligation)
    return DecidedReturning(
        columns=write.returning.columns(write.table, obligation.columns),
        plan=sql.rewrite(read, allowed.obligations, schema, nonce=nonce),
        sight=sight_of(obligation),
    )


def _check_followed(write: WritePlan, schema: Schema) -> None:
    """Raise WriteRefused where rows that change with deleted ones take further rows along, which nobody would see."""
    for name in write.reached:
        table = schema.tables.get(name)
        for reference in table.references if table is not None else ():
            if table is not None and not reference.is_cascade and table.followed & set(reference.columns):
                raise WriteRefused(
                    f"with rows of `{write.table.name}` change others, which rows of further tables follow; "
                    "nobody would see those"
                )


def _check_key(write: WritePlan, allowed: Allowed) -> None:
    """Rows are written by their keys: one that a mask made would be another row's, of those that are hidden perhaps."""
    obligation = allowed.obligations[write.table.name]
    if write.kind is not StatementKind.INSERT or len(write.steps) > 1 or obligation.row_filters:
        _check_clear(write, obligation)


def _check_clear(write: WritePlan, obligation: TableObligation) -> None:
    if masked := sorted(set(write.table.key) & obligation.masks.keys()):
        raise WriteRefused(f"the key `{masked[0]}` of `{write.table.name}` is masked for you, so no row is found by it")


def _scope(write: WritePlan, allowed: Allowed, schema: Schema, nonce: str) -> RowScope | None:
    is_filtered = bool(allowed.obligations[write.table.name].row_filters)
    return RowScope(write.table, allowed, schema, nonce) if is_filtered else None


def sight_of(obligation: TableObligation) -> str:
    """A digest of how much of a table somebody sees: other columns, masks or row filters are another sight."""
    masks = sorted((name, str(mask), mask.expression or "") for name, mask in obligation.masks.items())
    filters = sorted(row_filter.condition for row_filter in obligation.row_filters)
    content = json.dumps([obligation.table, list(obligation.columns), masks, filters])
    return hashlib.sha256(content.encode()).hexdigest()


def check_reason(call: Call, allowed: Allowed) -> None:
    """Raise AccessRefused where a grant wants a reason and the call has none."""
    if allowed.needs_reason and not (call.reason or "").strip():
        raise AccessRefused("this data is read with a reason only", ask="the same statement with `reason=…`")


def bind(statement: Statement, given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the database gets; raises ParameterMismatch unless they are exactly those that are named."""
    wanted = {name for name in statement.parameters if name not in own}
    # DuckDB binds a value to a name in any case.
    reserved = sorted(name for name in (*wanted, *given) if name.lower().startswith(RESERVED))
    if reserved:
        raise ParameterMismatch(f"names that begin with `{RESERVED}` belong to the gate: `{reserved[0]}`")
    missing, unknown = sorted(wanted - given.keys()), sorted(given.keys() - wanted)
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] if missing else []
        parts += [f"not in the statement: {', '.join(unknown)}"] if unknown else []
        raise ParameterMismatch(f"the parameters do not match ({'; '.join(parts)})")
    return {**given, **own}


def own_values(gate: Gate, source: str, principal: Principal) -> dict[str, Any]:
    """What row filters and masks bind: who calls, and the key of hashes, padded as HMAC does (RFC 2104).

    No statement may name these, and each source has a key of its own: equal values join within a source alone.
    """
    inner, outer = _mask_keys(gate.keys.digest, source)
    return {PRINCIPAL_PARAMETER: principal.known_as, HASH_INNER: inner, HASH_OUTER: outer}


@lru_cache(maxsize=100)
def _mask_keys(digest: bytes, source: str) -> tuple[bytes, bytes]:
    key = hmac.digest(digest, f"mask:{source}".encode(), "sha256").ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in key), bytes(byte ^ 0x5C for byte in key)


def used(parameters: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """The values that one plan binds."""
    return {name: parameters[name] for name in plan.parameters}


def facts(
    gate: Gate, source: str, schema: Schema, decided: DecidedRead | DecidedWrite, given: Mapping[str, Any]
) -> dict[str, Any]:
    """What the book records of a decided statement: its shape, values, tables and rules."""
    if isinstance(decided, DecidedRead):
        found = decided.recorded
    else:
        found = _recorded(gate.policy, schema, decided.statement, decided.uses, decided.allowed)
    lifted = found.lifted
    encoded = {name: encode(value) for name, value in given.items()}
    key = gate.keys.digest
    return {
        "source": source,
        "statement": lifted.shape,
        "values": recorded_values(((value.text, value.is_protected) for value in lifted.values), key),
        "parameters": recorded_parameters(encoded, lifted.protected_parameters, key),
        "tables": found.tables,
        "rules": found.rules,
    }


def text_facts(gate: Gate, schema: Schema, statement: Statement, uses: tuple[TableUse, ...]) -> dict[str, Any]:
    """What the book records of a text that is kept, not run: its shape and values."""
    lifted = sql.lift(statement, *_by_protection(gate.policy, schema, uses))
    values = recorded_values(((value.text, value.is_protected) for value in lifted.values), gate.keys.digest)
    return {"source": schema.source, "statement": lifted.shape, "values": values}


def _refused_facts(gate: Gate, source: str, text: str, error: GatebookError) -> dict[str, Any]:
    """What the book records of a statement that was not understood: a keyed digest, since it may hold anything."""
    digest = recorded_parameters({"text": text}, {"text"}, gate.keys.digest)["text"]
    found: dict[str, Any] = {"source": source, "extra": {"text": digest, "length": str(len(text))}}
    if error.rule:
        found["rules"] = (error.rule,)
    return found


def refuse(gate: Gate, call: Call, source: str, text: str, error: GatebookError) -> None:
    """Have the refusal of a text in the book, unless it is there already; the error refers to it."""
    if error.reference is None:
        told = _refused_facts(gate, source, text, error)
        error.reference = gate.refuse(EventKind.QUERY_REFUSED, call, error, **told)


def allowed_of(decision: Allowed | Denied) -> Allowed:
    """The decision, if it is a yes; raises AccessRefused, UnknownRelation."""
    if isinstance(decision, Allowed):
        return decision
    raise _refusal(decision)


def _refusal(decision: Denied) -> GatebookError:
    if decision.rule is None:
        return UnknownRelation(decision.sentence)
    return AccessRefused(decision.sentence, rule=decision.rule, ask=decision.ask)


def _table(use: TableUse, allowed: Allowed) -> dict[str, Any]:
    visible = allowed.obligations[use.table].columns if use.is_whole else ()
    found: dict[str, Any] = {
        "table": use.table,
        "access": str(use.access),
        "columns": sorted(use.reads | set(visible)),
    }
    masked = sorted(set(found["columns"]) & allowed.obligations[use.table].masks.keys())
    return {**found, **({"masked": masked} if masked else {}), **({"writes": sorted(use.writes)} if use.writes else {})}


def _recorded(
    policy_set: PolicySet, schema: Schema, statement: Statement, uses: tuple[TableUse, ...], allowed: Allowed
) -> Recorded:
    return Recorded(
        lifted=sql.lift(statement, *_by_protection(policy_set, schema, uses)),
        tables=tuple(_table(use, allowed) for use in uses),
        rules=tuple(rule.id for rule in allowed.rules),
    )


def _by_protection(policy_set: PolicySet, schema: Schema, uses: tuple[TableUse, ...]) -> tuple[set[str], set[str]]:
    tables = {use.table for use in uses}
    protections = policy_set.protections
    refs = {ref for protection in protections for ref in protection.columns if ref.source == schema.source}
    protected = {ref.column for ref in refs if ref.table in tables}
    everything = {column.name for table in tables for column in schema.tables[table].columns}
    return protected, everything - protected
