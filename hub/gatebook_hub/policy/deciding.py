"""May this principal do that, and what must it obey?

Grants are permissive: several row scopes are OR-ed. Protections are restrictive: all that match apply. The order of
rules never matters, no rule means no, and neither does a rule that cannot be decided mean yes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gatebook_hub.model import (
    Access,
    Allowed,
    Decision,
    Denied,
    Limits,
    Mask,
    Principal,
    RowFilter,
    RuleRef,
    Schema,
    Table,
    TableObligation,
    TableUse,
)
from gatebook_hub.policy.circumstances import UNKNOWN, Circumstances
from gatebook_hub.policy.granting import (
    NO_GRANT,
    Subject,
    action_grants,
    applying_grants,
    entity_grants,
    no_action,
    no_grant,
    opens_views,
)
from gatebook_hub.policy.masking import strongest
from gatebook_hub.policy.rules import Action, ColumnRef, Entity, Grant, PolicySet, Protection, TablePattern

UNDECIDED = "undecided"
_log = logging.getLogger(__name__)


def decide(
    policy: PolicySet,
    principal: Principal,
    schema: Schema,
    reads: Iterable[TableUse],
    write: TableUse | None = None,
    value_reads: Mapping[str, frozenset[str]] | None = None,
    at: Circumstances = UNKNOWN,
) -> Decision:
    """Decide a statement: `reads` are the tables it reads, `write` the one it writes.

    `value_reads` are the columns from which a write makes its new values: a masked one would be written back. Without
    `at` no grant that has conditions holds.
    """
    return decide_for(policy, Subject.of(principal), schema, reads, write, value_reads, at)


def decide_for(
    policy: PolicySet,
    subject: Subject,
    schema: Schema,
    reads: Iterable[TableUse],
    write: TableUse | None = None,
    value_reads: Mapping[str, frozenset[str]] | None = None,
    at: Circumstances = UNKNOWN,
) -> Decision:
    """As `decide`, for names that need not be those of one caller: what a rule's `to` alone gives."""
    try:
        return _Decider(policy, subject, schema, at).decide(tuple(reads), write, value_reads or {})
    except Exception:  # noqa: BLE001 - whatever a rule stumbles over, it must not let anybody in
        _log.exception("a rule of the policy set %s cannot be decided", policy.revision)
        return Denied(
            sentence="a rule cannot be decided, so the statement is refused",
            rule=UNDECIDED,
            ask="the operator to look at the gateway's log",
        )


def decide_action(
    policy: PolicySet,
    principal: Principal,
    action: Action,
    schema: Schema,
    reads: Iterable[TableUse],
    write: TableUse | None,
    value_reads: Mapping[str, frozenset[str]],
    at: Circumstances = UNKNOWN,
) -> Decision:
    """Decide an action's statement, a write or a read: the principal needs the action, the statement was reviewed.

    Protections stay with the data: they hold here too, unless they exempt `action:NAME`.
    """
    grants = action_grants(policy, Subject.of(principal), action.name, at)
    if not grants:
        return no_action(policy, principal, action.name, at)
    reads = tuple(reads)
    used = reads if write is None else (*reads, write)
    ref = RuleRef(id=f"action:{action.name}", digest=action.digest)
    own = Grant(
        ref=ref,
        to=frozenset({ref.id}),
        on=tuple(TablePattern(source=schema.source, table=use.table) for use in used),
        allow=frozenset(Access),
    )
    widened = replace(policy, grants=(own,))
    subject = Subject(names=frozenset({ref.id}))
    decision = decide_for(widened, subject, schema, reads, write, value_reads, at)
    if isinstance(decision, Denied):
        return decision
    return _by_grants(grants, decision)


def decide_entity(
    policy: PolicySet,
    principal: Principal,
    entity: Entity,
    schema: Schema,
    reads: Iterable[TableUse],
    opened: frozenset[str] = frozenset(),
    at: Circumstances = UNKNOWN,
) -> Decision:
    """Decide a read of an entity's records: the principal needs the entity, its declaration was reviewed.

    Masks of `opened` columns do not hold: a look-up compares them, and shows nothing of them. Whatever else is
    protected stays so, for everybody.
    """
    grants = entity_grants(policy, Subject.of(principal), entity.name, at)
    if not grants:
        ask = f"a grant of the entity `{entity.name}`"
        return Denied(sentence=f"the entity `{entity.name}` is not granted to you", rule=NO_GRANT, ask=ask)
    ref = RuleRef(id=f"entity:{entity.name}", digest=entity.digest)
    own = Grant(
        ref=ref,
        to=frozenset({ref.id}),
        on=(TablePattern(source=entity.source, table=entity.table),),
        columns=frozenset({*schema.tables[entity.table].key, *entity.shows, *entity.search, *entity.lookups}),
        allow=frozenset({Access.SELECT}),
        where=entity.where,
    )
    kept = tuple(_without(rule, entity, opened) for rule in policy.protections)
    widened = replace(policy, grants=(own,), protections=kept)
    decision = decide_for(widened, Subject(names=frozenset({ref.id})), schema, reads, at=at)
    return decision if isinstance(decision, Denied) else _by_grants(grants, decision)


