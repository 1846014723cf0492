"""Who can reach a table or a column? The policy set in force or a proposed one, against the live schema."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from gatebook_hub import sql
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import GatebookError, InvalidInput, NotFound, NotPermitted
from gatebook_hub.model import Schema
from gatebook_hub.policy import PolicySet, may_read_book
from gatebook_hub.policy.contradicting import did_you_mean
from gatebook_hub.policy.entitling import Entitlement, Sight, entitlements
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.sources.registry import Sources

COLUMNS = ("principal", "tool", "source", "table", "column", "access", "sight", "mask", "rows", "conditions", "rules")
_MOST = 200


def who_can(
    policy_set: PolicySet, sources: Sources, target: str, now: dt.datetime | None = None
) -> tuple[Entitlement, ...]:
    """The entitlements to `source.table` or `source.table.column`; raises InvalidInput, NotFound, SourceUnavailable."""
    parts = target.strip().lower().split(".")
    if not 2 <= len(parts) <= 3 or not all(parts) or len(target) > _MOST:
        raise InvalidInput(f"`{target[:_MOST]}` is not of the form `source.table` or `source.table.column`")
    if parts[0] not in policy_set.sources:
        raise NotFound(f"there is no source `{parts[0]}`{did_you_mean(parts[0], policy_set.sources)}")
    schema = sources.get(parts[0]).schema()
    table = schema.tables.get(parts[1])
    if table is None:
        raise NotFound(f"`{parts[0]}` has no table `{parts[1]}`{did_you_mean(parts[1], schema.tables)}")
    column = parts[2] if len(parts) > 2 else None
    names = {item.name for item in table.columns}
    if column is not None and column not in names:
        raise NotFound(f"`{parts[0]}.{parts[1]}` has no column `{column}`{did_you_mean(column, names)}")
    found = entitlements(policy_set, schema, tables=[table.name], actions=written_by(policy_set, schema), now=now)
    return tuple(item for item in found if column is None or item.column in {column, ""})


def written_by(policy_set: PolicySet, schema: Schema) -> dict[str, frozenset[str]]:
    """The tables that each action of a source writes; one whose statements do not fit writes nothing."""
    found: dict[str, frozenset[str]] = {}
    for action in policy_set.actions.values():
        if action.place != schema.source:
            continue
        try:
            statements = sql.parse_script(action.sql, schema.engine, policy_set.governed(schema).functions)
            found[action.name] = frozenset(sql.plan_write(statement, schema).table.name for statement in statements)
        except GatebookError:
            continue
    return found


def review_access(gate: Gate, call: Call, target: str) -> tuple[Entitlement, ...]:
    """As `who_can`, for those who may read the book; asking is an event."""
    if not may_read_book(gate.policy, call.principal, gate.circumstances()):
        error = NotPermitted("who can do what is for those who may read the book", ask="a grant with `audit: true`")
        error.reference = gate.refuse(EventKind.AUDIT_READ, call, error, extra={"who_can": target[:_MOST]})
        raise error
    found = who_can(gate.policy, gate.in_force.sources, target, gate.now())
    extra = {"who_can": target[:_MOST]}
    gate.book.append(gate.event(EventKind.AUDIT_READ, call, outcome=Outcome.OK, rows=len(found), extra=extra))
    return found


def rows_of(policy_set: PolicySet, found: Sequence[Entitlement]) -> Iterator[dict[str, Any]]:
    """Entitlements as flat rows, each rule with its file and line."""
    for item in found:
        yield {
            "principal": item.principal,
            "tool": item.tool or "",
            "source": item.source,
            "table": item.table,
            "column": item.column,
            "access": item.access,
            "sight": str(item.sight),
            "mask": item.mask or "",
            "rows": item.rows or "",
            "conditions": "; ".join(item.conditions),
            "rules": " ".join(f"{rule}@{policy_set.place_of(rule)}" for rule in item.rules),
        }


def told(policy_set: PolicySet, found: Sequence[Entitlement]) -> Iterator[str]:
    """Entitlements as lines: columns that one principal meets alike share a line."""
    grouped: dict[tuple[str, str | None], dict[tuple[Any, ...], list[str]]] = {}
    for item in found:
        # An exemption says in its sentence which rule it is from.
        alike = (item.access, item.sentence(), item.rules)
        grouped.setdefault((item.principal, item.tool), {}).setdefault(alike, []).append(item.column)
    for (principal, tool), lines in sorted(grouped.items(), key=lambda entry: (entry[0][0], entry[0][1] or "")):
        yield f"{principal}{f' through {tool}' if tool else ''}"
        for (access, sentence, rules), columns in lines.items():
            places = ", ".join(f"{rule} {policy_set.place_of(rule)}" for rule in rules)
            named = ", ".join(filter(None, columns)) or "rows"
            yield f"  {access:8} {named}: {sentence} [{places}]"
    if not any(item.sight is not Sight.EXEMPT for item in found):
        yield "nobody has a grant of it"
