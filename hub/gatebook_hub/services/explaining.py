"""Why does the gate decide a statement as it does? Rules with their places, obligations, the SQL that would run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Allowed, Denied, Principal, Schema
from gatebook_hub.policy import PolicySet
from gatebook_hub.policy.explaining import Contribution, NearMiss, approvals, contributions, near_misses
from gatebook_hub.services.quorums import write_facts
from gatebook_hub.services.trying import Asking, Trial, attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision and all that led to it. `problem` is set when the statement was not understood at all."""

    revision: str
    source: str
    principal: Principal
    trial: Trial | None
    problem: GatebookError | None
    contributions: tuple[Contribution, ...] = ()
    near: tuple[NearMiss, ...] = ()
    rule_place: str | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether the statement may run, after review perhaps."""
        return self.trial is not None and isinstance(self.trial.decision, Allowed)

    def as_object(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {
            "decision": "allow" if self.is_allowed else "deny",
            "revision": self.revision,
            "source": self.source,
            "principal": self.principal.id,
            "groups": sorted(self.principal.groups),
            "rules": [asdict(item) for item in self.contributions],
            "near": [asdict(item) for item in self.near],
        }
        if self.problem is not None:
            found["problem"] = {"code": self.problem.code, "detail": str(self.problem)}
        if self.trial is not None:
            found |= _decided(self.trial)
        return found


def explain(policy_set: PolicySet, schema: Schema, text: str, asking: Asking) -> Explanation:
    """Explain a statement of one principal; nothing is executed."""
    try:
        trial = attempt(policy_set, schema, text, asking)
    except GatebookError as error:
        return Explanation(
            revision=policy_set.revision, source=schema.source, principal=asking.principal, trial=None, problem=error
        )
    who, at, decision = asking.principal, asking.at, trial.decision
    taking_part = contributions(policy_set, who, schema.source, trial.uses, at)
    if trial.write is not None and isinstance(decision, Allowed):
        tool = who.tool.name if who.tool else None
        for facts in write_facts(policy_set, trial.write, schema.source, asking.rows, tool, None, {}, at.now):
            taking_part += tuple(item for item in approvals(policy_set, facts) if item not in taking_part)
    near = near_misses(policy_set, who, schema.source, trial.uses, at) if isinstance(decision, Denied) else ()
    rule = decision.rule if isinstance(decision, Denied) else None
    return Explanation(
        revision=policy_set.revision,
        source=schema.source,
        principal=who,
        trial=trial,
        problem=None,
        contributions=taking_part,
        near=near,
        rule_place=policy_set.places.get(rule) if rule else None,
    )


def told(found: Explanation) -> Iterator[str]:
    """The explanation as lines."""
    word = "ALLOWED" if found.is_allowed else "REFUSED"
    if found.is_allowed and found.trial and found.trial.approving and found.trial.approving.requirements:
        word = "ALLOWED AFTER REVIEW"
    groups = ", ".join(sorted(found.principal.groups))
    tool = f", through {found.principal.tool.name}" if found.principal.tool else ""
    yield f"{word} for {found.principal.id}{f' in {groups}' if groups else ''}{tool} (policy {found.revision})"
    if found.problem is not None:
        yield f"  {found.problem.code} {found.problem}"
    if found.trial is not None and isinstance(found.trial.decision, Denied):
        denied = found.trial.decision
        place = f" ({found.rule_place})" if found.rule_place else ""
        yield f"  {denied.sentence}"
        yield f"  rule: {denied.rule or 'none: what no grant reaches does not exist'}{place}"
        asked = denied.ask or " and ".join(
            f"a grant of {use.access} on `{found.source}.{use.table}`" for use in found.trial.uses
        )
        yield f"  ask for: {asked}"
    if found.contributions:
        yield "rules"
        width = max(len(item.place) for item in found.contributions)
        for item in found.contributions:
            yield f"  {item.place:{width}}  {item.kind:10}  {item.rule}: {item.effect}"
    if found.near:
        yield "grants that nearly matched"
        for miss in found.near:
            yield f"  {miss.place}  {miss.rule} on `{miss.table}`: {'; '.join(miss.reasons)}"
    if found.trial is not None and isinstance(found.trial.decision, Allowed):
        yield from _obligations(found.trial, found.trial.decision)


def _obligations(trial: Trial, allowed: Allowed) -> Iterator[str]:
    yield "obligations"
    seen = set()
    for use in trial.uses:
        if use.table in seen:
            continue
        seen.add(use.table)
        obligation = allowed.obligations[use.table]
        yield f"  {use.table}: columns {', '.join(obligation.columns) or 'none'}"
        for column, mask in sorted(obligation.masks.items()):
            yield f"    {column} is masked as {mask} ({mask.rule})"
        for item in obligation.row_filters:
            yield f"    only rows where {item.condition} ({', '.join(item.rules)})"
    limits = {name: value for name, value in asdict(allowed.limits).items() if value is not None}
    if limits:
        yield f"  limits of the grants: {', '.join(f'{name} {value:,}' for name, value in limits.items())}"
    needs_reason = allowed.needs_reason or (trial.approving is not None and trial.approving.needs_reason)
    if needs_reason:
        yield "  a reason is needed"
    if trial.plans:
        what = "the SQL that would run" if trial.write is None else "what yields the written rows"
        yield f"{what}; nothing was executed"
        yield from (f"  {plan.sql}" for plan in trial.plans)


def _decided(trial: Trial) -> dict[str, Any]:
    if isinstance(trial.decision, Denied):
        return {"sentence": trial.decision.sentence, "rule": trial.decision.rule, "ask": trial.decision.ask}
    allowed = trial.decision
    found: dict[str, Any] = {
        "obligations": {
            table: {
                "columns": list(item.columns),
                "masks": {
                    column: {"mask": str(mask), "rule": mask.rule} for column, mask in sorted(item.masks.items())
                },
                "rows": [{"where": row.condition, "rules": list(row.rules)} for row in item.row_filters],
            }
            for table, item in sorted(allowed.obligations.items())
        },
        "limits": {name: value for name, value in asdict(allowed.limits).items() if value is not None},
        "reason": allowed.needs_reason or (trial.approving is not None and trial.approving.needs_reason),
        "sql": [plan.sql for plan in trial.plans],
    }
    if trial.approving is not None:
        found["quorum"] = [
            {"groups": list(item.groups), "needed": item.needed} for item in trial.approving.requirements
        ]
        found["expires_h"] = trial.approving.expires_h
    return found