def _without(rule: Protection, entity: Entity, opened: frozenset[str]) -> Protection:
    """A mask without the columns that are opened."""
    if rule.mask is None or not opened:
        return rule
    refs = frozenset(ColumnRef(source=entity.source, table=entity.table, column=name) for name in opened)
    return replace(rule, columns=rule.columns - refs)


def decide_call(policy: PolicySet, principal: Principal, action: Action, at: Circumstances = UNKNOWN) -> Decision:
    """Decide an action that calls another service: the principal needs the action, the call itself was reviewed."""
    assert action.http is not None
    grants = action_grants(policy, Subject.of(principal), action.name, at)
    if not grants:
        return no_action(policy, principal, action.name, at)
    connection = policy.connections[action.http.connection]
    own = (
        RuleRef(id=f"action:{action.name}", digest=action.digest),
        RuleRef(id=f"connection:{connection.name}", digest=connection.digest),
    )
    return _by_grants(grants, Allowed(obligations={}, limits=tightest([]), rules=own))


def _by_grants(grants: Sequence[Grant], decision: Allowed) -> Allowed:
    """A decision about what an action does, with what the grants of the action add."""
    return Allowed(
        obligations=decision.obligations,
        limits=tightest([decision.limits, *(grant.limits for grant in grants)]),
        rules=(*decision.rules, *(grant.ref for grant in grants)),
        needs_reason=decision.needs_reason or all(grant.needs_reason for grant in grants),
    )


