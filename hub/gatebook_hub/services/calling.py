"""How does an action call another service? Asked for, approved and noted like a write; it promises a key, not once.

There is no row before and after: what reviewers approve is the call with its values.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Any

from gatebook_hub import policy
from gatebook_hub.audit import EventKind, recorded_parameters
from gatebook_hub.changes import ChangeRequest, Draft, Returned
from gatebook_hub.changes.request import CALL
from gatebook_hub.errors import Drifted, GatebookError
from gatebook_hub.model import Allowed, Limits, Principal
from gatebook_hub.policy import Action, Approving
from gatebook_hub.services.acting import decide_checks, hold
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.previewing import Previewed, behind, text_time
from gatebook_hub.services.quorums import call_facts, check_has_reason
from gatebook_hub.services.statements import allowed_of, check_reason, own_values
from gatebook_hub.sources.calling import rendered
from gatebook_hub.values import decode, encode

_LIMITS = Limits(time_s=10)


def preview_call(gate: Gate, call: Call, action: Action, given: Mapping[str, Any], *, is_dry_run: bool) -> Previewed:
    """Decide a call, and ask its checks; nothing is sent. A refusal after the intent is in the book."""
    assert action.http is not None
    connection = gate.policy.connections[action.http.connection]
    allowed = _allowed(gate, call, action)
    check_reason(call, allowed)
    rendered(action.http, given)
    encoded = {name: encode(value) for name, value in given.items()}
    intent = gate.book.append(
        gate.event(
            EventKind.QUERY_INTENT,
            call,
            source=connection.name,
            action=action.name,
            # Nobody said which of them may be read: the book has digests, by which one can look for a known value.
            parameters=recorded_parameters(encoded, set(encoded), gate.keys.digest),
            rules=tuple(rule.id for rule in allowed.rules),
            extra={"step": "dry_run" if is_dry_run else "preview"},
        )
    )
    now = gate.now()
    try:
        _hold(gate, call, action, given)
        approving = _approving(gate, call.principal, action, given)
        check_has_reason(gate.policy, approving, call.reason)
    except GatebookError as error:
        error.reference = intent
        gate.book.append(gate.ended(EventKind.QUERY_OUTCOME, call, error, source=connection.name, refers_to=intent))
        raise
    draft = Draft(
        source=connection.name,
        table="",
        operation=CALL,
        statement=_shown(gate, action),
        parameters=encoded,
        action=action.name,
        requester=call.principal,
        reason=call.reason,
        created_at=now,
        expires_at=now + dt.timedelta(hours=min(gate.settings.change_ttl_h, approving.expires_h or math.inf)),
        diffs=(),
        warnings=_warnings(connection.idempotency_header),
        requirements=approving.requirements,
        rules=(*allowed.rules, *approving.rules),
        schema_version="",
        purpose=call.purpose,
        execution=approving.execution,
        glasses=approving.glasses,
        behind=behind(gate, call.principal),
    )
    return Previewed(draft=draft, index=intent)


def carry_out(gate: Gate, request: ChangeRequest, requester: Call) -> Returned:
    """Make the call that was approved; raises Drifted, EffectMissed, CallRefused, CallUnanswered."""
    action = gate.policy.actions.get(request.action or "")
    if action is None or action.http is None:
        raise Drifted(f"the action `{request.action}` is gone; ask again")
    allowed = _allowed(gate, requester, action)
    known = {rule.id: rule.digest for rule in request.rules}
    if any(known.get(rule.id) != rule.digest for rule in allowed.rules):
        raise Drifted("the rules that allowed this changed since the approval; ask again")
    given = {name: decode(value, name) for name, value in request.parameters.items()}
    approving = _approving(gate, request.requester, action, given)
    if (approving.requirements, approving.execution, approving.glasses) != (
        request.requirements,
        request.execution,
        request.glasses,
    ):
        raise Drifted("the rules ask for something else since the approval; nothing was called, ask again")
    _hold(gate, requester, action, given)
    connection = gate.policy.connections[action.http.connection]
    told = gate.caller.call(connection, action.http, given, request.id)
    return Returned(columns=tuple(told), rows=(tuple(told.values()),) if told else (), sight="")


def may_be_repeated(gate: Gate, request: ChangeRequest) -> bool:
    """Whether the service knows a call that it has had before."""
    connection = gate.policy.connections.get(request.source)
    return connection is not None and connection.idempotency_header is not None


def _allowed(gate: Gate, call: Call, action: Action) -> Allowed:
    return allowed_of(policy.decide_call(gate.policy, call.principal, action, gate.circumstances(call.purpose)))


def _hold(gate: Gate, call: Call, action: Action, given: Mapping[str, Any]) -> None:
    """Ask the checks, in a transaction that writes nothing."""
    if not action.checks:
        return
    source = gate.in_force.sources.get(action.source)
    checks = decide_checks(gate, call, action, gate.policy.governed(source.schema()))
    own = {**own_values(gate, action.source, call.principal), "gb_now": text_time(gate.now())}
    with source.writing(_LIMITS) as session:
        hold(session, checks, [{**given, **own}])


def _approving(gate: Gate, requester: Principal, action: Action, given: Mapping[str, Any]) -> Approving:
    return policy.approving_of(gate.policy, call_facts(action, requester, given))


def _shown(gate: Gate, action: Action) -> str:
    """The call as people read it: parameters by name, and no secret."""
    assert action.http is not None
    http = action.http
    lines = [f"{http.method} {gate.policy.connections[http.connection].url}{http.path}"]
    lines += [f"{name}={value}" for name, value in http.query.items()]
    if http.body is not None:
        lines.append(json.dumps(http.body, indent=2, ensure_ascii=False))
    return "\n".join(lines)


def _warnings(idempotency_header: str | None) -> tuple[str, ...]:
    found = ["it calls another service, which Gatebook cannot take back"]
    if idempotency_header is None:
        found.append("the service knows no repeated call: without an answer, somebody has to look whether it was done")
    return tuple(found)
