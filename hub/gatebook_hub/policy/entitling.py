"""Who may do what on which column? Every principal that a rule names, decided alone: the access review."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from gatebook_hub.model import Access, Allowed, Schema, Table, TableUse
from gatebook_hub.policy.circumstances import Circumstances
from gatebook_hub.policy.deciding import decide_for
from gatebook_hub.policy.granting import Subject
from gatebook_hub.policy.rules import Grant, PolicySet


class Sight(StrEnum):
    """How a column meets a principal."""

    PLAIN = "plain"
    MASKED = "masked"
    REFUSED = "refused"
    WRITTEN = "written"
    EXEMPT = "exempt"


# Of the table, not of its columns.
_WHOLE = frozenset({Access.DELETE, Access.DDL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What one principal (through one tool) may do with one column.

    `column` is empty for what is done to whole rows; `rows` the condition that rows must meet, None for all;
    `conditions` are hours, purposes and reasons. EXEMPT says that a protection does not hold for the principal,
    whatever grants it has besides.
    """

    principal: str
    tool: str | None
    source: str
    table: str
    column: str
    access: str
    sight: Sight
    mask: str | None = None
    rows: str | None = None
    conditions: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str, str, str]:
        """What makes it comparable between two policy sets."""
        return (self.source, self.table, self.column, self.principal, self.tool or "", self.access)

    def sentence(self) -> str:
        """What it comes to, in words."""
        told = {
            Sight.PLAIN: "sees it",
            Sight.MASKED: f"sees it masked as {self.mask}",
            Sight.REFUSED: "is refused",
            Sight.WRITTEN: f"may {'call the ' if self.access.startswith('action ') else ''}{self.access}",
            Sight.EXEMPT: f"is exempt from {', '.join(self.rules)}",
        }[self.sight]
        rows = f", rows where {self.rows}" if self.rows else ""
        return told + rows + "".join(f", {condition}" for condition in self.conditions)


def entitlements(
    policy: PolicySet,
    schema: Schema,
    *,
    tables: Iterable[str],
    actions: Mapping[str, frozenset[str]] | None = None,
    now: dt.datetime | None = None,
) -> Iterator[Entitlement]:
    """The entitlements to these tables, sorted; `actions` names the tables that each action writes.

    Grants that are over at `now` are left out; hours and purposes are told, not held against.
    """
    lasting = tuple(grant for grant in policy.grants if grant.window is None or not grant.window.is_over(now))
    policy = replace(policy, grants=tuple(replace(grant, window=None) for grant in lasting))
    by_id = {grant.ref.id: grant for grant in lasting}
    for name in sorted(tables):
        table = schema.tables[name]
        for subject, principal in _subjects(policy, schema.source, name):
            yield from _of(policy, by_id, schema, table, subject, principal)
        yield from _exempt(policy, schema.source, table)
        yield from _acting(lasting, schema.source, name, actions or {})


def _subjects(policy: PolicySet, source: str, table: str) -> list[tuple[Subject, str]]:
    """Every named principal, alone and through each tool that one of its grants names; askers of what is lent too."""
    found: set[tuple[str, str | None]] = set()
    lent: dict[str, str] = {}
    for grant in policy.grants:
        if not grant.reaches(source, table):
            continue
        if grant.on_request is not None:
            lent |= dict.fromkeys(grant.to, f"{', '.join(sorted(grant.on_request.askers))} (on request)")
        for principal in grant.to:
            kind, _, name = principal.partition(":")
            found |= {(principal, tool) for tool in ([name] if kind == "tool" else grant.via or [None])}
    subjects = []
    for principal, tool in sorted(found, key=lambda item: (item[0], item[1] or "")):
        names = {principal} | ({f"tool:{tool}"} if tool else set())
        subjects.append((Subject(names=frozenset(names), tool=tool), lent.get(principal, principal)))
    return subjects


