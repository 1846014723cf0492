"""Who sees what of a change request? Its rows are shown under each viewer's own rules, those of today."""

from __future__ import annotations

from dataclasses import replace

from gatebook_hub import policy
from gatebook_hub.changes import ChangeRequest, Draft, Returned
from gatebook_hub.model import Access, Allowed, Principal, TableObligation, TableUse, Tool
from gatebook_hub.services.gate import Gate
from gatebook_hub.services.statements import sight_of


def visible(gate: Gate, principal: Principal, request: Draft) -> tuple[frozenset[str], frozenset[str], bool]:
    """Which columns of the diff this principal sees in clear, which masked, and whether the rows at all.

    An action may write rows that its caller could not read, so having asked is no right to see; a plain write was kept
    inside the requester's own scope.
    """
    return _seen(_obligation(gate, principal, request), principal, request)


def sees_all_rows(gate: Gate, principal: Principal, request: Draft) -> bool:
    """Whether no row filter hides a row of the table from this principal, whoever asked."""
    obligation = _obligation(gate, principal, request)
    return obligation is not None and not obligation.row_filters


def returned_to(gate: Gate, principal: Principal, request: ChangeRequest) -> Returned | None:
    """What an executed request returned, for the one who asked, as long as their sight of the table is the same."""
    returned = request.returned
    if returned is None or principal.id != request.requester.id:
        return None
    obligation = _obligation(gate, principal, request)
    return returned if obligation is not None and sight_of(obligation) == returned.sight else None


def hidden(gate: Gate, principal: Principal, request: ChangeRequest) -> frozenset[str]:
    """The changed columns that this principal does not see in clear."""
    return Sights(gate, principal).hidden(request)


class Sights:
    """What one principal sees of the tables of many requests, at one moment: each is decided once."""

    def __init__(self, gate: Gate, principal: Principal) -> None:
        self._gate = gate
        self._principal = principal
        self._known: dict[tuple[str, str, bool, Tool | None, str | None], TableObligation | None] = {}

    def hidden(self, request: ChangeRequest) -> frozenset[str]:
        """The changed columns that are not seen in clear."""
        changed = request.diff.changed_columns()
        clear, _, is_open = _seen(self._obligation(request), self._principal, request)
        return changed - clear if is_open else changed

    def _obligation(self, request: ChangeRequest) -> TableObligation | None:
        is_own = self._principal.id == request.requester.id
        tool, purpose = (request.requester.tool, request.purpose) if is_own else (None, None)
        key = (request.source, request.table, is_own, tool, purpose)
        if key not in self._known:
            self._known[key] = _obligation(self._gate, self._principal, request)
        return self._known[key]


def _seen(
    obligation: TableObligation | None, principal: Principal, request: Draft
) -> tuple[frozenset[str], frozenset[str], bool]:
    if obligation is None:
        return frozenset(), frozenset(), False
    clear = frozenset(obligation.columns) - obligation.masks.keys()
    is_own = principal.id == request.requester.id
    is_open = not obligation.row_filters or (is_own and request.action is None)
    return clear, frozenset(obligation.masks), is_open


def _obligation(gate: Gate, principal: Principal, request: Draft) -> TableObligation | None:
    """What this principal sees of the table; the requester looks through the tool that the request came from."""
    is_own = principal.id == request.requester.id
    viewer = replace(principal, tool=request.requester.tool) if is_own else principal
    if request.source not in gate.policy.sources:
        return None  # it has left the policy; whoever sees nothing reviews nothing
    schema = gate.in_force.sources.get(request.source).schema()
    if request.table not in schema.tables:
        return None
    use = TableUse(table=request.table, access=Access.SELECT)
    # A purpose that the viewer has not named opens no rows; the requester named one with the request.
    at = gate.circumstances(request.purpose if is_own else None)
    decision = policy.decide(gate.policy, viewer, schema, [use], at=at)
    return decision.obligations[request.table] if isinstance(decision, Allowed) else None
