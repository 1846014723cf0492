"""Who sees what of a change request? Its rows are shown under each viewer's own rules, those of today."""

from __future__ import annotations

from dataclasses import replace

from gatebook_hub import policy
from gatebook_hub.changes import ChangeRequest, Returned
from gatebook_hub.model import Access, Allowed, Principal, TableUse
from gatebook_hub.services.gate import Gate


def visible(gate: Gate, principal: Principal, request: ChangeRequest) -> tuple[frozenset[str], frozenset[str], bool]:
    """Which columns of the diff this principal sees in clear, which masked, and whether the rows at all.

    The requester looks through the tool that the request came from. An action may write rows that its caller
    could not read, so having asked is no right to see; a plain write was kept inside the requester's own scope.
    """
    is_own = principal.id == request.requester.id
    viewer = replace(principal, tool=request.requester.tool) if is_own else principal
    schema = gate.in_force.sources.get(request.source).schema()
    if request.table not in schema.tables:
        return frozenset(), frozenset(), False
    use = TableUse(table=request.table, access=Access.SELECT)
    # A purpose that the viewer has not named opens no rows; the requester named one with the request.
    at = gate.circumstances(request.purpose if is_own else None)
    decision = policy.decide(gate.policy, viewer, schema, [use], at=at)
    if not isinstance(decision, Allowed):
        return frozenset(), frozenset(), False
    obligation = decision.obligations[request.table]
    clear = frozenset(obligation.columns) - obligation.masks.keys()
    is_open = not obligation.row_filters or (is_own and request.action is None)
    return clear, frozenset(obligation.masks), is_open


def returned_to(gate: Gate, principal: Principal, request: ChangeRequest) -> Returned | None:
    """What an executed request returned, for the one who asked, if it would be shown in the same way today."""
    returned = request.returned
    if returned is None or principal.id != request.requester.id:
        return None
    clear, masked, is_open = visible(gate, principal, request)
    is_same = returned.reads <= clear | masked and masked & returned.reads <= returned.masked
    return returned if is_open and is_same else None


def hidden(gate: Gate, principal: Principal, request: ChangeRequest) -> frozenset[str]:
    """The changed columns that this principal does not see in clear."""
    changed = request.diff.changed_columns()
    clear, _, is_open = visible(gate, principal, request)
    return changed - clear if is_open else changed