def _of(
    policy: PolicySet, by_id: Mapping[str, Grant], schema: Schema, table: Table, subject: Subject, principal: str
) -> Iterator[Entitlement]:
    look = Circumstances(is_look=True)
    for access in Access:
        names = [column.name for column in table.columns] if access not in _WHOLE else [""]
        for column in names:
            named = frozenset({column}) if column else frozenset()
            if access is Access.SELECT:
                decision = decide_for(
                    policy, subject, schema, [TableUse(table=table.name, access=access, reads=named)], at=look
                )
            else:
                write = TableUse(table=table.name, access=access, writes=named)
                decision = decide_for(policy, subject, schema, [], write, at=look)
            made = Entitlement(
                principal=principal, tool=subject.tool, source=schema.source, table=table.name, column=column,
                access=str(access), sight=Sight.WRITTEN,
            )  # fmt: skip
            if not isinstance(decision, Allowed):
                is_told = decision.rule in {rule.ref.id for rule in policy.protections}
                if is_told and _is_granted(policy, subject, schema.source, table.name, access):
                    yield replace(made, sight=Sight.REFUSED, rules=(str(decision.rule),))
                continue
            obligation = decision.obligations[table.name]
            mask = obligation.masks.get(column)
            grants = [by_id[rule.id] for rule in decision.rules if rule.id in by_id]
            rows = " and ".join(f"({item.condition})" for item in obligation.row_filters) or None
            sight = Sight.WRITTEN if access is not Access.SELECT else Sight.MASKED if mask else Sight.PLAIN
            yield replace(
                made,
                sight=sight,
                mask=str(mask) if mask and sight is Sight.MASKED else None,
                rows=rows,
                conditions=tuple(dict.fromkeys(text for grant in grants for text in _conditions(grant))),
                rules=_rules([rule.id for rule in decision.rules], policy, schema.source, table.name, column),
            )


def _rules(found: list[str], policy: PolicySet, source: str, table: str, column: str) -> tuple[str, ...]:
    """The rules that say something about this column: protections of other columns are left out."""
    others = {
        rule.ref.id
        for rule in policy.protections
        if rule.where is None
        and not any((r.source, r.table, r.column) == (source, table, column) for r in rule.columns)
    }
    return tuple(rule for rule in found if rule not in others)


def _is_granted(policy: PolicySet, subject: Subject, source: str, table: str, access: Access) -> bool:
    return any(
        access in grant.allow and subject.is_meant(grant) and grant.reaches(source, table) for grant in policy.grants
    )


def _conditions(grant: Grant) -> Iterator[str]:
    if grant.window is not None:
        yield f"at {grant.window}"
    if grant.purposes:
        yield f"for {' or '.join(sorted(grant.purposes))}"
    if grant.needs_reason:
        yield "with a reason"


def _exempt(policy: PolicySet, source: str, table: Table) -> Iterator[Entitlement]:
    for rule in policy.protections:
        columns = sorted(ref.column for ref in rule.columns if (ref.source, ref.table) == (source, table.name))
        if rule.where is not None and any(pattern.matches(source, table.name) for pattern in rule.tables):
            columns = [""]
        for column in columns:
            for principal in sorted(rule.unless):
                yield Entitlement(
                    principal=principal, tool=None, source=source, table=table.name, column=column,
                    access=f"unless {rule.ref.id}", sight=Sight.EXEMPT, rules=(rule.ref.id,),
                )  # fmt: skip


def _acting(
    grants: Iterable[Grant], source: str, table: str, actions: Mapping[str, frozenset[str]]
) -> Iterator[Entitlement]:
    for grant in grants:
        for action in sorted(grant.actions):
            if table not in actions.get(action, frozenset()):
                continue
            for principal in sorted(grant.to):
                for tool in sorted(grant.via) or (None,):
                    yield Entitlement(
                        principal=principal, tool=tool, source=source, table=table, column="",
                        access=f"action {action}", sight=Sight.WRITTEN, conditions=tuple(_conditions(grant)),
                        rules=(grant.ref.id,),
                    )  # fmt: skip