class _Decider:
    """One decision; collects the rules that took part in it."""

    def __init__(self, policy: PolicySet, subject: Subject, schema: Schema, at: Circumstances) -> None:
        self.policy = policy
        self.subject = subject
        self.schema = schema
        self.at = at
        self.source = schema.source
        self.rules: dict[str, RuleRef] = {}
        self.limits: list[Limits] = []
        self.needs_reason = False
        self.protections = [rule for rule in policy.protections if not rule.unless & subject.names]

    def decide(
        self, reads: tuple[TableUse, ...], write: TableUse | None, value_reads: Mapping[str, frozenset[str]]
    ) -> Decision:
        obligations: dict[str, TableObligation] = {}
        for use in reads:
            found = self._read(use)
            if isinstance(found, Denied):
                return found
            obligations[use.table] = found
        if write is not None:
            found = self._write(write, obligations.get(write.table))
            if isinstance(found, Denied):
                return found
            obligations[write.table] = found
            denied = _written_back(obligations, value_reads)
            if denied is not None:
                return denied
        return Allowed(
            obligations=obligations,
            limits=tightest(self.limits),
            rules=tuple(self.rules[key] for key in sorted(self.rules)),
            needs_reason=self.needs_reason,
        )

    def _read(self, use: TableUse) -> TableObligation | Denied:
        grants = self._grants(use.table, Access.SELECT)
        if not grants:
            return no_grant(self.policy, self.subject, self.source, use.table, Access.SELECT, self.at)
        covering = [grant for grant in grants if grant.columns is None or use.reads <= grant.columns]
        if not covering:
            missing = sorted(use.reads - frozenset().union(*(grant.columns or () for grant in grants)))
            named = ", ".join(f"`{name}`" for name in missing) or "these columns together"
            return Denied(
                sentence=f"no grant gives {named} of `{use.table}`",
                rule=NO_GRANT,
                ask=f"a grant of {named} on `{self.source}.{use.table}`",
            )
        self._note(covering)
        return self._obligation(use, self.schema.tables[use.table], covering)

    def _obligation(self, use: TableUse, table: Table, grants: list[Grant]) -> TableObligation | Denied:
        visible = {column.name for column in table.columns}
        for grant in grants:
            if grant.columns is not None:
                visible &= grant.columns
        masks: dict[str, list[Mask]] = {}
        for protection in self.protections:
            touched = {ref.column for ref in protection.columns if ref.table == use.table and ref.source == self.source}
            if not touched:
                continue
            self.rules[protection.ref.id] = protection.ref
            if protection.refuse is not None:
                read = sorted(touched & use.reads)
                if read:
                    return _refused(protection, use.table, read[0])
                visible -= touched
            if protection.mask is not None:
                for name in touched:
                    masks.setdefault(name, []).append(protection.mask)
        return TableObligation(
            table=use.table,
            columns=tuple(column.name for column in table.columns if column.name in visible),
            masks={name: strongest(found) for name, found in masks.items() if name in visible},
            row_filters=(*_scopes(grants), *self._row_protections(use.table)),
        )

    def _write(self, use: TableUse, read: TableObligation | None) -> TableObligation | Denied:
        grants = self._grants(use.table, use.access)
        if not grants:
            return no_grant(self.policy, self.subject, self.source, use.table, use.access, self.at)
        covering = [grant for grant in grants if grant.columns is None or use.writes <= grant.columns]
        if not covering:
            return Denied(
                sentence=f"no grant lets you {use.access} these columns of `{use.table}` together",
                rule=NO_GRANT,
                ask=f"a grant of {use.access} on `{self.source}.{use.table}`",
            )
        self._note(covering)
        table = self.schema.tables[use.table]
        # What is written must stay within what may be seen, also where the statement itself reads nothing of the table.
        seen = read or self._read(TableUse(table=use.table, access=Access.SELECT))
        base = seen if isinstance(seen, TableObligation) else self._obligation(use, table, covering)
        if isinstance(base, Denied):
            return base
        for protection in self.protections:
            for ref in sorted(protection.columns, key=str):
                if (ref.source, ref.table) == (self.source, use.table) and ref.column in use.writes:
                    return Denied(
                        sentence=f"`{use.table}.{ref.column}` is protected from you, so you may not write it either",
                        rule=protection.ref.id,
                        ask=protection.ask,
                    )
        filters = (*base.row_filters, *_scopes(covering)) if base is seen else base.row_filters
        return TableObligation(table=use.table, columns=base.columns, masks=base.masks, row_filters=filters)

    def _grants(self, table: str, access: Access) -> list[Grant]:
        found = applying_grants(self.policy, self.subject, self.source, table, access, self.at)
        if not self.schema.tables[table].is_view or opens_views(self.policy, self.source):
            return found
        # `*` means the tables: a view shows what protections hide in the tables that it reads.
        return [grant for grant in found if grant.names(self.source, table)]

    def _row_protections(self, table: str) -> list[RowFilter]:
        found = []
        for protection in self.protections:
            if protection.where and any(pattern.matches(self.source, table) for pattern in protection.tables):
                self.rules[protection.ref.id] = protection.ref
                found.append(RowFilter(condition=protection.where, rules=(protection.ref.id,)))
        return found

    def _note(self, grants: list[Grant]) -> None:
        for grant in grants:
            self.rules[grant.ref.id] = grant.ref
            self.limits.append(grant.limits)
        self.needs_reason = self.needs_reason or all(grant.needs_reason for grant in grants)


def _written_back(
    obligations: Mapping[str, TableObligation], value_reads: Mapping[str, frozenset[str]]
) -> Denied | None:
    for table, columns in sorted(value_reads.items()):
        masks = obligations[table].masks if table in obligations else {}
        for column in sorted(columns & masks.keys()):
            return Denied(
                sentence=f"`{table}.{column}` is masked for you, and a masked value may not be written back",
                rule=masks[column].rule,
            )
    return None


def _refused(protection: Protection, table: str, column: str) -> Denied:
    sentence = f"`{table}.{column}` is refused: {protection.refuse}"
    return Denied(sentence=sentence, rule=protection.ref.id, ask=protection.ask)


def _scopes(grants: list[Grant]) -> list[RowFilter]:
    """The OR of the grants' row scopes; none if one of them has no scope."""
    if any(grant.where is None for grant in grants):
        return []
    rules = tuple(sorted(grant.ref.id for grant in grants))
    return [RowFilter(condition=" OR ".join(f"({grant.where})" for grant in grants), rules=rules)]


def tightest(limits: Iterable[Limits]) -> Limits:
    """Of several grants the loosest would apply to none: the tightest of each kind wins."""
    known = list(limits)

    def least(name: str) -> int | float | None:
        values = [getattr(limit, name) for limit in known if getattr(limit, name) is not None]
        return min(values) if values else None

    rows, size, concurrent = least("rows"), least("bytes"), least("concurrent")
    return Limits(
        rows=int(rows) if rows is not None else None,
        bytes=int(size) if size is not None else None,
        time_s=least("time_s"),
        concurrent=int(concurrent) if concurrent is not None else None,
    )
