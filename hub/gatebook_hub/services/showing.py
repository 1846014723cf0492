"""Who sees what of a change request? Its rows are shown under each viewer's own rules, those of today."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from gatebook_hub import policy
from gatebook_hub.changes import ChangeRequest, Draft, Outline, Returned, RowDiff, Standing, may_review
from gatebook_hub.changes.outline import Touched
from gatebook_hub.model import Access, Allowed, Principal, Seat, TableObligation, TableUse, Tool
from gatebook_hub.services import standing_in
from gatebook_hub.services.gate import Gate
from gatebook_hub.services.statements import sight_of

_ELSEWHERE = "rows of another table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one principal sees of the rows of one table: which columns in clear, which masked.

    `is_known` says whether the table exists for them, `is_open` whether the rows are seen at all, `is_whole` whether no
    row of the table is hidden.
    """

    clear: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    is_known: bool = False
    is_open: bool = False
    is_whole: bool = False

    def hidden_of(self, diff: RowDiff | Touched) -> frozenset[str]:
        """The changed columns that are not seen in clear."""
        changed = diff.changed_columns()
        return changed - self.clear if self.is_open else changed


class Sights:
    """What one principal sees of the tables of many requests, at one moment: each is decided once."""

    def __init__(self, gate: Gate, principal: Principal) -> None:
        self._gate = gate
        self.principal = principal
        self._known: dict[tuple[str, str, bool, Tool | None, str | None], TableObligation | None] = {}

    @cached_property
    def seats(self) -> tuple[Seat, ...]:
        """The places of people who are away, in whose place this principal is."""
        return standing_in.seats(self._gate, self.principal.id)

    def of(self, request: Draft | Outline, diff: RowDiff | Touched) -> Sight:
        """What is seen of the rows of one table.

        An action may write rows that its caller could not read, and the database itself rows that nobody asked for, so
        having asked is no right to see those; a plain write was kept inside the requester's own scope.
        """
        obligation = self._obligation(request, diff.table)
        if obligation is None:
            return Sight()
        is_own = self.principal.id == request.requester.id
        is_asked_for = is_own and request.action is None and not diff.has_along
        return Sight(
            clear=frozenset(obligation.columns) - obligation.masks.keys(),
            masked=frozenset(obligation.masks),
            is_known=True,
            is_open=not obligation.row_filters or is_asked_for,
            is_whole=not obligation.row_filters,
        )

    def knows(self, request: Draft | Outline, table: str) -> bool:
        """Whether the table exists for this principal."""
        return self._obligation(request, table) is not None

    def hidden(self, request: Draft | Outline) -> frozenset[str]:
        """The changed columns that are not seen in clear; those of further tables with the name of their table."""
        every = request.touched if isinstance(request, Outline) else request.diffs
        found = {name for diff in every[:1] for name in self.of(request, diff).hidden_of(diff)}
        for diff in every[1:]:
            sight = self.of(request, diff)
            hidden = sight.hidden_of(diff)
            if hidden:
                found |= {f"{diff.table}.{name}" for name in hidden} if sight.is_known else {_ELSEWHERE}
        return frozenset(found)

    def why_no_review(self, request: Standing) -> str | None:
        """Why this principal may not review the request, or None; what they see is asked only if it comes to that."""
        refusal = may_review(request, self.principal, seats=self.seats)
        return refusal or may_review(request, self.principal, self.hidden(request), self.seats)

    def returned_to(self, request: ChangeRequest) -> Returned | None:
        """What an executed request returned, for the one who asked, as long as their sight of the table is the same."""
        returned = request.returned
        if returned is None or self.principal.id != request.requester.id or request.is_call:
            return returned if request.is_call and self.principal.id == request.requester.id else None
        obligation = self._obligation(request, request.table)
        return returned if obligation is not None and sight_of(obligation) == returned.sight else None

    def shows_all(self, request: Draft) -> bool:
        """Whether all rows are seen, with every column in clear."""
        sights = [(self.of(request, diff), diff) for diff in request.diffs]
        return all(sight.is_open and set(diff.columns) <= sight.clear for sight, diff in sights)

    def _obligation(self, request: Draft | Outline, table: str) -> TableObligation | None:
        is_own = self.principal.id == request.requester.id
        tool, purpose = (request.requester.tool, request.purpose) if is_own else (None, None)
        key = (request.source, table, is_own, tool, purpose)
        if key not in self._known:
            self._known[key] = _obligation(self._gate, self.principal, request, table)
        return self._known[key]


def _obligation(gate: Gate, principal: Principal, request: Draft | Outline, table: str) -> TableObligation | None:
    """What this principal sees of a table; the requester looks through the tool that the request came from."""
    is_own = principal.id == request.requester.id
    viewer = replace(principal, tool=request.requester.tool) if is_own else principal
    if request.source not in gate.policy.sources:
        return None  # it has left the policy; whoever sees nothing reviews nothing
    schema = gate.in_force.sources.get(request.source).schema()
    if table not in schema.tables:
        return None
    use = TableUse(table=table, access=Access.SELECT)
    # A purpose that the viewer has not named opens no rows; the requester named one with the request.
    at = gate.circumstances(request.purpose if is_own else None)
    decision = policy.decide(gate.policy, viewer, schema, [use], at=at)
    return decision.obligations[table] if isinstance(decision, Allowed) else None
