"""How does somebody get access for a time? They ask with a reason, others agree, and it ends by itself.

A request for access is a change request: the same states, the same reviewers, the same page. What it changes is who the
requester is to one rule: while the lease lasts they bear its name. Another text of the rule ends it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.changes import ChangeRequest, Draft, State
from gatebook_hub.changes.request import ACCESS
from gatebook_hub.errors import AccessRefused, Drifted, InvalidInput, NotFound, NotPermitted
from gatebook_hub.model import Principal, PrincipalKind
from gatebook_hub.policy.rules import Grant
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.previewing import Previewed
from gatebook_hub.stores.leases import Lease

_LONGEST_REASON = 2_000


def on_offer(gate: Gate, principal: Principal) -> tuple[Grant, ...]:
    """The grants that this person may ask for and does not have now."""
    held = {one.grant for one in gate.leases.of(principal.id, gate.now())}
    return tuple(
        grant
        for grant in gate.policy.grants
        if principal.kind is PrincipalKind.USER
        and grant.on_request is not None
        and grant.on_request.askers & principal.names
        and grant.ref.id not in held
    )


def preview_access(gate: Gate, call: Call, name: str, hours: float) -> Previewed:
    """What a request for access would say; raises NotFound, InvalidInput, AccessRefused."""
    grant = next((one for one in on_offer(gate, call.principal) if one.ref.id == name), None)
    if grant is None or grant.on_request is None:
        raise NotFound("there is no such access that you may ask for")
    if not 0 < hours <= grant.on_request.hours:
        raise InvalidInput(f"access is given for at most {grant.on_request.hours:g} hours")
    if not (call.reason or "").strip():
        raise AccessRefused("access needs a reason", rule=name, ask="the same with a reason")
    place = grant.on[0].source if grant.on else name
    now = gate.now()
    intent = gate.book.append(
        gate.event(
            EventKind.QUERY_INTENT,
            replace(call, reason=(call.reason or "")[:_LONGEST_REASON]),
            source=place,
            rules=(grant.ref.id,),
            extra={"step": "access", "hours": f"{hours:g}"},
        )
    )
    draft = Draft(
        source=place,
        table="",
        operation=ACCESS,
        statement=told(grant),
        parameters={"grant": grant.ref.id, "hours": f"{hours:g}"},
        action=None,
        requester=call.principal,
        reason=call.reason,
        created_at=now,
        expires_at=now + dt.timedelta(hours=gate.settings.change_ttl_h),
        diffs=(),
        warnings=(),
        requirements=grant.on_request.require,
        rules=(grant.ref,),
        schema_version="",
    )
    return Previewed(draft=draft, index=intent)


def lend(gate: Gate, request: ChangeRequest) -> None:
    """Give the access that was approved, from now on; raises Drifted where its rule is another one by now."""
    name, hours = str(request.parameters["grant"]), float(str(request.parameters["hours"]))
    known = {rule.id: rule.digest for rule in request.rules}
    grant = next((one for one in gate.policy.grants if one.ref.id == name and one.on_request is not None), None)
    if grant is None or known.get(name) != grant.ref.digest:
        raise Drifted("the rule that gives this access changed since it was asked for; ask again")
    until = gate.now() + dt.timedelta(hours=hours)
    gate.leases.give(
        Lease(
            change_id=request.id,
            principal=request.requester.id,
            grant=name,
            digest=grant.ref.digest,
            until=until,
        )
    )


def end(gate: Gate, call: Call, request: ChangeRequest) -> None:
    """End access before its time: who has it may, and whoever gave it; raises NotPermitted, NotFound."""
    givers = {review.reviewer for review in request.reviews}
    groups = {group for requirement in request.requirements for group in requirement.groups}
    if call.principal.id not in {request.requester.id, *givers} and not groups & call.principal.groups:
        raise NotPermitted("who has the access, or may give it, ends it")
    if request.operation != ACCESS or request.state is not State.EXECUTED:
        raise NotFound("there is no access to end")
    if not gate.leases.end(request.id, gate.now()):
        raise NotFound("this access is over already")
    event = gate.event(EventKind.ACCESS_ENDED, call, source=request.source, change=request.id, outcome=Outcome.OK)
    gate.book.append(event)


def told(grant: Grant) -> str:
    """What a grant gives, as reviewers read it."""
    parts = []
    if grant.on:
        columns = f" ({', '.join(sorted(grant.columns))})" if grant.columns is not None else ""
        parts.append(f"{', '.join(sorted(grant.allow))} on {', '.join(map(str, grant.on))}{columns}")
    if grant.where:
        parts.append(f"only rows where {grant.where}")
    for word, names in (("actions", grant.actions), ("tools", grant.tools), ("entities", grant.entities)):
        if names:
            parts.append(f"{word} {', '.join(sorted(names))}")
    if grant.via:
        parts.append(f"through {', '.join(sorted(grant.via))} alone")
    return f"rule {grant.ref.id}: " + "; ".join(parts)
